"""How a manifest is to be read: what it is written in, and which of its columns hold what. Found in its first bytes."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from prodseek.catalogue import parquet_table
from prodseek.catalogue.columns import Columns
from prodseek.catalogue.manifests import CatalogueSource
from prodseek.catalogue.parquet_columns import parquet_columns
from prodseek.catalogue.parquet_table import ParquetPart
from prodseek.catalogue.text_manifest import text_columns
from prodseek.catalogue.text_rows import TextBlock, TextTable, read_block
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError


@dataclass(frozen=True)
class Manifest:
    """A manifest that was looked into. text: how it is written, None for Parquet. schema: of Parquet the columns to read, in
    types that every reader knows; of a struct only the fields that are needed."""

    source: CatalogueSource
    columns: Columns
    text: TextTable | None = None
    parts: tuple[ParquetPart, ...] = ()
    schema: pa.Schema | None = None

    def lines(self) -> list[str]:
        """What was found, for a person, before anything is read."""
        if self.text is None:
            n_files = f"{len(self.parts):,} Parquet files" if len(self.parts) > 1 else "Parquet"
            return [f"{self.source.uri}: {n_files}", *self.columns.lines()]
        table = self.text
        read_as = table.dialect.describe(len(table.columns), table.is_json)
        return [f"{table.uri}: {read_as}", *table.dialect.notes(), *self.columns.lines()]


def read_manifest(source: CatalogueSource, config: CatalogConfig) -> Manifest:
    """Look into a manifest. Raises CatalogueError, with what was read and what to set, for one that cannot be used."""
    if config.bytes_column and source.kind != "parquet":
        raise CatalogueError(
            f"the catalogue {source.uri!r} is no Parquet manifest, and only that can hold photos; set catalog.bytes_column "
            f"= {config.bytes_column!r} to null: --set catalog.bytes_column=null"
        )
    if source.kind == "parquet":
        parts = tuple(parquet_table.parts_of(source.uri))
        columns, schema = parquet_columns(source, parts, config)
        return Manifest(source, columns, parts=parts, schema=schema)
    table, columns = text_columns(source, config)
    return Manifest(source, columns, table)


def refuse_without_rows(manifest: Manifest) -> None:
    """Raise CatalogueError for a manifest without any row, understood or not."""
    if manifest.text is None:
        has_rows = any(parquet_table.n_rows_of([part]) for part in manifest.parts)
    else:
        whole = TextBlock(manifest.text.dialect.start_bytes, None)
        has_rows = any(some.rows for some in read_block(manifest.text, whole))
    if not has_rows:
        raise CatalogueError(f"the catalogue {manifest.source.uri!r} has no rows; there is nothing to do")
