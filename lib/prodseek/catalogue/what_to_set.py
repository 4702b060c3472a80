"""What would help where a catalogue cannot be read, or where its photos are rejected, ready to be typed."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import yaml

from prodseek.catalogue.column_names import is_row
from prodseek.catalogue.foreign_formats import list_of_products
from prodseek.catalogue.json_rows import as_text, is_in_list, is_object, named, values_at
from prodseek.catalogue.manifests import IMAGE_SUFFIXES, CatalogueSource
from prodseek.catalogue.parquet_parts import parts_of
from prodseek.catalogue.parquet_table import ParquetShare, read_share, schema_of
from prodseek.catalogue.plain_types import text_type
from prodseek.catalogue.text_manifest import text_tables
from prodseek.catalogue.text_rows import TextBlock, read_block
from prodseek.catalogue.web import web_address
from prodseek.config import Config
from prodseek.errors import CatalogueError
from prodseek.photos.decode import RejectReason

# So many rows are looked at.
SAMPLED_ROWS = 400
_SHOWN_CHARS = 60
# What columns of ids are called, first of all.
_ID_NAME = re.compile(r"(^|[^a-z])(id|sku|handle|nr|no|code|number|reference)$|[a-z](Id|ID|Nr)$", re.IGNORECASE)


def settings_for(rejected: Sequence[tuple[str, str]], config: Config) -> list[str]:
    """Settings that would take in photos of the sample that are rejected: (their name, the reason)."""
    found: list[str] = []
    uris = [uri for uri, _ in rejected]
    separators = [mark for mark in "|;," if _parts_are_photos(uris, mark)]
    if separators and not config.catalog.uri_separators:
        found.append(f"catalog.uri_separators={json.dumps(separators)}")
    addresses = [web_address(uri) for uri in uris]
    hosts = sorted({urlsplit(address).hostname or "" for address in addresses if address} - {""})
    hosts = [host for host in hosts if host not in config.catalog.http_hosts]
    if hosts:
        found.append(f"catalog.http_hosts={_as_yaml([*config.catalog.http_hosts, *hosts])}")
    outside = [uri for uri, why in rejected if why == RejectReason.NOT_ALLOWED and not web_address(uri)]
    folders = sorted(
        {re.sub("^/+", "/", posixpath.dirname(uri)) for uri in outside if uri.startswith("/") or "://" in uri}
        - {"", "/"}
    )
    if folders:
        if len(folders) > 1 and all(folder.startswith("/") for folder in folders):
            folders = [os.path.commonpath(folders)]
        if folders != ["/"]:
            found.append(f"catalog.allowed_roots={_as_yaml([*config.catalog.allowed_roots, *folders])}")
    return found


def _as_yaml(value: str | list[str]) -> str:
    """A value as `--set` reads it back, on one line: what YAML would take for a number, a comment or a mapping is quoted."""
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).removesuffix("...\n").strip()


def _parts_are_photos(uris: Sequence[str], mark: str) -> bool:
    """Whether names divided at a mark are names of photos each."""
    cells = [uri.split(mark) for uri in uris if mark in uri]
    return any(sum(_is_photo(part) for part in parts if part.strip()) > 1 for parts in cells)


def _is_photo(name: str) -> bool:
    return name.strip().lower().partition("?")[0].endswith(IMAGE_SUFFIXES)


def with_values(error: CatalogueError, source: CatalogueSource, config: Config, given: Sequence[str]) -> CatalogueError:
    """The error, with what is in the columns and which of them seem to be meant. given: the options of the command."""
    try:
        rows = list(islice(_plain_rows(source, config), SAMPLED_ROWS))
    except CatalogueError:
        return error
    names = list(dict.fromkeys(name for row in rows for name in row if name))
    examples = {name: next((str(row[name]) for row in rows if row.get(name)), "") for name in names}
    photo = [
        name
        for name in names
        if _share(rows, name, lambda value: _is_photo(value) or web_address(value) is not None) > 0.5
    ]
    own = [name for name in names if name not in photo and not any(_is_nested(row, name) for row in rows)]
    ids = [name for name in own if _ID_NAME.search(name) and any(row.get(name) for row in rows)]
    ids += [name for name in own if len({str(row.get(name)) for row in rows}) > 0.5 * len(rows)]
    told = "".join(f"\n  {name}: {shortened(example)!r}" for name, example in list(examples.items())[:40])
    if list_of_products(rows) is not None and not any(map(_ID_NAME.search, own)):
        helps: list[str] = []  # the error says how to write them one a line
    elif is_row(names):
        called = {**dict.fromkeys(ids[:1], "product_id"), **dict.fromkeys(photo[:1], "uri")}
        helps = [f"catalog.csv_header={_as_yaml([called.get(name, f'c{n}') for n, name in enumerate(names, 1)])}"]
    else:
        helps = [
            *([f"catalog.uri_column={_as_yaml(photo[0])}"] if photo and photo[0] != config.catalog.uri_column else []),
            *(
                [f"catalog.product_id_column={_as_yaml(ids[0])}"]
                if ids and config.catalog.product_id_column not in names
                else []
            ),
        ]
    if photo and len(names) == 1 and config.catalog.product_id_column is not None:
        helps.append("catalog.product_id_column=null")
    options = [part for setting in helps for part in ("--set", setting)]
    again = f"\nthis may help: {shlex.join(['prodseek', 'check', source.uri, *given, *options])}" if options else ""
    return CatalogueError(f"{error}\nits columns, each with a value:{told}{again}")


def _share(rows: Sequence[Mapping[str, Any]], name: str, is_so: Callable[[str], bool]) -> float:
    values = [str(row[name]) for row in rows if row.get(name)]
    return sum(map(is_so, values)) / len(values) if values else 0.0


def _is_nested(row: Mapping[str, Any], name: str) -> bool:
    """Whether what a row holds under a name is no single value."""
    return isinstance(row.get(name), list) or is_object(row.get(name)) or is_in_list(row, name)


def _plain_rows(source: CatalogueSource, config: Config) -> Iterator[Mapping[str, Any]]:
    if source.kind == "parquet":
        parts = parts_of(source.uri)
        schema = schema_of(parts)
        texts = [(field.name, text_type(field.type)) for field in schema]
        for _, batch in read_share(ParquetShare(parts[0]), pa.schema([one for one in texts if one[1] is not None])):
            yield from batch.to_pylist()
        return
    tables, fields = text_tables(source, config.catalog)
    for table in tables:
        for found in read_block(table, TextBlock(table.dialect.start_bytes, None)):
            for row in (named(row, table.columns) for row in found.rows):
                inner = {field: values for field in fields if (values := values_at(row, field))}
                yield {**row, **{field: as_text(values[0]) for field, values in inner.items()}}


def shortened(text: str) -> str:
    """A value for a table, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 4] + " ..."
