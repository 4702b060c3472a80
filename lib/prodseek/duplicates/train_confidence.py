"""Train the confidence: python -m prodseek.duplicates.train_confidence FOLDER

FOLDER holds photos that all show different things. Only the development half of them is used, chosen by their bytes. Each
photo is altered in one or two of the ways in ALTERATIONS, and pairs are found as in a night: by codes and by hash. Two photos
are copies if they were made from the same photo. Half of the photos fit the weights, the other half calibrates. The model is
written to confidence.json beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import sklearn
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from prodseek.duplicates.candidates import pairs_by_codes
from prodseek.duplicates.confidence import FEATURES, MODEL_FILE, ConfidenceModel, feature_values
from prodseek.duplicates.features import code_bits, feature_codes
from prodseek.duplicates.geometry import align
from prodseek.duplicates.hashes import best_orientation, hashes_from_hex, pdq_pairs
from prodseek.duplicates.planting.copies import ALTERATIONS, altered
from prodseek.duplicates.planting.files import jpeg
from prodseek.duplicates.planting.marks import with_badge
from prodseek.duplicates.verification import View, measure_aligned, view
from prodseek.photos.decode import decode_image
from prodseek.photos.hashes import pdq_hash

SEED = 0
N_COPIES = 3  # of each photo
N_PARTNERS = 4  # of each photo, by codes
SAME_BADGE = 0.1  # share of the photos that also get a copy with a badge, the same on all of them
SCENES = 0.1
MAX_PDQ_HAMMING = 60


@dataclass(frozen=True)
class _Made:
    """A photo or a copy of it. source: row of the photo that it shows. scene: row of the photo around it, or None."""

    data: bytes
    source: int
    scene: int | None


def is_development(data: bytes) -> bool:
    """Whether a photo may be used for training and tuning, decided by its bytes; the others are held out."""
    return bool(hashlib.sha256(data).digest()[0] & 1 << 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos that all show different things")
    folder = parser.parse_args().folder
    photos = sorted(
        {path.read_bytes() for path in folder.rglob("*.jp*g")}, key=lambda data: hashlib.sha256(data).digest()
    )
    photos = [data for data in photos if is_development(data)]
    features, is_copy, calibrates = _pairs(photos)
    mean, scale = features[~calibrates].mean(axis=0), features[~calibrates].std(axis=0)
    standard = (features - mean) / scale
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(standard[~calibrates], is_copy[~calibrates])
    logit = standard @ fitted.coef_[0] + fitted.intercept_[0]
    platt = LogisticRegression(C=1e6).fit(logit[calibrates, None], is_copy[calibrates])
    recipe = {
        "photos": len(photos),
        "pairs_fitted": int((~calibrates).sum()),
        "pairs_calibrated": int(calibrates.sum()),
        "copies_share": round(float(is_copy.mean()), 4),
        "alterations": [name for name in ALTERATIONS if name != "exact"],
        "seed": SEED,
        "scikit_learn": sklearn.__version__,
        "script": "prodseek.duplicates.train_confidence",
    }
    bias, slope, intercept = _rounded([fitted.intercept_[0], platt.coef_[0, 0], platt.intercept_[0]])
    model = ConfidenceModel(
        FEATURES, _rounded(mean), _rounded(scale), _rounded(fitted.coef_[0]), bias, slope, intercept, recipe
    )
    target = Path(__file__).with_name(MODEL_FILE)
    target.write_text(json.dumps(asdict(model), indent=2) + "\n", encoding="utf-8")
    for name, weight in zip(FEATURES, model.weights, strict=True):
        print(f"{name:24s} {weight:8.3f}")
    confidence = model.confidence(features)
    for part, rows in (("fitted", ~calibrates), ("calibrated", calibrates)):
        error = expected_calibration_error(confidence[rows], is_copy[rows])
        wrong = ((confidence[rows] > 0.5) != is_copy[rows]).sum()
        print(
            f"{part}: {rows.sum()} pairs, {is_copy[rows].sum()} of copies, {wrong} on the wrong side, error {error:.4f}"
        )
    print(f"written to {target}")


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


def _pairs(photos: Sequence[bytes]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Pairs: features (P, F), whether a pair is of copies (P,), and whether it is for calibration (P,)."""
    made = _made(photos)
    pixels = [decode_image(one.data).pixels for one in made]
    hashes = hashes_from_hex([pdq_hash(values)[0] for values in pixels])
    views = [view(values) for values in pixels]
    near = pdq_pairs(hashes, MAX_PDQ_HAMMING)
    candidates = _by_codes(views) | set(zip(near.row_a.tolist(), near.row_b.tolist(), strict=True))
    rows, is_copy, calibrates = [], [], []
    for a, b in sorted(candidates):
        same = made[a].source == made[b].source
        shown = [{one.source, one.scene} - {None} for one in (made[a], made[b])]
        if (not same and shown[0] & shown[1]) or made[a].source % 2 != made[b].source % 2:
            continue
        orientation, hamming = best_orientation(hashes[a], hashes[b])
        # A night does not measure pairs with few matches, but the model must learn to tell them from copies.
        found = align(views[a].features, views[b].features)
        comparison = measure_aligned(views[a], views[b], found, orientation if hamming <= MAX_PDQ_HAMMING else None)
        if comparison is not None:
            rows.append(feature_values(comparison, hamming))
            is_copy.append(same)
            calibrates.append(made[a].source % 2 == 1)
    return np.array(rows), np.array(is_copy), np.array(calibrates)


def _made(photos: Sequence[bytes]) -> list[_Made]:
    rng = np.random.default_rng(SEED)
    n_scenes = round(SCENES * len(photos))
    names = [name for name in ALTERATIONS if name != "exact"]
    made = []
    for source, data in enumerate(photos[n_scenes:], start=n_scenes):
        made.append(_Made(data, source, None))
        for name in rng.choice(names, N_COPIES, replace=False).tolist():
            scene = int(rng.integers(n_scenes))
            with Image.open(io.BytesIO(photos[scene])) as opened:
                copy = altered(name, data, opened, rng)
            if copy is not None:
                made.append(_Made(copy.data, source, scene if copy.family in ("paste", "combined") else None))
        if rng.random() < SAME_BADGE:
            with Image.open(io.BytesIO(data)) as opened:
                stamped = with_badge(opened.convert("RGB"), np.random.default_rng(SEED))
            made.append(_Made(jpeg(stamped), source, None))
    return made


def _by_codes(views: Sequence[View]) -> set[tuple[int, int]]:
    found = [feature_codes(one.features.descriptors, code_bits(len(views))) for one in views]
    counts = np.array([len(one.codes) for one in found])
    rows = np.repeat(np.arange(len(views)), counts)
    codes, asked = (np.concatenate(parts) for parts in zip(*((one.codes, one.asked) for one in found), strict=True))
    pairs = pairs_by_codes(rows, codes, np.repeat(rows, asked.shape[1]), asked.ravel(), len(views))
    likeness = pairs.weight / np.sqrt(counts[pairs.row_a] * counts[pairs.row_b])
    left, right = np.r_[pairs.row_a, pairs.row_b], np.r_[pairs.row_b, pairs.row_a]
    order = np.lexsort((right, -np.r_[likeness, likeness], left))
    left, right = left[order], right[order]
    nearest = np.arange(len(left)) - np.searchsorted(left, left) < N_PARTNERS
    return {(min(a, b), max(a, b)) for a, b in zip(left[nearest].tolist(), right[nearest].tolist(), strict=True)}


def _rounded(values: NDArray[np.float64] | Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)


if __name__ == "__main__":
    main()
