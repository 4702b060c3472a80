"""The fit of groups: each department of the neighbour graph is laid out and grouped by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prodseek.cluster.graph_cuts import departments
from prodseek.cluster.groups import (
    MIN_COARSE_GROUPS,
    NOISE,
    Groups,
    Nearest,
    coarse_size,
    hdbscan_groups,
    in_order_of_appearance,
    search_knn,
    umap_coordinates,
)
from prodseek.config import ClusterConfig


def groups_of(nearest: Nearest, vectors: NDArray[np.float32], settings: ClusterConfig, seed: int) -> Groups:
    """Groups at two levels, in each department of a catalogue by itself.

    A layout of everything at once leaves little room for what is rare, and more of it ends up in no group. nearest: of N
    rows, from `search_knn`. vectors: (N, d) float32, unit length. A department has at least MIN_COARSE_GROUPS times the rows
    of a smallest group, and a MIN_COARSE_GROUPS-th of all rows. The same input gives the same groups.
    """
    n_rows = len(vectors)
    min_rows = max(MIN_COARSE_GROUPS * settings.min_cluster_size, n_rows // MIN_COARSE_GROUPS)
    department = departments(nearest, min_rows)
    fine, coarse = np.full((2, n_rows), NOISE, np.int32)
    outlier_score = np.zeros(n_rows, np.float32)
    for number in range(department.max(initial=NOISE) + 1):
        rows = np.flatnonzero(department == number)
        own = nearest if len(rows) == n_rows else search_knn(vectors[rows], nearest[0].shape[1], seed)
        found = groups_of_department(own, vectors[rows], settings, seed)
        for labels, of_rows in ((fine, found.fine), (coarse, found.coarse)):
            labels[rows] = np.where(of_rows == NOISE, NOISE, of_rows + labels.max() + 1)
        outlier_score[rows] = found.outlier_score
    return Groups(in_order_of_appearance(fine), in_order_of_appearance(coarse), outlier_score)


def groups_of_department(nearest: Nearest, vectors: NDArray[np.float32], settings: ClusterConfig, seed: int) -> Groups:
    """Groups at two levels, by HDBSCAN on several layouts side by side; arguments as in `groups_of`.

    Each layout is partly chance; what is near in all of them belongs together.
    """
    layouts = [
        umap_coordinates(
            *nearest,
            vectors,
            settings.n_components,
            min(settings.n_neighbors, nearest[0].shape[1]),
            settings.min_dist,
            seed + number,
        )
        for number in range(settings.n_layouts)
    ]
    return hdbscan_groups(
        np.concatenate(layouts, axis=1),
        settings.min_cluster_size,
        coarse_size(len(vectors), settings.min_cluster_size, settings.coarse_min_cluster_size),
        settings.min_samples,
    )
