"""Non-maximum suppression: from a network's raw boxes and scores to the few detections of an image."""

from __future__ import annotations

import torch
from torchvision.ops import batched_nms


def select_detections(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    score_threshold: float,
    nms_iou_threshold: float,
    max_detections: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class-wise non-maximum suppression: of boxes of one class whose IoU is above the threshold, the highest score stays.

    boxes: (A, 4) float32 x1 y1 x2 y2. scores: (A, C) float32; a box is a candidate for each class whose score is above
    score_threshold. Returns boxes (D, 4), scores (D,) and class indices (D,) int64; at most max_detections, best first.
    Equal scores are ordered by box index, then by class.
    """
    return select_batch(boxes[None], scores[None], score_threshold, nms_iou_threshold, max_detections)[0]


def select_batch(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    score_threshold: float,
    nms_iou_threshold: float,
    max_detections: int,
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """`select_detections` for each image of a batch. boxes: (B, A, 4). scores: (B, A, C).

    Results are on the CPU; the few candidates of all images leave a GPU in one copy.
    """
    if scores.numel():
        # Rows first: few rows hold a candidate, and to find those is several times faster than to test each score.
        rows = torch.nonzero(scores.amax(2) > score_threshold)
    else:
        rows = torch.zeros((0, 2), dtype=torch.int64, device=scores.device)
    images, indices = rows.unbind(1)
    of_rows = scores[images, indices].cpu()
    picked_rows, classes = torch.nonzero(of_rows > score_threshold, as_tuple=True)
    # In the order of images, boxes, classes.
    values = of_rows[picked_rows, classes]
    picked = boxes[images, indices].cpu()[picked_rows]
    images = images.cpu()[picked_rows]
    ends = torch.bincount(images, minlength=len(scores)).cumsum(0).tolist()
    spans = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return [_suppress(picked[span], values[span], classes[span], nms_iou_threshold, max_detections) for span in spans]


def _suppress(
    boxes: torch.Tensor, values: torch.Tensor, classes: torch.Tensor, nms_iou_threshold: float, max_detections: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    # A stable sort of candidates in (box, class) order settles ties, here and in the NMS.
    order = torch.argsort(values, descending=True, stable=True)
    boxes, values, classes = boxes[order], values[order], classes[order]
    kept = batched_nms(boxes, values, classes, nms_iou_threshold)
    kept = torch.sort(kept).values[:max_detections]
    return boxes[kept], values[kept], classes[kept]
