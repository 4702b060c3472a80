"""What tests share: the real weights, one Spark session, the sample catalogue and one night over it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow as pa
import pytest
from nights import SAMPLE_SETTINGS, TINY_SETTINGS, make_catalogue, prodseek
from PIL import Image

from prodseek.config import Config, load_config
from prodseek.runs.store import Run, Store
from prodseek.vision.weights import obtain_weights

REPO = Path(__file__).parent.parent
SAMPLE = REPO / "tests" / "data" / "sample"
# How long a case takes says how busy the machine is.
hypothesis.settings.register_profile("prodseek", deadline=None)
hypothesis.settings.load_profile("prodseek")
# What shares a Spark session, whose code is quick once it has run for a while.
ON_SPARK = tuple(f"tests/{name}" for name in ("browser/", "e2e/", "faults/", "spark/", "fuzz/test_found.py"))

# Java in the processes that tests start ends before its second compiler, half of its work, has paid.
JAVA_OPTIONS = "JDK_JAVA_OPTIONS"
os.environ.setdefault(JAVA_OPTIONS, "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole suite is to take less than twenty minutes on two cores."""
    for item in items:
        if item.get_closest_marker("slow") and not os.environ.get("PRODSEEK_SLOW_TESTS"):
            item.add_marker(pytest.mark.skip(reason="slow: PRODSEEK_SLOW_TESTS=1 runs it"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`-n 2`: one process has all that is done with its Spark, which leaves a quarter of two cores idle, another the other files,
    the cluster's first, whose Spark is many processes in any case."""
    from xdist.scheduler import LoadScopeScheduling

    class SparkTogether(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "spark" if nodeid.startswith(ON_SPARK) else nodeid.partition("::")[0]

    return SparkTogether(config, log)


@pytest.fixture(scope="session")
def tiny_weights() -> Path:
    """The published yolov3-tiny weights, fetched once into the user's cache."""
    weights = load_config().network.weights
    return obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)


@pytest.fixture(scope="session")
def ultralytics_checkpoint(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Make a detector of ultralytics' own description, with random weights that score, and save it as it does.

    Called with a description's name, such as `yolov3u`; gives a `PinnedFile`. fused: saved folded, with the head that
    does without NMS where there is one.
    """
    from prodseek.vision.ultralytics_network import import_ultralytics
    from prodseek.vision.weights import PinnedFile, file_sha256

    made: dict[tuple[str, bool], PinnedFile] = {}

    def make(name: str, fused: bool = False) -> PinnedFile:
        if (name, fused) not in made:
            import_ultralytics()
            from ultralytics import YOLO

            path = tmp_path_factory.mktemp("ultralytics") / f"{name}.pt"
            model = YOLO(f"{name}.yaml")
            give_weights(model.model)
            if fused:
                model.model.end2end = True
                model.model.fuse(verbose=False)
            model.save(path)
            made[name, fused] = PinnedFile(path, file_sha256(path))
        return made[name, fused]

    return make


@pytest.fixture(scope="session")
def resnet_weights(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Random weights of torchvision's ResNet-50, saved as it saves them: called without arguments, a `PinnedFile`."""
    from prodseek.vision.weights import PinnedFile, file_sha256

    made: list[PinnedFile] = []

    def make() -> PinnedFile:
        if not made:
            import torch
            from torchvision.models import resnet50

            with torch.random.fork_rng():
                torch.manual_seed(3)
                state = resnet50(weights=None).state_dict()
                for key, values in state.items():
                    if key.endswith(("running_mean", "bias")):
                        values.normal_(0, 0.1)
                    elif key.endswith("running_var"):
                        values.uniform_(1.0, 2.0)
            path = tmp_path_factory.mktemp("resnet") / "resnet50.pth"
            torch.save(state, path)
            made.append(PinnedFile(path, file_sha256(path)))
        return made[0]

    return make


def give_weights(model) -> None:  # type: ignore[no-untyped-def]
    """Random weights under which values keep their range through all layers and some tens of boxes of a photo score."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.ndim == 4:
            parameter.data = torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    photos = torch.cat(  # tiles of every size: flat areas and edges in full contrast
        [
            nn.functional.interpolate(torch.rand((1, 3, tiles, tiles), generator=generator), (128, 128))
            for tiles in (2, 3, 6, 12, 24, 48)
        ]
    )
    head = model.model[-1]
    with torch.no_grad():
        model.train()(photos)
        for norm in norms:  # a channel that lay still here is not to drown out all others on another photo
            norm.running_var.clamp_(min=float(norm.running_var.mean()))
            norm.momentum = 0.03
        raw = model.eval()(photos)[1]
        branches = ("one2many", "one2one") if "one2one" in raw else ("one2many",)
        for branch in branches:
            values, layers = raw.get(branch, raw), getattr(head, branch)
            for box, score in zip(layers["box_head"], layers["cls_head"], strict=True):
                box[-1].weight *= 2 / values["boxes"].std()
                box[-1].bias.fill_(5.0)  # cells, where a distance is one number
                score[-1].weight /= values["scores"].std()
                score[-1].bias.zero_()
        raw = model(photos)[1]
        for branch in branches:
            logits = raw.get(branch, raw)["scores"]
            for score in getattr(head, branch)["cls_head"]:
                score[-1].bias -= logits.flatten().topk(100).values[-1]
    model.names = {index: f"thing {index}" for index in range(head.nc)}


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    return SAMPLE


@pytest.fixture(scope="session")
def tiny_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rows of the sample: see tests/helpers/nights.py."""
    return make_catalogue(SAMPLE, tmp_path_factory.mktemp("tiny") / "catalogue é")


@pytest.fixture(scope="session")
def spark_session():  # type: ignore[no-untyped-def]
    from prodseek.spark.session import start_session

    settings = load_config().spark.model_copy(update={"master": "local[2]"})
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv(JAVA_OPTIONS)
        session = start_session(settings, "prodseek tests")
    yield session
    session.stop()


@pytest.fixture
def spark(spark_session):  # type: ignore[no-untyped-def]
    """The one session, as a small catalogue's night has it; what a test has cached or set is undone after it."""
    from prodseek.spark.session import suit_catalogue

    suit_catalogue(spark_session, 1)
    yield spark_session
    spark_session.catalog.clearCache()


@pytest.fixture
def in_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prodseek"


def night_config(catalog: Path | str, root: Path | str, *settings: str) -> Config:
    return load_config("local", settings=settings, catalog=str(catalog), root=str(root))


@pytest.fixture(scope="session")
def night(spark_session, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:  # type: ignore[no-untyped-def]
    """One whole night over the sample catalogue, in local[2]."""
    from prodseek.jobs import nightly
    from prodseek.runner.progress import Console

    root = tmp_path_factory.mktemp("night")
    config = night_config(SAMPLE / "catalog.csv", root, *SAMPLE_SETTINGS)
    return nightly.run(spark_session, config, Console())


@pytest.fixture(scope="session")
def undisturbed_tiny_night(tiny_catalogue: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One whole night over the tiny catalogue, in local[2], with the settings that its disturbed likes have.

    From the command line: in the process that has the cluster's test it would be the only one of a Spark session.
    """
    root = tmp_path_factory.mktemp("undisturbed")
    settings = [part for setting in (*TINY_SETTINGS, "spark.master=local[2]") for part in ("--set", setting)]
    done = prodseek("run", "nightly", "--env", "local", "--catalog", tiny_catalogue, "--root", root, *settings)
    assert done.returncode == 0, done.stderr
    return Store.at(str(root)).latest()


@pytest.fixture(scope="session")
def tables():  # type: ignore[no-untyped-def]
    """Read a table of a run as Arrow, without Spark."""
    import pyarrow.parquet as pq

    def read(run: Run, name: str) -> pa.Table:
        return pq.read_table(run.table_uri(name))

    return read


@pytest.fixture
def empty_run(tmp_path: Path) -> Run:
    return Store.at(str(tmp_path / "root")).run("20260101T000000Z-00000000")


def jpeg(size: tuple[int, int] = (64, 48), colour: tuple[int, int, int] = (200, 60, 40), **options: object) -> bytes:
    """A small JPEG with something in it."""
    image = Image.new("RGB", size, colour)
    image.paste((30, 90, 160), (size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture
def make_jpeg():  # type: ignore[no-untyped-def]
    return jpeg


@pytest.fixture
def make_config():  # type: ignore[no-untyped-def]
    return night_config


@pytest.fixture
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose path leads to no java."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if not tool.name.startswith("java") and not (tools / tool.name).exists():
                (tools / tool.name).symlink_to(tool)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    yield
