"""Labels that people gave: of photos, and of pairs of photos that are copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prodseek.catalogue.column_names import match
from prodseek.catalogue.json_rows import named
from prodseek.catalogue.text_manifest import text_table
from prodseek.catalogue.text_rows import TextTable, blocks_of, read_block
from prodseek.config import load_config
from prodseek.errors import CatalogueError
from prodseek.storage import files

Pair = tuple[str, str]


@dataclass(frozen=True)
class LabelledPairs:
    """Copies that people know. verdicts: pair of photo URIs, the lower first -> verdict, empty if none was given."""

    verdicts: dict[Pair, str]


def read_labels(uri: str, uri_column: str, label_column: str) -> dict[str, str]:
    """Read labels from a CSV file: photo URI -> label. Rows without a label are left out. Raises CatalogueError."""
    rows = _rows(uri, [uri_column, label_column])
    labels = {row[uri_column]: row[label_column] for row in rows if row[label_column]}
    if not labels:
        raise CatalogueError(f"{uri}: no row has a {label_column}; name the column of the labels with --label-column")
    return labels


def read_pairs(uri: str) -> LabelledPairs:
    """Read labelled pairs from a CSV file with the columns uri_a, uri_b and, optionally, verdict. Raises CatalogueError."""
    rows = _rows(uri, ["uri_a", "uri_b"])
    return LabelledPairs({in_order(row["uri_a"], row["uri_b"]): row.get("verdict") or "" for row in rows})


def in_order(uri_a: str, uri_b: str) -> Pair:
    """A pair, the lower URI first."""
    return (uri_a, uri_b) if uri_a < uri_b else (uri_b, uri_a)


def matched(labels: dict[str, str], uris: Iterable[str], source: str) -> dict[str, str]:
    """The labels of photos that are in the run. Raises CatalogueError if none is."""
    known = set(uris)
    found = {uri: label for uri, label in labels.items() if uri in known}
    if not found:
        raise CatalogueError(
            f"{source}: none of its {len(labels)} photos is in the run. It names {_example(labels)}, the run "
            f"{_example(known)}; write the names as the run does"
        )
    return found


def _example(uris: Iterable[str]) -> str:
    return repr(min(uris, default="nothing"))


def has_column(uri: str, name: str) -> bool:
    """Whether a CSV file has a column, whatever its case and blanks. Raises CatalogueError for what is no table."""
    return match(name, _table(uri).columns) is not None


def _table(uri: str) -> TextTable:
    location = files.absolute(uri)
    return text_table(location, is_json=False, config=load_config().catalog)[0]


def _rows(uri: str, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file, in whatever dialect; names of columns as they are needed, whatever their case and blanks."""
    table = _table(uri)
    found = {name: match(name, table.columns) for name in needed}
    missing = [name for name, own in found.items() if own is None]
    if missing:
        raise CatalogueError(f"{uri} has no column {', '.join(missing)}; it has {', '.join(table.columns) or 'none'}")
    rows: list[dict[str, str]] = []
    for block in blocks_of(table):
        for some in read_block(table, block):
            for place, row in enumerate(some.rows):
                if place in some.faults or len(row) != len(table.columns):
                    fault = some.faults.get(place, f"has {len(row)} values, the header {len(table.columns)}")
                    raise CatalogueError(f"{uri}: row {some.first_row + place} {fault}; correct it")
                values = named(row, table.columns)
                rows.append({**values, **{name: values[own] for name, own in found.items() if own}})
    return rows
