"""Labels that people gave: of photos, and of pairs of photos that are copies."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def _rows(uri: str, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        text = files.read_bytes(uri).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{uri} cannot be read as a CSV file in UTF-8: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = list(reader.fieldnames or ())
    missing = [name for name in needed if name not in columns]
    if missing:
        raise CatalogueError(f"{uri} has no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}")
    return list(reader)
