"""Photos that a Parquet manifest holds itself, and the copies that single ones are read from.

No row of a Parquet file can be had without reading those around it. So each photo is copied once, for all nights, to
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
# A copy, or what a process that died has left of one.
_NAME = re.compile(r"([0-9a-f]{2})/(?:\1[0-9a-f]{62}|\.\1[0-9a-f]{62}\.[0-9a-f]{32}\.partial)")
# A column is read through a window of this size, not in row groups, which may be of any size.
_WINDOW_BYTES = 1 << 23
# A name of a column in a damaged file may be no text.
_DAMAGED = (OSError, pa.ArrowException, UnicodeDecodeError)
# Photos that stand beside each other may be of one product; but each row group costs a start.
_SAMPLED_IN_A_ROW = 8


def copies_folder(root: str) -> str:
    """Where the copies of a root lie."""
    return files.join(root, COPIES)


def copy_name(image_id: str) -> str:
    """The path of a photo's copy in that folder."""
    return f"{image_id[:2]}/{image_id}"


def copy_uri(folder: str, image_id: str) -> str:
    """Where the copy of a photo lies, or would."""
    return files.join(folder, copy_name(image_id))


def is_copy(name: str) -> bool:
    """Whether a path in that folder is one of a copy, whole or in the making."""
    return _NAME.fullmatch(name) is not None


def keep_copy(folder: str, image_id: str, photo: bytes) -> bool:
    """Copy a photo unless that has been done; whether it was now. Any number of processes may do it at once."""
    uri = copy_uri(folder, image_id)
    file_system, path = files.locate(uri)
    # A machine that lost its power may have left the name without the content.
    if file_system.get_file_info(path).size == len(photo):
        return False
    files.write_bytes(uri, photo, is_lasting=False)
    return True


def list_copies(folder: str) -> dict[str, int]:
    """The copies that lie there, whole or in the making: path in the folder -> bytes."""
    file_system, path = files.locate(folder)
    infos = file_system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    sizes = {info.path[len(path) :].lstrip("/"): info.size for info in infos if info.type == fs.FileType.File}
    return {name: size for name, size in sizes.items() if is_copy(name)}


def held_photos(uri: str, column: str, first_row: int = 0) -> Iterator[bytes | None]:
    """The photos in a Parquet file from a row on, one in memory at a time; None where a row has none.

    column: its name, or `name.field` where it is a field of a struct. Raises CatalogueError for a file that is damaged.
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
                            f"{uri} holds {type(photo).__name__} in its column {column!r}, not bytes; write the manifest anew"
                        )
                    yield photo
    except _DAMAGED as error:
        raise CatalogueError(f"{uri} is damaged or gone, write it anew: {error}") from error


def sample_photos(uri: str, column: str, n_photos: int, seed: int) -> Iterator[bytes]:
    """About `n_photos` of those that a Parquet manifest holds, from row groups all over it, in random order of these.

    Raises CatalogueError for a manifest that is damaged.
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
    if batch.num_columns == 0:  # of a manifest in many files this one lacks it
        return None
    if column in batch.schema.names:
        values = batch.column(column)
    else:
        values = batch.column(0)
        for name in column.split(".")[1:]:
            values = pc.struct_field(values, [name])
    return values[0].as_py()
