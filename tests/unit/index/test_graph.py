import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.index.graph import Answers, Part, Rows, deal, merge_answers, plan_graph
from prodseek.index.ivf import assign_cells, centroid_index, train_centroids


def regions(rng, n, d, share_primary, few_directions):
    if few_directions:  # many exact ties
        vectors = rng.integers(-1, 2, size=(n, d)).astype(np.float32)
        vectors[~vectors.any(axis=1), 0] = 1
        vectors[: n // 3] = vectors[0]
    else:
        vectors = rng.normal(size=(n, d)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = rng.permutation(10 * n)[:n].astype(np.int64)
    return Rows(ids, vectors, rng.integers(0, n // 2 + 1, n), rng.random(n) < share_primary)


def graph(rows, cells, nlist, k, exclude_same_image, rows_per_part=10**9, products_per_task=1e18):
    """All edges, as the tasks of a plan find them; and the number of tasks."""
    plan = plan_graph(
        np.bincount(cells[:, 0], minlength=nlist).astype(float),
        np.bincount(cells.ravel(), minlength=nlist).astype(float),
        rows_per_part,
        products_per_task,
    )
    dealt = deal(rows.ids, cells, plan)
    asked, found, n_asked = [], [], 0
    for task in range(plan.n_tasks):
        own = dealt.task == task
        here, home, asking = rows.take(dealt.row[own]), dealt.home_cell[own], dealt.cells[own]
        part = Part.of(here.take(np.flatnonzero(home >= 0)), home[home >= 0], k, exclude_same_image)
        queries = here.take(np.flatnonzero((asking >= 0).any(axis=1)))
        answers = part.ask(queries, asking[(asking >= 0).any(axis=1)])
        found.append(answers._replace(query=answers.query + n_asked))
        asked.append(queries)
        n_asked += len(queries.ids)
    answers = Answers(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    ids = np.concatenate([queries.ids for queries in asked])
    is_primary = np.concatenate([queries.is_primary for queries in asked])
    return merge_answers(ids, is_primary, answers, k), plan.n_tasks


def brute_force(similar, rows, cells, k, exclude_same_image):
    """What must come, told from the definition. similar: (N, N) products."""
    edges = []
    for i in np.argsort(rows.ids).tolist():
        others = [
            j
            for j in range(len(rows.ids))
            if j != i and cells[j, 0] in cells[i] and not (exclude_same_image and rows.images[i] == rows.images[j])
        ]
        others.sort(key=lambda j, i=i: (-similar[i, j], rows.ids[j]))
        n_primary = 0
        rank = 0
        for place, j in enumerate(others):
            wanted = rows.is_primary[i] and rows.is_primary[j] and n_primary < k
            n_primary += bool(rows.is_primary[j])
            if place < k or wanted:
                rank += 1
                edges.append((int(rows.ids[i]), int(rows.ids[j]), rank))
    return edges


@settings(max_examples=40)
@given(
    n=st.integers(1, 120),
    d=st.integers(2, 9),
    nlist=st.integers(1, 15),
    nprobe=st.integers(1, 15),
    k=st.integers(1, 8),
    exclude_same_image=st.booleans(),
    share_primary=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_however_it_is_cut_the_graph_is_the_exact_one_of_the_cells(
    products, n, d, nlist, nprobe, k, exclude_same_image, share_primary, seed
):
    rng = np.random.default_rng(seed)
    rows = regions(rng, n, d, share_primary, few_directions=False)
    nlist = min(nlist, n)
    cells = assign_cells(rows.vectors, centroid_index(train_centroids(rows.vectors, nlist, 0)), nprobe).cells
    whole, n_tasks = graph(rows, cells, nlist, k, exclude_same_image)
    assert n_tasks == 1
    found = zip(whole.query_ids.tolist(), whole.neighbour_ids.tolist(), whole.rank.tolist(), strict=True)
    assert list(found) == brute_force(products(rows.vectors, rows.vectors), rows, cells, k, exclude_same_image)
    for rows_per_part, products_per_task in ((20, 1e18), (20, 2000), (3, 300)):
        cut, _ = graph(rows, cells, nlist, k, exclude_same_image, rows_per_part, products_per_task)
        for column, expected in zip(cut, whole, strict=True):
            np.testing.assert_array_equal(column, expected)


@settings(max_examples=40)
@given(
    n=st.integers(1, 120),
    d=st.integers(1, 4),
    k=st.integers(1, 8),
    exclude_same_image=st.booleans(),
    share_primary=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_ties_fall_alike_however_it_is_cut(n, d, k, exclude_same_image, share_primary, seed):
    rng = np.random.default_rng(seed)
    rows = regions(rng, n, d, share_primary, few_directions=True)
    nlist = min(5, n)
    cells = np.stack([rng.permutation(nlist) for _ in range(n)])[:, :3].astype(np.int32)
    # Equal vectors lie in one cell, as they do behind a quantizer.
    _, which = np.unique(rows.vectors, axis=0, return_inverse=True)
    cells = cells[np.unique(which, return_index=True)[1]][which.ravel()]
    whole, _ = graph(rows, cells, nlist, k, exclude_same_image)
    tied = sorted(zip(whole.query_ids, -whole.cosine, whole.neighbour_ids, strict=True))
    assert [edge[2] for edge in tied] == whole.neighbour_ids.tolist()
    for rows_per_part, products_per_task in ((20, 1e18), (20, 2000), (3, 300)):
        cut, _ = graph(rows, cells, nlist, k, exclude_same_image, rows_per_part, products_per_task)
        for column, expected in zip(cut, whole, strict=True):
            np.testing.assert_array_equal(column, expected)


def test_a_crowded_cell_is_split_and_its_equal_vectors_stay_cheap():
    n, k = 30_000, 4
    rng = np.random.default_rng(0)
    rows = Rows(np.arange(n), np.tile(np.float32([0.6, 0.8]), (n, 1)), np.arange(n), np.ones(n, np.bool_))
    order = rng.permutation(n)
    cells = np.zeros((n, 1), np.int32)
    edges, n_tasks = graph(rows.take(order), cells, 1, k, True, rows_per_part=4000, products_per_task=3e7)
    assert n_tasks >= 30
    assert len(edges.rank) == n * k
    assert edges.neighbour_ids[: 2 * k].tolist() == [1, 2, 3, 4, 0, 2, 3, 4]
    assert edges.neighbour_ids[-k:].tolist() == [0, 1, 2, 3]


def test_regions_of_one_image_are_left_out_however_many():
    n = 200
    rng = np.random.default_rng(1)
    vectors = np.concatenate([np.tile(np.float32([1, 0]), (n - 3, 1)), np.float32([[0, 1], [0.6, 0.8], [0.8, 0.6]])])
    images = np.concatenate([np.zeros(n - 3, np.int64), [1, 2, 3]])
    rows = Rows(rng.permutation(n).astype(np.int64), vectors, images, np.ones(n, np.bool_))
    edges, _ = graph(rows, np.zeros((n, 1), np.int32), 1, 2, True)
    of_crowd = np.isin(edges.query_ids, rows.ids[: n - 3])
    assert set(edges.neighbour_ids[of_crowd].tolist()) == set(rows.ids[[n - 2, n - 1]].tolist())


def test_one_region_has_no_neighbour():
    one = Rows(np.array([7]), np.float32([[1, 0]]), np.array([0]), np.array([True]))
    edges, _ = graph(one, np.zeros((1, 1), np.int32), 1, 5, False)
    assert len(edges.rank) == 0


def test_a_plan_bounds_memory_and_work():
    vectors = np.array([50, 50, 100, 0, 950, 20.0])
    plan = plan_graph(vectors, 4 * vectors, rows_per_part=100, products_per_task=1e5)
    assert plan.n_parts.tolist() == [1, 1, 1, 1, 10, 1]
    assert plan.first_part.tolist() == [0, 0, 1, 1, 2, 12]
    lanes = np.diff(plan.first_task)
    assert lanes[:2].tolist() == [1, 1] and lanes[2] == int(np.ceil(950 * 3800 / 10 / 1e5))
    with pytest.raises(ValueError, match="rows_per_part 0"):
        plan_graph(vectors, vectors, 0, 1.0)


def test_dealing_sends_each_vector_to_its_part_and_each_query_wherever_it_asks():
    rng = np.random.default_rng(2)
    cells = np.stack([rng.permutation(6)[:3] for _ in range(500)]).astype(np.int32)
    ids = rng.permutation(10_000)[:500].astype(np.int64)
    sizes = np.bincount(cells[:, 0], minlength=6).astype(float)
    plan = plan_graph(sizes, 3 * sizes, rows_per_part=30, products_per_task=1000)
    dealt = deal(ids, cells, plan)
    part_of_task = np.repeat(np.arange(len(plan.first_task) - 1), np.diff(plan.first_task))
    kept = dealt.home_cell >= 0
    for row in range(500):
        # In one part, in all its lanes.
        own = part_of_task[dealt.task[kept & (dealt.row == row)]]
        assert len(set(own.tolist())) == 1 and len(own) == np.diff(plan.first_task)[own[0]]
        # In each part of each cell once.
        asked = dealt.row == row
        for cell in cells[row].tolist():
            tasks = dealt.task[asked & (dealt.cells == cell).any(axis=1)]
            parts = sorted(part_of_task[tasks].tolist())
            assert parts == list(range(plan.first_part[cell], plan.first_part[cell] + plan.n_parts[cell]))


def test_dealing_nobody():
    plan = plan_graph(np.ones(2), np.ones(2), 10, 10.0)
    assert len(deal(np.zeros(0, np.int64), np.zeros((0, 2), np.int32), plan).row) == 0
