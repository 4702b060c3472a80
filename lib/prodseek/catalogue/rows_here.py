"""Rows of a manifest read in this process, for the commands that need no Spark."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from prodseek.catalogue.manifest_reading import Manifest
from prodseek.catalogue.parquet_table import ParquetShare, n_rows_of, read_share
from prodseek.catalogue.photo_rows import Role, RowRules
from prodseek.catalogue.shaped_rows import shaped, shaped_parquet
from prodseek.catalogue.text_file import opened, reading
from prodseek.catalogue.text_rows import TextBlock, blocks_of, read_block

_COUNTED_BLOCKS = 8
_PIECE_BYTES = 1 << 20


def row_batches(manifest: Manifest, rules: RowRules) -> Iterator[pa.RecordBatch]:
    """The rows that a night would have, as batches of SHAPE. Raises CatalogueError for a file that is damaged."""
    for table in manifest.texts:
        for some in read_block(table, TextBlock(table.dialect.start_bytes, None)):
            yield from shaped(some, table, rules)
    for part in manifest.parts:
        for first_row, batch in read_share(ParquetShare(part), manifest.schema):
            yield shaped_parquet(batch, rules, part.uri, first_row)[0]


def read_to_its_end(manifest: Manifest, seconds: float) -> str | None:
    """Read what a night would read, for so long at most. Raises CatalogueError for a file that is damaged.

    Returns how much was read, for a person, where time did not suffice. Text that is not compressed shows no damage.
    """
    ends = time.monotonic() + seconds
    n_read = 0
    for table in (table for table in manifest.texts if table.dialect.compression):
        with reading(table.uri), opened(table.uri, table.dialect.compression, 0) as stream:
            while piece := stream.read(_PIECE_BYTES):
                n_read += len(piece)
                if time.monotonic() > ends:
                    return f"only the first {n_read / 1e6:,.0f} MB of the text were read: whether the rest is whole, a night says"
    for part in manifest.parts:
        for _, batch in read_share(ParquetShare(part), manifest.schema):
            n_read += batch.num_rows
            if time.monotonic() > ends:
                return f"only the first {n_read:,} rows were read: whether the others are whole, a night says"
    return None


def photo_names(manifest: Manifest, rules: RowRules, most: int) -> tuple[list[str], int]:
    """The names of photos in a manifest's first rows, at most so many, and the number of photos that all rows name.

    The number is reckoned from the first rows, and of a large text from its first blocks. Raises CatalogueError.
    """
    if manifest.columns.uri is None:
        return [], 0
    return _names_in_text(manifest, rules, most) if manifest.texts else _names_in_parquet(manifest, rules, most)


def _names_in_parquet(manifest: Manifest, rules: RowRules, most: int) -> tuple[list[str], int]:
    n_rows = n_rows_of(manifest.parts)
    found: list[str] = []
    n_read = n_named = 0
    for part in manifest.parts:
        for first_row, batch in read_share(ParquetShare(part), manifest.schema):
            rows, _ = shaped_parquet(batch, rules, part.uri, first_row)
            n_read, n_named = n_read + batch.num_rows, n_named + _n_photos(rows)
            found += rows.column("uri").drop_null().to_pylist()
            if len(found) >= most:
                return found[:most], n_rows * n_named // n_read
    return found, n_named


def _names_in_text(manifest: Manifest, rules: RowRules, most: int) -> tuple[list[str], int]:
    blocks = [(table, block) for table in manifest.texts for block in blocks_of(table)]
    found: list[str] = []
    n_rows = n_read = n_named = 0
    for table, block in blocks[:_COUNTED_BLOCKS]:
        for some in read_block(table, block):
            n_rows += len(some.rows)
            if len(found) < most:
                n_read += len(some.rows)
                for batch in shaped(some, table, rules):
                    n_named += _n_photos(batch)
                    found += batch.column("uri").drop_null().to_pylist()
    if len(blocks) > _COUNTED_BLOCKS:
        n_rows = n_rows * len(blocks) // _COUNTED_BLOCKS
    return found[:most], n_rows * n_named // max(1, n_read)


def _n_photos(shape: pa.RecordBatch) -> int:
    return int(pc.sum(pc.not_equal(shape.column("role"), Role.NO_PHOTO)).as_py() or 0)
