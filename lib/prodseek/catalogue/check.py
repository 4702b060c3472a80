"""The command `prodseek check`: how a catalogue is read, its first rows, what becomes of a sample of them, what to set."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import rich.console
import yaml
from rich.markup import escape
from rich.table import Table

from prodseek.catalogue.columns import is_row
from prodseek.catalogue.feed_rows import FeedRow, rows_of_products
from prodseek.catalogue.folder import list_photos, passed_over_in_words
from prodseek.catalogue.json_rows import as_text, named, values_at
from prodseek.catalogue.manifest_reading import Manifest, read_manifest, refuse_without_rows
from prodseek.catalogue.manifests import IMAGE_SUFFIXES, CatalogueSource, find_catalogue, product_of
from prodseek.catalogue.parquet_table import ParquetShare, parts_of, read_share, schema_of
from prodseek.catalogue.photo_rows import REPEATED, Role, RowRules, without_photo_in_words
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.plain_types import text_type
from prodseek.catalogue.rows_here import read_to_its_end, row_batches
from prodseek.catalogue.text_manifest import text_tables
from prodseek.catalogue.text_rows import TextBlock, read_block
from prodseek.catalogue.web import web_address
from prodseek.config import Config
from prodseek.errors import CatalogueError, ConfigError
from prodseek.photos.decode import ImageRejected, RejectReason, decode_image
from prodseek.storage.read_ahead import map_ahead

_SHOWN_ROWS = 10
_SAMPLED_ROWS = 400
# After so long no more photos are tried.
_SECONDS = 8.0
# So long at most a manifest is read to its end, where that shows whether it is whole.
_READ_SECONDS = 5.0
_READ_THREADS = 8
_ENOUGH_SIDE_PX = 256
_LOG_WIDTH = 160
_SHOWN_CHARS = 60
# What columns of ids are called, first of all.
_ID_NAME = re.compile(r"(^|[^a-z])(id|sku|handle|nr|no|code|number|reference)$|[a-z](Id|ID|Nr)$", re.IGNORECASE)
GOOD = "image"


@dataclass(frozen=True)
class CheckedRow:
    """A row of a catalogue, and what becomes of it: GOOD, or the reason for which a night would reject it."""

    product_id: str | None
    uri: str | None
    attributes: Mapping[str, str]
    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class Checked:
    """What was found of a catalogue. lines: how it is read. settings: what would help, as options of a command."""

    uri: str
    lines: list[str]
    rows: list[CheckedRow]
    settings: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of the sample by outcome, the most frequent first."""
        return dict(Counter(row.outcome for row in self.rows).most_common())


def check_catalogue(config: Config, options: Sequence[str] = ()) -> Checked:
    """Look into a catalogue and try the photos of its first rows. Raises CatalogueError, with what to set, and ConfigError.

    options: those that the command was given, for the one to type next.
    """
    if config.catalog.uri is None:
        raise ConfigError("name a catalogue: prodseek check CATALOG")
    source = find_catalogue(config.catalog.uri)
    photos = PhotoSource.of(config, source.base_uri, config.store.root)
    if source.kind == "folder" and config.catalog.bytes_column is None:
        catalog = config.catalog
        listing = list_photos(source, catalog.allowed_roots, catalog.exclude, catalog.any_ending)
        uris = listing.uris
        if not uris:
            raise CatalogueError(f"the folder {source.uri!r} has no photos (files ending in .jpg, .png, .webp ...)")
        lines = [f"{source.uri}: a folder of {len(uris):,} photos"]
        if listing.passed_over:
            counts = {why.value: n for why, n in listing.passed_over.items()}
            lines.append(f"passed over in the folder: {passed_over_in_words(counts)}")
        step = -(-len(uris) // _SAMPLED_ROWS)
        rows: Iterator[CheckedRow] = (
            CheckedRow(product_of(uri, config.catalog.product_id_from), uri, {}, "") for uri in uris[::step]
        )
    else:
        try:
            manifest = read_manifest(source, config.catalog)
        except CatalogueError as error:
            raise _with_values(error, source, config, options) from error
        refuse_without_rows(manifest)
        lines = manifest.lines()
        rules = RowRules.of(manifest.columns, config.catalog, source.base_uri)
        first, n_without = _first_rows(manifest, rules)
        rows = _as_checked(first, rules)
        told = read_to_its_end(manifest, _READ_SECONDS)
        lines += [told] if told else []
        if n_without:
            lines.append(f"among the first rows {without_photo_in_words(n_without)}")
    tried = _tried(list(islice(rows, _SAMPLED_ROWS)), photos, config.catalog.bytes_column is not None)
    return Checked(source.uri, lines, tried, _settings(tried, config))


def show_check(checked: Checked, options: Sequence[str]) -> None:
    """Print it. options: those that the command was given, for the one to type next."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    for line in checked.lines:
        console.print(escape(line), soft_wrap=True)
    table = Table("product", "photo", "attributes", "what becomes of it", box=None, header_style="bold")
    for row in checked.rows[:_SHOWN_ROWS]:
        told = ", ".join(f"{name}: {value}" for name, value in row.attributes.items())
        outcome = row.outcome + (f": {row.detail}" if row.detail else "")
        table.add_row(*(escape(_short(text)) for text in (row.product_id or "", row.uri or "", told)), escape(outcome))
    console.print(table)
    counted = ", ".join(f"{n:,} {outcome}" for outcome, n in checked.counts.items())
    console.print(f"of the first {len(checked.rows):,} rows: {escape(counted)}", soft_wrap=True)
    settings = [part for setting in checked.settings for part in ("--set", setting)]
    command = shlex.join(["prodseek", "run", "--catalog", checked.uri, *options, *settings])
    console.print(f"{'this would help' if settings else 'start it with'}: {escape(command)}", soft_wrap=True)
    if any(setting.startswith("catalog.allowed_roots=") for setting in settings):
        console.print("allow places only if you trust who wrote the manifest: photos are read from there")


def _as_checked(rows: Iterable[FeedRow], rules: RowRules) -> Iterator[CheckedRow]:
    """The rows that a night would have, with the reason of those that it would reject whatever their photo holds."""
    seen: set[tuple[str | None, str | None]] = set()
    for row in rows:
        named = (row.product_id, row.uri)
        reason, detail = "", row.fault or ""
        if row.fault is not None:
            reason = RejectReason.INVALID_ROW.value
        elif rules.columns.photo is None:  # copies of held photos are known by what they hold
            if named in seen:
                reason, detail = RejectReason.DUPLICATE_ROW.value, REPEATED
            seen.add(named)
        yield CheckedRow(*named, row.attributes, reason, detail)


def _first_rows(manifest: Manifest, rules: RowRules) -> tuple[list[FeedRow], int]:
    """The first rows that a night would have, and how many between them have no photo."""
    rows: list[FeedRow] = []
    n_without = n_named = 0
    for row in (row for batch in row_batches(manifest, rules) for row in batch.to_pylist()):
        rows.append(FeedRow(row["product_id"], row["uri"], dict(row["attributes"]), row["fault"], row["role"]))
        n_without += row["role"] == Role.NO_PHOTO
        n_named += row["role"] != Role.NO_PHOTO
        if n_named == _SAMPLED_ROWS:
            break
    columns = rules.columns
    return (rows_of_products(rows, columns.product_facts) if columns.has_other_rows else rows), n_without


def _tried(rows: Sequence[CheckedRow], photos: PhotoSource, are_held: bool) -> list[CheckedRow]:
    """The rows, each with what its photo gives, as far as there is time; the photos that a manifest holds are not tried."""
    ends = time.monotonic() + _SECONDS

    def tried(row: CheckedRow) -> CheckedRow | None:
        if row.outcome:
            return row
        if are_held:
            return CheckedRow(row.product_id, row.uri, row.attributes, "photo in the manifest")
        if time.monotonic() > ends or row.uri is None:
            return None
        try:
            decode_image(photos.read(row.uri), photos.limits, _ENOUGH_SIDE_PX)
        except ImageRejected as rejected:
            return CheckedRow(row.product_id, row.uri, row.attributes, rejected.reason.value, rejected.detail)
        return CheckedRow(row.product_id, row.uri, row.attributes, GOOD)

    return [row for row in map_ahead(tried, rows, _READ_THREADS) if row is not None]


def _settings(rows: Sequence[CheckedRow], config: Config) -> list[str]:
    """Settings that would take in rows of the sample that are rejected."""
    found: list[str] = []
    rejected = [row for row in rows if row.outcome != GOOD and row.uri]
    separators = [mark for mark in "|;," if _parts_are_photos(rejected, mark)]
    if separators and not config.catalog.uri_separators:
        found.append(f"catalog.uri_separators={json.dumps(separators)}")
    addresses = [web_address(row.uri) for row in rejected if row.uri]
    hosts = sorted({urlsplit(address).hostname or "" for address in addresses if address} - {""})
    hosts = [host for host in hosts if host not in config.catalog.http_hosts]
    if hosts:
        found.append(f"catalog.http_hosts={_as_yaml([*config.catalog.http_hosts, *hosts])}")
    outside = [
        row.uri for row in rejected if row.outcome == RejectReason.NOT_ALLOWED and row.uri and not web_address(row.uri)
    ]
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


def _parts_are_photos(rows: Sequence[CheckedRow], mark: str) -> bool:
    """Whether names divided at a mark are names of photos each."""
    cells = [row.uri.split(mark) for row in rows if row.uri and mark in row.uri]
    return any(sum(_is_photo(part) for part in parts if part.strip()) > 1 for parts in cells)


def _is_photo(name: str) -> bool:
    return name.strip().lower().partition("?")[0].endswith(IMAGE_SUFFIXES)


def _with_values(
    error: CatalogueError, source: CatalogueSource, config: Config, given: Sequence[str]
) -> CatalogueError:
    """The error, with what is in the columns and which of them seem to be meant."""
    try:
        rows = list(islice(_plain_rows(source, config), _SAMPLED_ROWS))
    except CatalogueError:
        return error
    names = list(dict.fromkeys(name for row in rows for name in row if name))
    examples = {name: next((str(row[name]) for row in rows if row.get(name)), "") for name in names}
    photo = [
        name
        for name in names
        if _share(rows, name, lambda value: _is_photo(value) or web_address(value) is not None) > 0.5
    ]
    own = [name for name in names if name not in photo]
    ids = [name for name in own if _ID_NAME.search(name) and any(row.get(name) for row in rows)]
    ids += [name for name in own if len({str(row.get(name)) for row in rows}) > 0.5 * len(rows)]
    told = "".join(f"\n  {name}: {_short(example)!r}" for name, example in list(examples.items())[:40])
    if is_row(names):
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
    options = [part for setting in helps for part in ("--set", setting)]
    again = f"\nthis may help: {shlex.join(['prodseek', 'check', source.uri, *given, *options])}" if options else ""
    return CatalogueError(f"{error}\nits columns, each with a value:{told}{again}")


def _share(rows: Sequence[Mapping[str, Any]], name: str, is_so: Callable[[str], bool]) -> float:
    values = [str(row[name]) for row in rows if row.get(name)]
    return sum(map(is_so, values)) / len(values) if values else 0.0


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


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 4] + " ..."
