"""Fit the model that decides: python -m prodseek.duplicates.train_decision --set NAME=MANIFEST:URI:LABEL ...

Photos of labelled catalogues are altered as people alter them, and changed as products differ (see `planting`). A pair is
measured as in a night. Calibration and bounds come from turns: each catalogue is judged by trees that were fitted on the others.
The trees that are shipped are fitted on all of them. The model is written to decision.json beside this file.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from prodseek.duplicates.decision import (
    FEATURES,
    MODEL_FILE,
    SMALL_SIDE_PX,
    DecisionModel,
    Tree,
    feature_values,
)
from prodseek.duplicates.measuring import evidence_of_files
from prodseek.duplicates.planting.pairs import Photo, PlantedPair, altered_negatives, planted_pairs, real_negatives

SEED = 0
N_TREES, LEARNING_RATE, MAX_LEAVES, MIN_LEAF_PAIRS, L2 = 600, 0.05, 31, 25, 3.0
# A split may ask for so many of the features: trees that do not all ask for the same ones know more of kinds that they never saw.
FEATURES_SHARE = 0.5
# Of a thousand pairs that are not copies one may be called a copy, if it is proved too, by trees that have not seen its
# catalogue; four of five of these are small photos. None is called a copy below the least confidence.
MOST_WRONG_SMALL, MOST_WRONG = 0.8 / 1000, 0.2 / 1000
LEAST_COPY_CONFIDENCE = 0.9
# Below the least confidence at which this share of the copies is found, nobody needs to look.
LOOK_RECALL = 0.97
_CHUNK = 50


@dataclass(frozen=True)
class Round:
    """What is planted in each catalogue: so many made pairs, pairs of different photos, and as many of these altered besides.

    combined_share: of the copies, and of the pairs that are altered besides, how many are altered in several ways at once.
    """

    seed: int
    n_made: int
    n_real: int
    combined_share: float


# There are far more ways to alter a photo in several ways than in one, but a fit of them alone is too sure of all others.
ROUNDS = (Round(seed=0, n_made=3000, n_real=450, combined_share=0.25), Round(1, 1600, 250, 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="NAME=MANIFEST:URI:LABEL")
    parser.add_argument("--measured", type=Path, help="file of measurements (npz), written if it is not there")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.measured is not None and arguments.measured.exists():
        rows, is_copy, catalogues = kept_rows(arguments.measured)
    else:
        rows, is_copy, catalogues = measured_rows(arguments.sets, ROUNDS, arguments.processes)
        if arguments.measured is not None:
            np.savez_compressed(
                arguments.measured, allow_pickle=False, rows=rows, is_copy=is_copy, catalogues=catalogues
            )
    model = fit_model(rows, is_copy, catalogues)
    target = Path(__file__).with_name(MODEL_FILE)
    target.write_text(json.dumps(asdict(model), separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{json.dumps(model.recipe, indent=2)}\nwritten to {target}")


def measured_rows(
    sets: Sequence[str], rounds: Sequence[Round], n_processes: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    """What `fit_model` takes, of planted pairs and real negatives of catalogues. sets: as `labelled_photos` takes them."""
    rows: list[list[float]] = []
    is_copy: list[bool] = []
    catalogues: list[str] = []
    # A process that is forked while OpenCV has threads may wait for one of them for ever.
    with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
        for name, photos in map(labelled_photos, sets):
            different = real_negatives(photos)
            for one in rounds:
                chunks = [(photos, _CHUNK, one.seed, n, one.combined_share) for n in range(0, one.n_made, _CHUNK)]
                for found in pool.map(_planted, chunks):
                    rows += [values for values, _ in found]
                    is_copy += [copy for _, copy in found]
                rng = np.random.default_rng(one.seed)
                chosen = [different[row] for row in rng.permutation(len(different))[: one.n_real].tolist()]
                chosen += altered_negatives(chosen, photos, rng, one.combined_share)
                measured = [values for values in pool.map(measured_features, chosen, chunksize=8) if values is not None]
                rows += measured
                is_copy += [False] * len(measured)
            catalogues += [name] * (len(rows) - len(catalogues))
            print(f"{name}: {catalogues.count(name)} pairs measured", flush=True)
    return np.array(rows), np.array(is_copy), catalogues


def kept_rows(measured: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    """What `fit_model` takes, from a file that --measured wrote."""
    with np.load(measured, allow_pickle=False) as kept:
        return kept["rows"], kept["is_copy"], kept["catalogues"].tolist()


def labelled_photos(argument: str) -> tuple[str, list[Photo]]:
    """The name of a catalogue and its photos, each once, from NAME=MANIFEST:URI:LABEL.

    Photos that cannot be read, and rows that name the photo that theirs was made from (`source_uri`), are left out.
    """
    name, _, rest = argument.partition("=")
    manifest, uri_column, label_column = rest.rsplit(":", 2)
    folder = Path(manifest).parent
    photos: dict[Path, Photo] = {}
    with Path(manifest).open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            path = folder / row[uri_column]
            if path.is_file() and not row.get("source_uri") and row.get("kind") != "bad_file":
                photos.setdefault(path, Photo(path.read_bytes(), row[label_column], name))
    return name, list(photos.values())


def measured_features(pair: PlantedPair) -> list[float] | None:
    """What a night would measure on a candidate pair; None if it finds nothing in common."""
    cv2.setNumThreads(1)
    evidence = evidence_of_files(pair.data_a, pair.data_b)
    if evidence.comparison is None or evidence.proof is None:
        return None
    return feature_values(evidence.comparison, evidence.proof, evidence.pdq_hamming)


def fit_model(rows: NDArray[np.float64], is_copy: NDArray[np.bool_], catalogues: Sequence[str]) -> DecisionModel:
    """Fit trees on all pairs; calibrate, and choose the bounds, on pairs of catalogues that the trees had not seen.

    rows: (N, M) float64, in the order of FEATURES. is_copy: (N,) bool. catalogues: N names, at least two different ones.
    """
    of = np.array(catalogues)
    proved = rows[:, list(FEATURES).index("proved")] > 0
    logits = np.zeros(len(rows))
    for name in sorted(set(catalogues)):
        left_out = of == name
        logits[left_out] = _fitted(rows[~left_out], is_copy[~left_out]).decision_function(rows[left_out])
    platt = LogisticRegression(C=1e6).fit(logits[:, None], is_copy)
    slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    confidence = 0.5 * (1 + np.tanh((slope * logits + intercept) / 2))
    is_small = ~(rows[:, list(FEATURES).index("fine_side_px")] >= SMALL_SIDE_PX)
    small_bound = _bound(np.where(proved & is_small, confidence, 0.0)[~is_copy], MOST_WRONG_SMALL)
    bound = _bound(np.where(proved & ~is_small, confidence, 0.0)[~is_copy], MOST_WRONG)
    found = proved & (confidence >= np.where(is_small, small_bound, bound))
    look_confidence = float(np.quantile(confidence[is_copy], 1 - LOOK_RECALL))
    trees = _fitted(rows, is_copy)
    recipe = {
        "script": "prodseek.duplicates.train_decision",
        "pairs": {str(name): int((of == name).sum()) for name in sorted(set(catalogues))},
        "copies_share": round(float(is_copy.mean()), 4),
        "recall_of_copy_by_turns": round(float(found[is_copy].mean()), 4),
        "planted_seeds": [one.seed for one in ROUNDS],
        "scikit_learn": sklearn.__version__,
    }
    return DecisionModel(
        features=tuple(FEATURES),
        trees=tuple(_tree(stage[0].nodes) for stage in trees._predictors),
        bias=float(trees._baseline_prediction.ravel()[0]),
        slope=slope,
        intercept=intercept,
        copy_confidence=bound,
        small_copy_confidence=small_bound,
        look_confidence=round(min(look_confidence, 0.5), 4),
        recipe=recipe,
    )


def _bound(wrong: NDArray[np.float64], most_wrong: float) -> float:
    """The least confidence that no more than this share of the pairs that are not copies reaches. wrong: (N,) of these pairs."""
    reached = float(np.sort(wrong)[::-1][round(most_wrong * len(wrong))])
    return round(min(max(LEAST_COPY_CONFIDENCE, reached) + 1e-4, 1.0), 4)


def expected_calibration_error(confidence: NDArray[np.float64], is_true: NDArray[np.bool_], n_bins: int = 10) -> float:
    """The mean of |share of true pairs - mean confidence| over bins of equal width, weighted by the pairs in a bin.

    confidence: (P,) float64. is_true: (P,) bool. Source: Guo et al., "On Calibration of Modern Neural Networks", 2017,
    equation 3.
    """
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [
        abs(float(is_true[bins == b].mean() - confidence[bins == b].mean())) * (bins == b).mean() for b in set(bins)
    ]
    return float(sum(gaps))


def _planted(chunk: tuple[Sequence[Photo], int, int, int, float]) -> list[tuple[list[float], bool]]:
    def each() -> Iterator[tuple[list[float], bool]]:
        for pair in planted_pairs(*chunk):
            values = measured_features(pair)
            if values is not None:
                yield values, pair.is_copy

    return list(each())


def _fitted(rows: NDArray[np.float64], is_copy: NDArray[np.bool_]) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=N_TREES,
        learning_rate=LEARNING_RATE,
        max_leaf_nodes=MAX_LEAVES,
        min_samples_leaf=MIN_LEAF_PAIRS,
        l2_regularization=L2,
        max_features=FEATURES_SHARE,
        monotonic_cst=list(FEATURES.values()),
        early_stopping=False,
        random_state=SEED,
    ).fit(rows, is_copy)


def _tree(nodes: NDArray[Any]) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=tuple(np.where(is_leaf, -1, nodes["feature_idx"]).tolist()),
        threshold=tuple(0.0 if leaf else _short(t) for leaf, t in zip(is_leaf, nodes["num_threshold"], strict=True)),
        right=tuple(np.where(is_leaf, 0, nodes["right"]).tolist()),
        nan_left=tuple(nodes["missing_go_to_left"].astype(bool).tolist()),
        value=tuple(round(float(v), 6) if leaf else 0.0 for leaf, v in zip(is_leaf, nodes["value"], strict=True)),
    )


def _short(value: float) -> float:
    return float(value) if math.isinf(value) else float(f"{value:.9g}")


if __name__ == "__main__":
    main()
