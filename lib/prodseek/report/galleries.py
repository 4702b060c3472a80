"""Groups of look-alikes as galleries: objects in the order in which groups show them, and what each group is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodseek.report.records import FacetGroups, RetiredGroup, ShownGroup
from prodseek.runs.columns import COARSE, FINE

NONE = -1
# What is told of a group that several things happened to.
_TELLING = ("merged", "split", "born", "grown", "shrunk", "continued")


def largest_first(summary: Iterable[Mapping[str, Any]], level: str) -> list[Mapping[str, Any]]:
    """Rows of `curation_summary` of one level, the largest group first."""
    return sorted(
        (row for row in summary if row["level"] == level), key=lambda row: (-row["n_regions"], row["group_id"])
    )


def places(group_ids: pa.ChunkedArray | pa.Array, order: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Where each group stands in `order`, (N,); NONE for null and for groups that are not in it."""
    names = pa.array([row["group_id"] for row in order], pa.string())
    found = pa.compute.index_in(group_ids, names)
    return np.asarray(found.fill_null(NONE), np.int64)


def gallery_order(members: pa.Table, coarse: NDArray[np.int64], fine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows in the order in which they are numbered: group after group, exemplars first, then the firmest; the odd come last.

    members: N rows with detection_id, is_exemplar, membership, outlier_score. coarse, fine: (N,) places of their groups.
    """
    last = np.iinfo(np.int64).max
    return np.lexsort(
        (
            members["detection_id"].to_numpy(),
            -members["outlier_score"].to_numpy(),
            -members["membership"].to_numpy(),
            ~members["is_exemplar"].to_numpy(),
            np.where(fine == NONE, last, fine),
            np.where(coarse == NONE, last, coarse),
        )
    )


def facet_groups(
    facet: str,
    summary: Sequence[Mapping[str, Any]],
    members: pa.Table,
    lineage: Iterable[Mapping[str, Any]],
    titles_before: Mapping[str, str] | None,
    n_regions: int,
    n_ungrouped: int,
) -> FacetGroups:
    """The galleries of one facet.

    summary, lineage: its rows of `curation_summary` and `group_lineage`. members: the objects shown, with number, detection_id,
    group_id, coarse_group_id, outlier_score, is_exemplar. titles_before: of the last run's groups; None when there is no last
    run. n_*: of the run.
    """
    fine_order, coarse_order = largest_first(summary, FINE), largest_first(summary, COARSE)
    fine, coarse = places(members["group_id"], fine_order), places(members["coarse_group_id"], coarse_order)
    numbers = members["number"].to_numpy()
    number_of = dict(zip(members["detection_id"].to_pylist(), numbers.tolist(), strict=True))
    of_fine = _by_place(fine, numbers)
    of_coarse = _by_place(np.where(fine == NONE, coarse, NONE), numbers)
    was_called = titles_before or {}
    parents = {row["group_id"]: place for place, row in enumerate(coarse_order)}
    changes: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    retired = []
    for row in lineage:
        if row["event"] == "retired":
            name = row["previous_group_id"]
            retired.append(RetiredGroup(group_id=name, title=was_called.get(name, name), level=row["level"]))
        else:
            changes[row["group_id"]].append(row)

    def shown(row: Mapping[str, Any], members: list[int]) -> ShownGroup:
        exemplars = [number_of[one] for one in row["exemplar_ids"] if one in number_of]
        is_first_run = titles_before is None
        event, before = ("", []) if is_first_run else _event(changes[row["group_id"]], row["group_id"])
        return ShownGroup(
            group_id=row["group_id"],
            title=row["title"],
            n_regions=row["n_regions"],
            n_products=row["n_products"],
            cohesion=round(row["cohesion"], 4),
            separation=round(row["separation"], 4),
            category=row["category"] or "",
            category_share=round(row["category_share"] or 0.0, 4),
            class_name=row["dominant_class"] or "",
            colour=row["dominant_colour"] or "",
            parent=parents.get(row["coarse_group_id"], NONE),
            n_exemplars=len(exemplars),
            members=exemplars + [number for number in members if number not in set(exemplars)],
            event=event,
            previous_titles=[was_called[name] for name in before if name in was_called],
        )

    odd = np.flatnonzero(fine == NONE)
    odd = odd[np.lexsort((numbers[odd], -members["outlier_score"].to_numpy()[odd]))]
    return FacetGroups(
        facet=facet,
        n_regions=n_regions,
        n_ungrouped=n_ungrouped,
        coarse=[shown(row, of_coarse[place]) for place, row in enumerate(coarse_order)],
        fine=[shown(row, of_fine[place]) for place, row in enumerate(fine_order)],
        odd=numbers[odd].tolist(),
        retired=sorted(retired, key=lambda one: (one["level"], one["title"], one["group_id"])),
    )


def _event(changes: Sequence[Mapping[str, Any]], group_id: str) -> tuple[str, list[str]]:
    """What is told of a group, and which other groups it was."""
    events = {row["event"] for row in changes}
    event = next((one for one in _TELLING if one in events), "")
    others = [row["previous_group_id"] for row in changes if row["event"] == event]
    return event, sorted(name for name in others if name and name != group_id)


def _by_place(place: NDArray[np.int64], numbers: NDArray[np.int64]) -> dict[int, list[int]]:
    """The numbers at each place, lowest first."""
    order = np.lexsort((numbers, place))
    found: dict[int, list[int]] = defaultdict(list)
    starts = np.flatnonzero(np.diff(place[order], prepend=NONE - 1))
    for part in np.split(order, starts[1:]) if len(order) else []:
        found[int(place[part[0]])] = numbers[part].tolist()
    return found
