"""The neighbour graph: vectors dealt to their cells, queries to the cells they probe, answers merged.

A *part* is a range of cells, or a share of one crowded cell, small enough for a task's memory. Where a part is asked
too much for one task, its vectors go to several *lanes*, each of which answers some of the queries. What is found
does not depend on where the cuts are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prodseek.index.ivf import Probes
from prodseek.index.probe import Found, flat_cells, nearest_in_cells, on_gpu
from prodseek.runs.ids import mixed


class Rows(NamedTuple):
    """Regions as the graph sees them, row by row.

    ids: (N,) int64. vectors: (N, d) float32, unit length. images: (N,) int64, equal for regions of one image.
    is_primary: (N,) bool.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    images: NDArray[np.int64]
    is_primary: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> Rows:
        return Rows(self.ids[rows], self.vectors[rows], self.images[rows], self.is_primary[rows])


class Answers(NamedTuple):
    """What queries found in one part, (E,) each, sorted by query.

    query: row of the query, int64. ids: int64, of the neighbour. cosine: float32. is_primary: bool, of the neighbour.
    """

    query: NDArray[np.int64]
    ids: NDArray[np.int64]
    cosine: NDArray[np.float32]
    is_primary: NDArray[np.bool_]


class Edges(NamedTuple):
    """Directed edges of the neighbour graph, sorted by query id, then rank.

    query_ids, neighbour_ids: (E,) int64. cosine: (E,) float32. rank: (E,) int32, 1 is the nearest.
    """

    query_ids: NDArray[np.int64]
    neighbour_ids: NDArray[np.int64]
    cosine: NDArray[np.float32]
    rank: NDArray[np.int32]


class Dealt(NamedTuple):
    """Which rows go to which task, (M,) each but `cells`, sorted by task.

    row: of the dealt batch. task: int32. home_cell: int32, the cell in which the task keeps the vector; -1 where the
    row only asks. cells: (M, nprobe) int32 the cells in which it asks there, -1 elsewhere.
    """

    row: NDArray[np.intp]
    task: NDArray[np.int32]
    home_cell: NDArray[np.int32]
    cells: NDArray[np.int32]


@dataclass(frozen=True)
class GraphPlan:
    """How cells are cut into parts and parts into lanes; a task is one lane of one part.

    first_part: (nlist,) int32, the first of the parts that a cell's vectors lie in; n_parts: (nlist,) int32, how many
    they are, above 1 for crowded cells only. first_task: (parts + 1,) int32; part p is the tasks first_task[p] to
    first_task[p + 1] - 1.
    """

    first_part: NDArray[np.int32]
    n_parts: NDArray[np.int32]
    first_task: NDArray[np.int32]

    @property
    def n_tasks(self) -> int:
        return int(self.first_task[-1])


def plan_graph(
    vectors_in_cell: NDArray[np.float64],
    queries_in_cell: NDArray[np.float64],
    rows_per_part: int,
    products_per_task: float,
) -> GraphPlan:
    """Cut the work into tasks of bounded memory and time.

    vectors_in_cell, queries_in_cell: (nlist,) how many vectors live in each cell and how many ask there; estimates
    will do. A part holds about rows_per_part vectors at most; a task makes about products_per_task products.
    """
    if rows_per_part < 1 or products_per_task <= 0:
        raise ValueError(f"rows_per_part {rows_per_part} and products_per_task {products_per_task} must be above 0")
    shares = np.maximum(1, np.ceil(vectors_in_cell / rows_per_part)).astype(np.int32)
    first_part = np.zeros(len(shares), np.int32)
    part, filled = -1, float(rows_per_part)
    for cell, (n_shares, n_vectors) in enumerate(zip(shares.tolist(), vectors_in_cell.tolist(), strict=True)):
        if n_shares > 1 or filled + n_vectors > rows_per_part:
            part, filled = part + 1, 0.0
        first_part[cell] = part
        # After a crowded cell a part of its own starts.
        filled = filled + n_vectors if n_shares == 1 else float(rows_per_part)
        part += n_shares - 1
    products = np.zeros(part + 1)
    for share in range(int(shares.max())):
        crowded = shares > share
        np.add.at(products, first_part[crowded] + share, (vectors_in_cell * queries_in_cell / shares)[crowded])
    lanes = np.maximum(1, np.ceil(products / products_per_task)).astype(np.int32)
    return GraphPlan(first_part, shares, np.append(0, np.cumsum(lanes)).astype(np.int32))


def deal(
    ids: NDArray[np.int64], cells: NDArray[np.int32], plan: GraphPlan, asks: NDArray[np.bool_] | None = None
) -> Dealt:
    """Send each vector to every lane of its part, and as a query to one lane of each part that it asks in.

    ids: (N,). cells: (N, nprobe) the nearest cells of each, the first of which is its home. asks: (N, nprobe) in which of
    them it asks; None for all.
    """
    n, nprobe = cells.shape
    asks = np.ones(cells.shape, np.bool_) if asks is None else asks
    salt = mixed(ids)
    lanes = np.diff(plan.first_task)
    # As queries: once for each (row, part) with the cells that lie there; a crowded cell lies in several parts.
    most_parts = int(plan.n_parts[cells].max()) if n else 1
    asked_row, asked_part, asked_slot = [], [], []
    for share in range(most_parts):
        row, slot = np.nonzero((plan.n_parts[cells] > share) & asks)
        asked_row.append(row)
        asked_slot.append(slot)
        asked_part.append(plan.first_part[cells[row, slot]] + share)
    row, part, slot = np.concatenate(asked_row), np.concatenate(asked_part), np.concatenate(asked_slot)
    asked_task = plan.first_task[part] + (salt[row] % lanes[part].astype(np.uint64)).astype(np.int32)
    # As vectors: to every lane of the part that is their home.
    home = cells[:, 0]
    # By other bits than the lane: a share of a crowded cell is to be asked from all lanes.
    share_of_row = ((salt >> np.uint64(40)) % plan.n_parts[home].astype(np.uint64)).astype(np.int32)
    home_part = plan.first_part[home] + share_of_row
    kept_row = np.repeat(np.arange(n), lanes[home_part])
    lane = np.arange(len(kept_row)) - np.repeat(np.cumsum(lanes[home_part]) - lanes[home_part], lanes[home_part])
    kept_task = plan.first_task[home_part][kept_row] + lane
    # A row that is both for one task goes there once.
    keys = np.concatenate([asked_task.astype(np.int64) * n + row, kept_task.astype(np.int64) * n + kept_row])
    unique, place = np.unique(keys, return_inverse=True)
    asked_cells = np.full((len(unique), nprobe), -1, np.int32)
    asked_cells[place[: len(row)], slot] = cells[row, slot]
    home_cell = np.full(len(unique), -1, np.int32)
    home_cell[place[len(row) :]] = home[kept_row]
    return Dealt(unique % max(1, n), (unique // max(1, n)).astype(np.int32), home_cell, asked_cells)


@dataclass(frozen=True)
class Part:
    """A task's vectors, indexed by cell, ready to be asked. Make one with `of`."""

    _all: _Cells
    _primary: _Cells

    @staticmethod
    def of(rows: Rows, home_cells: NDArray[np.int32], k: int, exclude_same_image: bool) -> Part:
        """Index a task's vectors.

        home_cells: (N,) int32, in the numbers of the whole index. exclude_same_image: regions of a query's own image
        are no answer; the query itself never is.
        """
        among_all = _Cells.of(rows, home_cells, k, exclude_same_image)
        if rows.is_primary.all():
            return Part(among_all, among_all)
        primary = np.flatnonzero(rows.is_primary)
        return Part(among_all, _Cells.of(rows.take(primary), home_cells[primary], k, exclude_same_image))

    def ask(self, queries: Rows, cells: NDArray[np.int32]) -> Answers:
        """Each query's k nearest here, and the k nearest primary ones where the query is primary itself.

        cells: (Q, any), -1 for none.
        """
        among_all = self._all.answers(np.arange(len(queries.ids)), queries, cells)
        if self._primary is self._all:
            return among_all
        asking = np.flatnonzero(queries.is_primary)
        among_primary = self._primary.answers(asking, queries.take(asking), cells[asking])
        return _each_once(among_all, among_primary)


@dataclass(frozen=True)
class _Cells:
    """Vectors of one kind in their cells, found by row number; rows are in order of id.

    ids, images, is_primary: (N,) of the rows. numbers: of the cells here, ascending. index: of the vectors.
    """

    ids: NDArray[np.int64]
    images: NDArray[np.int64]
    is_primary: NDArray[np.bool_]
    numbers: NDArray[np.int32]
    index: Any
    k: int
    exclude_same_image: bool

    @staticmethod
    def of(rows: Rows, cells: NDArray[np.int32], k: int, exclude_same_image: bool) -> _Cells:
        order = np.argsort(rows.ids, kind="stable")
        # A query leaves out itself, or all of its image; k beyond those are enough of equal vectors.
        order = order[
            _first_of_equal(rows.vectors[order], k + (_most_of_one(rows.images) if exclude_same_image else 1))
        ]
        numbers, local = np.unique(cells[order], return_inverse=True)
        index = on_gpu(flat_cells(rows.vectors[order], local.astype(np.int32), max(1, len(numbers))))
        return _Cells(
            rows.ids[order], rows.images[order], rows.is_primary[order], numbers, index, k, exclude_same_image
        )

    def answers(self, query: NDArray[np.intp], queries: Rows, cells: NDArray[np.int32]) -> Answers:
        """What these queries, known to the caller by the numbers `query`, find here."""
        found = self._ask(queries, cells)
        row, slot = np.nonzero(found.ids >= 0)
        neighbour = found.ids[row, slot]
        return Answers(query[row], self.ids[neighbour], found.cosine[row, slot], self.is_primary[neighbour])

    def _ask(self, queries: Rows, cells: NDArray[np.int32]) -> Found:
        if not len(self.numbers):
            return Found.nothing(len(queries.ids), self.k)
        local = np.minimum(np.searchsorted(self.numbers, cells), len(self.numbers) - 1)
        local = np.where(self.numbers[local] == cells, local, -1).astype(np.int32)
        probes = Probes(local, np.zeros(local.shape, np.float32))

        of_these, of_those = (self.images, queries.images) if self.exclude_same_image else (self.ids, queries.ids)

        def left_out(rows: NDArray[np.intp], found: NDArray[np.int64]) -> NDArray[np.bool_]:
            same: NDArray[np.bool_] = of_these[found] == of_those[rows][:, None]
            return same

        return nearest_in_cells(self.index, queries.vectors, probes, self.k, left_out)


def merge_answers(query_ids: NDArray[np.int64], query_is_primary: NDArray[np.bool_], answers: Answers, k: int) -> Edges:
    """The k best of what queries found in several parts; for primary queries the k best primary ones too.

    query_ids, query_is_primary: (M,), a query once for each part, which `answers.query` counts. No vector lies in two
    parts of one query, so none is found twice. Equal cosines are ordered by id.
    """
    asking = query_ids[answers.query]
    order = np.lexsort((answers.ids, -answers.cosine, asking))
    asking, ids, cosine = asking[order], answers.ids[order], answers.cosine[order]
    wanted = (answers.is_primary & query_is_primary[answers.query])[order]
    start = np.searchsorted(asking, asking)
    passed: NDArray[np.int64] = np.cumsum(wanted) - wanted
    kept = (np.arange(len(asking)) - start < k) | (wanted & (passed - passed[start] < k))
    asking, ids, cosine = asking[kept], ids[kept], cosine[kept]
    rank = (np.arange(len(asking)) - np.searchsorted(asking, asking) + 1).astype(np.int32)
    return Edges(asking, ids, cosine, rank)


def _each_once(*answers: Answers) -> Answers:
    query, ids, cosine, is_primary = (np.concatenate(columns) for columns in zip(*answers, strict=True))
    order = np.lexsort((ids, query))
    query, ids, cosine, is_primary = query[order], ids[order], cosine[order], is_primary[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(query) != 0) | (np.diff(ids) != 0)
    return Answers(query[first], ids[first], cosine[first], is_primary[first])


def _first_of_equal(vectors: NDArray[np.float32], n_kept: int) -> NDArray[np.intp]:
    """Rows that can be among anyone's nearest: of equal vectors the first n_kept. 100,000 equal ones stay cheap."""
    everyone = np.arange(len(vectors))
    if len(vectors) <= n_kept:
        return everyone
    # Two values suffice to see that few vectors can be equal.
    as_bytes = np.ascontiguousarray(vectors).view(np.uint8).reshape(len(vectors), -1)
    start = np.ascontiguousarray(as_bytes[:, :8]).view(f"V{min(8, as_bytes.shape[1])}").ravel()
    _, which, counts = np.unique(start, return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(counts[which] > n_kept)
    if not len(suspects):
        return everyone
    whole = np.ascontiguousarray(as_bytes[suspects]).view(f"V{as_bytes.shape[1]}").ravel()
    _, which = np.unique(whole, return_inverse=True)
    order = np.argsort(which, kind="stable")
    place = np.arange(len(order)) - np.searchsorted(which[order], which[order])
    return np.delete(everyone, suspects[order[place >= n_kept]])


def _most_of_one(images: NDArray[np.int64]) -> int:
    return int(np.unique(images, return_counts=True)[1].max()) if len(images) else 1
