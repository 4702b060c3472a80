"""Planted pairs of catalogues, judged by a model that was fitted on the other catalogues: by turns, one is left out."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from copy_judging import Measurement, judged, kept_side, measure
from rich.table import Table
from sklearn.metrics import average_precision_score, precision_recall_curve

from prodseek.duplicates.decision import DecisionModel
from prodseek.duplicates.planting.copies import Worse
from prodseek.duplicates.planting.pairs import (
    REAL,
    Photo,
    PlantedPair,
    altered_negatives,
    planted_pairs,
    real_negatives,
)
from prodseek.duplicates.proof import Proof
from prodseek.duplicates.train_decision import expected_calibration_error, fit_model, kept_rows
from prodseek.duplicates.verdicts import Decision, Judgement
from prodseek.duplicates.verification import Comparison

_CHUNK = 50  # pairs of a task
_FAMILY_TURNS = 5
_DRAWS = 50


@dataclass(frozen=True)
class MeasuredPair:
    """A pair without its bytes, what was measured, and the processor time that took."""

    pair: PlantedPair
    measurement: Measurement
    seconds: float


def measured_pairs(
    catalogues: Sequence[Sequence[Photo]], n_made: int, n_real: int, seed: int, processes: int
) -> list[MeasuredPair]:
    """n_made planted pairs of each catalogue and up to n_real real negatives, each of them altered too."""
    found: list[MeasuredPair] = []
    with get_context("fork").Pool(processes) as pool:
        chunks = [
            (photos, min(_CHUNK, n_made - first), seed, first)
            for photos in catalogues
            for first in range(0, n_made, _CHUNK)
        ]
        for part in pool.imap_unordered(_plant_and_measure, chunks):
            found += part
            print(f"{len(found)} pairs measured", end="\r", flush=True)
        for photos in catalogues:
            real = _some(real_negatives(photos), n_real, seed)
            real += altered_negatives(real, photos, np.random.default_rng([seed, 2]))
            found += pool.map(_measured, real, chunksize=8)
    return sorted(found, key=lambda one: (one.pair.catalogue, one.pair.kind, one.pair.source))


def _plant_and_measure(chunk: tuple[Sequence[Photo], int, int, int]) -> list[MeasuredPair]:
    return [_measured(pair) for pair in planted_pairs(*chunk)]


def _measured(pair: PlantedPair) -> MeasuredPair:
    cv2.setNumThreads(1)
    started = time.process_time()
    measurement = measure(pair.data_a, pair.data_b, which_is_kept=pair.keep is not None)
    return MeasuredPair(replace(pair, data_a=b"", data_b=b""), measurement, time.process_time() - started)


def _some(pairs: Sequence[PlantedPair], most: int, seed: int) -> list[PlantedPair]:
    rng = np.random.default_rng([seed, 1])
    return [pairs[row] for row in sorted(rng.permutation(len(pairs))[:most].tolist())]


def kept_or_measured(path: Path | None, make: Callable[[], list[MeasuredPair]]) -> list[MeasuredPair]:
    """Measurements that an earlier run of this benchmark wrote to path, or new ones, which are written there."""
    if path is None:
        return make()
    measures = [field.name for kind in (Proof, Comparison) for field in fields(kind)]
    if not path.exists():
        path.write_bytes(pickle.dumps((measures, make())))
    earlier, found = pickle.loads(path.read_bytes())
    if earlier != measures:
        raise SystemExit(f"{path}: measured by earlier code; delete the file to measure again")
    return list(found)


@dataclass(frozen=True)
class Turn:
    """A catalogue, or a family of its kinds, judged by a model that was fitted without it."""

    left_out: str
    pairs: Sequence[MeasuredPair]
    judgements: Sequence[Judgement | None]
    model: DecisionModel

    def share(self, chosen: Callable[[PlantedPair], bool], *decisions: Decision) -> tuple[int, int]:
        """How many of the chosen pairs got one of the decisions, and how many were chosen."""
        asked = [judgement for one, judgement in zip(self.pairs, self.judgements, strict=True) if chosen(one.pair)]
        return sum(one is not None and one.decision in decisions for one in asked), len(asked)

    def ranking(self) -> tuple[float, float]:
        """Average precision, and recall at a precision of 90 %, of the pairs by their confidence; 0 where there is no verdict."""
        confidence = [0.0 if judgement is None else judgement.confidence for judgement in self.judgements]
        is_copy = [one.pair.is_copy for one in self.pairs]
        precision, recall, _ = precision_recall_curve(is_copy, confidence)
        return float(average_precision_score(is_copy, confidence)), float(recall[precision >= 0.9].max())

    def calibration_error(self) -> tuple[float, float]:
        """Of the pairs that the model judged, and what it would be if each were a copy with just its confidence: chance alone."""
        rows = [
            (judgement.confidence, one.pair.is_copy)
            for one, judgement in zip(self.pairs, self.judgements, strict=True)
            if judgement is not None and one.measurement.features is not None
        ]
        if not rows:
            return 0.0, 0.0
        confidence, is_copy = (np.array(column) for column in zip(*rows, strict=True))
        rng = np.random.default_rng(0)
        by_chance = [
            expected_calibration_error(confidence, rng.random(len(confidence)) < confidence) for _ in range(_DRAWS)
        ]
        return expected_calibration_error(confidence, is_copy.astype(bool)), float(np.mean(by_chance))


def turns(pairs: Sequence[MeasuredPair], trained: Path | None) -> Iterator[Turn]:
    """Each catalogue, with a model fitted on the others. trained: what train_decision measured, to be fitted instead."""
    rows = None if trained is None else kept_rows(trained)
    for name in sorted({one.pair.catalogue for one in pairs}):
        if rows is None:
            model = fitted([one for one in pairs if one.pair.catalogue != name])
        else:
            other = np.array(rows[2]) != name
            model = fit_model(rows[0][other], rows[1][other], [one for one in rows[2] if one != name])
        yield _turn(name, model, [one for one in pairs if one.pair.catalogue == name])


def family_turns(pairs: Sequence[MeasuredPair]) -> Iterator[Turn]:
    """A fifth of the families of kinds at a time, each judged on each catalogue, by a model that saw neither.

    One turn for each family.
    """
    families = sorted({one.pair.family for one in pairs} - {REAL})
    for first in range(_FAMILY_TURNS):
        left_out = families[first::_FAMILY_TURNS]
        parts = []
        for name in sorted({one.pair.catalogue for one in pairs}):
            known = [one for one in pairs if one.pair.catalogue != name and one.pair.family not in left_out]
            asked = [one for one in pairs if one.pair.catalogue == name and one.pair.family in left_out]
            parts.append(_turn(name, fitted(known), asked))
        asked = [one for part in parts for one in part.pairs]
        judgements = [one for part in parts for one in part.judgements]
        for family in left_out:
            rows = [row for row, one in enumerate(asked) if one.pair.family == family]
            yield Turn(family, [asked[row] for row in rows], [judgements[row] for row in rows], parts[0].model)


def _turn(left_out: str, model: DecisionModel, asked: Sequence[MeasuredPair]) -> Turn:
    return Turn(left_out, asked, [judged(one.measurement, model) for one in asked], model)


def fitted(known: Sequence[MeasuredPair]) -> DecisionModel:
    """The model of pairs of at least two catalogues, those that are decided without it left out."""
    rows: list[list[float]] = []
    is_copy: list[bool] = []
    catalogues: list[str] = []
    for one in known:
        features = one.measurement.features
        if features is not None:
            rows.append(features)
            is_copy.append(one.pair.is_copy)
            catalogues.append(one.pair.catalogue)
    return fit_model(np.array(rows), np.array(is_copy), catalogues)


def tables(judged_turns: Sequence[Turn]) -> list[Table]:
    return [
        table_of_turns(judged_turns),
        _kinds(judged_turns, is_copy=False),
        _kinds(judged_turns, is_copy=True),
        _kept(judged_turns),
    ]


def table_of_turns(judged_turns: Sequence[Turn]) -> Table:
    """What was left out, in one line each."""
    table = Table("left out", title="each judged by a model that was fitted without it")
    for name in ("real negatives: copy", "made negatives: copy", "right of copy", "recall, copy", "copy or look"):
        table.add_column(name, justify="right")
    for name in ("average precision", "R@P90", "calibration error (by chance)", "ms a pair"):
        table.add_column(name, justify="right")
    copy, look = Decision.COPY, Decision.LOOK
    for turn in judged_turns:
        real = turn.share(lambda pair: pair.family == REAL, copy)
        made = turn.share(lambda pair: not pair.is_copy and pair.family != REAL, copy)
        right, n_copies = turn.share(lambda pair: pair.is_copy, copy)
        found, _ = turn.share(lambda pair: pair.is_copy, copy, look)
        table.add_row(
            turn.left_out,
            f"{real[0]} of {real[1]}",
            f"{made[0]} of {made[1]}",
            f"{right / max(1, right + real[0] + made[0]):.4f}",
            f"{right / max(1, n_copies):.3f} of {n_copies}",
            f"{found / max(1, n_copies):.3f}",
            *(["", ""] if n_copies in (0, len(turn.pairs)) else map("{:.3f}".format, turn.ranking())),
            "{:.4f} ({:.4f})".format(*turn.calibration_error()),
            f"{1000 * float(np.median([one.seconds for one in turn.pairs])):.0f}",
        )
    return table


def _kinds(judged_turns: Sequence[Turn], is_copy: bool) -> Table:
    """By kind, for each turn: the number judged copy, and the number judged look."""
    title = "copies: recall by copy / by copy or look" if is_copy else "negatives: judged copy / look, of"
    table = Table("", title=title)
    for turn in [*judged_turns]:
        table.add_column(turn.left_out, justify="right")
    table.add_column("all", justify="right")
    kinds = {(_kind(one.pair)) for turn in judged_turns for one in turn.pairs if one.pair.is_copy == is_copy}
    for kind in sorted(kinds):
        cells, total = [], np.zeros(3, int)
        for turn in judged_turns:
            copy, n = turn.share(lambda pair, kind=kind: _kind(pair) == kind, Decision.COPY)
            look, _ = turn.share(lambda pair, kind=kind: _kind(pair) == kind, Decision.LOOK)
            total += (copy, look, n)
            cells.append(_cell(copy, look, n, is_copy))
        table.add_row(kind, *cells, _cell(*total.tolist(), is_copy))
    return table


def _kind(pair: PlantedPair) -> str:
    return f"{pair.kind}, ground stays" if pair.ambiguous else pair.kind


def _cell(copy: int, look: int, n: int, is_copy: bool) -> str:
    if not n:
        return ""
    return f"{copy / n:.2f} / {(copy + look) / n:.2f}" if is_copy else f"{copy} / {look}, {n}"


def _kept(judged_turns: Sequence[Turn]) -> Table:
    """Of the pairs judged copies: how often the original is the one to keep."""
    table = Table(
        "the copy was", title="the original kept, where it is known / neither better, of the pairs judged copy"
    )
    for turn in judged_turns:
        table.add_column(turn.left_out, justify="right")
    for worse in Worse:
        cells = []
        for turn in judged_turns:
            sides = [
                (kept_side(one.measurement, judgement), one.pair.keep)
                for one, judgement in zip(turn.pairs, turn.judgements, strict=True)
                if one.pair.worse == worse and judgement is not None and judgement.decision == Decision.COPY
            ]
            right = sum(kept == keep for kept, keep in sides)
            equal = sum(kept == "either" for kept, _ in sides)
            cells.append(f"{right} / {equal}, {len(sides)}" if sides else "")
        table.add_row(worse.value, *cells)
    return table
