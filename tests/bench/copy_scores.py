"""Copy detection as DISC21 scores it, and contenders: PDQ, pHash, the bare embedding.

Source: Douze et al., "The 2021 Image Similarity Dataset and Challenge", 2021, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.fft
from copy_catalogues import EXACT, JudgedPair, Planted, Query, groups_of, judged_pairs, mixed_groups, read
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rich.table import Table

from prodseek.duplicates.hashes import dihedral_hashes, hamming, hashes_from_hex
from prodseek.duplicates.planting.copies import ALTERATIONS
from prodseek.duplicates.train_decision import expected_calibration_error
from prodseek.runs.store import Run

TARGET_PRECISION = 0.9
CONTENDERS = ("PDQ, eight orientations", "pHash, 64 bits", "visual embedding, frames")


def precision_recall(
    scores: NDArray[np.float64], is_true: NDArray[np.bool_], n_true: int
) -> tuple[float, float, float]:
    """Micro-average precision, recall at TARGET_PRECISION, and the score from which it is reached. Equal scores count at once."""
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    last = np.r_[np.diff(scores[order]) != 0, True] if len(order) else np.zeros(0, bool)
    hits = np.cumsum(is_true[order])[last]
    precision, recall = hits / (np.flatnonzero(last) + 1), hits / n_true
    reached = np.flatnonzero(precision >= TARGET_PRECISION)
    average = float((precision * np.diff(np.r_[0.0, recall])).sum())
    if not len(reached):
        return average, 0.0, np.inf
    return average, float(recall[reached[-1]]), float(scores[order][last][reached[-1]])


def likenesses(run: Run, folder: Path, planted: Planted, pairs: Sequence[JudgedPair]) -> dict[str, NDArray[np.float64]]:
    """(queries, originals) by contender; -inf where a pair was not reported."""
    images = read(run, "images").set_index("uri")
    uris = [query.uri for query in planted.queries]
    both = (uris, list(planted.originals))
    groups = groups_of(run)
    ours = _confidences(both, pairs, dict(zip(groups["uri"], groups["group_id"], strict=True)))
    hashes, known = [hashes_from_hex(images.loc[names, "pdq_hash"].tolist()) for names in both], both
    turned = dihedral_hashes(hashes[0])
    pdq = np.stack([hamming(turned[:, slot, None], hashes[1][None]) for slot in range(turned.shape[1])]).min(axis=0)
    phash = [np.array([phash_bits(folder / uri) for uri in names]) for names in known]
    frames = read(run, "detections").query("kind == 'frame'").set_index("image_id")["detection_id"]
    vectors = read(run, "embeddings").set_index("detection_id")["visual"]
    visual = [np.stack(vectors.loc[frames.loc[images.loc[names, "image_id"]]].tolist()) for names in known]
    scores = (ours, -pdq, -(phash[0][:, None] != phash[1][None]).sum(axis=2), visual[0] @ visual[1].T)
    names = ("prodseek", *CONTENDERS)
    return {name: np.asarray(score, np.float64) for name, score in zip(names, scores, strict=True)}


def _confidences(
    both: tuple[list[str], list[str]], pairs: Sequence[JudgedPair], group_of: Mapping[str, str]
) -> NDArray[np.float64]:
    """(queries, originals). The photos of a group count as one: its stand-in alone is compared with others."""
    places: dict[str, int] = {}
    place_of = {uri: places.setdefault(group_of.get(uri, uri), len(places)) for names in both for uri in names}
    found = np.full((len(places), len(places)), -np.inf)
    for pair in pairs:
        a, b = (place_of[uri] for uri in pair.uris)
        found[a, b] = found[b, a] = max(found[a, b], pair.confidence)
    rows, columns = ([place_of[uri] for uri in names] for names in both)
    return found[np.ix_(rows, columns)]


def phash_bits(path: Path) -> NDArray[np.bool_]:
    """imagededup's default: the low 8 x 8 of the DCT of 32 x 32 grey values, against their median."""
    with Image.open(path) as opened:
        grey = np.asarray(ImageOps.grayscale(opened).resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    low = scipy.fft.dctn(grey)[:8, :8].ravel()
    return np.asarray(low > np.median(low[1:]), np.bool_)


def tables(run: Run, folder: Path, planted: Planted, title: str) -> list[Table]:
    """What a catalogue came to: in all, by kind of copy, and what was merged."""
    queries, pairs = planted.queries, judged_pairs(run)
    column_of = {uri: place for place, uri in enumerate(planted.originals)}
    truth = np.zeros((len(queries), len(column_of)), bool)
    for row, query in enumerate(queries):
        if query.reference is not None:
            truth[row, column_of[query.reference]] = True
    known = int(truth.sum())
    main = Table(
        "", title=f"{title}: {len(column_of)} photos, {len(queries)} queries of which {known} have their original"
    )
    each = Table("", title=f"{title}: recall at {TARGET_PRECISION:.0%} precision, and by decision")
    for name in ("uAP", "R@P90"):
        main.add_column(name, justify="right")
    kinds, recalls = [EXACT, *ALTERATIONS], []
    for name, scores in likenesses(run, folder, planted, pairs).items():
        average, recall, bound = precision_recall(scores.ravel(), truth.ravel(), known)
        main.add_row(name, f"{average:.3f}", f"{recall:.3f}")
        each.add_column(name, justify="right")
        recalls.append([_share((scores >= bound) & truth, truth, queries, kind) for kind in kinds])
    for name in ("copy", "copy or look", "verdict right"):
        each.add_column(name, justify="right")
    by_uris = {pair.uris: pair for pair in pairs}
    for kind, values in zip(kinds, zip(*recalls, strict=True), strict=True):
        asked = [query for query in queries if query.alteration == kind and query.reference is not None]
        found = [by_uris.get(frozenset((query.uri, query.reference or ""))) for query in asked]
        verdict = ALTERATIONS[kind].verdict if kind in ALTERATIONS else "identical_bytes"
        known_pairs = [pair for pair in found if pair is not None and pair.decision != "variant"]
        right = f"{sum(pair.verdict == verdict for pair in known_pairs)} of {len(known_pairs)}" if verdict else ""
        copies = sum(pair.decision == "copy" for pair in known_pairs)
        n = max(1, len(asked))
        each.add_row(
            kind, *(f"{value:.2f}" for value in values), f"{copies / n:.2f}", f"{len(known_pairs) / n:.2f}", right
        )
    return [main, each, _merged(run, planted, pairs, title)]


def _share(found: NDArray[np.bool_], truth: NDArray[np.bool_], queries: Sequence[Query], kind: str) -> float:
    rows = [query.alteration == kind for query in queries]
    return float(found[rows].sum() / max(1, truth[rows].sum()))


def _merged(run: Run, planted: Planted, pairs: Sequence[JudgedPair], title: str) -> Table:
    """Decisions that are wrong, calibration, and which photo is kept.

    Two photos that were pasted into one scene share that: left out.
    """
    scene_of = {query.uri: query.scene for query in planted.queries if query.scene is not None}
    told = []
    for pair in pairs:
        a, b = sorted(pair.uris)
        if not pair.verdict.startswith("identical") and (a not in scene_of or scene_of[a] != scene_of.get(b)):
            told.append((pair, planted.source_of[a] == planted.source_of[b]))
    wrong = [pair for pair, is_true in told if pair.decision == "copy" and not is_true]
    confidence, is_true = np.array([pair.confidence for pair, _ in told]), np.array([true for _, true in told])
    n_copies = sum(pair.decision == "copy" for pair, _ in told)
    groups = groups_of(run)
    kept_uri = dict(zip(groups["uri"], groups["keep_uri"], strict=True))
    table = Table("", "", title=f"{title}: what was merged, beyond equal bytes")
    table.add_row("pairs merged that are not copies", f"{len(wrong)} of {n_copies} merged")
    table.add_row("of these, two photos of the catalogue", str(sum(_untouched(pair) for pair in wrong)))
    table.add_row("groups that hold two photos' copies", str(len(mixed_groups(groups, planted.source_of))))
    error = expected_calibration_error(confidence, is_true)
    table.add_row(
        f"calibration error, {len(is_true)} pairs judged, {int((~is_true).sum())} of them no copies", f"{error:.4f}"
    )
    known = [
        query
        for query in planted.queries
        if query.worse is not None
        and query.reference in kept_uri
        and kept_uri[query.reference] == kept_uri.get(query.uri)
    ]
    for worse in sorted({query.worse or "" for query in known}):
        asked = [query for query in known if query.worse == worse]
        right = sum(kept_uri[query.uri] != query.uri for query in asked)
        table.add_row(f"copy not kept: {worse}", f"{right} of {len(asked)}")
    for pair in wrong[:20]:
        table.add_row(" ".join(sorted(pair.uris)), f"{pair.verdict}, {pair.confidence:.3f}")
    return table


def _untouched(pair: JudgedPair) -> bool:
    return all(uri.startswith("original") for uri in pair.uris)
