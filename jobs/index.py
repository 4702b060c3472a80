"""Stage index: FAISS indexes of the embeddings, sharded by ranges of cells, with their recall measured.

The index of the last night is grown: what is new goes into its cells, what is gone is taken out. It is trained again
when the catalogue has drifted away from its cells.
"""

from __future__ import annotations

from prodseek.errors import StoreError
from prodseek.index.shards import IndexManifest
from prodseek.index.stored import index_folder, index_manifest, write_manifest
from prodseek.runs.columns import LIKENESS
from prodseek.runs.facts import IndexedFacet, IndexFacts
from prodseek.runs.store import Summary
from prodseek.spark.index.build import build_index
from prodseek.spark.index.facet_to_index import FacetToIndex
from prodseek.spark.index.grow import NotGrownError, grow_index
from prodseek.spark.index.recall import RECALL_K
from prodseek.spark.night import Night
from prodseek.storage import files


def run(night: Night) -> Summary[IndexFacts]:
    """Grow or build the index of each facet, measure its recall and choose nprobe."""
    lines: list[str] = []
    facets: dict[str, IndexedFacet] = {}
    # The folder of `likeness` holds those of the others.
    for name in sorted(night.config.index.facets, key=lambda name: name != LIKENESS):
        files.delete_dir(night.run.path(index_folder(name)))
        facet = FacetToIndex.of(night, name)
        manifest, how = _grow_or_build(night, facet)
        write_manifest(night.run, manifest)
        facets[name] = IndexedFacet(
            description=f"{manifest.factory}, {manifest.n_vectors} x {manifest.d}-d in {len(manifest.shards)} "
            f"shard(s), nprobe {manifest.nprobe}, recall@{RECALL_K} {manifest.recall:.3f}",
            how=how,
            recall=manifest.recall,
            recall_k=RECALL_K,
            recall_target=night.config.index.recall_target,
            recall_queries=manifest.recall_queries,
            nlist=manifest.nlist,
            nprobe=manifest.nprobe,
        )
        lines += [f"{name}: {facet.plan}", f"{name}: {how}", f"{name}: {facets[name].description}"]
    return Summary(IndexFacts(facets=facets), lines=tuple(lines))


def _grow_or_build(night: Night, facet: FacetToIndex) -> tuple[IndexManifest, str]:
    """The finished manifest and, for a person, how the index came about."""
    if night.last_run is None:
        return build_index(night, facet)
    try:
        last = index_manifest(night.last_run, facet.name)
    except StoreError:
        return build_index(night, facet)
    try:
        return grow_index(night, facet, night.last_run, last)
    except NotGrownError as error:
        reason = str(error)
    files.delete_dir(facet.folder_uri)
    manifest, how = build_index(night, facet)
    return manifest, f"the index of run {night.last_run.run_id} was not grown, {reason}; {how}"


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("index")
