"""The neighbour graph: vectors are sent to their cells, queries to the cells that they probe, and answers are merged.

A *part* is a range of cells, or a share of one crowded cell, small enough for a task's memory. If a part gets too many
queries for one task, its vectors are copied to several *lanes*, and each lane answers some of the queries. The result does
not depend on where the cuts are.
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
    """Regions, with all that the graph needs.

    ids: (N,) int64. vectors: (N, d) float32, unit length. images: (N,) int64, equal for regions of one image. is_primary:
    (N,) bool.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    images: NDArray[np.int64]
    is_primary: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> Rows:
        return Rows(self.ids[rows], self.vectors[rows], self.images[rows], self.is_primary[rows])


class Answers(NamedTuple):
    """What queries found in one part; all arrays are (E,), sorted by query.

    query: row of the query, int64. ids: of the neighbour, int64. cosine: float32. is_primary: of the neighbour, bool.
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
    """Which rows of a batch go to which task; all arrays are (M,) but `cells`, sorted by task.

    row: row in the batch. task: int32. home_cell: int32, the cell in which the task stores the vector; -1 if the row is only
    a query there. cells: (M, nprobe) int32, the cells of the task that the row probes as a query, else -1.
    """

    row: NDArray[np.intp]
    task: NDArray[np.int32]
    home_cell: NDArray[np.int32]
    cells: NDArray[np.int32]


@dataclass(frozen=True)
class GraphPlan:
    """How cells are cut into parts, and parts into lanes. A task is one lane of one part.

    first_part: (nlist,) int32, the first part with vectors of a cell. n_parts: (nlist,) int32, the number of such parts, which
    is above 1 only for crowded cells. first_task: (parts + 1,) int32; part p has the tasks first_task[p] to
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

    vectors_in_cell, queries_in_cell: (nlist,) how many vectors are stored in each cell, and how many queries probe it;
    estimates are enough. rows_per_part: about the maximum number of vectors in a part. products_per_task: about the number of
    inner products that a task computes. Raises ValueError unless both are positive.
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
        # After a crowded cell a new part starts.
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
    """Send each vector to all lanes of its own part, and as a query to one lane of each part that it probes.

    ids: (N,) int64. cells: (N, nprobe) int32, each vector's nearest cells, the first of which is its home. asks: (N, nprobe)
    bool, which of them it probes; None for all.
    """
    n, nprobe = cells.shape
    asks = np.ones(cells.shape, np.bool_) if asks is None else asks
    salt = mixed(ids)
    lanes = np.diff(plan.first_task)
    # As queries: once for each (row, part), with the cells in that part; a crowded cell is in several parts.
    most_parts = int(plan.n_parts[cells].max()) if n else 1
    asked_row, asked_part, asked_slot = [], [], []
    for share in range(most_parts):
        row, slot = np.nonzero((plan.n_parts[cells] > share) & asks)
        asked_row.append(row)
        asked_slot.append(slot)
        asked_part.append(plan.first_part[cells[row, slot]] + share)
    row, part, slot = np.concatenate(asked_row), np.concatenate(asked_part), np.concatenate(asked_slot)
    asked_task = plan.first_task[part] + (salt[row] % lanes[part].astype(np.uint64)).astype(np.int32)
    # As vectors: to all lanes of their home part.
    home = cells[:, 0]
    # Chosen by other bits than the lane, so that each share of a crowded cell gets queries in all lanes.
    share_of_row = ((salt >> np.uint64(40)) % plan.n_parts[home].astype(np.uint64)).astype(np.int32)
    home_part = plan.first_part[home] + share_of_row
    kept_row = np.repeat(np.arange(n), lanes[home_part])
    lane = np.arange(len(kept_row)) - np.repeat(np.cumsum(lanes[home_part]) - lanes[home_part], lanes[home_part])
    kept_task = plan.first_task[home_part][kept_row] + lane
    # A row that is both a query and a vector of a task is sent once.
    keys = np.concatenate([asked_task.astype(np.int64) * n + row, kept_task.astype(np.int64) * n + kept_row])
    unique, place = np.unique(keys, return_inverse=True)
    asked_cells = np.full((len(unique), nprobe), -1, np.int32)
    asked_cells[place[: len(row)], slot] = cells[row, slot]
    home_cell = np.full(len(unique), -1, np.int32)
    home_cell[place[len(row) :]] = home[kept_row]
    return Dealt(unique % max(1, n), (unique // max(1, n)).astype(np.int32), home_cell, asked_cells)


@dataclass(frozen=True)
class Part:
    """A task's vectors, indexed by cell and ready for queries. Get one from `of`."""

    _all: _Cells
    _primary: _Cells

    @staticmethod
    def of(rows: Rows, home_cells: NDArray[np.int32], k: int, exclude_same_image: bool) -> Part:
        """Index a task's vectors.

        home_cells: (N,) int32, cell numbers of the whole index. exclude_same_image: regions of the query's own image are not
        answers; the query itself never is.
        """
        among_all = _Cells.of(rows, home_cells, k, exclude_same_image)
        if rows.is_primary.all():
            return Part(among_all, among_all)
        primary = np.flatnonzero(rows.is_primary)
        return Part(among_all, _Cells.of(rows.take(primary), home_cells[primary], k, exclude_same_image))

    def ask(self, queries: Rows, cells: NDArray[np.int32]) -> Answers:
        """Each query's k nearest vectors of this task, and for a primary query also the k nearest primary ones.

        cells: (Q, any) int32, the cells that each query probes, -1 for none.
        """
        among_all = self._all.answers(np.arange(len(queries.ids)), queries, cells)
        if self._primary is self._all:
            return among_all
        asking = np.flatnonzero(queries.is_primary)
        among_primary = self._primary.answers(asking, queries.take(asking), cells[asking])
        return _each_once(among_all, among_primary)


@dataclass(frozen=True)
class _Cells:
    """Vectors in their cells, found by row number; rows are in the order of their ids.

    ids, images, is_primary: (N,) of the rows. numbers: (cells,) int32, the cells here, ascending. index: a faiss index.
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
        # A query leaves out itself, or all regions of its image; of equal vectors, k more than these are enough.
        order = order[
            _first_of_equal(rows.vectors[order], k + (_most_of_one(rows.images) if exclude_same_image else 1))
        ]
        numbers, local = np.unique(cells[order], return_inverse=True)
        index = on_gpu(flat_cells(rows.vectors[order], local.astype(np.int32), max(1, len(numbers))))
        return _Cells(
            rows.ids[order], rows.images[order], rows.is_primary[order], numbers, index, k, exclude_same_image
        )

    def answers(self, query: NDArray[np.intp], queries: Rows, cells: NDArray[np.int32]) -> Answers:
        """What these queries find here. query: (Q,) their row numbers at the caller."""
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
    """The k best answers of each query from several parts; for a primary query also the k best primary ones.

    query_ids, query_is_primary: (M,), each query once for each part; `answers.query` is a row of these. No vector is in two
    parts of a query, so none is found twice. Equal cosines are ordered by id.
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
    """Rows that can be among the nearest of any row: of equal vectors the first n_kept, so that 100,000 equal ones are cheap."""
    everyone = np.arange(len(vectors))
    if len(vectors) <= n_kept:
        return everyone
    # The first two values are enough to see that few vectors can be equal.
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
