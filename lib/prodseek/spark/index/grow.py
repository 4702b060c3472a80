"""The index of the last night grown into tonight's: what is new goes into its cells, what is gone is taken out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prodseek.errors import StoreError
from prodseek.index.drift import drift, outgrown
from prodseek.index.search import checked_bytes
from prodseek.index.shards import IndexManifest, cell_ranges
from prodseek.index.stored import index_folder, locate_in
from prodseek.runs.store import Run
from prodseek.spark.index.facet_to_index import FacetToIndex
from prodseek.spark.index.recall import AddedVectors, tune_recall
from prodseek.spark.index.shards import CutIndex, StoredIndex, homes_of, shard_rows, write_shards
from prodseek.spark.night import Night
from prodseek.spark.tables import facet_vectors


class NotGrownError(Exception):
    """Why an index has to be trained again. What was written of the grown one is still there."""


def grow_index(night: Night, facet: FacetToIndex, last_run: Run, last: IndexManifest) -> tuple[IndexManifest, str]:
    """The finished manifest and, for a person, what changed. Raises NotGrownError where it has to be trained again.

    last: the manifest of the facet's index in last_run.
    """
    reason = outgrown(last, facet.plan, facet.embedding_id)
    if reason is not None:
        raise NotGrownError(reason)
    known = facet_vectors(night.spark, last_run, facet.name)
    added = facet.vectors.join(known.select("detection_id"), "detection_id", "left_anti")
    removed = known.join(facet.vectors.select("detection_id"), "detection_id", "left_anti")
    grown_from = StoredIndex(last_run.path(index_folder(facet.name)), last)
    try:
        trained = checked_bytes(locate_in(grown_from.folder_uri), last.trained)
    except StoreError as error:
        raise NotGrownError(str(error)) from error
    cut = CutIndex(trained, _ranges(last, facet.plan.d))
    changed = homes_of(added, cut).unionByName(homes_of(removed, cut, is_removed=True))
    written = write_shards(facet, cut, changed, grown_from)
    if written.fault:
        raise NotGrownError(written.fault)
    manifest = replace(last, n_vectors=facet.plan.n_vectors, shards=written.shards, n_grown=last.n_grown + 1)
    if sum(shard.n_vectors for shard in written.shards) != facet.plan.n_vectors:
        raise NotGrownError("it does not hold what that run's embeddings hold")
    try:
        manifest, recall_of_new = tune_recall(
            night, StoredIndex(facet.folder_uri, manifest), facet.vectors, AddedVectors(added, written.n_added)
        )
    except StoreError as error:
        raise NotGrownError(str(error)) from error
    settings = night.config.index
    reason = drift(
        manifest, recall_of_new, settings.recall_target, settings.retrain_imbalance, settings.retrain_recall_drop
    )
    if reason is not None:
        raise NotGrownError(reason)
    return manifest, f"grown from run {last_run.run_id}: {written.n_added} added, {written.n_removed} removed"


def _ranges(last: IndexManifest, d: int) -> list[tuple[int, int]]:
    """The ranges of cells of the shards of `last`; those of shards of more than twice the usual size in pieces."""
    ranges = []
    for shard in last.shards:
        n_pieces = -(-shard.n_vectors // shard_rows(d)) if shard.n_vectors > 2 * shard_rows(d) else 1
        pieces = cell_ranges(np.ones(shard.stop_cell - shard.first_cell, np.int64), n_pieces)
        ranges += [(shard.first_cell + first, shard.first_cell + stop) for first, stop in pieces]
    return ranges
