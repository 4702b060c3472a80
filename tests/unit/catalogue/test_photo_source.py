"""Photos are read from where they may lie; names that lead elsewhere are refused before anything is opened."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from prodseek.catalogue.photo_source import FileStamp, PhotoSource
from prodseek.config import load_config
from prodseek.errors import ConfigError
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import files


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A catalogue's folder, one that may be read too, and one that may not."""
    for name in ("catalogue/photos", "shared", "catalogue-old"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "a é #1?.jpg").write_bytes(name.encode())
    (tmp_path / "catalogue" / "inner").symlink_to("photos")
    (tmp_path / "catalogue" / "to shared").symlink_to(tmp_path / "shared")
    (tmp_path / "catalogue" / "out").symlink_to(tmp_path / "catalogue-old")
    (tmp_path / "catalogue" / "out.jpg").symlink_to("../catalogue-old/a é #1?.jpg")
    (tmp_path / "catalogue" / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "link to catalogue").symlink_to("catalogue")
    return tmp_path


def source(base: str | Path, *roots: str | Path) -> PhotoSource:
    return PhotoSource(str(base), tuple(map(str, roots)), ImageLimits())


@pytest.mark.parametrize(
    ("uri", "content"),
    [
        ("photos/a é #1?.jpg", "catalogue/photos"),
        ("./photos/../photos//a é #1?.jpg", "catalogue/photos"),
        ("inner/a é #1?.jpg", "catalogue/photos"),
        ("{tmp}/catalogue/photos/a é #1?.jpg", "catalogue/photos"),
        ("file://{tmp}/catalogue/photos/a%20%C3%A9%20%231%3F.jpg", "catalogue/photos"),
        ("{tmp}/link to catalogue/photos/a é #1?.jpg", "catalogue/photos"),
        ("{tmp}/shared/a é #1?.jpg", "shared"),
        ("../shared/a é #1?.jpg", "shared"),
        ("to shared/a é #1?.jpg", "shared"),
    ],
)
def test_photos_in_allowed_places_are_read(places: Path, uri: str, content: str) -> None:
    for base in (places / "catalogue", places / "link to catalogue"):
        photos = source(base, places / "shared")
        name = uri.format(tmp=places)
        assert photos.read(name) == content.encode()
        assert photos.stamp(name).n_bytes == len(content)


OUTSIDE = [
    "../catalogue-old/a é #1?.jpg",
    "photos/../../catalogue-old/a é #1?.jpg",
    "{tmp}/catalogue-old/a é #1?.jpg",
    "{tmp}/catalogue/../catalogue-old/a é #1?.jpg",
    "//{tmp}/catalogue-old/a é #1?.jpg",
    "file://{tmp}/catalogue-old/a%20%C3%A9%20%231%3F.jpg",
    "FILE://host{tmp}/catalogue/%2e%2e/catalogue-old/a%20%C3%A9%20%231%3F.jpg",
    "out/a é #1?.jpg",
    "inner/../out/a é #1?.jpg",
    "out.jpg",
    "/etc/passwd",
    "file:///etc/passwd",
    "/proc/self/environ",
    "s3://bucket/x.jpg",
    "hdfs://namenode/x.jpg",
]


@pytest.mark.parametrize("uri", OUTSIDE)
def test_names_that_lead_out_are_refused_unopened_and_the_setting_is_named(
    places: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, name = source(places / "catalogue", places / "shared"), uri.format(tmp=places)

    def opened(*_: object) -> None:
        raise AssertionError("something was opened")

    monkeypatch.setattr(files, "_file_system", opened)
    monkeypatch.setattr(files, "read_bytes", opened)
    with pytest.raises(ImageRejected, match=r"lies neither in .* add its folder to that setting") as rejected:
        photos.read(name)
    assert rejected.value.reason == "not_allowed" and "catalog.allowed_roots" in rejected.value.detail
    assert photos.stamp(name) == FileStamp(None, None)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("loop.jpg", "unreadable"),
        ("~/x.jpg", "missing"),
        ("photos", "unreadable"),
        ("chain-1999.jpg", "unsupported_uri"),
        ("pipe.jpg", "unreadable"),
        ("/dev/zero", "unreadable"),
        ("photos/\0.jpg", "unsupported_uri"),
        ("http://169.254.169.254/latest/meta-data", "unsupported_uri"),
        ("hf://datasets/x.jpg", "unsupported_uri"),
        ("mock://x.jpg", "unsupported_uri"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_too(places: Path, uri: str, reason: str) -> None:
    os.mkfifo(places / "catalogue" / "pipe.jpg")
    for number in range(2000 if uri.startswith("chain") else 0):  # longer than Python's stack is deep
        (places / "catalogue" / f"chain-{number}.jpg").symlink_to(f"chain-{number - 1}.jpg")
    with pytest.raises(ImageRejected) as rejected:
        source(places / "catalogue", "/").read(uri)
    assert rejected.value.reason == reason


@pytest.mark.parametrize(("uri", "swapped"), [("swapped/a.jpg", "swapped"), ("a.jpg", "a.jpg")])
def test_links_swapped_between_check_and_opening_lead_nowhere(tmp_path: Path, uri: str, swapped: str) -> None:
    for name in ("catalogue/photos", "secret"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.jpg").write_text(name)
    part = "" if swapped == "swapped" else "/a.jpg"
    for name, target in (("in", f"photos{part}"), ("out", f"../secret{part}")):
        (tmp_path / "catalogue" / name).symlink_to(target)
    photos, link, ended = source(tmp_path / "catalogue"), tmp_path / "catalogue" / swapped, threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for name in ("in", "out"):
                new = tmp_path / "catalogue" / f"new-{name}"
                os.symlink(os.readlink(tmp_path / "catalogue" / name), new)
                os.replace(new, link)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read: list[bytes] = []
    try:
        for _ in range(1000):
            try:
                read.append(photos.read(uri))
            except ImageRejected:
                read.append(b"refused")
    finally:
        ended.set()
        swapping.join()
    assert {b"catalogue/photos", b"refused"} <= set(read)
    assert b"secret" not in read


def test_a_folder_that_became_a_link_is_not_followed(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_of = files.real

    def swapped_after(uri: str) -> str:
        found = real_of(uri)
        (places / "catalogue" / "photos").rename(places / "before")
        (places / "catalogue" / "photos").symlink_to(places / "catalogue-old")
        return found

    monkeypatch.setattr(files, "real", swapped_after)
    with pytest.raises(NotADirectoryError):
        files.read_bytes(str(places / "catalogue/photos/a é #1?.jpg"), None, real_of(str(places / "catalogue")))


@pytest.mark.parametrize(
    ("uri", "is_allowed"),
    [
        ("a.jpg", True),
        ("s3://bucket/photos/deep/a b #1?.jpg", True),
        ("s3://bucket/photos/x/../a.jpg", True),
        ("S3://more/x/a.jpg", True),
        ("s3://bucket/photos-old/a.jpg", False),
        ("s3://bucket/photos/../secret/a.jpg", False),
        ("../secret/a.jpg", False),
        ("s3://more/a.jpg", False),
        ("s3://other/photos/a.jpg", False),
        ("s3://bucket?endpoint_override=169.254.169.254/photos/a.jpg", False),
        ("s3://key:secret@bucket/photos/a.jpg", False),
        ("gs://bucket/photos/a.jpg", False),
        ("/photos/a.jpg", False),
    ],
)
def test_prefixes_of_buckets(uri: str, is_allowed: bool) -> None:
    photos = source("s3://bucket/photos", "s3://more/x/")
    if is_allowed:
        assert photos.locate(uri) == files.resolve(uri, "s3://bucket/photos")
    else:
        with pytest.raises(ImageRejected, match="not_allowed"):
            photos.locate(uri)


def test_a_whole_bucket_and_a_whole_machine_can_be_allowed() -> None:
    photos = source("/nowhere", "s3://bucket", "/")
    assert photos.locate("s3://bucket/any/key.jpg") == "s3://bucket/any/key.jpg"
    assert photos.locate("/etc/passwd") == "/etc/passwd"


def test_allowed_roots_are_absolute() -> None:
    config = load_config(settings=["catalog.allowed_roots=[/data/photos, 's3://bucket/x', 'file:///data']"])
    assert PhotoSource.of(config, "/base", "/root").allowed_roots == ("/data/photos", "s3://bucket/x", "file:///data")
    for root in ("photos", "../photos", "~/photos", "''", "'s3://'", "'s3:///x'", "'*'"):
        with pytest.raises(ConfigError, match=r"catalog\.allowed_roots"):
            load_config(settings=[f"catalog.allowed_roots=[/data, {root}]"])
    with pytest.raises(ConfigError, match=r"'photos' must be an absolute path, or begin with a scheme and a name"):
        load_config(settings=["catalog.allowed_roots=[photos]"])


def test_another_setting_makes_another_run() -> None:
    assert load_config(settings=["catalog.allowed_roots=[/data]"]).fingerprint != load_config().fingerprint


def test_a_name_that_is_too_long_for_any_file_is_missing(places: Path) -> None:
    with pytest.raises(ImageRejected) as refused:
        source(places / "catalogue", places / "shared").read("x" * 300 + ".jpg")
    assert refused.value.reason == "missing"
