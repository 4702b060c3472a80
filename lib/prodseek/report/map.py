"""The map's data: places and colours of all objects, packed as base64."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from prodseek.report.records import Map, MapColumn

_NONE = 0xFFFFFFFF
_LARGEST = 65535


def map_data(places: NDArray[np.float32], columns: list[MapColumn]) -> Map:
    """The data of the map. places: (N, 2) float32, x y of each object, in the order of their numbers."""
    if not len(places):
        return Map(x="", y="", columns=columns)
    low = places.min(axis=0)
    scale = _LARGEST / max(float((places.max(axis=0) - low).max()), 1e-9)
    whole = np.rint((places - low) * scale).astype("<u2")
    return Map(x=_packed(whole[:, 0]), y=_packed(whole[:, 1]), columns=columns)


def group_column(name: str, label: str, titles: Sequence[str], place: NDArray[np.int64]) -> MapColumn:
    """A column of groups. titles: in the order of the galleries. place: (N,) int64, index into titles, -1 for none."""
    values = np.where(place < 0, _NONE, place).astype("<u4")
    return MapColumn(name=name, label=label, names=list(titles), colours=[], values=_packed(values))


def value_column(
    name: str, label: str, values: Sequence[str | None], colours: Mapping[str, tuple[int, int, int]] | None = None
) -> MapColumn:
    """A column of an attribute. values: of each object, None if not known. colours: value -> RGB, 0..255 each; or None."""
    counts = Counter(value for value in values if value)
    names = sorted(counts, key=lambda value: (-counts[value], value))
    place = {value: number for number, value in enumerate(names)}
    numbers = np.array([place[value] if value else _NONE for value in values], "<u4")
    css = ["rgb({} {} {})".format(*colours[value]) for value in names] if colours else []
    return MapColumn(name=name, label=label, names=names, colours=css, values=_packed(numbers))


def _packed(values: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
