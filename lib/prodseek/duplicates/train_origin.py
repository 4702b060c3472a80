"""Fit the models of origins: python -m prodseek.duplicates.train_origin --set NAME=MANIFEST:URI:LABEL ...

Photos of labelled catalogues are altered as people alter them, so that the original of each pair is known. A third of the
originals are PNG files. Each catalogue is judged by models that were fitted on the others; those that are shipped are fitted on
all of them and written to origin.json beside this file.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import sklearn
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from prodseek.duplicates.better import seen_together
from prodseek.duplicates.features import shrunk
from prodseek.duplicates.origin import (
    LEAST_LOSS,
    LOSS_TERMS,
    MODEL_FILE,
    SIGNS,
    OriginModel,
    Signs,
    loss_of,
    loss_terms,
)
from prodseek.duplicates.planting.files import jpeg, opened
from prodseek.duplicates.planting.pairs import Photo, PlantedPair, copy_of
from prodseek.duplicates.proof import DETAILED_SIDE_PX
from prodseek.duplicates.train_decision import labelled_photos
from prodseek.duplicates.verification import compare_views, view
from prodseek.photos.decode import decode_image

SEED = 0
# Copies whose pixels lie on those of the original. What is laid on a photo is told by other means.
KINDS = (
    *(
        "jpeg",
        "jpeg 5-25",
        "jpeg 80-95",
        "webp",
        "palette",
        "cropped",
        "cropped to 3:4",
        "margin",
        "margin on some sides",
    ),
    *(
        "grey",
        "sepia",
        "brightness",
        "contrast",
        "gamma",
        "saturation",
        "white balance",
        "sharpened",
        "noisy",
        "mirrored",
    ),
)
BLURRED = "blurred"
SAVED_AGAIN = "saved again, better"
_PNG_SHARE, _SMALLER = 1 / 3, 0.75
_ORIGIN_C, _BLURRED_C = 1.0, 10.0


@dataclass(frozen=True)
class Measured:
    """A copy whose original is known. signs: for the original. loss: see `loss_of`. terms: see LOSS_TERMS."""

    catalogue: str
    kind: str
    signs: Signs
    loss: float
    terms: list[float]
    was_blurred: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="NAME=MANIFEST:URI:LABEL")
    parser.add_argument("--copies", type=int, default=20, help="copies of each kind and catalogue")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rows: list[Measured] = []
    for name, photos in map(labelled_photos, arguments.sets):
        rows += [row for pair in planted(photos, arguments.copies) if (row := measured(pair)) is not None]
        print(f"{name}: {sum(row.catalogue == name for row in rows)} pairs measured", flush=True)
    model = fit_model(rows)
    target = Path(__file__).with_name(MODEL_FILE)
    target.write_text(json.dumps(asdict(model)) + "\n", encoding="utf-8")
    print(f"{json.dumps(asdict(model), indent=2)}\nwritten to {target}")


def planted(photos: Sequence[Photo], n_copies: int) -> Iterator[PlantedPair]:
    """Pairs of an original `a` and a copy `b`, as many of each kind."""
    for place, kind in enumerate((*KINDS, BLURRED, SAVED_AGAIN)):
        for number in range(n_copies):
            rng = np.random.default_rng([SEED, place, number])
            photo, other = (photos[int(rng.integers(len(photos)))] for _ in range(2))
            image = opened(photo.data)
            if kind == SAVED_AGAIN:
                first = jpeg(image, int(rng.integers(10, 70)))
                again = jpeg(opened(first), int(rng.integers(80, 99)))
                yield PlantedPair(first, again, True, kind, kind, photo.catalogue, "", "a")
                continue
            if rng.random() < _PNG_SHARE:
                photo = replace(photo, data=_png(image))
            pair = copy_of(kind, photo, other, rng)
            if pair is not None:
                yield pair


def measured(pair: PlantedPair) -> Measured | None:
    """What a night would measure on an original and its copy; None if it finds nothing in common."""
    a, b = (
        shrunk(decode_image(data, enough_side_px=DETAILED_SIDE_PX).pixels, DETAILED_SIDE_PX) for data in _files(pair)
    )
    comparison = compare_views(view(a), view(b))
    together = None if comparison is None else seen_together(a, b, comparison)
    if together is None or together.traces is None:
        return None
    loss = loss_of(together.traces)
    signs = Signs(*(-value for value in astuple(together.signs)))
    terms = loss_terms(together.traces)
    return Measured(pair.catalogue, pair.kind, signs, loss, terms, pair.kind == BLURRED and loss < 0)


def fit_model(rows: Sequence[Measured]) -> OriginModel:
    """Fit both models on all pairs, and judge each catalogue by models that have not seen it."""
    of = np.array([row.catalogue for row in rows])
    by_turns = {}
    for name in sorted(set(of.tolist())):
        seen = [row for row in rows if row.catalogue != name]
        left_out = [row for row in rows if row.catalogue == name]
        by_turns[name] = _scores(_fitted(seen, {}), left_out)
    recipe = {
        "script": "prodseek.duplicates.train_origin",
        "pairs": {name: int((of == name).sum()) for name in by_turns},
        "planted_seeds": [SEED],
        "by_turns": by_turns,
        "scikit_learn": sklearn.__version__,
    }
    return _fitted(rows, recipe)


def _fitted(rows: Sequence[Measured], recipe: dict[str, Any]) -> OriginModel:
    signs = np.array([astuple(row.signs) for row in rows if row.kind != BLURRED])
    softer = [row for row in rows if abs(row.loss) > LEAST_LOSS]
    # Either photo may come first, so there is nothing to add to the weighted sum.
    is_original = np.repeat([True, False], len(signs))
    origin, _ = _logistic(np.vstack([signs, -signs]), is_original, _ORIGIN_C, with_bias=False)
    blurred, bias = _logistic(
        np.array([row.terms for row in softer]),
        np.array([row.was_blurred for row in softer]),
        _BLURRED_C,
        with_bias=True,
    )
    return OriginModel(_named(SIGNS, origin), _named(LOSS_TERMS, blurred), round(bias, 4), recipe)


def _logistic(
    values: NDArray[np.float64], is_true: NDArray[np.bool_], strictness: float, with_bias: bool
) -> tuple[NDArray[np.float64], float]:
    spread = values.std(axis=0)
    spread[spread < 1e-9] = 1.0
    model = LogisticRegression(C=strictness, fit_intercept=with_bias, max_iter=10_000).fit(values / spread, is_true)
    return model.coef_[0] / spread, float(model.intercept_[0]) if with_bias else 0.0


def _named(names: Sequence[str], weights: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}


def _scores(model: OriginModel, rows: Sequence[Measured]) -> dict[str, float]:
    """Shares of pairs: the original has the higher odds; the copy has odds of two to one; blurred or not is told."""
    odds = np.array([model.log_odds(row.signs) for row in rows if row.kind != BLURRED])
    blurred = [model.is_blurred(row.terms) == row.was_blurred for row in rows if abs(row.loss) > LEAST_LOSS]
    return {
        "original": round(float((odds > 0).mean()), 4),
        "copy, two to one": round(float((odds < -np.log(2)).mean()), 4),
        "blurred": round(float(np.mean(blurred)), 4),
    }


def _files(pair: PlantedPair) -> tuple[bytes, bytes]:
    return pair.data_a, pair.data_b


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    size = (round(image.width * _SMALLER), round(image.height * _SMALLER))
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
