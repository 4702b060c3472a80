"""From a network's raw boxes and scores to the few detections of an image."""

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
    """Class-wise non-maximum suppression: within a class, of boxes that overlap by more than the threshold
    (IoU) the highest score stays.

    boxes: (A, 4) float32 x1 y1 x2 y2. scores: (A, C) float32; a box is a candidate for every class whose
    score is above score_threshold. Returns boxes (D, 4), scores (D,) and class indices (D,) int64, at most
    max_detections, best first; equal scores are ordered by box index, then by class.
    """
    candidates, classes = torch.nonzero(scores > score_threshold, as_tuple=True)
    values = scores[candidates, classes]
    # Stable, and candidates come in (box, class) order: that settles ties here and, through the order, in the
    # NMS.
    order = torch.argsort(values, descending=True, stable=True)
    candidates, classes, values = candidates[order], classes[order], values[order]
    picked = boxes[candidates]
    kept = batched_nms(picked, values, classes, nms_iou_threshold)
    kept = torch.sort(kept).values[:max_detections]
    return picked[kept], values[kept], classes[kept]
