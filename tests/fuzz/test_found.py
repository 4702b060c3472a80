"""What the fuzz targets have found, each fault as small as it was found."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from target_darknet import small_network

from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.photo_source import _web_stamp
from prodseek.config import load_config
from prodseek.duplicates.decision import MODEL_FILE, model_from_json
from prodseek.duplicates.features import LocalFeatures
from prodseek.embedding.projection import Projection
from prodseek.errors import CatalogueError, DamagedError, StoreError, WeightsError
from prodseek.evaluation.run import figures
from prodseek.index.shards import IndexManifest
from prodseek.photos.decode import ImageRejected, decode_image
from prodseek.runs.lock import Holder
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import MANIFEST, Store
from prodseek.runs.tables import schema_versions
from prodseek.spark.catalogue.rows import catalogue_rows
from prodseek.upkeep.survey import survey
from prodseek.vision.darknet_cfg import describe
from prodseek.vision.resnet import load as load_resnet
from prodseek.vision.ultralytics_network import load as load_ultralytics
from prodseek.vision.weights import PinnedFile, file_sha256


def picture(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (picture("AVIF").replace(b"pitm\0\0\0\0\0\1", b"pitm\0\0\0\0\0\7"), "corrupt"),  # RuntimeError when opened
        (picture("AVIF")[:-20] + bytes(20), "corrupt"),  # RuntimeError when decoded
        # NotImplementedError, of a format that is not read at all
        (b"DDS " + picture("DDS")[5:], "unsupported_format"),
    ],
)
def test_damaged_photos_are_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(ImageRejected) as rejected:
        decode_image(data)
    assert rejected.value.reason == reason


@pytest.mark.parametrize("between", [b"", b"\xff\x01", b"\xff\xff", b"\xff\xfe\x00\x04\xff\xd9"])
def test_a_jpeg_of_thousands_of_empty_scans_is_not_decoded(between: bytes) -> None:
    photo = picture("JPEG", progressive=True)
    scan = between + photo[photo.rindex(b"\xff\xda") :][:10] + b"\0"
    assert decode_image(photo[:-2] + scan * 200 + photo[-2:]).width_px == 64
    with pytest.raises(ImageRejected, match="more than 256 scans"):
        decode_image(photo[:-2] + scan * 1000 + photo[-2:])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size=3", "size=2", "the map would not keep its size"),
        ("pad=1", "pad=0", "the map would not keep its size"),
        ("size=1", "size=99", "the map would not keep its size"),
        ("[upsample]\nstride=2", "[upsample]\nstride=0", "stride=0 is not a whole number from 1 to 32"),
        ("channels=3", "channels=-1", "channels=-1 is not a whole number from 3 to 3"),
        ("size=2\nstride=1", "size=0\nstride=1", "size=0 is not a whole number from 1 to 100"),
        ("batch_normalize=1", "batch_normalize=", "batch_normalize= is not a whole number"),
        ("filters=4\nsize=3", "filters=4", "size is missing"),
        ("classes=1", "classes=1000000000", "classes=1000000000 is not a whole number from 1 to 65536"),
        ("filters=4", "filters=" + "9" * 5000, "filters=99"),
    ],
)
def test_networks_that_could_not_run_are_refused_when_they_are_read(old: str, new: str, message: str) -> None:
    text = small_network(False)
    describe(text, "sound")
    with pytest.raises(WeightsError) as error:
        describe(text.replace(old, new), "odd")
    assert message in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M",  # struct.error
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x020.",  # IndexError: nothing to take off the stack
        {"fc.bias": torch.zeros(1).expand(10**10)},  # 40 GB that one value stands for
    ],
)
@pytest.mark.parametrize(("kind", "load"), [("resnet50", load_resnet), ("ultralytics", load_ultralytics)])
def test_damaged_checkpoints_are_refused(content: Any, kind: str, load: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=r"damaged|does not hold a model of ultralytics"):
        load(kind, PinnedFile(path, file_sha256(path)))


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "damage",
    [
        DEEP,
        b'{"run_id": "RUN", "stages": {"index": null}}',
        b'{"run_id": "RUN", "seconds": [1]}',
        b'{"run_id": "\\ud800"}',
    ],
)
def test_a_damaged_manifest_is_named_with_the_repair(damage: bytes, tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    run = store.run("20260101T000000Z-00000001")
    store.publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
    Path(run.path(MANIFEST)).write_bytes(damage.replace(b"RUN", run.run_id.encode()))
    with pytest.raises(DamagedError, match=r"MANIFEST\.json .*; the command that made the run writes it again"):
        store.latest()
    assert survey(store).runs[0].state == "damaged"


@pytest.mark.parametrize("damage", [DEEP, b"{}", b'{"stage": "embed", "rows": 3}', b'{"stage": "embed", "lines": 1}'])
def test_a_damaged_summary_is_named_with_the_repair(damage: bytes, tmp_path: Path) -> None:
    run = Store.at(str(tmp_path)).run("20260101T000000Z-00000001")
    run.write_json("stages/embed.json", {})
    Path(run.path("stages/embed.json")).write_bytes(damage)
    with pytest.raises(DamagedError, match=r"embed\.json is damaged"):
        run.summary("embed")


def test_counts_that_are_none_are_not_shown(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    store.run("20260101T000000Z-00000001").write_json(
        "stages/ingest.json", {"stage": "ingest", "facts": {"input_rows": ""}}
    )
    (run,) = survey(store).runs
    assert run.state == "damaged" and run.catalogue_rows is None
    assert list(figures({"retrieval": True})) == []


@pytest.mark.parametrize(
    "damage", [DEEP, b"null", b"{}", Holder.this_process().to_bytes().replace(b'"process_id": ', b'"process_id": "x')]
)
def test_a_lock_that_says_nothing_is_of_someone_unknown(damage: bytes) -> None:
    assert Holder.from_bytes(damage).host == "an unknown host"


@pytest.mark.parametrize(
    "changed",
    [
        {"trained": None},
        {"shards": [1]},
        {"n_vectors": "x"},
        {"trained": {"file": "../../x", "sha256": "", "n_bytes": 0}},
    ],
)
def test_an_index_manifest_of_other_types_is_malformed(changed: dict[str, Any]) -> None:
    entry = {"file": "trained.faiss", "sha256": "", "n_bytes": 0}
    shard = {**entry, "file": "shard.faiss", "first_cell": 0, "stop_cell": 4, "n_vectors": 200, "sum_squares": 9}
    values = {
        "facet": "visual", "embedding_id": "p", "factory": "IVF4,Flat", "metric": "inner_product", "d": 8, "nlist": 4,
        "nprobe": 2, "n_vectors": 200, "faiss_version": "1", "trained": entry, "trained_rows": 200,
        "trained_imbalance": 1.0, "n_grown": 0,
        "shards": [shard], "recall_curve": [],
    }  # fmt: skip
    assert IndexManifest.from_dict(values).nlist == 4
    with pytest.raises(StoreError, match="malformed"):
        IndexManifest.from_dict({**values, **changed})


def test_a_projection_whose_archive_is_damaged_within() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, format=np.arange(1000))
    data = bytearray(buffer.getvalue())
    data[60:90] = b"\xff" * 30  # zlib.error
    with pytest.raises(StoreError, match="the projection is damaged"):
        Projection.from_bytes(bytes(data))


@pytest.mark.parametrize("change", [{"trees": None}, {"features": [None] * 9}, {"bias": "x"}, {"trees": [0.0] * 8}])
def test_a_decision_model_of_other_types(change: dict[str, Any]) -> None:
    from importlib.resources import files

    values = json.loads(files("prodseek.duplicates").joinpath(MODEL_FILE).read_text())
    for text in (json.dumps({**values, **change}), "null", DEEP.decode()):
        with pytest.raises(ValueError):
            model_from_json(text)


def test_local_features_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="2 points of local features have 1 histograms"):
        LocalFeatures.from_bytes(bytes(16), bytes(128), bytes(16))


@pytest.mark.parametrize("length", ["9" * 30, "9" * 5000, "-1", "x"])
@pytest.mark.parametrize("changed", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 1000 00:00:00 GMT", "x", ""])
def test_what_a_server_says_of_a_photo_fits_into_a_table(length: str, changed: str) -> None:
    stamp = _web_stamp({"content-length": length, "last-modified": changed})
    assert pa.array([stamp.n_bytes, stamp.mtime_ns], pa.int64()).null_count == 2


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("parquet", b"PAR1", "manifest.parquet is damaged or gone; write it again"),
        ("parquet", b"", "manifest.parquet is damaged or gone; write it again"),
        ("csv", b"", "manifest.csv' is empty"),
        ("csv", b"PK\x03\x04", "manifest.csv' is a ZIP archive; unpack it: unzip "),
        ("json", b"[]", "it is one JSON array, not an object a line"),
    ],
)
def test_manifests_that_cannot_be_read_are_named(
    spark: Any, kind: str, data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / f"manifest.{kind}"
    path.write_bytes(data)
    with pytest.raises(CatalogueError) as error:
        catalogue_rows(spark, find_catalogue(str(path)), load_config().catalog)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("parquet", {"uri": ["a.jpg"], "URI": ["b.jpg"], "product_id": ["p"]}),
        ("csv", b"uri,product_id,URI\na.jpg,p,b.jpg\n"),
    ],
)
def test_a_column_is_told_from_one_in_other_capitals(spark: Any, kind: str, data: Any, tmp_path: Path) -> None:
    path = tmp_path / f"manifest.{kind}"
    if isinstance(data, dict):
        pq.write_table(pa.table(data), path)
    else:
        path.write_bytes(data)
    (row,) = catalogue_rows(spark, find_catalogue(str(path)), load_config().catalog).rows.collect()
    assert (row["product_id"], row["uri"], list(row["attributes"].values())) == ("p", "a.jpg", ["b.jpg"])
