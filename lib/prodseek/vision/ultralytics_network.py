"""Detectors of ultralytics (yolov3u.pt and others) as a `network.Network`. Needs the extra `ultralytics`, AGPL-3.0.

Only the package's layers are used; its loader, its predictor and everything that uses the internet are not.
"""

from __future__ import annotations

import os
import reprlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from prodseek.errors import ConfigError, WeightsError
from prodseek.vision.network import SLICED_STRIDES, FeatureMap, NetworkDescription, NetworkOutput
from prodseek.vision.torch_file import DAMAGED, check_finite, check_size, foreign_globals, load_torch
from prodseek.vision.weights import PinnedFile

# Classes in a detection checkpoint: all layers of the detectors that ultralytics ships descriptions of. To call any of them,
# with any arguments, creates a layer and does nothing else. The models of `nn.tasks`, however, evaluate text that they are
# given, so `_SavedModel` replaces those.
_LAYERS = {
    "torch.nn.modules.activation": "Hardswish LeakyReLU Mish ReLU ReLU6 Sigmoid SiLU",
    "torch.nn.modules.batchnorm": "BatchNorm2d",
    "torch.nn.modules.container": "ModuleList Sequential",
    "torch.nn.modules.conv": "Conv2d ConvTranspose2d",
    "torch.nn.modules.dropout": "Dropout",
    "torch.nn.modules.linear": "Identity",
    "torch.nn.modules.padding": "ZeroPad2d",
    "torch.nn.modules.pooling": "AvgPool2d MaxPool2d",
    "torch.nn.modules.upsampling": "Upsample",
    "ultralytics.nn.modules.block": (
        "A2C2f AAttn ABlock AConv ADown Attention Bottleneck BottleneckCSP C1 C2 C2PSA C2f C2fCIB C2fPSA C3 C3Ghost C3f "
        "C3k C3k2 C3x CBFuse CBLinear CIB DFL ELAN1 GhostBottleneck PSA PSABlock RepBottleneck RepC3 RepCSP "
        "RepNCSPELAN4 RepVGGDW SCDown SPP SPPELAN SPPF"
    ),
    "ultralytics.nn.modules.conv": "Concat Conv Conv2 ConvTranspose DWConv Focus GhostConv Index LightConv RepConv",
    "ultralytics.nn.modules.head": "Detect v10Detect",
}
_TASKS = "ultralytics.nn.tasks."
_DETECTION_MODELS = {f"{_TASKS}DetectionModel", f"{_TASKS}YOLOv10DetectionModel"}  # the latter in YOLOv10's first files
# What a checkpoint keeps of its training: settings, losses, metrics. None of it is created, see `_Ignored`.
_IGNORED = ("ultralytics.utils.", "ultralytics.yolo.", "torch.nn.modules.loss.", "pathlib.", "numpy.")

_TRIAL_PX = 128  # large enough that the maps of all sliced strides differ in size


class UltralyticsNetwork(nn.Module):
    """A detector of ultralytics; follows `network.Network`.

    Scores are those of ultralytics' own `predict`: a box has one class, its best. A file that was saved with only the
    head without NMS ("end to end", in YOLOv10 and YOLO26) keeps the scores of all classes, as `predict` does.
    """

    def __init__(self, model: Any) -> None:
        """model: a DetectionModel of ultralytics with batch normalisation folded in, see `read_checkpoint`."""
        super().__init__()
        head = model.model[-1]
        self.name = "ultralytics"
        self.class_names = tuple(str(model.names[index]) for index in range(head.nc))
        self.layers = nn.ModuleList(model.model[:-1])
        self.head = head
        head.dfl = None  # `_decode` does its work, always in float32
        self.end_to_end = bool(head.end2end)
        self.strides = tuple(int(stride) for stride in head.stride.tolist())
        self.max_stride = max(*self.strides, *SLICED_STRIDES)
        self._saved = frozenset(model.save)
        self.tapped, self.feature_maps = self._find_taps(len(model.yaml["backbone"]))

    def forward(self, batch: torch.Tensor) -> NetworkOutput:
        """(B, 3, H, W) RGB in 0..1 -> NetworkOutput (see `network.Network`)."""
        maps: dict[str, torch.Tensor] = {}

        def tap(index: int, values: Any) -> None:
            if index in self.tapped:
                maps[f"stride{self.tapped[index]}"] = values.float()

        inputs = self._run(batch, tap)
        raw = self.head.forward_head(inputs, **(self.head.one2one if self.end_to_end else self.head.one2many))
        boxes = _decode(raw["boxes"].float(), [tuple(values.shape[-2:]) for values in inputs], self.strides)
        scores = raw["scores"].float().sigmoid().transpose(1, 2)
        if not self.end_to_end:
            best = scores.argmax(2, keepdim=True)
            scores = torch.zeros_like(scores).scatter_(2, best, scores.gather(2, best))
        return NetworkOutput(boxes, scores, maps)

    def _run(self, batch: torch.Tensor, tap: Callable[[int, Any], None]) -> list[torch.Tensor]:
        """Run all layers but the head. tap: called with the index and output of each layer. Returns the head's inputs."""
        kept: list[Any] = []
        values: Any = batch
        for index, layer in enumerate(self.layers):
            values = layer(_sources(layer, values, kept))
            kept.append(values if index in self._saved else None)
            tap(index, values)
        inputs: list[torch.Tensor] = _sources(self.head, values, kept)
        return inputs

    def _find_taps(self, n_backbone: int) -> tuple[dict[int, int], tuple[FeatureMap, ...]]:
        """For each sliced stride the last layer of the backbone: layer index -> stride, and the maps of these layers.

        The layer differs between architectures, so a trial run finds it. It is the end of the backbone and not of the neck,
        because the neck mixes strides, and because Darknet's networks are tapped at the same layers, YOLOv3's own residual
        stages. Also, YOLOv3-tiny has a backbone stage of stride 8, but no head of that stride.
        """
        last: dict[int, tuple[int, int]] = {}

        def tap(index: int, values: Any) -> None:
            if index < n_backbone and isinstance(values, torch.Tensor) and values.ndim == 4:
                for stride in SLICED_STRIDES:
                    if values.shape[-2:] == (_TRIAL_PX // stride, _TRIAL_PX // stride):
                        last[stride] = index, values.shape[1]

        with torch.inference_mode():
            self._run(torch.zeros(1, 3, _TRIAL_PX, _TRIAL_PX), tap)
        missing = [stride for stride in SLICED_STRIDES if stride not in last]
        if missing:
            raise WeightsError(f"its backbone has no layer of stride {missing[0]} to take features from")
        maps = tuple(FeatureMap(f"stride{stride}", stride, last[stride][1]) for stride in SLICED_STRIDES)
        return {index: stride for stride, (index, _) in last.items()}, maps


def describe(network: str, weights: PinnedFile) -> NetworkDescription:
    """The description of a checkpoint, which is stored inside it. Raises WeightsError and ConfigError as `load`."""
    return _describe(weights)


def load(network: str, weights: PinnedFile) -> UltralyticsNetwork:
    """The detector of a checkpoint (.pt).

    Raises WeightsError unless the file has its SHA-256 and is a detection checkpoint of known layers, and ConfigError if the
    package ultralytics is missing.
    """
    try:
        model = read_checkpoint(weights)
        try:
            return UltralyticsNetwork(model).eval()
        except WeightsError as error:
            raise WeightsError(f"weights file {weights.path}: {error}") from error
    except DAMAGED as error:
        version = import_module("ultralytics").__version__
        raise WeightsError(
            f"weights file {weights.path} does not run with ultralytics {version}: {error!s:.300}"
        ) from error


@lru_cache(maxsize=4)
def _describe(weights: PinnedFile) -> NetworkDescription:
    found = load("ultralytics", weights)
    taps = ", ".join(f"stride{stride} after layer {index}" for index, stride in sorted(found.tapped.items()))
    return NetworkDescription(
        found.name, found.class_names, found.feature_maps, found.max_stride, f"ultralytics: {taps}"
    )


def read_checkpoint(weights: PinnedFile) -> Any:
    """The DetectionModel in a checkpoint: float32, in evaluation mode, with batch normalisation folded in.

    Raises WeightsError and ConfigError.
    """
    tasks = import_ultralytics()
    data = weights.read()
    found = foreign_globals(weights, data)
    models = sorted(name.removeprefix(_TASKS) for name in found if name.startswith(_TASKS))
    if models and not _DETECTION_MODELS.issuperset(_TASKS + name for name in models):
        raise WeightsError(
            f"weights file {weights.path} holds a {' and a '.join(models)}; prodseek takes detection checkpoints only"
        )
    allowed = _allowed(found)
    unknown = sorted(found.difference(allowed))
    if unknown:
        raise WeightsError(
            f"weights file {weights.path} was not loaded, because it refers to {', '.join(unknown[:5])}, which no detection "
            "checkpoint needs"
        )
    content = load_torch(weights, data, allowed)
    saved = (content.get("ema") or content.get("model")) if isinstance(content, dict) else None
    if not isinstance(saved, _SavedModel):
        raise WeightsError(
            f"weights file {weights.path} does not hold a model of ultralytics; it must be a detection checkpoint as "
            "ultralytics saves it"
        )
    model = tasks.DetectionModel.__new__(tasks.DetectionModel)
    model.__dict__.update(saved.__dict__)
    _check_model(weights, model)
    check_size(weights, model.state_dict())
    model.end2end = False  # if there are two heads, use the one with NMS, as `predict` does
    model = model.float().eval().fuse(verbose=False).requires_grad_(False)
    check_finite(weights, model.state_dict())
    return model


def import_ultralytics() -> Any:
    """Import the module `ultralytics.nn.tasks` without its side effects. Raises ConfigError.

    On a plain import the package looks up hosts, writes settings into the user's folders, reports its usage, and installs
    missing packages with pip. It also changes other libraries, see `_contained`.
    """
    with _contained():
        try:
            import_module("ultralytics")
        except ModuleNotFoundError as error:
            if error.name != "ultralytics":
                raise
            raise ConfigError(
                "network.name is ultralytics, but the package ultralytics is not installed (it is AGPL-3.0, see the "
                "README): pip install 'prodseek[ultralytics]'"
            ) from error
        return import_module("ultralytics.nn.tasks")


@contextmanager
def _contained() -> Iterator[None]:
    """Keep the first import of ultralytics away from the internet, the user's files and other libraries.

    The import replaces PIL.Image.open (by a function that installs a package when a file is not an image) and torch.save. It
    sets OMP_NUM_THREADS and other variables, numpy's print options and warning filters.
    """
    if "ultralytics" in sys.modules:
        yield
        return
    environment, open_image, save = dict(os.environ), Image.open, torch.save
    with (
        tempfile.TemporaryDirectory(prefix="prodseek-ultralytics-") as folder,
        warnings.catch_warnings(),
        np.printoptions(),
    ):
        offline = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
        os.environ.update(offline, YOLO_VERBOSE="false", YOLO_CONFIG_DIR=folder)
        try:
            yield
        finally:
            Image.open, torch.save = open_image, save
            for name in set(os.environ).difference(environment):
                del os.environ[name]
            os.environ.update(environment)
            os.environ.update(offline)  # for processes that this one starts
        # `sync` turns its usage reports off. It is set in memory, because the package's own function writes a file.
        dict.update(import_module("ultralytics.utils").SETTINGS, sync=False)


class _SavedModel(nn.Module):
    """Replaces ultralytics' DetectionModel while a file is read: the same content, but no constructor that runs code."""


class _Ignored:
    """Replaces everything in a checkpoint that is not part of the network, and drops its content."""

    def __init__(self, *values: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _bound(owner: object, name: str) -> Any:
    """Replaces `getattr`, because the `forward` of a folded layer is saved as an attribute of that layer."""
    if not isinstance(owner, nn.Module) or name not in ("forward", "forward_fuse"):
        raise AttributeError(f"getattr({type(owner).__name__}, {name!r}) in a pickle")
    return getattr(type(owner), name).__get__(owner)


def _allowed(names: frozenset[str]) -> dict[str, Any]:
    """The names in a checkpoint that are allowed -> what is created for them."""
    stands_for: dict[str, Any] = dict.fromkeys(_DETECTION_MODELS, _SavedModel) | {"builtins.getattr": _bound}
    for module, classes in _LAYERS.items():
        for name in classes.split():
            layer = getattr(import_module(module), name, None)
            if layer is not None:
                stands_for[f"{module}.{name}"] = layer
                if module.startswith("ultralytics."):  # the first versions had all layers in one module
                    stands_for[f"ultralytics.nn.modules.{name}"] = layer
    stands_for["ultralytics.nn.modules.block.Silence"] = nn.Identity  # in YOLOv9e's first files
    stands_for |= dict.fromkeys((name for name in names if name.startswith(_IGNORED)), _Ignored)
    return {name: stands_for[name] for name in names if name in stands_for}


def _check_model(weights: PinnedFile, model: Any) -> None:
    """Raise WeightsError unless the model has all parts that an UltralyticsNetwork needs."""
    layers, names = getattr(model, "model", None), getattr(model, "names", None)
    head: Any = layers[-1] if isinstance(layers, nn.Sequential) and len(layers) else None
    heads = import_module("ultralytics.nn.modules.head")
    if type(head) not in (heads.Detect, heads.v10Detect):
        raise WeightsError(f"weights file {weights.path} ends in {type(head).__name__}, not in a Detect layer")
    if not isinstance(names, dict) or set(names) != set(range(head.nc)):
        raise WeightsError(
            f"weights file {weights.path} scores {head.nc} classes, but its names are for others: {reprlib.repr(names)}"
        )
    if not all(isinstance(name, str | int) for name in names.values()):
        raise WeightsError(f"weights file {weights.path} has class names that are not text: {reprlib.repr(names)}")
    if "backbone" not in getattr(model, "yaml", {}):
        raise WeightsError(f"weights file {weights.path} does not say which of its layers are the backbone")
    first = next(iter(model.parameters()))
    if first.shape[1:2] != (3,):
        raise WeightsError(f"weights file {weights.path} takes images of {first.shape[1]} channels, not RGB")


def _sources(layer: Any, before: Any, kept: list[Any]) -> Any:
    """The input of a layer: the output of the previous layer, of an earlier one, or a list of those."""
    if layer.f == -1:
        return before
    if isinstance(layer.f, int):
        return kept[layer.f]
    return [before if index == -1 else kept[index] for index in layer.f]


def _decode(raw: torch.Tensor, shapes: list[tuple[int, ...]], strides: tuple[int, ...]) -> torch.Tensor:
    """Boxes from the head's distances to the left, top, right and bottom of a cell's centre, in cells.

    A distance is one number, or the mean of a distribution over 0, 1, 2, ... (Li et al., "Generalized Focal Loss", 2020).
    raw: (B, 4 x n_bins, A) float32. shapes: (rows, columns) of each stride. Returns (B, A, 4) float32 x1 y1 x2 y2, input
    pixels.
    """
    n_images, n_values, n_cells = raw.shape
    distances = raw.reshape(n_images, 4, n_values // 4, n_cells)
    if n_values > 4:
        bins = torch.arange(n_values // 4, dtype=torch.float32, device=raw.device)
        distances = (distances.softmax(2) * bins[:, None]).sum(2, keepdim=True)
    distances = distances[:, :, 0].transpose(1, 2)
    centres, scales = [], []
    for (n_rows, n_columns), stride in zip(shapes, strides, strict=True):
        rows, columns = torch.meshgrid(
            torch.arange(n_rows, dtype=torch.float32, device=raw.device),
            torch.arange(n_columns, dtype=torch.float32, device=raw.device),
            indexing="ij",
        )
        centres.append(torch.stack((columns, rows), 2).reshape(-1, 2) + 0.5)
        scales.append(torch.full((n_rows * n_columns, 1), float(stride), device=raw.device))
    centre, scale = torch.cat(centres), torch.cat(scales)
    return torch.cat((centre - distances[:, :, :2], centre + distances[:, :, 2:]), 2) * scale
