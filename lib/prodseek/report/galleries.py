"""Groups of look-alikes as galleries: the order in which objects are shown, and the description of each group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodseek.report.records import FacetGroups, OddCategory, RetiredGroup, ShownGroup
from prodseek.runs.class_words import class_words
from prodseek.runs.columns import COARSE, FINE

NONE = -1
# If several things happened to a group, the first of these is reported.
_TELLING = ("merged", "split", "born", "grown", "shrunk", "continued")


class SummaryRow(TypedDict):
    """A row of `curation_summary`."""

    facet: str
    level: str
    group_id: str
    coarse_group_id: str | None
    title: str
    title_from: str
    n_regions: int
    n_products: int
    cohesion: float
    separation: float
    category: str | None
    category_share: float | None
    dominant_class: str | None
    dominant_colour: str | None
    exemplar_ids: list[int]


class LineageRow(TypedDict):
    """A row of `group_lineage`. group_id: None for a retired group. previous_group_id: None for a group that was born."""

    facet: str
    level: str
    event: str
    group_id: str | None
    previous_group_id: str | None


@dataclass(frozen=True)
class GroupHistory:
    """What happened to the last night's groups. previous_titles: group_id -> its title then."""

    lineage: Sequence[LineageRow]
    previous_titles: Mapping[str, str]

    def of_facet(self, facet: str) -> GroupHistory:
        """The history of the groups of one facet."""
        return replace(self, lineage=[row for row in self.lineage if row["facet"] == facet])


@dataclass(frozen=True)
class RegionCounts:
    """Numbers of regions of a facet. n_regions: all regions. n_ungrouped: those in no fine group.

    asked: of how many products the category could be asked, in words; empty where that is not known.
    """

    n_regions: int
    n_ungrouped: int
    asked: str = ""


def rows_of_facet(summary: Iterable[SummaryRow], facet: str) -> list[SummaryRow]:
    """Rows of `curation_summary` of one facet."""
    return [row for row in summary if row["facet"] == facet]


def largest_first(summary: Iterable[SummaryRow], level: str) -> list[SummaryRow]:
    """Rows of `curation_summary` of one level, the largest group first."""
    return sorted(
        (row for row in summary if row["level"] == level), key=lambda row: (-row["n_regions"], row["group_id"])
    )


def places(group_ids: pa.ChunkedArray | pa.Array, order: Sequence[SummaryRow]) -> NDArray[np.int64]:
    """The index of each group in `order`, (N,) int64; NONE for null and for groups that are not in it."""
    names = pa.array([row["group_id"] for row in order], pa.string())
    found = pa.compute.index_in(group_ids, names)
    return np.asarray(found.fill_null(NONE), np.int64)


def gallery_order(members: pa.Table, coarse: NDArray[np.int64], fine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows in the order in which objects are numbered, (N,): group by group, exemplars first, then the firmest; odd ones last.

    members: N rows with detection_id, is_exemplar, membership, outlier_score. coarse, fine: (N,) int64, places of their groups.
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
    facet: str, summary: Sequence[SummaryRow], members: pa.Table, history: GroupHistory | None, counts: RegionCounts
) -> FacetGroups:
    """The galleries of one facet.

    summary: the facet's rows. members: the objects shown, with number, detection_id, group_id, coarse_group_id, outlier_score,
    is_exemplar, membership and the columns of `odd_category_of`. history: of the facet; None if there is no last night.
    """
    fine_order, coarse_order = largest_first(summary, FINE), largest_first(summary, COARSE)
    fine, coarse = places(members["group_id"], fine_order), places(members["coarse_group_id"], coarse_order)
    numbers = members["number"].to_numpy()
    number_of = dict(zip(members["detection_id"].to_pylist(), numbers.tolist(), strict=True))
    of_fine = _by_place(fine, numbers)
    of_coarse = _by_place(np.where(fine == NONE, coarse, NONE), numbers)
    titles_before = {} if history is None else history.previous_titles
    parents = {row["group_id"]: place for place, row in enumerate(coarse_order)}
    changes: dict[str, list[LineageRow]] = defaultdict(list)
    retired = []
    for change in [] if history is None else history.lineage:
        group_id, previous_id = change["group_id"], change["previous_group_id"] or ""
        if group_id is not None:
            changes[group_id].append(change)
        else:
            title = titles_before.get(previous_id, previous_id)
            retired.append(RetiredGroup(group_id=previous_id, title=title, level=change["level"]))

    def shown(row: SummaryRow, members: list[int]) -> ShownGroup:
        exemplars = [number_of[one] for one in row["exemplar_ids"] if one in number_of]
        event, previous_ids = _event(changes[row["group_id"]], row["group_id"])
        return ShownGroup(
            group_id=row["group_id"],
            title=row["title"],
            title_from=row["title_from"],
            n_regions=row["n_regions"],
            n_products=row["n_products"],
            cohesion=round(row["cohesion"], 4),
            separation=round(row["separation"], 4),
            category=row["category"] or "",
            category_share=round(row["category_share"] or 0.0, 4),
            class_name=class_words(row["dominant_class"]),
            colour=row["dominant_colour"] or "",
            parent=parents.get(row["coarse_group_id"] or "", NONE),
            n_exemplars=len(exemplars),
            members=exemplars + [number for number in members if number not in set(exemplars)],
            event=event,
            previous_titles=[titles_before[name] for name in previous_ids if name in titles_before],
        )

    odd = np.flatnonzero(fine == NONE)
    odd = odd[np.lexsort((numbers[odd], -members["outlier_score"].to_numpy()[odd]))]
    misplaced = np.flatnonzero(members["odd_category"].is_valid().to_numpy())
    misplaced = misplaced[np.lexsort((numbers[misplaced], -members["membership"].to_numpy()[misplaced]))]
    return FacetGroups(
        facet=facet,
        n_regions=counts.n_regions,
        n_ungrouped=counts.n_ungrouped,
        coarse=[shown(row, of_coarse[place]) for place, row in enumerate(coarse_order)],
        fine=[shown(row, of_fine[place]) for place, row in enumerate(fine_order)],
        odd=numbers[odd].tolist(),
        odd_category=list(
            zip(
                numbers[misplaced].tolist(),
                fine[misplaced].tolist(),
                [of for row in members.take(misplaced).to_pylist() if (of := odd_category_of(row))],
                strict=True,
            )
        ),
        asked=counts.asked,
        retired=sorted(retired, key=lambda one: (one["level"], one["title"], one["group_id"])),
    )


def odd_category_of(row: Mapping[str, Any]) -> OddCategory | None:
    """What a row of `curation_groups` says of its category; None where it is not odd."""
    if row["odd_category"] is None:
        return None
    return OddCategory(
        filed_as=row["filed_category"],
        like=row["odd_category"],
        n_like=row["odd_neighbours"],
        n_asked=row["asked_neighbours"],
    )


def _event(changes: Sequence[LineageRow], group_id: str) -> tuple[str, list[str]]:
    """The event to report for a group, empty if there is none, and the ids of the previous groups that it came from."""
    events = {row["event"] for row in changes}
    event = next((one for one in _TELLING if one in events), "")
    others = [row["previous_group_id"] for row in changes if row["event"] == event]
    return event, sorted(name for name in others if name and name != group_id)


def _by_place(place: NDArray[np.int64], numbers: NDArray[np.int64]) -> dict[int, list[int]]:
    """Place -> the numbers at that place, lowest first."""
    order = np.lexsort((numbers, place))
    found: dict[int, list[int]] = defaultdict(list)
    starts = np.flatnonzero(np.diff(place[order], prepend=NONE - 1))
    for part in np.split(order, starts[1:]) if len(order) else []:
        found[int(place[part[0]])] = numbers[part].tolist()
    return found
