"""Departments: the parts of a mixed catalogue's neighbour graph that hardly any neighbours join."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from prodseek.cluster.groups import Nearest, in_order_of_appearance

# Largest share of a department's ties that may lead to the rest. In the labelled sets (see `bench_cluster`) cuts between
# departments have .006 to .0135, and all others .017 and more.
MAX_TIES_ACROSS = 0.015
# Of an eigenvalue. A cut needs the order of the rows, not their exact place.
_TOLERANCE = 1e-3
# Enough for every labelled set and their mixtures; a large graph without clear parts would take many thousands.
_MAX_ITERATIONS = 50


def departments(nearest: Nearest, min_rows: int) -> NDArray[np.int32]:
    """The department of each row: the graph is cut in two, and the parts again, while a cut severs few enough ties.

    nearest: of N rows, from `search_knn`; each is tied to its neighbours. min_rows: of a department.
    Pieces smaller than that, which nothing ties to the others, stay with the largest; a graph of nothing else is not cut.
    Returns (N,) int32: 0, 1, ... in the order of the departments' first rows. The same input gives the same result.
    """
    ties = _ties(nearest[0])
    found = np.zeros(len(nearest[0]), np.int32)
    waiting, n_found = [np.arange(len(found))], 0
    while waiting:
        rows = waiting.pop()
        is_apart = _part_apart(ties[rows][:, rows], min_rows)
        if is_apart is None:
            found[rows] = n_found
            n_found += 1
        else:
            waiting += [rows[is_apart], rows[~is_apart]]
    return in_order_of_appearance(found)


def _ties(neighbours: NDArray[np.int32]) -> csr_matrix:
    """A tie for each neighbour, and so two where rows are neighbours of each other. Returns (N, N), symmetric."""
    n_rows = len(neighbours)
    rows, places = np.nonzero((neighbours >= 0) & (neighbours != np.arange(n_rows)[:, None]))
    one_way = csr_matrix((np.ones(len(rows)), (rows, neighbours[rows, places])), shape=(n_rows, n_rows))
    return (one_way + one_way.T).tocsr()


def _part_apart(ties: csr_matrix, min_rows: int) -> NDArray[np.bool_] | None:
    """The rows of a part with at most MAX_TIES_ACROSS to the others, if there is one and both have at least min_rows."""
    if ties.shape[0] < 2 * min_rows:
        return None
    _, component = connected_components(ties, directed=False)
    sizes = np.bincount(component)
    largest = int(sizes.argmax())
    for other in np.flatnonzero(sizes >= min_rows):
        if other != largest:
            return np.asarray(component == other)
    connected = np.flatnonzero(component == largest)
    cut = _sparsest_cut(ties[connected][:, connected], min_rows)
    if cut is None:
        return None
    is_apart = np.zeros(ties.shape[0], np.bool_)
    is_apart[connected[cut]] = True
    return is_apart


def _sparsest_cut(ties: csr_matrix, min_rows: int) -> NDArray[np.int64] | None:
    """The rows on one side of the best cut along the second eigenvector of a connected graph.

    Source: Shi and Malik, "Normalized Cuts and Image Segmentation", 2000.
    """
    n_rows = ties.shape[0]
    if n_rows < 2 * min_rows:
        return None
    degree = np.asarray(ties.sum(axis=1)).ravel()
    scale = diags(1 / np.sqrt(degree))
    try:
        values, vectors = eigsh(
            scale @ ties @ scale,
            k=2,
            which="LA",
            v0=np.random.default_rng(0).normal(size=n_rows),
            tol=_TOLERANCE,
            maxiter=_MAX_ITERATIONS,
        )
    except ArpackNoConvergence:  # a graph without a clear cut
        return None
    order = np.argsort(vectors[:, values.argmin()] / np.sqrt(degree), kind="stable")
    place = np.empty(n_rows, np.int64)
    place[order] = np.arange(n_rows)
    pairs = ties.tocoo()
    ends = np.sort(np.stack([place[pairs.row], place[pairs.col]]), axis=0)
    opened, closed = (np.bincount(end, pairs.data, minlength=n_rows) for end in ends)
    # The matrix holds each tie twice, once for each of its ends.
    n_across = np.cumsum(opened - closed)[:-1] / 2
    n_before = np.cumsum(degree[order])
    share = n_across / np.minimum(n_before[:-1], n_before[-1] - n_before[:-1])
    allowed = slice(min_rows - 1, n_rows - min_rows)
    best = min_rows - 1 + int(share[allowed].argmin())
    return order[: best + 1] if share[best] <= MAX_TIES_ACROSS else None
