"""Photos are read out of a Parquet file one at a time; a copy is there whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.catalogue.photo_copies import copies_folder, copy_uri, held_photos, keep_copy, list_copies, sample_photos
from prodseek.catalogue.photo_source import FileStamp, PhotoSource
from prodseek.errors import CatalogueError
from prodseek.photos.decode import ImageLimits, ImageRejected, content_id

PHOTOS = [None if n == 4 else b"%d" % n * 100 for n in range(10)]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """In groups of four rows: plain, a field of a struct, large, and a plain column whose name has a dot."""
    structs = [None if photo is None else {"path": "x", "bytes": photo} for photo in PHOTOS]
    columns = {
        "bytes": pa.array(PHOTOS, pa.binary()),
        "image": structs,
        "large": pa.array(PHOTOS, pa.large_binary()),
        "image.bytes 2": pa.array(PHOTOS, pa.binary()),
    }
    pq.write_table(pa.table(columns), tmp_path / "m é #1.parquet", row_group_size=4)
    return tmp_path / "m é #1.parquet"


@pytest.mark.parametrize("column", ["bytes", "image.bytes", "large", "image.bytes 2"])
def test_photos_from_any_row_on(manifest: Path, column: str) -> None:
    for first in (0, 3, 4, 6, 9, 10, 99):
        assert list(held_photos(str(manifest), column, first)) == PHOTOS[first:]


def test_a_file_of_many_may_lack_the_column_and_a_damaged_one_is_named(manifest: Path) -> None:
    assert list(held_photos(str(manifest), "photo")) == [None] * len(PHOTOS)
    data = manifest.read_bytes()
    no_text = data.replace(b"bytes", b"\xffytes")
    for damaged in (data[: len(data) // 2], b"", data[:4] + bytes(len(data) - 200) + data[-196:], no_text):
        manifest.write_bytes(damaged)
        with pytest.raises(CatalogueError, match=r"m é #1.parquet is damaged or gone; write it again: ."):
            list(held_photos(str(manifest), "bytes"))


def test_a_file_of_many_may_hold_text_in_the_column_and_is_named(manifest: Path) -> None:
    pq.write_table(pa.table({"bytes": [None, "text"]}), manifest)
    with pytest.raises(CatalogueError, match=r"m é #1.parquet holds str in its column 'bytes', not bytes"):
        list(held_photos(str(manifest), "bytes"))


def test_a_sample_comes_from_all_row_groups(manifest: Path) -> None:
    assert sorted(sample_photos(str(manifest), "bytes", 5, seed=0)) == sorted(filter(None, PHOTOS))
    assert len(set(islice(sample_photos(str(manifest.parent), "image.bytes", 100, seed=1), 9))) == 9


def test_a_copy_is_made_once_and_read_by_content_whatever_the_name_says(tmp_path: Path) -> None:
    folder, photo = copies_folder(str(tmp_path / "root #1")), b"photo" * 1000
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keep_copy(folder, content_id(photo), photo), range(32)))
    assert any(made) and not keep_copy(folder, content_id(photo), photo)
    assert list_copies(folder) == {f"{content_id(photo)[:2]}/{content_id(photo)}": 5000}
    photos = PhotoSource("/etc", ("/",), ImageLimits(max_bytes=4000), copies=folder)
    for name in ("passwd", "file:///etc/passwd", "http://localhost/x.jpg", "../x.tar#y"):
        assert photos.read(name, content_id(photo)) == photo[:4001]
        assert photos.stamp(name) == FileStamp(None, None)
        for image_id in (None, content_id(b"another")):
            with pytest.raises(ImageRejected, match="missing"):
                photos.read(name, image_id)


KILLED = """
import os, sys
from pathlib import Path
from prodseek.catalogue.photo_copies import keep_copy
Path.replace = lambda *_: os._exit(9)
keep_copy(sys.argv[1], sys.argv[2], b"photo")
"""


def test_what_a_killed_process_wrote_is_never_read(tmp_path: Path) -> None:
    folder, image_id = copies_folder(str(tmp_path)), content_id(b"photo")
    assert subprocess.run([sys.executable, "-c", KILLED, folder, image_id]).returncode == 9
    (partial,) = list_copies(folder)
    assert partial.endswith(".partial") and not os.path.exists(copy_uri(folder, image_id))
    assert keep_copy(folder, image_id, b"photo") and Path(copy_uri(folder, image_id)).read_bytes() == b"photo"
    Path(copy_uri(folder, image_id)).write_bytes(b"ph")  # a name that outlived its content
    assert keep_copy(folder, image_id, b"photo") and Path(copy_uri(folder, image_id)).read_bytes() == b"photo"
