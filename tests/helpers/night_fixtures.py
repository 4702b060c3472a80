"""What tests share: the real weights, one Spark session, the sample catalogue, nights over it, and small things to start from."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from nights import SAMPLE_SETTINGS, TINY_SETTINGS, make_catalogue, whole_night
from PIL import Image

from prodseek.config import Config, load_config
from prodseek.runs.store import Run, Store
from prodseek.vision.weights import obtain_weights

SAMPLE = Path(__file__).parents[1] / "data" / "sample"


@pytest.fixture(scope="session")
def tiny_weights() -> Path:
    """The published yolov3-tiny weights, fetched once into the user's cache."""
    weights = load_config().network.weights
    return obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)


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

    # Pages of 64 MB, which is what Spark takes for itself, are filled with zeros and let go of again for every few rows.
    small_pages = {"spark.buffer.pageSize": "1m"}
    settings = load_config().spark.model_copy(update={"master": "local[2]", "conf": small_pages})
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
    root = tmp_path_factory.mktemp("night")
    config = night_config(SAMPLE / "catalog.csv", root, *SAMPLE_SETTINGS)
    return whole_night(spark_session, config)


@pytest.fixture(scope="session")
def undisturbed_tiny_night(  # type: ignore[no-untyped-def]
    spark_session, tiny_catalogue: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """One whole night over the tiny catalogue, in local[2], with the settings that its disturbed likes have."""
    root = tmp_path_factory.mktemp("undisturbed")
    return whole_night(spark_session, night_config(tiny_catalogue, root, *TINY_SETTINGS))


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
