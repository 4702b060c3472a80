"""Photos held in a Parquet manifest itself, and copies of them, to read single photos from.

A row of a Parquet file cannot be read without the rows around it. So each photo is copied once, for all nights, to
<root>/cache/photos/<first two digits of its image_id>/<image_id>.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from prodseek.errors import CatalogueError
from prodseek.storage import files

COPIES = "cache/photos"
# A copy, or the unfinished file of a process that died.
_NAME = re.compile(r"([0-9a-f]{2})/(?:\1[0-9a-f]{62}|\.\1[0-9a-f]{62}\.[0-9a-f]{32}\.partial)")
# A column is read through a window of this size, because row groups may be of any size.
_WINDOW_BYTES = 1 << 23
# In a damaged file even the name of a column may not be text.
_DAMAGED = (OSError, pa.ArrowException, UnicodeDecodeError)
# Photos in a row may show the same product, but each row group has a fixed cost.
_SAMPLED_IN_A_ROW = 8


def copies_folder(root: str) -> str:
    """The folder of a root's copies."""
    return files.join(root, COPIES)


def copy_name(image_id: str) -> str:
    """The path of a photo's copy in the folder of copies."""
    return f"{image_id[:2]}/{image_id}"


def copy_uri(folder: str, image_id: str) -> str:
    """The URI of a photo's copy, whether it exists or not."""
    return files.join(folder, copy_name(image_id))


def is_copy(name: str) -> bool:
    """Whether a path in the folder of copies belongs to a copy, finished or not."""
    return _NAME.fullmatch(name) is not None


def keep_copy(folder: str, image_id: str, photo: bytes) -> bool:
    """Copy a photo unless its copy exists; return whether it was copied now. Safe in many processes at once."""
    uri = copy_uri(folder, image_id)
    file_system, path = files.locate(uri)
    # After a power failure the file may exist without its content.
    if file_system.get_file_info(path).size == len(photo):
        return False
    files.write_bytes(uri, photo, is_lasting=False)
    return True


def list_copies(folder: str) -> dict[str, int]:
    """The copies in a folder, finished or not: path in the folder -> size in bytes."""
    file_system, path = files.locate(folder)
    infos = file_system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    sizes = {info.path[len(path) :].lstrip("/"): info.size for info in infos if info.type == fs.FileType.File}
    return {name: size for name, size in sizes.items() if is_copy(name)}


def held_photos(uri: str, column: str, first_row: int = 0) -> Iterator[bytes | None]:
    """Yield the photos of a Parquet file from first_row on, one in memory at a time; None for a row without a photo.

    column: the name of the column, or `name.field` for a field of a struct. Raises CatalogueError for a damaged file.
    """
    file_system, path = files.locate(uri)
    try:
        with (
            file_system.open_input_file(path) as handle,
            pq.ParquetFile(handle, buffer_size=_WINDOW_BYTES, pre_buffer=False) as stored,
        ):
            sizes = [stored.metadata.row_group(group).num_rows for group in range(stored.num_row_groups)]
            starts = [0, *accumulate(sizes)]
            group = bisect_right(starts, first_row) - 1
            groups = list(range(group, len(sizes)))
            batches = stored.iter_batches(1, row_groups=groups, columns=[column], use_threads=False)
            for number, batch in enumerate(batches, start=starts[group]):
                if number >= first_row:
                    photo = _photo(batch, column)
                    if not isinstance(photo, bytes | None):
                        raise CatalogueError(
                            f"{uri} holds {type(photo).__name__} in its column {column!r}, not bytes; write the manifest again"
                        )
                    yield photo
    except _DAMAGED as error:
        raise CatalogueError(f"{uri} is damaged or gone; write it again: {error}") from error


def sample_photos(uri: str, column: str, n_photos: int, seed: int) -> Iterator[bytes]:
    """Yield about `n_photos` photos of a Parquet manifest, from row groups all over it, in random order of the row groups.

    Raises CatalogueError for a damaged manifest.
    """
    import pyarrow.dataset as ds

    file_system, path = files.locate(uri)
    groups: list[tuple[str, int, int]] = []
    try:
        for file in ds.dataset(path, filesystem=file_system, format="parquet").get_fragments():
            name = file.path[len(path) :].strip("/")
            sizes = [group.num_rows for group in file.row_groups]
            file_uri = files.join(uri, name) if name else uri
            groups += [(file_uri, end - size, size) for end, size in zip(accumulate(sizes), sizes, strict=True)]
    except _DAMAGED as error:
        raise CatalogueError(f"the manifest {uri!r} cannot be read: {error}") from error
    random.Random(seed).shuffle(groups)
    of_each = max(_SAMPLED_IN_A_ROW, -(-n_photos // max(1, len(groups))))
    for file_uri, start, n_rows in groups:
        yield from filter(None, islice(held_photos(file_uri, column, start), min(of_each, n_rows)))


def _photo(batch: pa.RecordBatch, column: str) -> Any:
    if batch.num_columns == 0:  # this file of a manifest in many files lacks the column
        return None
    if column in batch.schema.names:
        values = batch.column(column)
    else:
        values = batch.column(0)
        for name in column.split(".")[1:]:
            values = pc.struct_field(values, [name])
    return values[0].as_py()
