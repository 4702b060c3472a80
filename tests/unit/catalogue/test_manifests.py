"""Folders of photos as catalogues, with all that may lie in one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prodseek.catalogue.manifests import find_catalogue, list_photos
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.errors import CatalogueError
from prodseek.photos.decode import ImageLimits, ImageRejected


def photos_in(folder: Path) -> list[str]:
    return list_photos(find_catalogue(str(folder)))


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
