"""How well vectors rank: precision, recall and average precision of the nearest neighbours, leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Ranking:
    """How well each query row ranks all other rows. rows: (Q,) the queries. n_alike: (Q,) other rows with the same label.

    precision: k -> (Q,) float64, the share of the k nearest rows that have the query's label. recall: k -> (Q,) float64, the
    share of all rows with the label that are among the k nearest. average_precision: (Q,) float64. If no other row has the
    label, precision is 0, and recall and average_precision are NaN.
    """

    rows: NDArray[np.int64]
    n_alike: NDArray[np.int64]
    precision: dict[int, NDArray[np.float64]]
    recall: dict[int, NDArray[np.float64]]
    average_precision: NDArray[np.float64]


def ranking(
    vectors: NDArray[np.float32], labels: Sequence[str], ks: Sequence[int], rows: NDArray[np.int64] | None = None
) -> Ranking:
    """Rank all other rows by their cosine to each query row. Equal cosines are ordered by row.

    vectors: (N, d) float32, unit length. labels: N of them. rows: (Q,) the query rows; None for all. Raises ValueError unless
    1 <= k < N for each k. Source of average precision: Manning, Raghavan and Schuetze, "Introduction to Information
    Retrieval", 2008, section 8.4.
    """
    n_rows = len(vectors)
    if len(labels) != n_rows:
        raise ValueError(f"{n_rows} vectors, but {len(labels)} labels")
    for k in ks:
        if not 1 <= k < n_rows:
            raise ValueError(f"k is {k}; with {n_rows} vectors it must be in 1..{n_rows - 1}")
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    asked = np.arange(n_rows) if rows is None else rows
    n_alike = np.bincount(codes)[codes[asked]] - 1
    places = np.arange(1, n_rows)
    precision, recall = ({k: np.empty(len(asked)) for k in ks} for _ in range(2))
    average = np.empty(len(asked))
    for start in range(0, len(asked), _BLOCK_ROWS):
        block = asked[start : start + _BLOCK_ROWS]
        similarity = vectors[block] @ vectors.T
        similarity[np.arange(len(block)), block] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :-1]
        is_hit = codes[nearest] == codes[block][:, None]
        hits = np.cumsum(is_hit, axis=1)
        out, total = slice(start, start + len(block)), hits[:, -1].astype(np.float64)
        total[total == 0] = np.nan
        for k in ks:
            precision[k][out] = hits[:, k - 1] / k
            recall[k][out] = hits[:, k - 1] / total
        average[out] = (is_hit * hits / places).sum(axis=1) / total
    return Ranking(asked, n_alike, precision, recall, average)


def precision_at_k(vectors: NDArray[np.float32], labels: Sequence[str], k: int) -> float:
    """The mean share of a row's k nearest other rows, by cosine, that have its label.

    vectors: (N, d) float32, unit length. labels: N of them. Equal cosines are ordered by row. Raises ValueError unless
    1 <= k < N.
    """
    return float(ranking(vectors, labels, [k]).precision[k].mean())
