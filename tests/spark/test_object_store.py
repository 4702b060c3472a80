"""A catalogue on object storage: a real S3 server on loopback, read through pyarrow's file systems."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_proxy import FaultyProxy
from moto.server import ThreadedMotoServer

from prodseek.index.stored import open_index
from prodseek.runs.store import Run

BUCKET = "catalogue"
READ = """
import sys
from prodseek.storage import files
from prodseek.catalogue.folder import list_photos
from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.manifest_reading import read_manifest
from prodseek.catalogue.photo_rows import RowRules
from prodseek.catalogue.rows_here import photo_names
from prodseek.config import load_config
from prodseek.photos.decode import ImageLimits, ImageRejected, content_id
from prodseek.catalogue.photo_copies import copies_folder, copy_name, held_photos, keep_copy, list_copies, sample_photos
from prodseek.catalogue.photo_source import PhotoSource

manifest = find_catalogue("s3://catalogue/night/products.csv")
config = load_config().catalog
read = read_manifest(manifest, config)
uris, _ = photo_names(read, RowRules.of(read.columns, config, manifest.base_uri), 99)
photos = PhotoSource(manifest.base_uri, ("s3://other/photos",), ImageLimits())
print(len(photos.read(uris[0])), photos.stamp(uris[0]).n_bytes)
for uri in (*uris[1:], "s3://catalogue/nightly/x.jpg", "s3://other/x.jpg", "s3://other/photos/x.jpg"):
    try:
        photos.read(uri)
    except ImageRejected as rejected:
        print(rejected.reason.value)
print(list_photos(find_catalogue("s3://catalogue/night")).uris)
print(len(photos.read("photos/1.tar#a b #1?.jpg")))
files.write_bytes("s3://catalogue/store/LATEST", b"run")
print(files.read_bytes("s3://catalogue/store/LATEST"), files.list_names("s3://catalogue/store"))

held = "s3://catalogue/night/held é #1.parquet"
(photo,) = held_photos(held, "image.bytes")
print(len(photo), list(sample_photos(held, "image.bytes", 9, seed=0)) == [photo])
folder, image_id = copies_folder("s3://catalogue/store"), content_id(photo)
print(keep_copy(folder, image_id, photo), keep_copy(folder, image_id, photo))
print(list_copies(folder) == {copy_name(image_id): len(photo)})
print(PhotoSource("/", (), ImageLimits(), copies=folder).read("/etc/passwd", image_id) == photo)
"""

NAMES = """
import unicodedata
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.photos.decode import ImageLimits, ImageRejected

photos = PhotoSource("s3://catalogue/night", (), ImageLimits())
composed = "St\u00fchle.jpg"
for uri in (unicodedata.normalize("NFD", composed), "q%20u.jpg", "deep\\\\a.jpg", "DEEP/A.JPG", "s3://catalogue/night/Deep/A.jpg"):
    read = photos.read_near(uri)
    print(read.data.decode(), read.spelling, photos.stamp(uri).n_bytes == len(read.data))
try:
    photos.read("deep/b.jpg")
except ImageRejected as rejected:
    print(rejected)
"""

HOLD = """
import sys
from prodseek.runs import lock
from prodseek.errors import RootLockedError

lock.SETTLE_SECONDS, lock.REFRESH_SECONDS = 0.3, 0.1
for _ in range(3):
    sys.stdin.readline()
    try:
        with lock.hold_root("s3://catalogue/store"):
            print("held", flush=True)
            sys.stdin.readline()
    except RootLockedError as error:
        print("refused", flush=True)
        sys.stdin.readline()
    print("free", flush=True)
"""

PATIENT = """
import sys
from prodseek.storage import files
from prodseek.photos.decode import ImageLimits
from prodseek.storage.retries import RetryPolicy
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.storage.read_ahead import map_ahead

files.S3_REQUEST_SECONDS = 1.0
photos = PhotoSource("s3://catalogue/night", (), ImageLimits(), RetryPolicy(5, 20.0))
read = list(map_ahead(photos.read, [f"{number}.jpg" for number in range(60)], 4))
print([data.decode() for data in read] == [str(number) for number in range(60)])
"""

LOG = """
import json
from prodseek.storage import files
from prodseek.runs.logs import kept_log, log_uri

for attempt in range(2):
    with kept_log("s3://catalogue/store", as_json=False) as log:
        log.write("early", "")
        log.name_run("20260101T000000Z-00000001")
        log.write("late", "")
kept = files.read_bytes(log_uri("s3://catalogue/store", log.run_id)).decode().splitlines()
print([json.loads(line)["event"] for line in kept])
"""

SEARCH = """
import sys
import numpy as np
from prodseek.errors import StoreError
from prodseek.index.stored import open_index
from prodseek.runs.store import Store

try:
    open_index(Store.at("s3://catalogue/damaged").run(sys.argv[1]))
except StoreError as error:
    print(error)
run = Store.at("s3://catalogue/store").run(sys.argv[1])
ids, _ = open_index(run).search(np.load(sys.argv[2]), 3)
print(ids.tolist())
"""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    server.stop()


def test_manifest_photos_and_store_on_s3(s3: None, make_jpeg, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    photo = make_jpeg()
    client.put_object(Bucket=BUCKET, Key="night/photos/a b #1?.jpg", Body=photo)
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as packed:
        member = tarfile.TarInfo("a b #1?.jpg")
        member.size = len(photo)
        packed.addfile(member, io.BytesIO(photo))
    client.put_object(Bucket=BUCKET, Key="night/photos/1.tar", Body=shard.getvalue())
    client.put_object(
        Bucket=BUCKET, Key="night/products.csv", Body=b"product_id,uri\np,photos/a b #1?.jpg\nq,photos/absent.jpg\n"
    )
    holding = io.BytesIO()
    pq.write_table(pa.table({"image": [{"bytes": photo}]}), holding)
    client.put_object(Bucket=BUCKET, Key="night/held é #1.parquet", Body=holding.getvalue())
    # pyarrow reads the endpoint once a process.
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{len(photo)} {len(photo)}",
        "missing",
        "not_allowed",
        "not_allowed",
        "missing",
        "['photos/1.tar#a b #1?.jpg', 'photos/a b #1?.jpg']",
        f"{len(photo)}",
        "b'run' ['LATEST']",
        f"{len(photo)} True",
        "True False",
        "True",
        "True",
    ]


def test_names_on_s3_that_are_spelled_otherwise(s3: None) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    for name in ("Stühle.jpg", "q u.jpg", "deep/a.jpg", "deep/c.jpg"):
        client.put_object(Bucket=BUCKET, Key=f"night/{name}", Body=name.encode())
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Stühle.jpg Unicode form True",
        "q u.jpg percent-encoding True",
        "deep/a.jpg capitals or slashes True",
        "deep/a.jpg capitals or slashes True",
        "deep/a.jpg capitals or slashes True",
        "missing: no file at s3://catalogue/night/deep/b.jpg; the nearest name is 'deep/c.jpg'",
    ]


def test_an_index_on_s3_is_fetched_once_and_mapped(s3: None, night: Run, in_cache: Path, tmp_path: Path) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    names = [path.name for path in Path(night.path("index")).iterdir()]
    for root in ("damaged", "store"):
        for name in names:
            content = Path(night.path("index", name)).read_bytes()
            if root == "damaged" and name == "shard-00000.faiss":
                content = content[:-1] + b"?"
            client.put_object(Bucket=BUCKET, Key=f"{root}/runs/{night.run_id}/index/{name}", Body=content)
    some = pq.read_table(night.table_uri("embeddings"), columns=["likeness"]).slice(0, 4)
    np.save(tmp_path / "queries.npy", np.array(some["likeness"].to_pylist(), np.float32))
    arguments = [sys.executable, "-c", SEARCH, night.run_id, str(tmp_path / "queries.npy")]
    expected, _ = open_index(night).search(np.load(tmp_path / "queries.npy"), 3)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    error, answer = done.stdout.splitlines()
    assert "shard-00000.faiss is altered or of another index" in error
    assert answer == str(expected.tolist())
    assert len(list((in_cache / "index").iterdir())) == len(names) - 1  # all but the manifest


def test_of_two_who_start_at_once_on_s3_one_has_the_root(s3: None) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    processes = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for expected in (["held", "refused"], ["free", "free"]) * 3:
        for process in processes:
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        assert sorted(process.stdout.readline().strip() for process in processes) == expected  # type: ignore[union-attr]
    for process in processes:
        assert process.wait(timeout=20) == 0
    assert not [key for key in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()) if "LOCK" in key["Key"]]


def test_an_s3_server_that_fails_and_stalls_is_asked_again(s3: None, monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    for number in range(60):
        client.put_object(Bucket=BUCKET, Key=f"night/{number}.jpg", Body=str(number).encode())
    proxy = FaultyProxy(int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]))
    proxy.set_faults(every=20, stall_at=33)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    done = subprocess.run([sys.executable, "-c", PATIENT], capture_output=True, text=True, timeout=120)
    proxy.close()
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"
    assert proxy.n_faults >= 6 and proxy.n_stalls == 1


def test_ingest_from_an_s3_server_that_fails_loses_no_row() -> None:
    bench = Path(__file__).parents[1] / "bench" / "bench_object_store.py"
    arguments = ["--objects", "100", "--threads", "4", "--every", "20", "--stall-at", "0", "--json"]
    done = subprocess.run([sys.executable, str(bench), *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["faults"] >= 10 and found["requests"] >= 200
    assert found["rows"] == 100 and found["images"] == 100 and found["rejects"] == 0


def test_the_log_of_two_attempts_on_s3(s3: None) -> None:
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    done = subprocess.run([sys.executable, "-c", LOG], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{['early', 'late', 'ended'] * 2}\n" and done.stderr == ""
