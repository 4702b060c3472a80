"""A catalogue on object storage: a real S3 server on loopback, read through pyarrow's file systems."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "catalogue"
READ = """
import sys
from prodseek import files
from prodseek.catalog import find_catalog, list_photos, read_csv_manifest, read_photo, stamp
from prodseek.images import ImageRejected

manifest = find_catalog("s3://catalogue/night/products.csv")
table = read_csv_manifest(manifest)
uris = table.column("uri").to_pylist()
print(len(read_photo(uris[0], manifest.base_uri, 10**6)), stamp(uris[0], manifest.base_uri).n_bytes)
try:
    read_photo(uris[1], manifest.base_uri, 10**6)
except ImageRejected as rejected:
    print(rejected.reason.value)
print(list_photos(find_catalog("s3://catalogue/night")))
files.write_bytes("s3://catalogue/store/LATEST", b"run")
print(files.read_bytes("s3://catalogue/store/LATEST"), files.list_names("s3://catalogue/store"))
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
    client.put_object(
        Bucket=BUCKET, Key="night/products.csv", Body=b"product_id,uri\np,photos/a b #1?.jpg\nq,photos/absent.jpg\n"
    )
    # pyarrow reads the endpoint once a process.
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{len(photo)} {len(photo)}",
        "missing",
        "['photos/a b #1?.jpg']",
        "b'run' ['LATEST']",
    ]
