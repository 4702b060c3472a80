import json

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.errors import StoreError
from prodseek.index.ivf import assign_cells, train_centroids
from prodseek.index.recall import exact_topk, recall_at_k, tune_nprobe
from prodseek.index.search import ShardedIndex
from prodseek.index.shards import (
    METRIC,
    IndexManifest,
    build_shard,
    cell_ranges,
    centroids_from_bytes,
    centroids_to_bytes,
    factory_name,
    faiss_version,
    file_entry,
    shard_entry,
)


def catalogue(n=1500, d=16, seed=0, n_kinds=20):
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(n_kinds, d))
    vectors = kinds[rng.integers(0, n_kinds, n)] + 0.7 * rng.normal(size=(n, d))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    vectors[n // 2 : n // 2 + n // 10] = vectors[0]
    return rng.permutation(10 * n)[:n].astype(np.int64), vectors


def build(ids, vectors, nlist, n_shards, nprobe=4):
    centroids = train_centroids(vectors, nlist, seed=0)
    cells = assign_cells(vectors, centroids, 1)[:, 0] if len(vectors) else np.zeros(0, dtype=np.int32)
    files = {"centroids.npy": centroids_to_bytes(centroids)}
    entries = []
    for number, (start, stop) in enumerate(cell_ranges(np.bincount(cells, minlength=nlist), n_shards)):
        own = (cells >= start) & (cells < stop)
        name = f"shard-{number:05}.faiss"
        files[name] = build_shard(centroids, cells[own], ids[own], vectors[own])
        entries.append(shard_entry(name, files[name], start, stop, int(own.sum())))
    manifest = IndexManifest(
        "visual",
        factory_name(nlist),
        METRIC,
        vectors.shape[1],
        nlist,
        nprobe,
        len(ids),
        faiss_version(),
        file_entry("centroids.npy", files["centroids.npy"]),
        tuple(entries),
    )
    return files, manifest


def read_from(files):
    def read(name):
        if name not in files:
            raise FileNotFoundError(name)
        return files[name]

    return read


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 50))
def test_ranges_cover_every_cell_once(sizes, n_shards):
    ranges = cell_ranges(np.array(sizes), n_shards)
    assert 1 <= len(ranges) <= n_shards
    assert [cell for start, stop in ranges for cell in range(start, stop)] == list(range(len(sizes)))
    largest = max(sum(sizes[start:stop]) for start, stop in ranges)
    assert largest <= sum(sizes) / n_shards + 2 * max(sizes)


def test_equal_cells_make_equal_shards():
    assert cell_ranges(np.full(32, 10), 4) == [(0, 8), (8, 16), (16, 24), (24, 32)]


@pytest.mark.parametrize("n_shards", [2, 7, 32])
def test_the_number_of_shards_changes_no_answer(n_shards):
    ids, vectors = catalogue()
    queries = np.concatenate([vectors[:40], catalogue(seed=9)[1][:40]])
    one_files, one = build(ids, vectors, 24, 1)
    many_files, many = build(ids, vectors, 24, n_shards)
    assert len(many.shards) > 1
    expected = ShardedIndex.open(read_from(one_files), one).search(queries, 12)
    found = ShardedIndex.open(read_from(many_files), many).search(queries, 12)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_cosines_equal_those_of_faiss_itself():
    ids, vectors = catalogue(600)
    files, manifest = build(ids, vectors, 8, 1, nprobe=3)
    plain = faiss.deserialize_index(np.frombuffer(files["shard-00000.faiss"], dtype=np.uint8))
    plain.nprobe = 3
    expected, _ = plain.search(vectors[:50], 10)
    _, cosine = ShardedIndex.open(read_from(files), manifest).search(vectors[:50], 10)
    np.testing.assert_allclose(cosine, expected, atol=1e-5)


def test_all_cells_probed_is_exact_search():
    ids, vectors = catalogue(700)
    files, manifest = build(ids, vectors, 16, 3)
    index = ShardedIndex.open(read_from(files), manifest)
    found, cosine = index.search(vectors[:60], 15, nprobe=16)
    expected, expected_cosine = exact_topk(vectors[:60], ids, vectors, 15)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(cosine, expected_cosine)


def test_equal_vectors_come_by_id():
    ids = np.array([9, 3, 7, 1, 5], dtype=np.int64)
    vectors = np.tile(np.float32([0, 1]), (5, 1))
    files, manifest = build(ids, vectors, 1, 1)
    found, _ = ShardedIndex.open(read_from(files), manifest).search(vectors[:1], 3)
    assert found.tolist() == [[1, 3, 5]]


def test_fewer_vectors_than_k_are_padded():
    ids, vectors = catalogue(10)
    files, manifest = build(ids[:3], vectors[:3], 1, 4)
    found, cosine = ShardedIndex.open(read_from(files), manifest).search(vectors[:1], 5)
    assert sorted(found[0, :3].tolist()) == sorted(ids[:3].tolist())
    assert found[0, 3:].tolist() == [-1, -1]
    assert np.isneginf(cosine[0, 3:]).all()


def test_no_query_has_no_answer():
    ids, vectors = catalogue(50)
    files, manifest = build(ids, vectors, 2, 1)
    found, cosine = ShardedIndex.open(read_from(files), manifest).search(vectors[:0], 5)
    assert found.shape == cosine.shape == (0, 5)


def test_a_shard_s_bytes_do_not_depend_on_the_order_of_rows():
    ids, vectors = catalogue(300)
    centroids = train_centroids(vectors, 6, seed=0)
    cells = assign_cells(vectors, centroids, 1)[:, 0]
    order = np.random.default_rng(1).permutation(300)
    assert build_shard(centroids, cells, ids, vectors) == build_shard(
        centroids, cells[order], ids[order], vectors[order]
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda files: files.pop("shard-00001.faiss"), "shard-00001.faiss cannot be read"),
        (lambda f: f.update({"shard-00001.faiss": f["shard-00001.faiss"][:-9]}), "shard-00001.faiss is truncated"),
        (lambda f: f.update({"shard-00001.faiss": f["shard-00001.faiss"][:-1] + b"?"}), "shard-00001.faiss is altered"),
        (lambda f: f.update({"shard-00001.faiss": f["shard-00000.faiss"] + bytes(10**6)}), "of another index"),
        (lambda files: files.pop("centroids.npy"), "centroids.npy cannot be read"),
    ],
)
def test_a_bad_file_is_named(damage, message):
    ids, vectors = catalogue(400)
    files, manifest = build(ids, vectors, 8, 3)
    damage(files)
    with pytest.raises(StoreError, match=message):
        ShardedIndex.open(read_from(files), manifest)


def test_a_manifest_survives_json():
    ids, vectors = catalogue(200)
    _, manifest = build(ids, vectors, 4, 2)
    assert IndexManifest.from_dict(json.loads(json.dumps(manifest.to_dict()))) == manifest


def test_a_manifest_with_a_gap_or_a_missing_key_is_refused():
    ids, vectors = catalogue(200)
    _, manifest = build(ids, vectors, 4, 2)
    values = manifest.to_dict()
    with pytest.raises(StoreError, match="do not cover 4 cells"):
        IndexManifest.from_dict(values | {"shards": values["shards"][1:]})
    del values["nlist"]
    with pytest.raises(StoreError, match="malformed"):
        IndexManifest.from_dict(values)


def test_centroids_survive_bytes():
    centroids = np.eye(5, dtype=np.float32)
    np.testing.assert_array_equal(centroids_from_bytes(centroids_to_bytes(centroids)), centroids)


@pytest.mark.parametrize(
    ("ids", "cells", "message"),
    [
        ([1, 1], [0, 0], "detection id 1 is given more than once"),
        ([1, 2], [0, 2], "cells 0 to 2"),
        ([1, 2], [0], "1 cells"),
    ],
)
def test_rows_that_do_not_fit_are_refused(ids, cells, message):
    with pytest.raises(ValueError, match=message):
        build_shard(np.eye(2, dtype=np.float32), np.array(cells), np.array(ids), np.eye(2, dtype=np.float32))


def test_wrong_queries_are_refused():
    ids, vectors = catalogue(50)
    files, manifest = build(ids, vectors, 2, 1)
    index = ShardedIndex.open(read_from(files), manifest)
    with pytest.raises(ValueError, match="16 dimensions"):
        index.search(np.ones((1, 3), dtype=np.float32), 5)
    with pytest.raises(ValueError, match="zero, NaN"):
        index.search(np.full((1, 16), np.nan, dtype=np.float32), 5)
    with pytest.raises(ValueError, match="k is 0"):
        index.search(vectors[:1], 0)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 80), d=st.integers(2, 9), k=st.integers(1, 20), seed=st.integers(0, 999))
def test_exact_topk_is_what_sorting_says(n, d, k, seed):
    ids, vectors = catalogue(n, d, seed, 3)
    found, cosine = exact_topk(vectors[:5], ids, vectors, k)
    products = vectors[:5].astype(np.float64) @ vectors.T.astype(np.float64)
    expected = -np.sort(-products, axis=1)[:, :k]
    np.testing.assert_allclose(cosine[:, : expected.shape[1]], expected, atol=1e-5)
    assert (found[:, n:] == -1).all()


def test_recall_counts_found_neighbours():
    true_ids = np.array([[1, 2, 3, 4], [5, 6, -1, -1]])
    found = np.array([[2, 1, 9, 9], [6, -1, -1, -1]])
    assert recall_at_k(found, true_ids) == pytest.approx(3 / 6)
    assert recall_at_k(np.full((1, 2), -1), np.full((1, 2), -1)) == 1.0


def test_nprobe_is_the_smallest_that_reaches_the_target():
    ids, vectors = catalogue(1500, n_kinds=400)
    files, manifest = build(ids, vectors, 32, 2)
    index = ShardedIndex.open(read_from(files), manifest)
    queries, query_ids = vectors[:80], ids[:80]

    def search(queries, k, nprobe):
        return index.search(queries, k, nprobe)[0]

    with_self, _ = exact_topk(queries, ids, vectors, 1500)
    true_ids = np.array([row[row != own][:10] for row, own in zip(with_self, query_ids, strict=True)])
    nprobe, recall, curve = tune_nprobe(search, queries, true_ids, 32, 0.95, query_ids)

    def measured(nprobe):
        found = search(queries, 11, nprobe)
        return np.mean(
            [len(set(f[f != own][:10]) & set(t)) / 10 for f, t, own in zip(found, true_ids, query_ids, strict=True)]
        )

    assert recall == pytest.approx(measured(nprobe)) and recall >= 0.95
    assert 1 < nprobe < 32 and measured(nprobe - 1) < 0.95
    assert [point.nprobe for point in curve] == sorted(point.nprobe for point in curve)


def test_an_unreachable_target_fails_with_the_curve():
    true_ids = np.array([[1, 2]])
    with pytest.raises(StoreError, match=r"recall 0\.9.*1: 0\.500.*4: 0\.500"):
        tune_nprobe(lambda q, k, nprobe: np.array([[1, 9]]), np.ones((1, 2), dtype=np.float32), true_ids, 4, 0.9)
