"""Darknet networks: YOLOv3, YOLOv3-tiny and YOLOv3-spp from a .cfg description and a .weights file."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from prodseek.errors import WeightsError
from prodseek.vision.darknet_cfg import N_BOX_VALUES, Description, Layer
from prodseek.vision.network import FeatureMap, NetworkOutput

LEAKY_SLOPE = 0.1
BATCH_NORM_EPSILON = 1e-6  # added to the square root, as in darknet/src/blas.c
_HEADER_WORDS = 3


class DarknetNetwork(nn.Module):
    """A Darknet detector that follows `network.Network`, with batch normalisation folded into the convolutions."""

    def __init__(self, description: Description, values: NDArray[np.float32]) -> None:
        """values: (N,) float32, all of the .weights file but its header. Raises WeightsError unless all are used."""
        super().__init__()
        self.name = description.name
        self.class_names = description.class_names
        self._layers = description.layers
        self._tapped = {index: f"stride{stride}" for stride, index in description.taps.items()}
        self.feature_maps = tuple(
            FeatureMap(f"stride{stride}", stride, description.layers[index].channels)
            for stride, index in sorted(description.taps.items())
        )
        self._last_use = _last_uses(description.layers)
        self._activated_pooled = _activated_pooled(description.layers, self._tapped)
        self.convolutions = nn.ModuleDict()
        _check_count(description, values)
        offset = 0
        for index, layer in enumerate(self._layers):
            if layer.section.kind == "convolutional":
                convolution, offset = _convolution(layer, values, offset)
                self.convolutions[str(index)] = convolution

    def forward(self, batch: torch.Tensor) -> NetworkOutput:
        """(B, 3, H, W) float RGB in 0..1 -> NetworkOutput (see `network.Network`)."""
        kept: dict[int, torch.Tensor] = {-1: batch}
        maps: dict[str, torch.Tensor] = {}
        boxes: list[torch.Tensor] = []
        scores: list[torch.Tensor] = []
        for index, layer in enumerate(self._layers):
            inputs = [kept[source] for source in layer.sources]
            if layer.section.kind == "yolo":
                head_boxes, head_scores = _decode(inputs[0], layer)
                boxes.append(head_boxes)
                scores.append(head_scores)
                output = inputs[0]
            else:
                output = self._run(index, layer, inputs)
            kept[index] = output
            if index in self._tapped:
                maps[self._tapped[index]] = output.float()
            for source in layer.sources:
                if self._last_use[source] == index:
                    kept.pop(source, None)
        return NetworkOutput(torch.cat(boxes, 1), torch.cat(scores, 1), maps)

    def _run(self, index: int, layer: Layer, inputs: list[torch.Tensor]) -> torch.Tensor:
        section = layer.section
        if section.kind == "convolutional":
            output: torch.Tensor = self.convolutions[str(index)](inputs[0])
            is_leaky = section.options["activation"] == "leaky" and index not in self._activated_pooled
            return F.leaky_relu_(output, LEAKY_SLOPE) if is_leaky else output
        if section.kind == "maxpool":
            pooled = _max_pool(inputs[0], section.integer("size", 2), section.integer("stride", 1))
            return F.leaky_relu_(pooled, LEAKY_SLOPE) if layer.sources[0] in self._activated_pooled else pooled
        if section.kind == "upsample":
            return F.interpolate(inputs[0], scale_factor=section.integer("stride", 2), mode="nearest")
        if section.kind == "shortcut":
            return inputs[0] + inputs[1]
        return torch.cat(inputs, 1) if len(inputs) > 1 else inputs[0]


def load_darknet(description: Description, weights_path: Path) -> DarknetNetwork:
    """Build a network from a .weights file, in evaluation mode. Raises WeightsError."""
    return DarknetNetwork(description, read_weights(weights_path)).eval().requires_grad_(False)


def read_weights(path: Path) -> NDArray[np.float32]:
    """The values of a Darknet .weights file, (N,) float32.

    The file's header is three int32 (major, minor, revision) and the number of images seen in training: 64 bits since
    version 0.2, 32 bits before. Raises WeightsError.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"weights file {path} cannot be read: {error}") from error
    if len(data) < 4 * (_HEADER_WORDS + 2):
        raise WeightsError(f"weights file {path} is {len(data)} bytes, too short for a Darknet header")
    major, minor, _ = (int(value) for value in np.frombuffer(data, "<i4", _HEADER_WORDS))
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise WeightsError(f"weights file {path} is not Darknet's: its header gives version {major}.{minor}")
    start = 4 * (_HEADER_WORDS + (2 if major * 10 + minor >= 2 else 1))
    if (len(data) - start) % 4:
        raise WeightsError(f"weights file {path} does not end on a whole number: {len(data)} bytes, truncated?")
    return np.frombuffer(data, "<f4", offset=start)


def n_weights(layer: Layer) -> int:
    """How many values of a .weights file a layer uses."""
    if layer.section.kind != "convolutional":
        return 0
    n_kernel = layer.channels * layer.in_channels * layer.section.integer("size") ** 2
    return n_kernel + layer.channels * (4 if layer.section.integer("batch_normalize", 0) else 1)


def _check_count(description: Description, values: NDArray[np.float32]) -> None:
    expected = sum(n_weights(layer) for layer in description.layers)
    if expected != values.size:
        verdict = "truncated, or of another network" if values.size < expected else "of another network"
        raise WeightsError(
            f"the weights do not fit {description.name}: it takes {expected} values, "
            f"the file holds {values.size}; it is {verdict}"
        )
    if not np.isfinite(values).all():
        raise WeightsError(f"the weights of {description.name} hold values that are not finite; the file is damaged")


def _convolution(layer: Layer, values: NDArray[np.float32], offset: int) -> tuple[nn.Conv2d, int]:
    """One convolution with its batch normalisation folded in, and the offset of the values that follow.

    Darknet's order: biases; scales, means and variances if the layer is normalised; the kernel.
    """
    section, channels = layer.section, layer.channels
    size = section.integer("size")
    convolution = nn.Conv2d(
        layer.in_channels,
        channels,
        size,
        stride=section.integer("stride", 1),
        padding=size // 2 if section.integer("pad", 0) else 0,
    )
    n_vectors = 4 if section.integer("batch_normalize", 0) else 1
    vectors = values[offset : offset + n_vectors * channels].reshape(n_vectors, channels).astype(np.float64)
    offset += n_vectors * channels
    n_kernel = convolution.weight.numel()
    kernel = values[offset : offset + n_kernel].reshape(tuple(convolution.weight.shape)).astype(np.float64)
    bias = vectors[0]
    if n_vectors == 4:
        _, scales, means, variances = vectors
        gain = scales / (np.sqrt(np.maximum(variances, 0.0)) + BATCH_NORM_EPSILON)
        kernel = kernel * gain[:, None, None, None]
        bias = bias - means * gain
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(kernel))
        convolution.bias = nn.Parameter(torch.from_numpy(bias).float())
    return convolution, offset + n_kernel


def _max_pool(values: torch.Tensor, size: int, stride: int) -> torch.Tensor:
    """Darknet's max pooling: padded by size - 1 in total, the smaller half before, and the padding never wins."""
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    if size == stride == 2 and values.device.type == "cpu" and not (values.shape[2] % 2 or values.shape[3] % 2):
        # More than twice as fast as torch's own pooling for channels_last bfloat16.
        rows = torch.maximum(values[:, :, 0::2], values[:, :, 1::2])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])
    if before == 0 and size == stride:
        return F.max_pool2d(values, size, stride, ceil_mode=True)  # the same, without a copy
    if before == after:
        return F.max_pool2d(values, size, stride, padding=before)
    return F.max_pool2d(F.pad(values, (before, after, before, after), value=float("-inf")), size, stride)


def _decode(raw: torch.Tensor, layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes and scores of a [yolo] layer: sigmoid centres, exp(t) x anchor sizes.

    Source: Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, section 2.1. raw: (B, n_anchors x (5 + C), rows,
    columns). Returns (B, A, 4) x1 y1 x2 y2 input pixels and (B, A, C) scores, ordered by rows, then columns, then anchors.
    A channels_last tensor has this order too, so nothing is copied.
    """
    section = layer.section
    mask, n_classes = section.integers("mask"), section.integer("classes")
    n_images, _, n_rows, n_columns = raw.shape
    values = raw.permute(0, 2, 3, 1).float().reshape(n_images, n_rows, n_columns, len(mask), N_BOX_VALUES + n_classes)
    shares = values.sigmoid()  # of all values, although 2 in 85 are not used: three times as fast as of a part
    anchors, corners = _grid(section.integers("anchors"), mask, n_rows, n_columns, raw.device)
    centres = (shares[..., 0:2] + corners) * layer.stride
    half_sizes = values[..., 2:4].exp() * anchors / 2
    boxes = torch.cat((centres - half_sizes, centres + half_sizes), -1)
    scores = shares[..., 4:5] * shares[..., N_BOX_VALUES:]
    return boxes.reshape(n_images, -1, 4), scores.reshape(n_images, -1, n_classes)


@lru_cache(maxsize=8)
def _grid(
    all_anchors: tuple[int, ...], mask: tuple[int, ...], n_rows: int, n_columns: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """A head's anchors (n_anchors, 2) and the corners of its cells (rows, columns, 1, 2), both x y.

    Cached, because copying them to a GPU for each batch would wait for all the work that the GPU still has.
    """
    anchors = torch.tensor(all_anchors, dtype=torch.float32).reshape(-1, 2)[list(mask)]
    columns, rows = torch.meshgrid(torch.arange(n_columns), torch.arange(n_rows), indexing="xy")
    return anchors.to(device), torch.stack((columns, rows), -1)[:, :, None].to(device)


def _activated_pooled(layers: tuple[Layer, ...], tapped: Container[int]) -> frozenset[int]:
    """Leaky convolutions that only a max pooling reads: their activation runs after the pooling, on a quarter of the values.

    The result is the same to the last bit, because the leaky ReLU is increasing, so the largest value stays the largest.
    """
    readers: dict[int, list[int]] = {}
    for index, layer in enumerate(layers):
        for source in layer.sources:
            readers.setdefault(source, []).append(index)
    return frozenset(
        index
        for index, layer in enumerate(layers)
        if layer.section.kind == "convolutional"
        and layer.section.options["activation"] == "leaky"
        and index not in tapped
        and [layers[reader].section.kind for reader in readers.get(index, [])] == ["maxpool"]
    )


def _last_uses(layers: tuple[Layer, ...]) -> dict[int, int]:
    """Layer index -> the last layer that reads its output, after which the output can be freed."""
    return {source: index for index, layer in enumerate(layers) for source in layer.sources}
