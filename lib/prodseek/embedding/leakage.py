"""Location leakage: how much of an object's place in its photo can be predicted from its vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Ridge penalties, as shares of the vectors' largest eigenvalue: from almost no shrinkage to almost no slope.
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 1e3)
N_FOLDS = 5
_ROUNDING = 1e-12


def location_leakage(vectors: NDArray[np.floating], centres: NDArray[np.floating], object_ids: Sequence[str]) -> float:
    """R squared of predicting box centres from vectors by ridge regression, on held-out objects; the mean over x and y.

    1: the vectors give the place exactly. 0 or less: the prediction is no better than the mean of the centres. This is a
    linear probe (Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016). It is
    cross-validated by object, so that recognising an object that is always in the same place does not count. The penalty is
    chosen in the same way, on the training objects only.

    vectors: (N, d). centres: (N, 2), x y in any unit. object_ids: N of them, equal for all places of an object. Raises
    ValueError if these do not match or are not finite, if there are fewer than N_FOLDS objects, or if all centres have the
    same x or the same y.
    """
    features, targets = np.asarray(vectors, np.float64), np.asarray(centres, np.float64)
    if features.ndim != 2 or targets.shape != (len(features), 2) or len(object_ids) != len(features):
        raise ValueError(
            f"vectors {features.shape}, centres {targets.shape} and {len(object_ids)} objects do not match: "
            "expected (N, d), (N, 2) and N"
        )
    if not (np.isfinite(features).all() and np.isfinite(targets).all()):
        raise ValueError("vectors or centres hold values that are not finite")
    groups = np.unique(np.asarray(object_ids), return_inverse=True)[1]
    n_objects = len(np.unique(groups))
    if n_objects < N_FOLDS:
        raise ValueError(f"there are {n_objects} objects; at least {N_FOLDS} are needed to hold some out")
    spread = targets.std(axis=0)
    if not (spread > 0).all():
        raise ValueError("all centres have the same x or the same y: there is no place to predict")
    targets = (targets - targets.mean(axis=0)) / spread
    centred = features - features.mean(axis=0)
    products = centred @ centred.T  # all that ridge regression needs of the vectors, however long they are
    if products.trace() <= 0:
        return 0.0
    products /= products.trace()
    predicted = np.empty_like(targets)
    for train, test in _folds(groups):
        errors = np.zeros(len(PENALTIES))
        for fit, check in _folds(groups[train]):
            guesses = _predictions(products, targets, train[fit], train[check])
            errors += ((guesses - targets[train[check]]) ** 2).sum(axis=(1, 2))
        predicted[test] = _predictions(products, targets, train, test)[errors.argmin()]
    return float(1 - ((predicted - targets) ** 2).mean())


def _folds(groups: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split the rows into training and test rows; all rows of a group are on the same side."""
    for held_out in np.array_split(np.unique(groups), N_FOLDS):
        is_test = np.isin(groups, held_out)
        yield np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _predictions(
    products: NDArray[np.float64], targets: NDArray[np.float64], train: NDArray[np.int64], test: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Ridge regression with an intercept, in its dual form. products: (N, N) of all rows. Returns (penalties, test rows, 2).

    Source: Saunders, Gammerman and Vovk, "Ridge regression learning algorithm in dual variables", 1998.
    """
    among, across = products[np.ix_(train, train)], products[np.ix_(test, train)]
    along = among.mean(axis=0)
    across = across - across.mean(axis=1, keepdims=True) - along + along.mean()
    values, axes = np.linalg.eigh(among - along - along[:, None] + along.mean())
    mean = targets[train].mean(axis=0)
    turned = axes.T @ (targets[train] - mean)
    largest = max(float(values[-1]), _ROUNDING)
    reach = across @ axes
    return np.stack(
        [reach @ (turned / (np.maximum(values, 0.0) + share * largest)[:, None]) + mean for share in PENALTIES]
    )
