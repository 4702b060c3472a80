"""The command `prodseek check`: how a catalogue is read, its first rows, what becomes of a sample of them, what to set."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import rich.console
from rich.markup import escape
from rich.table import Table

from prodseek.catalogue.column_names import listed
from prodseek.catalogue.feed_rows import FeedRow, rows_of_products
from prodseek.catalogue.folder import list_photos, passed_over_in_words
from prodseek.catalogue.manifest_reading import Manifest, read_manifest, refuse_without_rows
from prodseek.catalogue.manifests import find_catalogue, product_of
from prodseek.catalogue.near_names import found_otherwise_in_words
from prodseek.catalogue.photo_rows import REPEATED, Role, RowRules, without_photo_in_words
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.rows_here import read_to_its_end, row_batches
from prodseek.catalogue.what_to_set import SAMPLED_ROWS, settings_for, shortened, with_values
from prodseek.config import Config
from prodseek.errors import CatalogueError, ConfigError
from prodseek.photos.decode import ImageRejected, RejectReason, decode_image
from prodseek.storage.read_ahead import map_ahead

_SHOWN_ROWS = 10
# After so long no more photos are tried.
_SECONDS = 8.0
# So long at most a manifest is read to its end, where that shows whether it is whole.
_READ_SECONDS = 5.0
_READ_THREADS = 8
_ENOUGH_SIDE_PX = 256
_LOG_WIDTH = 160
GOOD = "image"


@dataclass(frozen=True)
class CheckedRow:
    """A row of a catalogue, and what becomes of it: GOOD, or the reason for which a night would reject it.

    spelling: in what its name differs from the file's.
    """

    product_id: str | None
    uri: str | None
    attributes: Mapping[str, str]
    outcome: str
    detail: str = ""
    spelling: str | None = None


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

    @property
    def found_otherwise(self) -> dict[str, int]:
        """Photos by how the catalogue's name of them differs from the file's; one that many rows name counts once."""
        named = {row.uri: row.spelling for row in self.rows if row.spelling is not None}
        return dict(sorted(Counter(named.values()).items()))

    @property
    def missing(self) -> list[str]:
        """Names of photos that are not there."""
        return list(dict.fromkeys(row.uri for row in self.rows if row.outcome == RejectReason.MISSING and row.uri))


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
        step = -(-len(uris) // SAMPLED_ROWS)
        rows: Iterator[CheckedRow] = (
            CheckedRow(product_of(uri, config.catalog.product_id_from), uri, {}, "") for uri in uris[::step]
        )
    else:
        try:
            manifest = read_manifest(source, config.catalog)
        except CatalogueError as error:
            raise with_values(error, source, config, options) from error
        refuse_without_rows(manifest)
        lines = manifest.lines()
        rules = RowRules.of(manifest.columns, config.catalog, source.base_uri)
        first, n_without = _first_rows(manifest, rules)
        rows = _as_checked(first, rules)
        told = read_to_its_end(manifest, _READ_SECONDS)
        lines += [told] if told else []
        if n_without:
            lines.append(f"among the first rows {without_photo_in_words(n_without)}")
    tried = _tried(list(islice(rows, SAMPLED_ROWS)), photos, config.catalog.bytes_column is not None)
    return Checked(
        source.uri,
        lines,
        tried,
        settings_for([(row.uri, row.outcome) for row in tried if row.outcome != GOOD and row.uri], config),
    )


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
        table.add_row(
            *(escape(shortened(text)) for text in (row.product_id or "", row.uri or "", told)), escape(outcome)
        )
    console.print(table)
    counted = ", ".join(f"{n:,} {outcome}" for outcome, n in checked.counts.items())
    console.print(f"of the first {len(checked.rows):,} rows: {escape(counted)}", soft_wrap=True)
    if checked.found_otherwise:
        console.print(found_otherwise_in_words(checked.found_otherwise), soft_wrap=True)
    if len(checked.rows) > _SHOWN_ROWS and checked.missing:
        console.print(f"missing: {escape(listed(checked.missing))}", soft_wrap=True)
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
        if n_named == SAMPLED_ROWS:
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
        spelling = None
        try:
            found = photos.read_near(row.uri)
            spelling = found.spelling
            decode_image(found.data, photos.limits, _ENOUGH_SIDE_PX)
        except ImageRejected as rejected:
            return CheckedRow(row.product_id, row.uri, row.attributes, rejected.reason.value, rejected.detail, spelling)
        return CheckedRow(row.product_id, row.uri, row.attributes, GOOD, "", spelling)

    return [row for row in map_ahead(tried, rows, _READ_THREADS) if row is not None]
