"""Names that are spelled otherwise find the file where only one can be meant; what is missing says what is near."""

from __future__ import annotations

import os
import re
import tarfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.catalogue import near_names, photo_source
from prodseek.catalogue.near_names import MAX_NAMES, Names, Spelling, near_name, plain_spellings, spelled
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import files
from prodseek.storage.remembered import Remembered

COMPOSED = unicodedata.normalize("NFC", "Stühle é.jpg")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(photo_source, "_remembered", Remembered())
    yield


def source(folder: Path, *roots: Path) -> PhotoSource:
    return PhotoSource(str(folder), tuple(map(str, roots)), ImageLimits())


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def refusal(photos: PhotoSource, uri: str) -> ImageRejected:
    with pytest.raises(ImageRejected) as rejected:
        photos.read(uri)
    return rejected.value


@pytest.mark.parametrize(
    ("file", "name", "spelling"),
    [
        (DECOMPOSED, COMPOSED, Spelling.UNICODE_FORM),
        (COMPOSED, DECOMPOSED, Spelling.UNICODE_FORM),
        (f"{DECOMPOSED[:-4]}/{COMPOSED}", f"{COMPOSED[:-4]}/{DECOMPOSED}", Spelling.UNICODE_FORM),
        ("q u.jpg", "q%20u.jpg", Spelling.PERCENT_ENCODING),
        ("q%20u.jpg", "q u.jpg", Spelling.PERCENT_ENCODING),
        (DECOMPOSED, "St%C3%BChle%20%C3%A9.jpg", Spelling.PERCENT_ENCODING),
        ("a/b.jpg", "a%2Fb.jpg", Spelling.PERCENT_ENCODING),
        (COMPOSED, "St%FChle%20%E9.jpg", Spelling.PERCENT_ENCODING),
        (" a.jpg", "a.jpg", Spelling.BLANKS),
        ("a.jpg", "\ufeffa.jpg\u200b", Spelling.BLANKS),
        ("wi\u200bde.jpg", "wide.jpg", Spelling.BLANKS),
        ("a.jpg ", "a.jpg", Spelling.BLANKS),
        ("photos /a.jpg", "photos/ a.jpg", Spelling.BLANKS),
        ("IMG.JPG", "img.jpg", Spelling.CAPITALS_OR_SLASHES),
        ("Photos/Chairs/A.Jpg", "photos/CHAIRS/a.jpg", Spelling.CAPITALS_OR_SLASHES),
        ("images/a.jpg", "images\\a.jpg", Spelling.CAPITALS_OR_SLASHES),
        ("images\\a.jpg", "images/a.jpg", Spelling.CAPITALS_OR_SLASHES),
        ("Images/a b.jpg", "images\\A%20b.JPG", Spelling.CAPITALS_OR_SLASHES),
        ("deep/images\\a.jpg", "deep/images/a.jpg", Spelling.CAPITALS_OR_SLASHES),
        ("STRASSE.jpg", "straße.jpg", Spelling.CAPITALS_OR_SLASHES),
    ],
)
def test_a_name_that_is_spelled_otherwise_finds_the_file(
    tmp_path: Path, file: str, name: str, spelling: Spelling
) -> None:
    put(tmp_path, file, "other.jpg", "photos/other.jpg")
    photos = source(tmp_path)
    for uri in (name, f"{tmp_path}/{name}"):
        read = photos.read_near(uri)
        assert (read.data, read.spelling) == (file.encode(), spelling)
        assert photos.stamp(uri) == photos.stamp(file) and photos.stamp(uri).n_bytes == len(file.encode())
    assert photos.read_near(file).spelling is None


def test_the_exact_name_wins(tmp_path: Path) -> None:
    names = ["a.jpg", "A.jpg", "q u.jpg", "q%20u.jpg", " a.jpg", COMPOSED, DECOMPOSED]
    put(tmp_path, *names)
    photos = source(tmp_path)
    for name in names:
        read = photos.read_near(name)
        assert (read.data, read.spelling) == (name.encode(), None)


def test_the_first_spelling_by_which_a_file_fits_wins(tmp_path: Path) -> None:
    put(tmp_path, "Q u.jpg", "q u.jpg")
    assert source(tmp_path).read("q%20u.jpg") == b"q u.jpg"


@pytest.mark.parametrize(
    ("there", "name"),
    [(["IMG.jpg", "img.JPG"], "img.jpg"), (["A/x.jpg", "a/X.jpg"], "a/x.jpg"), ([" a.jpg", "a.jpg "], "a.jpg")],
)
def test_where_several_files_fit_none_is_taken(tmp_path: Path, there: list[str], name: str) -> None:
    put(tmp_path, *there)
    rejected = refusal(source(tmp_path), name)
    assert rejected.reason == "missing"
    assert "2 files differ from it in" in rejected.detail and all(repr(each) in rejected.detail for each in there)


def test_of_folders_that_differ_in_capitals_the_one_with_the_file_is_found(tmp_path: Path) -> None:
    put(tmp_path, "Images/a.jpg", "IMAGES/b.jpg")
    assert source(tmp_path).read("images/B.jpg") == b"IMAGES/b.jpg"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("photos/chair-01.jpeg", "no file at .*chair-01.jpeg; the nearest name is 'photos/chair-01.jpg'"),
        ("photos/chiar-02.jpg", "the nearest name is 'photos/chair-0[12].jpg'"),
        ("PHOTOS/xchair-02.jpg", "the nearest name is 'photos/chair-02.jpg'"),
        ("fotos/chair-01.jpg", "there is no 'fotos' in the catalogue's folder; the nearest name is 'photos'"),
        ("photos/old/chair-01.jpg", "there is no 'old' in the folder 'photos'$"),
        ("photos/zzzz.png", "no file at [^;]*$"),
        ("photos/../chair-01.jpg", "no file at [^;]*$"),
        ("empty/a.jpg", "no file at [^;]*$"),
    ],
)
def test_what_is_missing_says_what_is_near(tmp_path: Path, name: str, says: str) -> None:
    put(tmp_path, "photos/chair-01.jpg", "photos/chair-02.jpg", "photos/sofa.jpg")
    (tmp_path / "empty").mkdir()
    rejected = refusal(source(tmp_path), name)
    assert rejected.reason == "missing"

    assert re.search(says, rejected.detail), rejected.detail


def test_no_name_leads_or_looks_out_of_what_may_be_read(tmp_path: Path) -> None:
    put(tmp_path, "secret/A.jpg", "catalogue/a.jpg")
    (tmp_path / "catalogue" / "Out").symlink_to("../secret")
    photos = source(tmp_path / "catalogue")
    for name in ("out/a.jpg", "OUT\\a.jpg", "Out/a.jpg", "%2e%2e/secret/A.jpg", "..\\secret\\A.jpg"):
        rejected = refusal(photos, name)
        assert rejected.reason in ("missing", "not_allowed") and "A.jpg'" not in rejected.detail
    assert source(tmp_path / "catalogue", tmp_path / "secret").read("out/a.jpg") == b"secret/A.jpg"
    assert source(tmp_path / "catalogue", tmp_path / "secret").read(f"{tmp_path}/secret/a.JPG") == b"secret/A.jpg"


def test_members_of_tars_are_found_alike(tmp_path: Path) -> None:
    put(tmp_path, "x.jpg")
    with tarfile.open(tmp_path / "Shard.tar", "w") as packed:
        for name in (f"Chairs/{DECOMPOSED}", "chairs/B.JPG"):
            packed.add(tmp_path / "x.jpg", name)
    photos = source(tmp_path)
    for uri in (f"Shard.tar#Chairs/{COMPOSED}", "Shard.tar#chairs\\b.jpg", "shard.tar#chairs/b.jpg"):
        assert photos.read(uri) == b"x.jpg" and photos.stamp(uri).n_bytes
    assert photos.read_near("shard.tar#chairs/B.JPG").spelling == Spelling.CAPITALS_OR_SLASHES
    assert "the nearest name is 'chairs/B.JPG'" in refusal(photos, "Shard.tar#chairs/B2.JPG").detail


def test_a_folder_is_listed_once_and_again_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, *(f"IMG-{n}.JPG" for n in range(20)))
    listed: list[str] = []
    names_in = files.names_in
    monkeypatch.setattr(files, "names_in", lambda uri, most: listed.append(uri) or names_in(uri, most))
    photos = source(tmp_path)
    for n in range(20):
        assert photos.read(f"img-{n}.jpg") == f"IMG-{n}.JPG".encode()
        assert photos.read(f"IMG-{n}.JPG") == f"IMG-{n}.JPG".encode()
    assert listed == [str(tmp_path)]
    (tmp_path / "IMG-0.JPG").rename(tmp_path / "Img-0.jpg")
    os.utime(tmp_path, ns=(1, 1))
    assert photos.read("img-0.jpg") == b"IMG-0.JPG" and len(listed) == 2


def test_a_folder_that_may_not_be_listed_hides_names_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "closed/A.jpg")

    def refused(uri: str, most: int) -> tuple[str, ...]:
        raise PermissionError(13, "Permission denied", uri)

    monkeypatch.setattr(files, "names_in", refused)
    photos = source(tmp_path)
    assert photos.read("closed/A.jpg") == photos.read("closed%2FA.jpg") == b"closed/A.jpg"
    assert refusal(photos, "closed/a.jpg").reason == "missing"


def test_a_folder_of_too_many_names_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, *(f"IMG-{n}.JPG" for n in range(20)))
    monkeypatch.setattr(photo_source, "MAX_NAMES", 19)
    rejected = refusal(source(tmp_path), "img-1.jpg")
    assert rejected.reason == "missing" and rejected.detail.endswith(
        f"; its folder has more than {MAX_NAMES} names, which were not looked through"
    )
    assert near_names.MAX_NAMES == MAX_NAMES


PARTS = st.text(st.sampled_from("aAbé\u0301 %2F./\\e\u00e9ßS"), min_size=1, max_size=6)


@settings(max_examples=300)
@given(st.sets(PARTS, min_size=1, max_size=6), PARTS)
def test_whatever_the_names_are_one_is_found_or_none(there: set[str], wanted: str) -> None:
    names = Names(tuple(sorted(there)))
    found = near_name(wanted, lambda folder: Names(()) if folder else names)
    if found.path is not None:
        assert found.path in there and found.spelling is not None
        alike = [name for name in there if spelled(name, found.spelling) == spelled(found.path, found.spelling)]
        assert alike == [found.path]
    for name, _ in plain_spellings(wanted):
        assert name != wanted and ".." not in name.split("/")
    assert all(near_name(name, lambda folder: Names(()) if folder else names).path in (*there, None) for name in there)
