"""Measure a finished run with labels, and compare it with an earlier evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic_core import from_json

from prodseek.embedding.evaluation import Ranking, ranking
from prodseek.embedding.leakage import N_FOLDS, location_leakage
from prodseek.errors import CatalogueError, StoreError
from prodseek.evaluation.columns import column_purities, odd_photos
from prodseek.evaluation.labels import LabelledPairs, in_order, matched
from prodseek.evaluation.measures import group_scores, pair_scores, retrieval_scores, scores_by_label
from prodseek.runs.columns import BOX_PX, FACETS, GROUP_COLUMNS, VISUAL
from prodseek.runs.facts import IndexFacts
from prodseek.runs.store import Run, read_columns
from prodseek.storage import files

KS = (1, 10)
# The slice as it comes from the network, not projected: the baseline that the projection should beat.
RAW_SLICE = "slice"
MAX_QUERIES = 5000
# Location leakage compares all rows with all.
MAX_LEAKAGE_ROWS = 3000


@dataclass(frozen=True)
class Measured:
    """The data that an evaluation was measured on.

    regions: N rows, the primary region of each labelled photo in the order of detection_id: uri, label, box and the photo's
    size. vectors: facet or RAW_SLICE -> (N, d) float32, unit length, in the same order. found: the ranking by the first facet.
    """

    regions: pa.Table
    vectors: dict[str, NDArray[np.float32]]
    found: Ranking


def evaluate(
    run: Run, labels: Mapping[str, str], source: str, pairs: LabelledPairs | None = None
) -> tuple[dict[str, Any], Measured]:
    """Measure a run with labels of its photos. Returns the evaluation, ready for JSON, and the data it was measured on.

    labels: photo URI -> label. source: the file that they are from. Each photo is represented by its primary region, and photos
    with the same bytes by the first one with a label. Raises CatalogueError if fewer than KS[-1] + 1 photos of the run have a
    label.
    """
    images = read_columns(run, "images", ["image_id", "uri", "width_px", "height_px"])
    found = matched(dict(labels), images.column("uri").to_pylist(), source)
    table = _labelled_regions(run, images, found)
    n_photos = table.num_rows
    if n_photos <= max(KS):
        raise CatalogueError(f"{source}: {n_photos} of its photos are in the run; at least {max(KS) + 1} are needed")
    names = table.column("label").to_pylist()
    queries = _sampled(table.column("image_id").to_pylist(), MAX_QUERIES)
    vectors = _vectors(run, table)
    rankings = {way: ranking(matrix, names, KS, queries) for way, matrix in vectors.items()}
    index = run.facts(IndexFacts).likeness
    evaluation = {
        "run_id": run.run_id,
        "labels": {
            "file": source,
            "labelled": len(labels),
            "in_run": len(found),
            "photos": n_photos,
            "labels": len(set(names)),
            "queries": len(queries),
        },
        "retrieval": {way: retrieval_scores(one) for way, one in rankings.items()},
        "by_label": scores_by_label(rankings[VISUAL], names),
        "groups": _groups(run, table, names),
        "columns": {name: asdict(one) for name, one in column_purities(run).items()},
        "odd_category": asdict(odd_photos(run)),
        "duplicates": _duplicates(run, found, pairs),
        "place_in_vectors": _leakage(vectors, table, names),
        "index": {"recall": index.recall, "recall_k": index.recall_k, "recall_target": index.recall_target},
    }
    return evaluation, Measured(table, vectors, rankings[VISUAL])


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The figures that both evaluations have and that differ: name -> (before, now)."""
    old = dict(figures(before))
    return {
        name: (old[name], value)
        for name, value in figures(now)
        if name in old and round(old[name], 4) != round(value, 4)
    }


def figures(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """All figures of an evaluation but those by label, with names such as `retrieval visual P@1`."""
    for section in ("retrieval", "groups", "duplicates", "place_in_vectors", "index"):
        values = evaluation.get(section)
        if isinstance(values, Mapping):
            yield from _flat(section, values)
    for name, column in evaluation.get("columns", {}).items():
        yield from _flat(f"groups pure by {name},", column["purity"])


def read_evaluation(uri: str) -> dict[str, Any]:
    """Read an earlier evaluation. Raises StoreError if it cannot be read."""
    try:
        values = from_json(files.read_bytes(uri))
    except (OSError, ValueError) as error:
        raise StoreError(f"the evaluation {uri} cannot be read: {error}") from error
    if not isinstance(values, dict) or "retrieval" not in values:
        raise StoreError(f"{uri} is not an evaluation; name the JSON file that an earlier `prodseek evaluate` wrote")
    return values


def _flat(name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{name} {key}", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{name} {key}", float(value)


def _labelled_regions(run: Run, images: pa.Table, labels: Mapping[str, str]) -> pa.Table:
    """The primary region of each labelled image, by detection_id: image_id, uri, label, slice, box, and size of the photo."""
    uri_of: dict[str, str] = {}
    for row in images.sort_by("uri").to_pylist():
        if row["uri"] in labels:
            uri_of.setdefault(row["image_id"], row["uri"])
    uris = list(uri_of.values())
    named = pa.table({"image_id": list(uri_of), "uri": uris, "label": [labels[uri] for uri in uris]})
    sizes = images.group_by("image_id").aggregate([("width_px", "max"), ("height_px", "max")])
    where = pc.field("is_primary") & pc.field("image_id").isin(list(uri_of))
    primary = read_columns(run, "detections", ["image_id", "detection_id", "slice", *BOX_PX], where)
    return primary.join(named, "image_id", join_type="inner").join(sizes, "image_id").sort_by("detection_id")


def _sampled(image_ids: list[str], n_most: int) -> NDArray[np.int64]:
    """The rows to use: all, or the n_most with the lowest ids, which are hashes and so a random sample. Returns (Q,) int64."""
    return np.sort(np.argsort(np.asarray(image_ids), kind="stable")[:n_most]).astype(np.int64)


def _vectors(run: Run, table: pa.Table) -> dict[str, NDArray[np.float32]]:
    where = pc.field("detection_id").isin(table.column("detection_id").combine_chunks())
    own = read_columns(run, "embeddings", ["detection_id", *FACETS], where).sort_by("detection_id")
    vectors = {facet: np.array(own.column(facet).to_pylist(), np.float32) for facet in FACETS}
    slices = [np.frombuffer(values, np.float16) for values in table.column("slice").to_pylist()]
    raw = np.stack(slices).astype(np.float32)
    vectors[RAW_SLICE] = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return vectors


def _groups(run: Run, table: pa.Table, names: list[str]) -> dict[str, dict[str, float]]:
    columns = ["detection_id", *GROUP_COLUMNS.values()]
    grouped = read_columns(run, "curation_groups", columns, pc.field("facet") == VISUAL)
    of_region = {row["detection_id"]: row for row in grouped.to_pylist()}
    rows = [of_region.get(detection_id, {}) for detection_id in table.column("detection_id").to_pylist()]
    scores = {}
    for level, column in GROUP_COLUMNS.items():
        scores[level] = asdict(group_scores([row.get(column) for row in rows], names))
    return scores


def _duplicates(run: Run, labels: Mapping[str, str], pairs: LabelledPairs | None) -> dict[str, Any]:
    groups: dict[str, set[str]] = {}
    members = read_columns(run, "duplicate_groups", ["group_id", "uri"])
    for group_id, uri in zip(members.column("group_id").to_pylist(), members.column("uri").to_pylist(), strict=True):
        if uri in labels:
            groups.setdefault(group_id, set()).add(labels[uri])
    scores: dict[str, Any] = {"groups": len(groups), "groups_with_two_labels": sum(len(g) > 1 for g in groups.values())}
    if pairs is not None:
        named = {uri for pair in pairs.verdicts for uri in pair} | set(labels)
        table = read_columns(run, "near_duplicates", ["uri_a", "uri_b", "verdict"])
        published = {
            in_order(row["uri_a"], row["uri_b"]): row["verdict"]
            for row in table.to_pylist()
            if row["uri_a"] in named and row["uri_b"] in named
        }
        scores["pairs"] = asdict(pair_scores(published, pairs))
    return scores


def _leakage(vectors: Mapping[str, NDArray[np.float32]], table: pa.Table, names: list[str]) -> dict[str, float]:
    """Location leakage of the primary boxes, cross-validated by label: R squared for each kind of vector.

    Empty if there are too few labels, or if all boxes are at the same x or the same y.
    """
    edges = np.stack([table.column(name).to_numpy() for name in BOX_PX], axis=1)
    sizes = np.stack([table.column(f"{name}_max").to_numpy() for name in ("width_px", "height_px")], axis=1)
    centres = (edges[:, :2] + edges[:, 2:]) / 2 / sizes
    rows = _sampled(table.column("image_id").to_pylist(), MAX_LEAKAGE_ROWS)
    labels = np.asarray(names)[rows].tolist()
    if len(set(labels)) < N_FOLDS or not (centres[rows].std(axis=0) > 0).all():
        return {}
    return {way: location_leakage(vectors[way][rows], centres[rows], labels) for way in (VISUAL, RAW_SLICE)}
