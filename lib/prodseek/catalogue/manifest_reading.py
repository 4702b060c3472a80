"""How a manifest is to be read: what it is written in, and which of its columns hold what. Found in its first bytes."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from prodseek.catalogue import parquet_table
from prodseek.catalogue.columns import Columns
from prodseek.catalogue.manifests import CatalogueSource
from prodseek.catalogue.parquet_columns import parquet_columns
from prodseek.catalogue.parquet_parts import ParquetPart, parts_of
from prodseek.catalogue.text_manifest import text_columns
from prodseek.catalogue.text_rows import TextBlock, TextTable, read_block
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError


@dataclass(frozen=True)
class Manifest:
    """A manifest that was looked into. texts: how its files are written, if they are text. schema: of Parquet the columns to
    read, in types that every reader knows; of a struct only the fields that are needed."""

    source: CatalogueSource
    columns: Columns
    texts: tuple[TextTable, ...] = ()
    parts: tuple[ParquetPart, ...] = ()
    schema: pa.Schema | None = None

    def lines(self) -> list[str]:
        """What was found, for a person, before anything is read."""
        if not self.texts:
            n_files = f"{len(self.parts):,} Parquet files" if len(self.parts) > 1 else "Parquet"
            return [f"{self.source.uri}: {n_files}", *self.columns.lines()]
        table = self.texts[0]
        read_as = table.dialect.describe(len(table.columns), table.is_json)
        n_files = f"{len(self.texts):,} files, the first as " if len(self.texts) > 1 else ""
        notes = dict.fromkeys(note for each in self.texts for note in each.dialect.notes())
        return [f"{self.source.uri}: {n_files}{read_as}", *notes, *self.columns.lines()]


def read_manifest(source: CatalogueSource, config: CatalogConfig) -> Manifest:
    """Look into a manifest. Raises CatalogueError, with what was read and what to set, for one that cannot be used."""
    if config.bytes_column and source.kind != "parquet":
        raise CatalogueError(
            f"the catalogue {source.uri!r} is no Parquet manifest, and only that can hold photos; set catalog.bytes_column "
            f"= {config.bytes_column!r} to null: --set catalog.bytes_column=null"
        )
    if source.kind == "parquet":
        parts = tuple(parts_of(source.uri))
        columns, schema = parquet_columns(source, parts, config)
        return Manifest(source, columns, parts=parts, schema=schema)
    tables, columns = text_columns(source, config)
    return Manifest(source, columns, tables)


def refuse_without_rows(manifest: Manifest) -> None:
    """Raise CatalogueError for a manifest without any row, understood or not."""
    has_rows = any(parquet_table.n_rows_of([part]) for part in manifest.parts) or any(
        some.rows for table in manifest.texts for some in read_block(table, TextBlock(table.dialect.start_bytes, None))
    )
    if not has_rows:
        raise CatalogueError(f"the catalogue {manifest.source.uri!r} has no rows; there is nothing to do")
