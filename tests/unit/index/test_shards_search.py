import json
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.errors import StoreError
from prodseek.index.ivf import assign_cells
from prodseek.index.plan import CODINGS, IndexPlan, train_index
from prodseek.index.recall import exact_topk
from prodseek.index.search import ShardedIndex
from prodseek.index.shards import (
    METRIC,
    IndexManifest,
    build_shard,
    cell_ranges,
    faiss_version,
    file_entry,
    grow_shard,
    index_from_bytes,
    index_to_bytes,
    shard_entry,
)


def catalogue(n=1500, d=16, seed=0, n_kinds=20):
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(n_kinds, d))
    vectors = kinds[rng.integers(0, n_kinds, n)] + 0.7 * rng.normal(size=(n, d))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    vectors[n // 2 : n // 2 + n // 10] = vectors[0]
    return rng.permutation(10 * n)[:n].astype(np.int64), vectors


def train(vectors, nlist, coding="Flat"):
    return train_index(IndexPlan(len(vectors), vectors.shape[1], 0, nlist, coding, 0), vectors, seed=0)


def home_cells(trained, vectors):
    return assign_cells(vectors, trained.quantizer, 1).cells[:, 0]


@pytest.fixture
def build(tmp_path):
    """Write an index of these vectors into a folder of its own: its folder and manifest."""

    def build_index(ids, vectors, nlist, n_shards, nprobe=4, coding="Flat", trained=None):
        trained = trained or train(vectors, nlist, coding)
        cells = home_cells(trained, vectors)
        folder = tmp_path / f"index{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        entries = []
        for number, (first, stop) in enumerate(cell_ranges(np.bincount(cells, minlength=nlist), n_shards)):
            own = (cells >= first) & (cells < stop)
            shard = build_shard(trained, first, stop, cells[own], ids[own], vectors[own])
            data = index_to_bytes(shard)
            name = f"shard-{number:05}.faiss"
            (folder / name).write_bytes(data)
            entries.append(shard_entry(name, data, shard, first))
        data = index_to_bytes(trained)
        (folder / "trained.faiss").write_bytes(data)
        manifest = IndexManifest(
            facet="visual",
            embedding_id="projection",
            factory=coding if nlist == 1 else f"IVF{nlist},{coding}",
            metric=METRIC,
            d=vectors.shape[1],
            nlist=nlist,
            nprobe=nprobe,
            n_vectors=len(ids),
            faiss_version=faiss_version(),
            trained=file_entry("trained.faiss", data),
            trained_rows=len(vectors),
            trained_imbalance=1.0,
            n_grown=0,
            shards=tuple(entries),
        )
        return folder, manifest

    return build_index


def open_in(folder, manifest):
    return ShardedIndex.open(lambda entry: folder / entry.file, manifest)


@settings(max_examples=80)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 50))
def test_ranges_cover_every_cell_once(sizes, n_shards):
    ranges = cell_ranges(np.array(sizes), n_shards)
    assert 1 <= len(ranges) <= n_shards
    assert [cell for start, stop in ranges for cell in range(start, stop)] == list(range(len(sizes)))
    largest = max(sum(sizes[start:stop]) for start, stop in ranges)
    assert largest <= sum(sizes) / n_shards + 2 * max(sizes)


def test_equal_cells_make_equal_shards():
    assert cell_ranges(np.full(32, 10), 4) == [(0, 8), (8, 16), (16, 24), (24, 32)]


@pytest.mark.parametrize("coding", CODINGS)
def test_the_number_of_shards_changes_no_answer(build, coding):
    ids, vectors = catalogue()
    trained = train(vectors, 40, coding)
    queries = np.concatenate([vectors[:40], catalogue(seed=9)[1][:40]])
    expected = open_in(*build(ids, vectors, 40, 1, coding=coding, trained=trained)).search(queries, 12)
    for n_shards in (2, 7, 32):
        folder, manifest = build(ids, vectors, 40, n_shards, coding=coding, trained=trained)
        assert len(manifest.shards) > 1
        found = open_in(folder, manifest).search(queries, 12)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("coding", CODINGS)
def test_the_merged_index_is_faiss_own_and_answers_alike(build, tmp_path, coding):
    ids, vectors = catalogue(900, n_kinds=300)
    distinct = np.random.default_rng(5).normal(size=(90, 16))
    vectors[450:540] = distinct / np.linalg.norm(distinct, axis=1, keepdims=True)
    index = open_in(*build(ids, vectors, 24, 5, nprobe=6, coding=coding))
    faiss.write_index(index.merged(), str(tmp_path / "merged.faiss"))
    plain = faiss.read_index(str(tmp_path / "merged.faiss"))
    assert (plain.ntotal, plain.nprobe) == (900, 6)
    cosine, found = plain.search(vectors[:60], 10)
    own_ids, own_cosine = index.search(vectors[:60], 10)
    np.testing.assert_allclose(own_cosine, cosine, atol=1e-5)
    # Coded vectors that tie and products with centroids, which faiss leaves to BLAS, may fall the other way.
    assert (own_ids == found).mean() > 0.98


def test_all_cells_probed_is_exact_search(build):
    ids, vectors = catalogue(700)
    found, cosine = open_in(*build(ids, vectors, 16, 3)).search(vectors[:60], 15, nprobe=16)
    expected = exact_topk(vectors[:60], ids, vectors, 15)
    np.testing.assert_array_equal(found, expected.ids)
    np.testing.assert_array_equal(cosine, expected.cosine)


def test_answers_do_not_depend_on_the_batch(build):
    ids, vectors = catalogue(1500)
    index = open_in(*build(ids, vectors, 24, 3))
    together = index.search(vectors[:64], 7)
    for n_batch in (1, 32):
        parts = [index.search(vectors[i : i + n_batch], 7) for i in range(0, 64, n_batch)]
        for column in (0, 1):
            np.testing.assert_array_equal(np.concatenate([part[column] for part in parts]), together[column])


def test_equal_vectors_come_by_id(build):
    ids = np.array([9, 3, 7, 1, 5], dtype=np.int64)
    vectors = np.tile(np.float32([0, 1]), (5, 1))
    index = open_in(*build(ids, vectors, 1, 1))
    assert index.search(vectors[:1], 3)[0].tolist() == [[1, 3, 5]]
    assert index.search(vectors[:1], 3, excluded_ids=np.array([3, 1, 4]))[0].tolist() == [[5, 7, 9]]


def test_fewer_vectors_than_k_are_padded(build):
    ids, vectors = catalogue(10)
    found, cosine = open_in(*build(ids[:3], vectors[:3], 1, 4)).search(vectors[:1], 5)
    assert sorted(found[0, :3].tolist()) == sorted(ids[:3].tolist())
    assert found[0, 3:].tolist() == [-1, -1]
    assert np.isneginf(cosine[0, 3:]).all()


def test_no_query_has_no_answer(build):
    ids, vectors = catalogue(50)
    found, cosine = open_in(*build(ids, vectors, 2, 1)).search(vectors[:0], 5)
    assert found.shape == cosine.shape == (0, 5)


@pytest.mark.skipif(not faiss.get_num_gpus(), reason="needs a GPU that faiss sees")
@pytest.mark.parametrize("coding", ["Flat", "SQfp16", "SQ8"])
def test_a_gpu_answers_alike(build, coding):
    ids, vectors = catalogue(3000)
    index = open_in(*build(ids, vectors, 24, 3, coding=coding))
    expected, moved = index.search(vectors[:100], 10), index.on_gpu().search(vectors[:100], 10)
    np.testing.assert_allclose(moved[1], expected[1], atol=1e-4)
    assert (moved[0] == expected[0]).mean() > 0.98


def test_shards_are_mapped_not_read(build):
    ids, vectors = catalogue(400)
    index = open_in(*build(ids, vectors, 8, 2))
    assert all(isinstance(faiss.downcast_InvertedLists(s.invlists), faiss.OnDiskInvertedLists) for s in index._shards)


def test_a_shard_s_bytes_do_not_depend_on_the_order_of_rows():
    ids, vectors = catalogue(300)
    trained = train(vectors, 6)
    cells = home_cells(trained, vectors)
    order = np.random.default_rng(1).permutation(300)
    assert index_to_bytes(build_shard(trained, 0, 6, cells, ids, vectors)) == index_to_bytes(
        build_shard(trained, 0, 6, cells[order], ids[order], vectors[order])
    )


@pytest.mark.parametrize("coding", CODINGS)
def test_a_grown_shard_is_the_one_built_at_once(coding):
    ids, vectors = catalogue(800)
    trained = train(vectors, 12, coding)
    cells = home_cells(trained, vectors)
    early = np.arange(800) % 3 > 0
    removed = ids[early][:100]
    old = index_from_bytes(index_to_bytes(build_shard(trained, 0, 12, cells[early], ids[early], vectors[early])))
    for first, stop in ((0, 12), (3, 8)):  # as it was, and cut in pieces
        here = (cells >= first) & (cells < stop)
        late, kept = here & ~early, here & ~np.isin(ids, removed)
        added = build_shard(trained, first, stop, cells[late], ids[late], vectors[late])
        grown = grow_shard(old, 0, added, first, trained, removed)
        at_once = build_shard(trained, first, stop, cells[kept], ids[kept], vectors[kept])
        assert index_to_bytes(grown) == index_to_bytes(at_once)


def test_an_id_that_is_there_cannot_be_added():
    ids, vectors = catalogue(60)
    trained = train(vectors, 3)
    shard = build_shard(trained, 0, 3, home_cells(trained, vectors), ids, vectors)
    with pytest.raises(ValueError, match=r"detection id \d+ is in the index already"):
        grow_shard(shard, 0, shard, 0, trained, np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "shard-00001.faiss cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "shard-00001.faiss is truncated"),
        (lambda path: path.write_bytes(b""), "shard-00001.faiss is truncated: 0 of"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "shard-00001.faiss is altered"),
        (
            lambda path: path.write_bytes(path.with_name("shard-00000.faiss").read_bytes() + bytes(10**6)),
            "shard-00001.faiss is altered or of another index",
        ),
        (lambda path: path.with_name("trained.faiss").unlink(), "trained.faiss cannot be read"),
        (lambda path: path.with_name("trained.faiss").write_bytes(b"x"), "trained.faiss is truncated"),
    ],
)
def test_a_bad_file_is_named(build, damage, message):
    ids, vectors = catalogue(400)
    folder, manifest = build(ids, vectors, 8, 3)
    damage(Path(folder, "shard-00001.faiss"))
    with pytest.raises(StoreError, match=message):
        open_in(folder, manifest)


def test_a_shard_of_another_index_is_named_even_with_the_right_hash(build):
    ids, vectors = catalogue(400)
    folder, manifest = build(ids, vectors, 8, 3)
    first, second, third = manifest.shards
    foreign = replace(second, file=third.file, sha256=third.sha256, n_bytes=third.n_bytes)
    with pytest.raises(StoreError, match=rf"{third.file} holds .* the manifest says"):
        open_in(folder, replace(manifest, shards=(first, foreign, third)))


def test_the_imbalance_is_that_of_faiss(build):
    ids, vectors = catalogue(900)
    folder, manifest = build(ids, vectors, 16, 4)
    whole = open_in(folder, manifest).merged()
    assert manifest.imbalance == pytest.approx(whole.invlists.imbalance_factor())


def test_a_manifest_survives_json(build):
    ids, vectors = catalogue(200)
    _, manifest = build(ids, vectors, 4, 2)
    assert IndexManifest.from_dict(json.loads(json.dumps(manifest.to_dict()))) == manifest


def test_a_manifest_with_a_gap_or_a_missing_key_is_refused(build):
    ids, vectors = catalogue(200)
    _, manifest = build(ids, vectors, 4, 2)
    values = manifest.to_dict()
    with pytest.raises(StoreError, match="do not cover 4 cells"):
        IndexManifest.from_dict(values | {"shards": values["shards"][1:]})
    del values["nlist"]
    with pytest.raises(StoreError, match="malformed"):
        IndexManifest.from_dict(values)


@pytest.mark.parametrize(
    ("ids", "cells", "message"),
    [
        ([1, 1], [0, 0], "detection id 1 is given more than once"),
        ([1, 2], [0, 2], "cells 0 to 2 are not all within 0 to 1"),
        ([1, 2], [0], "1 cells"),
    ],
)
def test_rows_that_do_not_fit_are_refused(ids, cells, message):
    two = np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match=message):
        build_shard(train(two, 2), 0, 2, np.array(cells), np.array(ids), two)


def test_wrong_queries_are_refused(build):
    ids, vectors = catalogue(50)
    index = open_in(*build(ids, vectors, 2, 1))
    with pytest.raises(ValueError, match="16 dimensions"):
        index.search(np.ones((1, 3), dtype=np.float32), 5)
    with pytest.raises(ValueError, match="zero, NaN"):
        index.search(np.full((1, 16), np.nan, dtype=np.float32), 5)
    with pytest.raises(ValueError, match="k is 0"):
        index.search(vectors[:1], 0)
    with pytest.raises(ValueError, match="nprobe is 0"):
        index.search(vectors[:1], 1, nprobe=0)
