"""Parquet files that hold photos: each row's photo as it was written, or a CatalogueError."""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import mutated
from hypothesis import strategies as st

from prodseek.catalogue.photo_copies import held_photos, sample_photos
from prodseek.errors import CatalogueError

N_ROWS = 20
# How files are written that must be read as they are.
_WAYS: tuple[dict[str, object], ...] = (
    {}, {"compression": "none"}, {"compression": "zstd", "data_page_version": "2.0"}, {"compression": "gzip"},
    {"compression": "brotli"}, {"compression": "lz4"}, {"use_dictionary": False, "write_page_checksum": True},
    {"use_dictionary": False, "column_encoding": {"bytes": "DELTA_BYTE_ARRAY"}}, {"write_page_index": True},
)  # fmt: skip
_TOKENS = (b"PAR1", b"bytes", b"image", b"\0" * 16, b"\xff" * 8, b"\x15\x00", b"\x19\x2c")


class Case(NamedTuple):
    """A Parquet file; the column that is asked for, and from which row on."""

    data: bytes
    column: str
    first_row: int


@cache
def photos() -> tuple[bytes | None, ...]:
    return tuple(None if n % 7 == 3 else bytes([n]) * (1 + 37 * n) for n in range(N_ROWS))


@cache
def seeds() -> tuple[bytes, ...]:
    """The photos plain, in a struct, and as text; every compression and page format; a dictionary or none; no rows."""
    plain = pa.table({"uri": [f"{n}.jpg" for n in range(N_ROWS)], "bytes": pa.array(photos(), pa.binary())})
    nested = pa.table({"image": pa.array([{"bytes": photo, "path": "x"} for photo in photos()])})
    tables = [(plain, each) for each in _WAYS] + [
        (nested, {}), (plain.slice(0, 0), {}), (plain.cast(pa.schema([("uri", pa.string()), ("bytes", pa.large_binary())])), {}),
        (pa.table({"bytes": ["text"] * 3}), {}), (pa.table({"bytes": [1.5]}), {}), (pa.table({"bytes": [[b"list"]]}), {}),
    ]  # fmt: skip
    made = []
    for table, each in tables:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, row_group_size=6, **each)
        made.append(buffer.getvalue())
    return tuple(made)


def _whole() -> tuple[bytes, ...]:
    return seeds()[: len(_WAYS)]


@cache
def _file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="prodseek-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "photos.parquet"


def cases() -> st.SearchStrategy[Case]:
    columns = st.sampled_from(("bytes", "bytes", "image.bytes", "image", "uri", "none", "bytes.x"))
    untouched = st.sampled_from(_whole())
    return st.one_of(
        st.builds(Case, untouched, st.just("bytes"), st.integers(0, N_ROWS)),
        *[st.builds(Case, mutated(seeds(), _TOKENS), columns, st.integers(0, 30))] * 4,
    )


def check(case: Case) -> None:
    _file().write_bytes(case.data)
    is_whole = case.data in _whole() and case.column == "bytes"
    try:
        found = list(held_photos(str(_file()), case.column, case.first_row))
        sampled = list(sample_photos(str(_file()), case.column, 8, seed=1))
    except CatalogueError as error:
        assert str(_file()) in str(error) and not is_whole
        return
    assert all(photo is None or isinstance(photo, bytes) for photo in (*found, *sampled))
    if is_whole:
        assert tuple(found) == photos()[case.first_row :] and set(sampled) <= set(photos())
