"""Folders of photos as catalogues, with all that may lie in one."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from prodseek.catalogue.folder import list_photos, passed_over_in_words
from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.errors import CatalogueError
from prodseek.photos.decode import ImageLimits, ImageRejected


def photos_in(folder: Path) -> list[str]:
    return list_photos(find_catalogue(str(folder))).uris


def test_every_photo_once_whatever_links_there_are(tmp_path: Path) -> None:
    for name in ("catalogue/b/c", "elsewhere/deep", "catalogue/.hidden"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.JPG").touch()
    (tmp_path / "catalogue" / "notes.txt").touch()
    # Two links to the folder that they lie in are 2 ** 40 folders for who follows them all.
    for name, target in {"a": ".", "b/up": "..", "far": "../elsewhere", "far too": "../elsewhere", ".no": "b"}.items():
        (tmp_path / "catalogue" / name).symlink_to(target)
    assert photos_in(tmp_path / "catalogue") == ["b/c/x.JPG", "far/deep/x.JPG"]


def test_what_cannot_be_read_is_listed_to_be_rejected(tmp_path: Path) -> None:
    (tmp_path / "dead.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / os.fsdecode(b"\xff.jpg")).touch()
    found = photos_in(tmp_path)
    assert found == ["dead.jpg", "loop.jpg", "pipe.jpg", "\N{REPLACEMENT CHARACTER}.jpg"]
    for uri in found:
        with pytest.raises(ImageRejected, match=r"missing|unreadable"):
            PhotoSource(str(tmp_path), (), ImageLimits()).read(uri)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = find_catalogue(str(tmp_path))
    tmp_path.rmdir()
    with pytest.raises(CatalogueError, match=f"{tmp_path}' cannot be listed: .*No such file"):
        list_photos(source)


def put(folder: Path, *names: str, content: bytes = b"") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_what_systems_make_is_passed_over_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "chairs/b.jpg", "notes.txt", "no ending")
    put(tmp_path, "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg", "chairs/@eaDir/b.jpg", "#recycle/a.jpg", "__MACOSX/._a.jpg")
    put(tmp_path, "chairs/THUMBS.DB", ".DS_Store", "._a.jpg", ".git/x.jpg", ".hidden.jpg", "$Recycle.Bin/S-1/c.jpg")
    listing = list_photos(find_catalogue(str(tmp_path)))
    assert listing.uris == ["a.jpg", "chairs/b.jpg"]
    assert listing.passed_over == {"excluded": 8, "hidden": 2, "no_ending": 1, "other_ending": 1}
    assert passed_over_in_words(listing.passed_over) == (
        "8 that systems make or catalog.exclude names, 2 hidden, 1 without an ending (catalog.any_ending=true takes those that "
        "are images), 1 with the ending of no image"
    )
    assert passed_over_in_words({}) == ""


@pytest.mark.parametrize(
    ("exclude", "found"),
    [
        (["drafts"], ["a.jpg", "chairs/b-2.jpg", "chairs/b.jpg"]),
        (["Drafts", "*-[0-9].jpg"], ["a.jpg", "chairs/b.jpg"]),
        (["chairs/*"], ["a.jpg", "drafts/c.jpg"]),
        (["*/b.jpg", "a.*"], ["chairs/b-2.jpg", "drafts/c.jpg"]),
        (["!@eaDir"], ["@eaDir/t.jpg", "a.jpg", "chairs/b-2.jpg", "chairs/b.jpg", "drafts/c.jpg"]),
        (["*"], []),
    ],
)
def test_patterns_of_the_catalogue_are_passed_over_too(tmp_path: Path, exclude: list[str], found: list[str]) -> None:
    put(tmp_path, "a.jpg", "chairs/b.jpg", "chairs/b-2.jpg", "drafts/c.jpg", "@eaDir/t.jpg")
    assert list_photos(find_catalogue(str(tmp_path)), exclude=exclude).uris == found


def test_files_of_any_ending_are_taken_by_how_they_begin(tmp_path: Path, make_jpeg: Callable[..., bytes]) -> None:
    photo = make_jpeg()
    put(tmp_path, "0a4d55a8", "chairs/x.dat", "photo.orig", content=photo)
    put(tmp_path, "a.jpg", "empty", "notes.txt")
    put(tmp_path, "page", content=b"<html>no photo</html>")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with tarfile.open(tmp_path / "x.tar", "w") as packed:
        packed.add(tmp_path / "0a4d55a8", "f/0001")
        packed.add(tmp_path / "notes.txt", "f/0001.json")
    source = find_catalogue(str(tmp_path))
    assert list_photos(source).uris == ["a.jpg"]
    assert list_photos(source).passed_over == {"no_ending": 6, "other_ending": 4}
    listing = list_photos(source, any_ending=True)
    assert listing.uris == ["0a4d55a8", "a.jpg", "chairs/x.dat", "photo.orig", "x.tar#f/0001"]
    assert listing.passed_over == {"no_ending": 4, "other_ending": 2}


def test_made_folders_in_tars_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as packed:
        for name in ("a.jpg", "__MACOSX/._a.jpg", "__MACOSX/b/c.jpg", ".hidden/d.jpg", "sub/@eaDir/e.jpg", "sub/f.jpg"):
            packed.addfile(tarfile.TarInfo(name))
    listing = list_photos(find_catalogue(str(tmp_path)))
    assert listing.uris == ["x.tar#a.jpg", "x.tar#sub/f.jpg"]
    assert listing.passed_over == {"excluded": 2, "hidden": 1}
