"""Stages index and neighbours: the same however they are cut, grown over nights, trained again when they must be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
import pytest
from pyspark.sql import SparkSession
from synthetic_run import write_run

from prodseek.config import Config
from prodseek.errors import StoreError
from prodseek.index.recall import exact_topk
from prodseek.index.stored import index_manifest, open_index, read_trained
from prodseek.jobs import index, neighbours
from prodseek.runs.facts import IndexFacts, NeighboursFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue

N_IVF = 11_000  # enough for cells
N_SHARDS = 8
SHARDED = (f"index.n_shards={N_SHARDS}",)
# Recall is measured on fewer vectors than a night takes, which is half of the work for so few regions.
FEW_QUERIES, USUAL_QUERIES = ("index.recall_queries=200",), ("index.recall_queries=1000",)
FEW_EDGES = "neighbours.k=4"


def catalogue(n: int, seed: int = 0, d: int = 16, n_kinds: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Ids and unit vectors of kinds of goods; the same kinds for every seed."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(99).normal(size=(n_kinds, d))
    vectors = kinds[rng.integers(0, n_kinds, n)] + 0.6 * rng.normal(size=(n, d))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return rng.permutation(10**6)[:n] + 10**6 * seed, vectors


@pytest.fixture
def night_of(spark: SparkSession, tmp_path: Path, make_config):  # type: ignore[no-untyped-def]
    """Index regions in a run of a store under tmp_path and publish it; with their neighbours if asked for."""

    def run_night(  # type: ignore[no-untyped-def]
        day: int,
        ids,
        vectors,
        *settings: str,
        root: Path | str = "root",
        graph: bool = False,
        n_files: int = 2,
        **columns,
    ) -> tuple[Run, Summary[IndexFacts]]:
        run = write_run(tmp_path / root, ids, vectors, f"202601{day:02d}T000000Z-{day:08d}", n_files=n_files, **columns)
        config: Config = make_config(tmp_path, tmp_path / root, *FEW_QUERIES, *settings)
        night = Night.of(spark, config, run)
        summary = index.run(night)
        run.write_summary(summary)
        if graph:
            run.write_summary(neighbours.run(night))
        Store(run.root).publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
        return run, summary

    return run_night


@pytest.fixture(scope="module")
def first_night_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first night")


@pytest.fixture
def first_night(night_of, first_night_folder: Path, tmp_path: Path) -> Run:  # type: ignore[no-untyped-def]
    """A root of the test's own where `catalogue(N_IVF)` is indexed in N_SHARDS, with its graph: made once and copied."""
    made = first_night_folder / "root"
    if not made.exists():
        night_of(1, *catalogue(N_IVF), *SHARDED, *USUAL_QUERIES, root=made, graph=True)
    shutil.copytree(made, tmp_path / "root")
    return Store.at(str(tmp_path / "root")).latest()


def edges_of(run: Run) -> pa.Table:
    edges = pa.parquet.read_table(run.table_uri("neighbours"))
    return edges.sort_by([("detection_id", "ascending"), ("rank", "ascending")])


def recall_of(run: Run, ids: np.ndarray, vectors: np.ndarray) -> float:
    """Recall@10 on vectors of the catalogue, the query itself counted out."""
    asked = np.random.default_rng(5).choice(len(ids), 300, replace=False)
    found, _ = open_index(run).search(vectors[asked], 11)
    true_ids = exact_topk(vectors[asked], ids, vectors, 10, ids[asked]).ids
    hits = [len((set(f) - {own}) & set(t)) for f, t, own in zip(found, true_ids, ids[asked], strict=True)]
    return sum(hits) / true_ids.size


def test_the_same_at_1_and_8_partitions(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(N_IVF)
    images = np.random.default_rng(1).integers(0, N_IVF // 3, N_IVF)
    is_primary = np.random.default_rng(2).random(N_IVF) < 0.5
    runs = {}
    for root, n_files, shuffle_partitions in (("1", 1, 1), ("8", 8, 8)):
        suit_catalogue(spark, 10**6 if shuffle_partitions == 8 else 1)
        spark.conf.set("spark.sql.shuffle.partitions", str(shuffle_partitions))
        order = np.random.default_rng(n_files).permutation(N_IVF)
        columns = {"images": images[order], "is_primary": is_primary[order]}
        runs[root], _ = night_of(
            1, ids[order], vectors[order], FEW_EDGES, root=root, graph=True, n_files=n_files, **columns
        )
    expected = edges_of(runs["1"])
    for run in runs.values():
        assert index_manifest(run) == index_manifest(runs["1"])
        assert edges_of(run) == expected
    image_of = dict(zip(ids.tolist(), images.tolist(), strict=True))
    pairs = zip(expected.column("detection_id").to_pylist(), expected.column("neighbour_id").to_pylist(), strict=True)
    assert all(image_of[a] != image_of[b] for a, b in pairs)


def test_any_number_of_shards_answers_as_one_and_as_plain_faiss(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(N_IVF)
    queries = np.concatenate([vectors[:50], catalogue(50, seed=3)[1]])
    answers = {}
    for n_shards in (1, 7, 32):
        run, _ = night_of(1, ids, vectors, f"index.n_shards={n_shards}", root=f"root{n_shards}")
        opened = open_index(run)
        assert len(opened.manifest.shards) == n_shards
        assert sum(shard.n_vectors for shard in opened.manifest.shards) == N_IVF
        answers[n_shards] = opened.search(queries, 12)
        np.testing.assert_array_equal(answers[n_shards][0], answers[1][0])
        np.testing.assert_array_equal(answers[n_shards][1], answers[1][1])
    trained, manifest = read_trained(run)
    plain = faiss.deserialize_index(np.frombuffer(trained, np.uint8))
    plain.add_with_ids(vectors, ids)
    plain.nprobe = manifest.nprobe
    cosine, found = plain.search(queries, 12)
    np.testing.assert_allclose(cosine, answers[1][1], atol=1e-6)
    np.testing.assert_array_equal(found, answers[1][0])


def test_the_manifest_says_what_it_is_and_how_well_it_finds(first_night: Run) -> None:
    run, summary = first_night, first_night.summary(IndexFacts.stage)
    written = json.loads(Path(run.path("index", "MANIFEST.json")).read_text())
    assert (written["factory"], written["metric"], written["d"]) == ("IVF512,Flat", "inner_product", 16)
    assert written["faiss_version"] == faiss.__version__
    assert [shard["first_cell"] for shard in written["shards"][1:]] == [s["stop_cell"] for s in written["shards"][:-1]]
    assert 900 < written["recall_queries"] < 1100 and written["trained_rows"] == N_IVF
    assert 0.95 <= written["recall"] == run.facts(IndexFacts).likeness.recall
    curve = {point["nprobe"]: point["recall"] for point in written["recall_curve"]}
    assert curve[written["nprobe"]] == written["recall"]
    assert all(recall < 0.95 for nprobe, recall in curve.items() if nprobe < written["nprobe"])
    assert recall_of(run, *catalogue(N_IVF)) > 0.93
    assert "likeness: 11 k x 16-d, 8 GiB budget: IVF512,Flat" in summary.lines[0]


def test_a_recall_that_cannot_be_reached_fails_with_the_curve(night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(N_IVF)
    memory = N_IVF * 28 + 512 * 16 * 4  # room for RaBitQ2 alone
    with pytest.raises(
        StoreError, match=r"no nprobe up to 512 reaches recall 0\.999; measured \(nprobe: recall\) 1: 0\."
    ):
        night_of(
            1, ids, vectors, f"index.memory_bytes={memory}", "index.recall_target=0.999", "index.recall_queries=100"
        )


def test_the_graph_finds_what_exact_search_finds(spark: SparkSession, first_night: Run) -> None:
    ids, vectors = catalogue(N_IVF)
    found = edges_of(first_night)
    assert found.num_rows == N_IVF * 16
    asked = np.random.default_rng(4).choice(N_IVF, 300, replace=False)
    true_ids = exact_topk(vectors[asked], ids, vectors, 16, ids[asked]).ids
    by_query = dict.fromkeys(ids.tolist(), ())
    for query, neighbour in zip(*(found.column(c).to_pylist() for c in ("detection_id", "neighbour_id")), strict=True):
        by_query[query] += (neighbour,)
    hits = [len(set(by_query[int(i)]) & set(t)) for i, t in zip(ids[asked], true_ids.tolist(), strict=True)]
    assert sum(hits) / true_ids.size >= 0.93


def test_an_index_grown_over_five_nights_answers_as_one_built_at_once(night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(14_000)
    nights = [(0, 11_000), (0, 12_000), (500, 12_500), (1_000, 13_500), (1_500, 14_000)]
    for day, (first, stop) in enumerate(nights, start=1):
        run, summary = night_of(day, ids[first:stop], vectors[first:stop], "index.n_shards=3")
        manifest = index_manifest(run)
        assert manifest.n_grown == day - 1 and manifest.n_vectors == stop - first
        assert manifest.recall >= 0.95
        if day > 1:
            before = nights[day - 2]
            changes = f"{stop - before[1]} added, {first - before[0]} removed"
            assert changes in summary.facts.likeness.how and "grown from run" in summary.facts.likeness.how
            gone = vectors[before[0] : first]
            if len(gone):
                found, _ = open_index(run).search(gone, 50)
                assert not np.isin(found, ids[:first]).any()
    at_once, summary = night_of(1, ids[1_500:], vectors[1_500:], "index.n_shards=3", root="at_once")
    assert summary.facts.likeness.how.startswith("trained on")
    grown_recall, built_recall = (recall_of(r, ids[1_500:], vectors[1_500:]) for r in (run, at_once))
    assert min(grown_recall, built_recall) > 0.93
    asked = vectors[2_000:2_300]
    grown, _ = open_index(run).search(asked, 10)
    built, _ = open_index(at_once).search(asked, 10)
    alike = np.mean([len(set(g) & set(b)) / 10 for g, b in zip(grown, built, strict=True)])
    assert alike > 0.9  # each finds .95 of the same neighbours


def test_nothing_changed_copies_every_shard(night_of, first_night: Run) -> None:  # type: ignore[no-untyped-def]
    second, summary = night_of(2, *catalogue(N_IVF), *SHARDED)
    assert summary.facts.likeness.how == f"grown from run {first_night.run_id}: 0 added, 0 removed"
    assert index_manifest(second).shards == index_manifest(first_night).shards


def test_drift_trains_again(night_of, first_night: Run) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(N_IVF)
    crowd = vectors[:1] + 0.05 * np.random.default_rng(8).normal(size=(3_000, 16)).astype(np.float32)
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    both_ids, both = np.concatenate([ids, 5 * 10**8 + np.arange(3_000)]), np.concatenate([vectors, crowd])
    second, summary = night_of(2, both_ids, both)
    assert "times as unequal as when it was trained (index.retrain_imbalance); trained on" in summary.facts.likeness.how
    assert index_manifest(second).n_grown == 0
    assert recall_of(second, both_ids, both) > 0.93


def test_another_projection_or_a_damaged_index_trains_again_and_says_so(night_of, first_night: Run) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(N_IVF)
    shard = Path(first_night.path("index", "shard-00000.faiss"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    second, summary = night_of(2, ids, vectors)
    assert "shard-00000.faiss is altered or of another index" in summary.facts.likeness.how
    Path(second.path("index", "trained.faiss")).unlink()
    third, summary = night_of(3, ids, vectors)
    assert "trained.faiss cannot be read" in summary.facts.likeness.how
    _, summary = night_of(4, ids, vectors, projection_id="another")
    assert "the projection is another one; trained on" in summary.facts.likeness.how
    assert index_manifest(third).n_vectors == N_IVF


def test_other_facets_have_indexes_of_their_own(night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(200)
    run, summary = night_of(1, ids, vectors, "index.facets=[likeness, colour]")
    assert set(summary.facts.facets) == {"likeness", "colour"}
    assert index_manifest(run, "colour").d == 1
    assert open_index(run, "colour").search(np.ones((1, 1), np.float32), 3)[0].tolist() == [sorted(ids)[:3]]


@pytest.mark.parametrize("n", [1, 5])
def test_fewer_regions_than_k(spark: SparkSession, night_of, n: int) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(n)
    run, summary = night_of(1, ids, vectors, graph=True)
    assert summary.facts.likeness.recall == 1.0
    assert edges_of(run).num_rows == n * (n - 1)


def test_all_equal_vectors(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(N_IVF)
    vectors[:] = vectors[0]
    run, _ = night_of(1, ids, vectors, graph=True)
    found = edges_of(run)
    assert found.num_rows == N_IVF * 16
    lowest = np.sort(ids)[:17].tolist()
    for query in (lowest[3], int(ids.max())):
        own = found.filter(pa.compute.equal(found.column("detection_id"), query)).column("neighbour_id").to_pylist()
        assert own == [i for i in lowest if i != query][:16]


def test_vectors_that_cannot_be_compared_are_named(night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors = catalogue(100)
    vectors[3], vectors[7, 2], vectors[9, 0] = 0, np.nan, np.inf
    bad = ", ".join(str(i) for i in sorted(ids[[3, 7, 9]].tolist()))
    with pytest.raises(StoreError, match=f"likeness embeddings .* cannot be compared; detection ids {bad}$"):
        night_of(1, ids, vectors)


def test_no_vectors_are_an_error_that_says_so(night_of) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StoreError, match="has no likeness embeddings"):
        night_of(1, np.zeros(0, np.int64), np.zeros((0, 4), np.float32))


@pytest.mark.slow
def test_killed_workers_leave_the_same_files(first_night: Run, tmp_path: Path) -> None:
    undisturbed = first_night
    write_run(tmp_path / "killed", *catalogue(N_IVF), undisturbed.run_id)
    script = Path(__file__).parents[1] / "helpers" / "index_with_killed_workers.py"
    arguments = [sys.executable, str(script), str(tmp_path / "killed"), undisturbed.run_id, *SHARDED]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    n_killed = json.loads(done.stdout.splitlines()[-1])
    assert n_killed["index"] > 0 and n_killed["neighbours"] > 0
    killed = Store.at(str(tmp_path / "killed")).run(undisturbed.run_id)
    assert index_manifest(killed) == index_manifest(undisturbed)
    open_index(killed)
    left = sorted(path.name for path in Path(killed.path("index")).iterdir())
    assert left == sorted(path.name for path in Path(undisturbed.path("index")).iterdir())
    assert edges_of(killed) == edges_of(undisturbed)


def changed_catalogue(rng: np.random.Generator, ids, vectors, seed: int, n_gone: int, n_new: int):  # type: ignore[no-untyped-def]
    """The catalogue without some of its regions and with some others."""
    more_ids, more = catalogue(n_new, seed)
    kept = rng.permutation(len(ids))[n_gone:]
    return np.r_[ids[kept], more_ids], np.r_[vectors[kept], more]


def test_edges_carried_on_are_those_of_a_graph_that_is_searched_anew(  # type: ignore[no-untyped-def]
    spark: SparkSession, night_of, make_config, tmp_path: Path
) -> None:
    n = N_IVF
    rng = np.random.default_rng(5)
    ids, vectors = catalogue(n)
    vectors[: n // 20] = vectors[0]  # some are equal, and their edges are ordered by id
    night_of(1, ids, vectors, FEW_EDGES, graph=True, images=ids // 3, is_primary=ids % 2 == 0)
    for day, (n_gone, n_new) in enumerate([(n // 50, n // 40), (7, 0)], start=2):
        ids, vectors = changed_catalogue(rng, ids, vectors, day, n_gone, n_new)
        run, _ = night_of(day, ids, vectors, FEW_EDGES, graph=True, images=ids // 3, is_primary=ids % 2 == 0)
        carried, facts = edges_of(run), run.facts(NeighboursFacts)
        assert facts.carried_on_from and n_new <= facts.searched_regions < n / 2
        before = Store(run.root).before(run)
        hidden = Path(before.table_uri("neighbours"))
        hidden.rename(hidden.with_name("hidden"))
        anew = neighbours.run(Night.of(spark, make_config(tmp_path, run.root, FEW_EDGES), run))
        assert anew.facts.searched_regions == len(ids) and "has no table neighbours" in anew.lines[1]
        assert carried.equals(edges_of(run))
        hidden.with_name("hidden").rename(hidden)
