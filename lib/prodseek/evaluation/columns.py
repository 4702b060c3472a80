"""How well groups agree with the catalogue's own columns, and what looks like another category."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prodseek.runs.columns import FINE, GROUP_COLUMNS, ODD_COLUMNS, VISUAL
from prodseek.runs.store import Run, read_columns

# A column looks like a label if at least this share of the photos has a value, no value is a text, and a value stands for
# several photos on average.
_FILLED = 0.5
_LONGEST = 60
_PHOTOS_A_VALUE = 3
# So many odd photos are named.
_MOST_ODD = 200


@dataclass(frozen=True)
class ColumnPurity:
    """How pure groups are by a column. photos: that have a value. values: distinct ones.

    purity: level -> share of the photos in groups that have the most frequent value of their group, 0..1. by_chance: share of
    the most frequent value of all, which one group of everything would have.
    """

    photos: int
    values: int
    purity: dict[str, float]
    by_chance: float


@dataclass(frozen=True)
class OddPhoto:
    """A photo that looks like another category. group: its title, empty where it is in none.

    odd_category: of odd_neighbours of its asked_neighbours.
    """

    uri: str
    product_id: str
    group: str
    odd_category: str
    filed_category: str
    odd_neighbours: int
    asked_neighbours: int
    membership: float


@dataclass(frozen=True)
class OddPhotos:
    """n_photos: that look like another category. firmest: the firmest members among them, at most _MOST_ODD."""

    n_photos: int
    firmest: tuple[OddPhoto, ...]


def looks_like_label(values: Sequence[str | None]) -> bool:
    """Whether a column's values, one a photo, are labels: at least two, each of several photos, none of them a text."""
    filled = [value for value in values if value]
    distinct = set(filled)
    return (
        len(distinct) > 1
        and len(filled) >= _FILLED * len(values)
        and len(filled) >= _PHOTOS_A_VALUE * len(distinct)
        and max(map(len, distinct)) <= _LONGEST
    )


def purity(groups: Sequence[str | None], values: Sequence[str | None]) -> float:
    """Share of the photos in groups, with a value, that have the most frequent value of their group; 0 without any."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, value in zip(groups, values, strict=True):
        if group is not None and value:
            counts[group][value] += 1
    n = sum(one.total() for one in counts.values())
    return sum(max(one.values()) for one in counts.values()) / n if n else 0.0


def column_purities(run: Run) -> dict[str, ColumnPurity]:
    """Of every column of the catalogue that looks like a label, the purest first."""
    images = read_columns(run, "images", ["image_id", "attributes"]).to_pylist()
    attributes: dict[str, dict[str, str]] = {row["image_id"]: dict(row["attributes"]) for row in images}
    regions = read_columns(run, "detections", ["image_id", "detection_id"], pc.field("is_primary"))
    grouped = read_columns(
        run, "curation_groups", ["detection_id", *GROUP_COLUMNS.values()], pc.field("facet") == VISUAL
    )
    rows = grouped.join(regions, "detection_id", join_type="inner").to_pylist()
    found = {}
    for name in sorted({name for values in attributes.values() for name in values}):
        values = [attributes.get(row["image_id"], {}).get(name) for row in rows]
        if looks_like_label(values):
            counts = Counter(value for value in values if value)
            shares = {level: purity([row[column] for row in rows], values) for level, column in GROUP_COLUMNS.items()}
            found[name] = ColumnPurity(counts.total(), len(counts), shares, max(counts.values()) / counts.total())
    return dict(sorted(found.items(), key=lambda item: (-item[1].purity[FINE], item[0])))


def odd_photos(run: Run) -> OddPhotos:
    """The photos that look like another category: the column `odd_category`."""
    odd = pc.field("odd_category").is_valid() & (pc.field("facet") == VISUAL)
    rows = read_columns(run, "curation_groups", ["detection_id", "group_id", *ODD_COLUMNS, "membership"], odd)
    if rows.num_rows == 0:
        return OddPhotos(0, ())
    titles = _mapping(read_columns(run, "curation_summary", ["group_id", "title"]), "group_id", "title")
    region = pc.field("detection_id").isin(rows.column("detection_id").combine_chunks())
    images = _mapping(read_columns(run, "detections", ["detection_id", "image_id"], region), "detection_id", "image_id")
    where = pc.field("image_id").isin(list(images.values()))
    photos = {
        row["image_id"]: row
        for row in read_columns(run, "images", ["image_id", "uri", "product_id"], where).sort_by("uri").to_pylist()
    }
    firmest = sorted(rows.to_pylist(), key=lambda row: (-row["membership"], row["detection_id"]))[:_MOST_ODD]
    named = []
    for row in firmest:
        photo = photos[images[row["detection_id"]]]
        named.append(
            OddPhoto(
                photo["uri"],
                photo["product_id"],
                titles.get(row["group_id"], ""),
                row["odd_category"],
                row["filed_category"],
                row["odd_neighbours"],
                row["asked_neighbours"],
                round(row["membership"], 3),
            )
        )
    return OddPhotos(rows.num_rows, tuple(named))


def _mapping(table: pa.Table, key: str, value: str) -> Mapping[Any, str]:
    return dict(zip(table.column(key).to_pylist(), table.column(value).to_pylist(), strict=True))
