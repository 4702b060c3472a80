"""An index built anew: trained on a sample, filled with all vectors, its recall measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prodseek.index.ivf import assign_cells, training_rows
from prodseek.index.plan import train_index
from prodseek.index.shards import METRIC, IndexManifest, cell_ranges, faiss_version, file_entry, index_to_bytes
from prodseek.spark.arrow import vectors_of
from prodseek.spark.index.facet_to_index import FacetToIndex
from prodseek.spark.index.recall import tune_recall
from prodseek.spark.index.sampled_vectors import sampled_vectors
from prodseek.spark.index.shards import TRAINED, CutIndex, StoredIndex, homes_of, shard_rows, write_shards
from prodseek.spark.night import Night


def build_index(night: Night, facet: FacetToIndex) -> tuple[IndexManifest, str]:
    """The finished manifest and, for a person, on what it was trained. Raises as `tune_recall`."""
    plan, config = facet.plan, night.config
    wanted = min(config.index.train_rows, training_rows(plan.n_vectors, plan.nlist))
    drawn = sampled_vectors(facet.vectors, plan.n_vectors, wanted, f"train {config.seed}")
    sample = vectors_of(drawn.toArrow().sort_by("detection_id").column("vector"))
    trained = train_index(plan, sample, config.seed)
    sizes = np.bincount(assign_cells(sample, trained.quantizer, 1).cells[:, 0], minlength=plan.nlist)
    n_shards = config.index.n_shards or -(-plan.n_vectors // shard_rows(plan.d))
    cut = CutIndex(index_to_bytes(trained), cell_ranges(sizes, n_shards))
    written = write_shards(facet, cut, homes_of(facet.vectors, cut))
    manifest = IndexManifest(
        facet=facet.name,
        embedding_id=facet.embedding_id,
        factory=plan.factory,
        metric=METRIC,
        d=plan.d,
        nlist=plan.nlist,
        nprobe=1,
        n_vectors=plan.n_vectors,
        faiss_version=faiss_version(),
        trained=file_entry(TRAINED, cut.trained),
        trained_rows=len(sample),
        trained_imbalance=1.0,
        n_grown=0,
        shards=written.shards,
    )
    manifest = replace(manifest, trained_imbalance=manifest.imbalance)
    manifest, _ = tune_recall(night, StoredIndex(facet.folder_uri, manifest), facet.vectors)
    return manifest, f"trained on {len(sample)} vectors"
