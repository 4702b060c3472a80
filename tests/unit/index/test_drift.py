import re
from dataclasses import replace

import pytest

from prodseek.index.drift import drift, outgrown
from prodseek.index.plan import plan_index
from prodseek.index.shards import METRIC, FileEntry, IndexManifest, ShardEntry, faiss_version


def manifest(n_vectors=1_000_000, nlist=4096, coding="Flat", sum_squares=None, trained_imbalance=1.5):
    squares = 1.5 * n_vectors**2 / nlist if sum_squares is None else sum_squares
    shard = ShardEntry("s", "0", 1, 0, nlist, n_vectors, int(squares))
    factory = coding if nlist == 1 else f"IVF{nlist},{coding}"
    return IndexManifest(
        "visual",
        "projection",
        factory,
        METRIC,
        128,
        nlist,
        8,
        n_vectors,
        faiss_version(),
        FileEntry("t", "0", 1),
        200_000,
        trained_imbalance,
        0,
        (shard,),
    )


@pytest.mark.parametrize(
    ("before", "n_now", "memory_bytes", "embedding_id", "reason"),
    [
        (manifest(), 1_050_000, 2**33, "projection", None),
        (manifest(), 1_100_000, 2**33, "projection", None),  # where a new index would have twice the cells
        (manifest(), 1_050_000, 2**33, "another", "the projection is another one"),
        (manifest(), 5_000_000, 2**33, "projection", "4096 cells do not suit 5000000 vectors"),
        (manifest(), 20_000, 2**33, "projection", "4096 cells do not suit 20000 vectors"),
        (manifest(), 1_050_000, 2**28, "projection", r"IVF4096,Flat is not .*: IVF8192,SQ8"),
        (manifest(5000, 1), 9000, 2**33, "projection", None),
        (manifest(5000, 1), 50_000, 2**33, "projection", "1 cells do not suit 50000 vectors"),
        (replace(manifest(), d=64), 1_050_000, 2**33, "projection", "it has 64 dimensions, the embeddings 128"),
        (replace(manifest(), faiss_version="1.0"), 1_050_000, 2**33, "projection", "written by faiss 1.0"),
    ],
)
def test_an_index_is_grown_only_into_what_it_suits(before, n_now, memory_bytes, embedding_id, reason):
    found = outgrown(before, plan_index(n_now, 128, memory_bytes), embedding_id)
    if reason is None:
        assert found is None
    else:
        assert re.search(reason, found)


def test_drift_is_seen_in_cells_and_in_recall():
    assert drift(manifest(), 0.93, 0.95, 1.5, 0.05) is None
    assert "0.890 of the neighbours of what is new" in drift(manifest(), 0.89, 0.95, 1.5, 0.05)
    crowded = manifest(sum_squares=3.0 * 1_000_000**2 / 4096)
    assert "2.00 times as unequal" in drift(crowded, 1.0, 0.95, 1.5, 0.05)
