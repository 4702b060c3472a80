"""Photos inside tars: real ones, damaged ones, and those that somebody made to do harm."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyarrow import fs

from prodseek.catalogue import tars
from prodseek.catalogue.folder import list_photos
from prodseek.catalogue.manifests import find_catalogue, product_of
from prodseek.catalogue.photo_source import PhotoSource, read_photo
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import files
from prodseek.storage.remembered import Remembered

Members = Sequence[tuple[str, bytes]]


def pack(path: Path, members: Members, tar_format: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tar_format) as packed:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


def pack_odd(path: Path, **fields: object) -> Path:
    """A tar of one member without content, `x.jpg`, with some fields changed."""
    with tarfile.open(path, "w") as packed:
        info = tarfile.TarInfo("x.jpg")
        for name, value in fields.items():
            setattr(info, name, value)
        packed.addfile(info)
    return path


def source(folder: Path, max_bytes: int = 1000) -> PhotoSource:
    return PhotoSource(str(folder), (), ImageLimits(max_bytes=max_bytes))


def refusal(photos: PhotoSource, uri: str) -> ImageRejected:
    with pytest.raises(ImageRejected) as rejected:
        photos.read(uri)
    assert rejected.value.detail
    return rejected.value


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tars, "_remembered", Remembered())
    yield


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_member_is_read_by_its_name_and_is_listed(tmp_path: Path, tar_format: int) -> None:
    long = "a" * 90 + "/" + "b" * 90 + ".jpg"
    names = ["photo 1.jpg", "./chairs/é #1?.PNG", "a.tar#b.jpg", "../../etc/passwd.jpg", long]
    path = pack(tmp_path / "shards" / "0001.tar", [(name, name.encode()) for name in names], tar_format)
    photos = source(tmp_path)
    listed = list_photos(find_catalogue(str(tmp_path))).uris
    assert listed == sorted(f"shards/0001.tar#{name.removeprefix('./')}" for name in names)
    for name in names:
        assert photos.read(f"shards/0001.tar#{name}") == name.encode()
        assert photos.read(f"{path}#{name}") == read_photo(f"{path}#{name}", 1000) == name.encode()
    assert {photos.read(uri) for uri in listed} == {name.encode() for name in names}
    assert photos.read(f"file://{tmp_path}/shards/0001.tar#chairs/%C3%A9%20%231%3F.PNG") == names[1].encode()
    assert photos.read("shards/0001.tar#./photo 1.jpg") == b"photo 1.jpg"


@pytest.mark.parametrize("options", [[], ["--format=gnu"], ["--format=posix"], ["--format=v7"]])
def test_tars_of_the_system(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for number in range(30):
        (tmp_path / "in" / "sub" / f"é {number}.jpg").write_bytes(b"x" * (number * 100))
    subprocess.run(["tar", *options, "-cf", str(tmp_path / "x.TAR"), "-C", str(tmp_path / "in"), "."], check=True)
    photos = source(tmp_path, 10**6)
    listed = [uri for uri in list_photos(find_catalogue(str(tmp_path))).uris if "#" in uri]
    assert len(listed) == 30
    assert sorted(len(photos.read(uri)) for uri in listed) == [number * 100 for number in range(30)]


def test_what_is_listed_of_a_tar(tmp_path: Path) -> None:
    names = ["a.jpg", "a.json", "._a.jpg", ".hidden/b.jpg", "c.tar", "d.webp"]
    pack(tmp_path / "x.tar", [(name, b"1") for name in names])
    pack(tmp_path / ".hidden.tar", [("a.jpg", b"1")])
    pack(tmp_path / "empty.tar", [])
    (tmp_path / "b.jpg").touch()
    assert list_photos(find_catalogue(str(tmp_path))).uris == ["b.jpg", "x.tar#a.jpg", "x.tar#d.webp"]


def test_the_product_of_a_member() -> None:
    assert product_of("shards/0001.tar#chair/1.jpg", "file") == "shards/0001/chair/1"
    assert product_of("shards/0001.tar#chair/1.jpg", "folder") == "shards/0001/chair"
    assert product_of("0001.tar#1.jpg", "folder") == "0001"
    assert product_of("http://host/0001.tar#1.jpg", "file") == "http://host/0001.tar#1"


def test_members_of_one_sample_are_one_product() -> None:
    front, back = "shards/00000.tar#a/0001.front.jpg", "shards/00000.tar#a/0001.back.jpg"
    assert product_of(front, "file") == product_of(back, "file") == "shards/00000/a/0001"
    assert product_of("shards/00000.tar#0002.front.jpg", "file") == "shards/00000/0002"
    assert product_of("x.tar#v1.5/0001.front.jpg", "file") == "x/v1.5/0001"
    assert product_of("a.b.tar#.jpg", "file") == "a.b/.jpg"
    # A folder is no shard: there the dot belongs to the name.
    assert product_of("a/0001.front.jpg", "file") == "a/0001.front"


def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    pack(tmp_path / "x.tar", [("a.jpg", b"first"), ("b.jpg", b""), ("./a.jpg", b"last")])
    assert source(tmp_path).read("x.tar#a.jpg") == b"last"
    assert source(tmp_path).read("x.tar#b.jpg") == b""
    assert list_photos(find_catalogue(str(tmp_path))).uris == ["x.tar#a.jpg", "x.tar#b.jpg"]


def test_no_more_is_read_than_a_photo_may_have(tmp_path: Path) -> None:
    pack(tmp_path / "x.tar", [("a.jpg", b"x" * 5000), ("b.jpg", b"y")])
    assert source(tmp_path, 100).read("x.tar#a.jpg") == b"x" * 101


def test_a_member_leads_nowhere_but_into_its_tar(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    pack(tmp_path / "secret.tar", [("a.jpg", b"secret")])
    folder = tmp_path / "catalogue"
    pack(folder / "x.tar", [("a.jpg", b"1")])
    (folder / "out.tar").symlink_to("../secret.tar")
    photos = source(folder)
    for member in ("../secret.jpg", "/etc/passwd", f"{tmp_path}/secret.jpg", "", ".", "..", "a.jpg/", "\0"):
        assert refusal(photos, f"x.tar#{member}").reason == "missing"
    for uri in ("../secret.tar#a.jpg", "out.tar#a.jpg", f"{tmp_path}/secret.tar#a.jpg", "s3://b/x.tar#a.jpg"):
        assert refusal(photos, uri).reason == "not_allowed"
        assert photos.stamp(uri).n_bytes is None
    # Not even the names in it are told.
    assert list_photos(find_catalogue(str(folder))).uris == ["out.tar#", "x.tar#a.jpg"]
    assert list_photos(find_catalogue(str(folder)), [str(tmp_path)]).uris == ["out.tar#a.jpg", "x.tar#a.jpg"]


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "good.jpg"), (tarfile.CHRTYPE, ""),
                         (tarfile.FIFOTYPE, ""), (tarfile.DIRTYPE, ""), (tarfile.GNUTYPE_SPARSE, "")],
)  # fmt: skip
def test_what_is_no_plain_file_is_listed_to_be_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    pack_odd(tmp_path / "x.tar", type=kind, linkname=target)
    (uri,) = list_photos(find_catalogue(str(tmp_path))).uris
    assert refusal(source(tmp_path), uri).reason == "unsupported_uri"


def test_files_and_tars_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "dead.tar").symlink_to("nowhere.tar")
    photos = source(tmp_path)
    assert str(refusal(photos, "absent.tar#a.jpg")) == f"missing: no file at {tmp_path}/absent.tar"
    assert refusal(photos, "folder.tar#a.jpg").reason == "unreadable"
    assert list_photos(find_catalogue(str(tmp_path))).uris == ["dead.tar#"]
    assert refusal(photos, "dead.tar#").reason == "missing"


GOOD: Members = [(f"{number}.jpg", bytes([number]) * 700) for number in range(4)]
MEMBER_BYTES = 512 + 1024


@pytest.mark.parametrize("at", range(1, 4))
def test_a_damaged_header_costs_the_photos_after_it_and_is_told(tmp_path: Path, at: int) -> None:
    path = pack(tmp_path / "x.tar", GOOD)
    data = bytearray(path.read_bytes())
    data[at * MEMBER_BYTES + 148] ^= 1
    path.write_bytes(data)
    photos = source(tmp_path)
    assert list_photos(find_catalogue(str(tmp_path))).uris == ["x.tar#", *(f"x.tar#{n}.jpg" for n in range(at))]
    for number in range(at):
        assert photos.read(f"x.tar#{number}.jpg") == GOOD[number][1]
    for uri in ("x.tar#", f"x.tar#{at}.jpg"):
        assert (
            f"cannot be read beyond {at} of its members: no header at byte {at * MEMBER_BYTES}"
            in refusal(photos, uri).detail
        )
        assert refusal(photos, uri).reason == "corrupt"


@pytest.mark.parametrize("n_bytes", [0, 100, 512, 600, 512 + 700, MEMBER_BYTES + 1, 2 * MEMBER_BYTES + 900])
def test_a_tar_that_was_cut_off(tmp_path: Path, n_bytes: int) -> None:
    path = pack(tmp_path / "x.tar", GOOD)
    path.write_bytes(path.read_bytes()[:n_bytes])
    photos, whole = source(tmp_path), [n for n in range(4) if n * MEMBER_BYTES + 512 + 700 <= n_bytes]
    listed = list_photos(find_catalogue(str(tmp_path))).uris
    assert listed[0] == "x.tar#" and len(listed) >= 1 + len(whole)
    for number in range(4):
        if number in whole:
            assert photos.read(f"x.tar#{number}.jpg") == GOOD[number][1]
        else:
            assert refusal(photos, f"x.tar#{number}.jpg").reason in ("corrupt", "truncated")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x1f\x8b" + b"z" * 2000, bytes([0x80]) * 4096])
def test_what_is_no_tar(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    assert list_photos(find_catalogue(str(tmp_path))).uris == ["x.tar#"]
    assert refusal(source(tmp_path), "x.tar#a.jpg").reason == "corrupt"


def test_sizes_and_headers_that_are_lies(tmp_path: Path) -> None:
    photos = source(tmp_path)
    for size in (2**40, 2**62, 2**80, -512, -(2**40)):
        pack_odd(tmp_path / "x.tar", size=size)
        assert refusal(photos, "x.tar#x.jpg").reason in ("corrupt", "truncated")
    for size in ("-512", str(10**30), "9" * 5000):
        pack_odd(tmp_path / "x.tar", pax_headers={"size": size})
        try:
            assert photos.read("x.tar#x.jpg") == b""
        except ImageRejected as rejected:
            assert rejected.reason in ("corrupt", "truncated")
    pack_odd(tmp_path / "x.tar", pax_headers={"comment": "x" * 2_000_000})
    assert "a header of more than 1048576 bytes" in refusal(photos, "x.tar#x.jpg").detail
    # Thousands of headers that each announce the next one.
    info = tarfile.TarInfo("././@PaxHeader")
    info.type = tarfile.XHDTYPE
    (tmp_path / "x.tar").write_bytes(info.tobuf() * 5000)
    assert refusal(photos, "x.tar#x.jpg").reason == "corrupt"


def test_a_tar_of_too_many_members_is_read_as_far_as_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tars, "_MAX_INDEX_BYTES", 50 * 110)
    pack(tmp_path / "x.tar", [(f"{number:06}.jpg", b"1") for number in range(100)])
    photos = source(tmp_path)
    assert photos.read("x.tar#000010.jpg") == b"1"
    assert "more members or headers than one tar may have" in refusal(photos, "x.tar#000090.jpg").detail


def test_random_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    chosen = random.Random(8)
    for tar_format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        names = ["a.jpg", "é.jpg", "c" * 90 + "/" + "c" * 90 + ".jpg", "d.jpg"]
        whole = pack(tmp_path / "x.tar", [(name, name.encode() * 9) for name in names], tar_format).read_bytes()
        photos = source(tmp_path, 10_000)
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(chosen.choice((1, 3, 30))):
                place = chosen.randrange(len(whole) // 2)
                data[place] = chosen.choice((0, 255, 0x80, ord("7"), data[place] ^ 1))
            if chosen.random() < 0.7:  # right again, so that what was damaged is believed
                for start in range(0, len(data) - 512, 512):
                    if data[start + 257 : start + 262] == b"ustar":
                        data[start + 148 : start + 156] = b" " * 8
                        data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
            (tmp_path / "x.tar").write_bytes(data[: chosen.choice((len(data), chosen.randrange(len(data))))])
            for uri in {*list_photos(find_catalogue(str(tmp_path))).uris, *(f"x.tar#{name}" for name in names)}:
                try:
                    assert len(photos.read(uri)) <= 10_001
                except ImageRejected as rejected:
                    assert rejected.reason in ("corrupt", "truncated", "missing", "unsupported_uri")


def test_headers_are_read_once_and_again_when_the_tar_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = tars._read_index

    def counted(handle, n_bytes):  # type: ignore[no-untyped-def]
        read.append(n_bytes)
        return real(handle, n_bytes)

    monkeypatch.setattr(tars, "_read_index", counted)
    names = [f"{number}.jpg" for number in range(200)]
    pack(tmp_path / "x.tar", [(name, name.encode()) for name in names])
    photos = source(tmp_path)
    before = photos.stamp("x.tar#1.jpg")
    assert before == photos.stamp("x.tar") and before.n_bytes == (tmp_path / "x.tar").stat().st_size
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(photos.read, [f"x.tar#{name}" for name in names])) == [name.encode() for name in names]
    assert len(read) == 1
    pack(tmp_path / "x.tar", [(name, b"new") for name in [*names, *(f"more {name}" for name in names)]])
    assert photos.read("x.tar#1.jpg") == b"new"
    assert photos.stamp("x.tar#1.jpg") != before
    assert len(read) == 2
    monkeypatch.setattr(tars, "_MAX_INDEX_BYTES", 20_000)
    for number in range(5):
        pack(tmp_path / f"{number}.tar", [(name, b"") for name in names])
        photos.read(f"{number}.tar#1.jpg")
    assert len(tars._remembered.kept) < 5 and len(tars._remembered.turns) < 5


def test_files_that_are_not_local_are_read_ahead_and_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other of pyarrow's file systems takes the way that object storage does."""
    other = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(files, "_file_system", lambda _: (other, ""))
    pack(tmp_path / "x.tar", GOOD)
    photos = PhotoSource("s3://bucket", (), ImageLimits())
    for number, content in GOOD * 2:
        assert photos.read(f"x.tar#{number}") == content
    assert photos.members("s3://bucket/x.tar") == ([name for name, _ in GOOD], None)
    assert refusal(photos, "absent.tar#a.jpg").reason == "missing"
