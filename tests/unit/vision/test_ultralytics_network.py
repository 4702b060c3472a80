"""What may be read as an ultralytics checkpoint, and that neither reading nor importing does anything else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from prodseek.errors import ConfigError, WeightsError
from prodseek.vision.ultralytics_network import describe, import_ultralytics, load
from prodseek.vision.weights import PinnedFile, file_sha256

Checkpoint = Callable[..., PinnedFile]


def saved(content: object, path: Path) -> PinnedFile:
    torch.save(content, path)
    return PinnedFile(path, file_sha256(path))


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Callable[..., object], *values: object) -> None:
        self.call = (function, values)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("name", "layers", "channels"),
    [
        ("yolov3-tinyu", (6, 8, 12), (128, 256, 512)),
        ("yolov8n", (4, 6, 9), (64, 128, 256)),
    ],
)
def test_the_backbones_last_layers_are_tapped(
    name: str, layers: tuple[int, ...], channels: tuple[int, ...], ultralytics_checkpoint: Checkpoint
) -> None:
    weights = ultralytics_checkpoint(name)

    network = load("ultralytics", weights)

    assert network.tapped == dict(zip(layers, (8, 16, 32), strict=True))
    assert [(m.name, m.stride, m.channels) for m in network.feature_maps] == [
        (f"stride{stride}", stride, n) for stride, n in zip((8, 16, 32), channels, strict=True)
    ]
    assert network.class_names == tuple(f"thing {index}" for index in range(80))
    described = describe("ultralytics", weights)
    assert (described.name, described.class_names, described.feature_maps, described.max_stride) == (
        "ultralytics",
        network.class_names,
        network.feature_maps,
        32,
    )


def test_six_levels_need_an_input_of_64s(ultralytics_checkpoint: Checkpoint) -> None:
    assert describe("ultralytics", ultralytics_checkpoint("yolov8n-p6")).max_stride == 64


def test_a_folded_checkpoint_is_the_same_network(ultralytics_checkpoint: Checkpoint) -> None:
    batch = torch.rand((1, 3, 64, 96), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain = load("ultralytics", ultralytics_checkpoint("yolov8n"))(batch)
        folded = load("ultralytics", ultralytics_checkpoint("yolov8n", True))(batch)

    for name, values in plain.maps.items():  # folded before it was rounded to float16
        assert torch.cosine_similarity(folded.maps[name], values).min() > 0.999
    assert folded.boxes.shape == plain.boxes.shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 4)


def test_float16_and_bfloat16_parameters_give_float32_results(ultralytics_checkpoint: Checkpoint) -> None:
    batch = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    network = load("ultralytics", ultralytics_checkpoint("yolov8n"))
    with torch.inference_mode():
        exact = network(batch)
        rounded = network.to(torch.bfloat16)(batch.bfloat16())

    assert {values.dtype for values in (rounded.boxes, rounded.scores, *rounded.maps.values())} == {torch.float32}
    # The head rounds distances, of some cells; not the coordinates, whose rounding alone would be .5 px at 64.
    assert float((rounded.boxes - exact.boxes).abs().median()) < 1.0


def test_what_the_trainer_writes_is_read(tmp_path: Path) -> None:
    import_ultralytics()
    from ultralytics import YOLO

    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for index in range(2):
        pixels = np.random.default_rng(index).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{index}.png")
        (tmp_path / "labels" / f"{index}.txt").write_text("1 0.5 0.5 0.4 0.4\n")
    (tmp_path / "data.yaml").write_text(f"path: {tmp_path}\ntrain: images\nval: images\nnames: {{0: chair, 1: lamp}}\n")
    options: dict[str, Any] = {"imgsz": 64, "batch": 2, "device": "cpu", "workers": 0, "plots": False, "amp": False}

    YOLO("yolov8n.yaml").train(
        data=tmp_path / "data.yaml", epochs=1, project=tmp_path, name="run", save_period=1, verbose=False, **options
    )

    files = sorted((tmp_path / "run" / "weights").glob("*.pt"))
    assert {"best.pt", "last.pt"} <= {path.name for path in files}
    for path in files:
        assert load("ultralytics", PinnedFile(path, file_sha256(path))).class_names == ("chair", "lamp")


def test_nothing_is_unpickled_before_the_sum_is_right(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    weights = saved({"model": Calls(os.mkdir, str(trap))}, tmp_path / "net.pt")

    with pytest.raises(WeightsError, match=f"has SHA-256 {weights.sha256}, expected 0000"):
        load("ultralytics", PinnedFile(weights.path, "0" * 64))
    with pytest.raises(WeightsError, match=r"refers to (posix|nt)\.mkdir, which no detection checkpoint needs"):
        load("ultralytics", weights)

    assert not trap.exists()


def test_text_in_a_checkpoint_is_not_evaluated(tmp_path: Path) -> None:
    tasks = import_ultralytics()
    trap = tmp_path / "sprung"
    description = tasks.yaml_model_load("yolov8n.yaml") | {"activation": f"__import__('os').mkdir({str(trap)!r})"}
    weights = saved({"model": Calls(tasks.DetectionModel, description)}, tmp_path / "net.pt")

    with pytest.raises(WeightsError):
        load("ultralytics", weights)

    assert not trap.exists()


@pytest.mark.parametrize(
    ("description", "model"),
    [
        ("yolov8n-seg.yaml", "SegmentationModel"),
        ("yolov8n-cls.yaml", "ClassificationModel"),
        ("yolov8n-pose.yaml", "PoseModel"),
        ("yolov8n-obb.yaml", "OBBModel"),
    ],
)
def test_checkpoints_of_other_tasks(description: str, model: str, tmp_path: Path) -> None:
    import_ultralytics()
    from ultralytics import YOLO

    path = tmp_path / "net.pt"
    YOLO(description).save(path)

    with pytest.raises(WeightsError) as error:
        load("ultralytics", PinnedFile(path, file_sha256(path)))

    assert str(error.value) == f"weights file {path} holds a {model}; prodseek takes detection checkpoints only"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "was not written by torch.save, or is damaged"),
        (b"\x00\x00\x00\x00\x02\x00\x00\x00" * 40, "was not written by torch.save, or is damaged"),
        ({"fc.weight": torch.zeros(2)}, "does not hold a model of ultralytics"),
        ([1, 2], "does not hold a model of ultralytics"),
        ({"model": Calls(int, "1")}, "int"),
    ],
)
def test_other_files(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)

    with pytest.raises(WeightsError, match=message):
        load("ultralytics", PinnedFile(path, file_sha256(path)))


def test_a_truncated_checkpoint(ultralytics_checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(ultralytics_checkpoint("yolov8n").path.read_bytes()[:-1000])

    with pytest.raises(WeightsError, match=r"was not written by torch\.save, or is damaged"):
        load("ultralytics", PinnedFile(path, file_sha256(path)))


def test_a_checkpoint_as_the_first_versions_wrote_it(
    ultralytics_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import_ultralytics()
    import ultralytics.nn.modules as modules
    from ultralytics.utils import IterableSimpleNamespace
    from ultralytics.utils.loss import v8DetectionLoss

    weights = ultralytics_checkpoint("yolov8n")
    content = torch.load(weights.path, weights_only=False)
    model = content["model"]
    model.args = IterableSimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
    model.criterion = v8DetectionLoss(model)
    content["best_fitness"] = np.float64(0.5)
    for layer in {type(layer) for layer in model.modules() if type(layer).__module__.startswith("ultralytics.nn.modu")}:
        monkeypatch.setattr(layer, "__module__", "ultralytics.nn.modules")  # all in one file
        assert getattr(modules, layer.__name__) is layer
    old = saved(content, tmp_path / "old.pt")
    monkeypatch.undo()
    batch = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(1))

    with torch.inference_mode():
        torch.testing.assert_close(load("ultralytics", old)(batch).boxes, load("ultralytics", weights)(batch).boxes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: delattr(model, "save"), "does not run with ultralytics .*'save'"),
        (lambda model: setattr(model.model[0].conv, "stride", (1, 1)), "does not run with ultralytics|no layer of"),
        (lambda model: model.names.pop(3), "scores 80 classes, but its names are for others"),
        (lambda model: model.yaml.pop("backbone"), "does not say which of its layers are the backbone"),
        (lambda model: next(model.parameters()).data.fill_(torch.nan), "holds values that are not finite"),
        (lambda model: model.model.__delitem__(-1), "ends in C2f, not in a Detect layer"),
        (lambda model: model.yaml.update(backbone=model.yaml["backbone"][:4]), "no layer of stride 16"),
    ],
)
def test_checkpoints_that_lack_something(
    change: Callable[[Any], object], message: str, ultralytics_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    content = torch.load(ultralytics_checkpoint("yolov8n").path, weights_only=False)
    change(content["model"])

    with pytest.raises(WeightsError, match=message):
        load("ultralytics", saved(content, tmp_path / "net.pt"))


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ultralytics"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ultralytics", None)

    with pytest.raises(ConfigError, match=r"pip install 'prodseek\[ultralytics\]'"):
        load("ultralytics", PinnedFile(tmp_path / "absent.pt", "0" * 64))


def test_the_import_reaches_for_nothing(tmp_path: Path) -> None:
    code = """
import os, socket, sys, threading, warnings
import numpy, torch
from PIL import Image

def refuse(*values, **named):
    raise AssertionError(f"a host was looked up: {values}")

socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
before = (Image.open, torch.save, list(warnings.filters), numpy.get_printoptions(), dict(os.environ))
from prodseek.vision.ultralytics_network import import_ultralytics
import_ultralytics()
environment = {name: value for name, value in os.environ.items() if name not in ("YOLO_OFFLINE", "YOLO_AUTOINSTALL")}
assert (Image.open, torch.save, list(warnings.filters), numpy.get_printoptions(), environment) == before
from ultralytics.utils import AUTOINSTALL, ONLINE, SETTINGS, events
assert not AUTOINSTALL and not ONLINE and not SETTINGS["sync"] and not events.events.enabled
assert threading.active_count() == 1
"""
    home = tmp_path / "home"
    home.mkdir()
    unset = {"YOLO_CONFIG_DIR", "XDG_CONFIG_HOME", "OMP_NUM_THREADS", "YOLO_OFFLINE", "YOLO_AUTOINSTALL"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**environment, "HOME": str(home), "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
