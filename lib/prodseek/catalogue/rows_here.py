"""Rows of a manifest read in this process, for the commands that need no Spark."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from prodseek.catalogue.manifest_reading import Manifest
from prodseek.catalogue.parquet_table import ParquetShare, n_rows_of, read_share
from prodseek.catalogue.photo_rows import Role, RowRules
from prodseek.catalogue.shaped_rows import shaped, shaped_parquet
from prodseek.catalogue.text_rows import TextBlock, blocks_of, read_block

_COUNTED_BLOCKS = 8


def row_batches(manifest: Manifest, rules: RowRules) -> Iterator[pa.RecordBatch]:
    """The rows that a night would have, as batches of SHAPE. Raises CatalogueError for a file that is damaged."""
    if manifest.text is not None:
        for some in read_block(manifest.text, TextBlock(manifest.text.dialect.start_bytes, None)):
            yield from shaped(some, manifest.text, rules)
        return
    for part in manifest.parts:
        for first_row, batch in read_share(ParquetShare(part), manifest.schema):
            yield shaped_parquet(batch, rules, part.uri, first_row)[0]


def photo_names(manifest: Manifest, rules: RowRules, most: int) -> tuple[list[str], int]:
    """The names of photos in a manifest's first rows, at most so many, and the number of photos that all rows name.

    The number is reckoned from the first rows, and of a large text from its first blocks. Raises CatalogueError.
    """
    if manifest.columns.uri is None:
        return [], 0
    return _names_in_parquet(manifest, rules, most) if manifest.text is None else _names_in_text(manifest, rules, most)


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
    table = manifest.text
    if table is None:
        raise ValueError("a Parquet manifest has no text")
    blocks = blocks_of(table)
    found: list[str] = []
    n_rows = n_read = n_named = 0
    for block in blocks[:_COUNTED_BLOCKS]:
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
