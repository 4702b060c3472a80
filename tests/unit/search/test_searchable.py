"""Searching a run whose tables are made up: regions, products, copies; no network and no Spark."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from synthetic_run import write_listing, write_run

from prodseek.config import load_config
from prodseek.embedding.confidence import RIVALS, Calibration
from prodseek.errors import PromptError, StoreError, WeightsError
from prodseek.index.ivf import assign_cells, centroid_index
from prodseek.index.probe import flat_cells, nearest_in_cells
from prodseek.runs.columns import FACETS
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import schema_versions
from prodseek.search import nearest
from prodseek.search.hits import Hit, left_out, nothing_found, nothing_likely
from prodseek.search.searchable import SearchableRun
from prodseek.search.show import Question, answer
from prodseek.search.vectors import Embeddings

N = 400
USUAL = Calibration(slope=25.0, none=6.0, standing_out=14.0, alike=6.0)
N_IMAGES = 200
N_PRODUCTS = 80
DIMS = {"likeness": 8, "visual": 7, "colour": 4, "texture": 6, "shape": 5}


def unit_rows(n: int, d: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Truth:
    """What was written, to be searched by full comparison."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.ids = rng.permutation(10**6)[:N]
        self.images = rng.integers(0, N_IMAGES, N)
        self.vectors = {facet: unit_rows(N, d, seed) for seed, (facet, d) in enumerate(DIMS.items())}
        self.product_of = {image: f"p{image % N_PRODUCTS}" for image in range(N_IMAGES)}
        self.copies = {image: f"g{image // 3}" for image in range(30)}

    def answer(self, row: int, weights: dict[str, float], k: int, exclude: bool) -> list[tuple[int, str]]:
        """(detection_id, product_id) of the k best."""
        cosine = sum(weight * self.vectors[facet] @ self.vectors[facet][row] for facet, weight in weights.items())
        own = int(self.images[row])
        products = {self.product_of[own]} if exclude else set()
        originals = {self.copies.get(own, own)} if exclude else set()
        found = []
        for place in np.lexsort((self.ids, -cosine)).tolist():
            image = int(self.images[place])
            product, original = self.product_of[image], self.copies.get(image, image)
            if cosine[place] > 0 and product not in products and original not in originals and len(found) < k:
                found.append((int(self.ids[place]), product))
                products.add(product)
                originals.add(original)
        return found


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth()


@pytest.fixture
def run(truth: Truth, tmp_path: Path) -> Run:
    """Without an index: every facet is compared in full."""
    others = {facet: truth.vectors[facet] for facet in FACETS[1:]}
    run = write_run(tmp_path, truth.ids, truth.vectors["likeness"], images=truth.images, facets=others, n_files=3)
    write_listing(run, np.arange(N_IMAGES), list(truth.product_of.values()), truth.copies)
    config = load_config().model_dump(mode="json")
    Store(run.root).publish(
        run,
        Manifest(
            run_id=run.run_id,
            schema_versions=schema_versions(),
            config=config,
            stages={"ingest": {"input_rows": N_IMAGES, "base_uri": "/photos"}, "embed": {"model_id": "tiny"}},
        ),
    )
    return run


@pytest.fixture
def searchable(run: Run) -> SearchableRun:
    return SearchableRun.open(run.root)


def pairs(hits: list[Hit]) -> list[tuple[int, str]]:
    return [(hit.detection_id, hit.product_id) for hit in hits]


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("facet", FACETS)
def test_a_search_finds_what_full_comparison_finds(
    searchable: SearchableRun, truth: Truth, facet: str, exclude: bool
) -> None:
    for row in range(0, N, 40):
        hits = searchable.search_region(int(truth.ids[row]), 7, facet, exclude)
        assert pairs(hits) == truth.answer(row, {facet: 1.0}, 7, exclude)
        assert [hit.rank for hit in hits] == list(range(1, 8))
        for hit in hits:
            place = int(np.flatnonzero(truth.ids == hit.detection_id)[0])
            expected = {name: float(rows[place] @ rows[row]) for name, rows in truth.vectors.items()}
            assert hit.facets == pytest.approx(expected, abs=1e-5)
            assert hit.cosine_similarity == pytest.approx(expected[facet], abs=1e-5)
            assert hit.uri == f"images/{truth.images[place]}.jpg"


def test_photos_that_a_table_names_are_read_from_allowed_places_only(searchable: SearchableRun, tmp_path: Path) -> None:
    for uri, roots, reason in (
        (f"{tmp_path}/a.jpg", (), "not_allowed"),
        (f"{tmp_path}/a.jpg", (f"{tmp_path}/x",), "not_allowed"),
        (f"{tmp_path}/a.jpg", (str(tmp_path),), "missing"),
        ("../etc/passwd", (), "not_allowed"),
        ("a.jpg", (), "missing"),
    ):
        with pytest.raises(PromptError) as refused:
            searchable.read_named(uri, roots)
        assert refused.value.reason == reason
    with pytest.raises(PromptError) as refused:
        searchable.read(tmp_path / "a.jpg")
    assert refused.value.reason == "missing", "who searches by a file of their own may read it"


def test_a_mix_ranks_by_the_weighted_mean(searchable: SearchableRun, truth: Truth) -> None:
    for row in range(0, N, 40):
        hits = searchable.search_region(int(truth.ids[row]), 10, "mix=likeness:1,colour:3", True)
        assert pairs(hits) == truth.answer(row, {"likeness": 0.25, "colour": 0.75}, 10, True)


def test_every_product_is_found_however_many_are_asked_for(searchable: SearchableRun, truth: Truth) -> None:
    """The first look at the index sees too few; the search goes on until there is nothing left."""
    hits = searchable.search_region(int(truth.ids[0]), 1000)
    assert pairs(hits) == truth.answer(0, {"likeness": 1.0}, 1000, False)
    assert len({hit.product_id for hit in hits}) == len(hits) > 50


class Cells:
    """An inverted file over the truth, each vector in the cell of the nearest of a few of them."""

    def __init__(self, truth: Truth, nlist: int) -> None:
        vectors = truth.vectors["likeness"]
        self.centroids = centroid_index(vectors[:nlist])
        homes = assign_cells(vectors, self.centroids, 1).cells[:, 0]
        self.index = flat_cells(vectors, homes, nlist, truth.ids)
        self.asked: list[tuple[int, int]] = []

    def search(self, queries: np.ndarray, k: int, nprobe: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append((k, nprobe))
        return tuple(nearest_in_cells(self.index, queries, assign_cells(queries, self.centroids, nprobe), k))


def test_a_search_looks_into_more_cells_until_there_are_enough(searchable: SearchableRun, truth: Truth) -> None:
    cells = Cells(truth, 32)
    searchable._products._searchers["likeness"] = (cells, 1, 32)
    hits = searchable.search_region(int(truth.ids[5]), 60)
    assert pairs(hits) == truth.answer(5, {"likeness": 1.0}, 60, False)
    assert cells.asked == [(N, 1), (N, 8), (N, 32)]
    assert len(searchable.search_region(int(truth.ids[5]), 1)) == 1
    assert cells.asked[3:] == [(20, 1)]


def test_bytes_that_two_products_show_are_one_hit(truth: Truth, run: Run) -> None:
    twice = np.concatenate([np.arange(N_IMAGES), [17]])
    write_listing(run, twice, [*truth.product_of.values(), "a-twin"])
    searchable = SearchableRun.open(run.root)
    row = int(np.flatnonzero(truth.images == 17)[0])
    (first, *others) = searchable.search_region(int(truth.ids[row]), 1000)
    assert first.product_id == "a-twin"
    assert "a-twin" not in {hit.product_id for hit in others}
    excluding = searchable.search_region(int(truth.ids[row]), 1000, exclude_same_product=True)
    assert not {"a-twin", "p17"} & {hit.product_id for hit in excluding}


def test_vectors_are_the_same_when_few_are_kept(run: Run, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodseek.search.vectors._KEPT_BYTES", 1)
    embeddings = Embeddings(run)
    for order in (np.arange(N), np.random.default_rng(1).permutation(N)):
        read = embeddings.of(truth.ids[order])
        for facet in FACETS:
            np.testing.assert_array_equal(read[facet], truth.vectors[facet][order])
    with pytest.raises(KeyError, match="-5"):
        embeddings.of(np.array([truth.ids[0], -5]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"k": 0}, "k is 0; ask for 1 result or more"),
        ({"facet": "smell"}, "the facet 'smell' is unknown"),
        ({"min_confidence": 5}, "min_confidence is 5; it is a chance, from 0 to 1"),
        ({"min_confidence": float("nan")}, "min_confidence is nan; it is a chance, from 0 to 1"),
        ({"detection_id": 10**7}, "has no region 10000000; take a detection_id from its table detections"),
        ({"detection_id": -1}, "has no region -1"),
    ],
)
def test_bad_questions_are_told(searchable: SearchableRun, truth: Truth, options: dict[str, object], says: str) -> None:
    with pytest.raises(PromptError, match=says):
        searchable.search_region(**{"detection_id": int(truth.ids[0]), **options})  # type: ignore[arg-type]


def test_a_facet_without_an_index_in_a_large_run(
    searchable: SearchableRun, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "_EXACT_REGIONS", N - 1)
    with pytest.raises(
        PromptError, match=r"has no index of colour.*set index.facets to \[.*colour\] for the next night"
    ):
        searchable.search_region(int(truth.ids[0]), facet="colour")


def test_no_finished_run(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"no run has been published in .*; start one with `prodseek run nightly --root "
    ):
        SearchableRun.open(tmp_path)


def test_a_run_of_a_network_that_is_not_at_hand(run: Run, in_cache: Path) -> None:
    manifest = run.manifest()
    manifest.stages["embed"]["model_id"] = "yolov3-tiny-416-0123456789abcdef"
    manifest.config["network"]["weights"]["sources"] = ["/no/such/file.weights"]
    Store(run.root).publish(run, manifest)
    says = "was made by yolov3-tiny-416-0123456789abcdef, and its weights could neither be found nor fetched; put"
    with pytest.raises(WeightsError, match=says):
        SearchableRun.open(run.root).search(b"", (0, 0, 10, 10))


def test_a_run_of_another_version_of_the_network(run: Run, tiny_weights: Path) -> None:
    manifest = run.manifest()
    manifest.stages["embed"]["model_id"] = "yolov3-tiny-416-0123456789abcdef"
    Store(run.root).publish(run, manifest)
    with pytest.raises(StoreError, match="cannot be compared with it; run the night again with this version"):
        SearchableRun.open(run.root).search(b"", (0, 0, 10, 10))


def test_what_is_not_alike_at_all_is_no_hit(searchable: SearchableRun, truth: Truth) -> None:
    hits = searchable.search_region(int(truth.ids[0]), 1000)

    assert min(hit.cosine_similarity for hit in hits) > 0
    assert {hit.product_id for hit in hits} < set(truth.product_of.values()), "others have nothing in common with it"


def rewrite(run: Run, truth: Truth, **flags: NDArray[np.bool_]) -> None:
    """Write the tables of regions again. flags: columns of (N,), as `write_run` takes them."""
    facets = {facet: truth.vectors[facet] for facet in FACETS[1:]}
    vectors = truth.vectors["likeness"]
    write_run(run.root, truth.ids, vectors, images=truth.images, facets=facets, n_files=3, **flags)


def test_things_that_only_stand_in_a_photo_are_no_products(run: Run, truth: Truth) -> None:
    is_primary = np.arange(N) % 3 == 0
    rewrite(run, truth, is_primary=is_primary)

    hits = SearchableRun.open(run.root).search_region(int(truth.ids[1]), 20)

    assert len(hits) == 20
    assert {hit.detection_id for hit in hits} <= set(truth.ids[is_primary].tolist())


def calibrated(run: Run, calibration: Calibration = USUAL) -> SearchableRun:
    manifest = run.manifest()
    fitted = {"project": {"likeness_calibration": asdict(calibration)}}
    Store(run.root).publish(run, replace(manifest, stages=manifest.stages | fitted))
    return SearchableRun.open(run.root)


def test_confidence_is_told_where_likeness_was_asked_for(run: Run, truth: Truth) -> None:
    searchable = calibrated(run)
    region = int(truth.ids[0])

    hits = searchable.search_region(region, 20, min_confidence=0.0)

    chances = USUAL.chances(np.array([hit.cosine_similarity for hit in hits]))
    assert [hit.confidence for hit in hits] == pytest.approx(chances.tolist())
    for facet in ("visual", "mix=likeness:1,colour:1"):
        assert {hit.confidence for hit in searchable.search_region(region, 5, facet)} == {None}


def test_confidence_does_not_depend_on_how_many_hits_are_asked_for(run: Run, truth: Truth) -> None:
    searchable = calibrated(run)
    for row in range(0, N, 50):
        region = int(truth.ids[row])
        many = searchable.search_region(region, 30, min_confidence=0.0)
        for k in (1, 3, 12):
            assert searchable.search_region(region, k, min_confidence=0.0) == many[:k]


def test_what_is_near_to_everything_ranks_lower(run: Run, truth: Truth) -> None:
    region = int(truth.ids[0])
    first = SearchableRun.open(run.root).search_region(region, 5)
    table = Path(run.table_uri("embeddings"))
    for part in sorted(table.iterdir()):
        read = pq.read_table(part)
        is_hub = np.array(read["detection_id"]) == first[1].detection_id
        place = read.schema.get_field_index("hubness")
        pq.write_table(read.set_column(place, "hubness", pa.array(is_hub.astype(np.float32) * 1.5)), part)

    again = SearchableRun.open(run.root).search_region(region, 5)

    assert first[1].detection_id not in {hit.detection_id for hit in again}
    assert again[1].detection_id == first[2].detection_id and again[1].cosine_similarity < first[1].cosine_similarity


def test_what_is_not_sure_enough_is_no_hit_and_all_that_is_stays(run: Run, truth: Truth) -> None:
    searchable = calibrated(run)
    for row in range(0, N, 50):
        region = int(truth.ids[row])
        every = searchable.search_region(region, 1000, min_confidence=0.0)
        sure = searchable.search_region(region, 1000, min_confidence=0.001)
        alone = USUAL.chances_alone(np.array([hit.cosine_similarity for hit in every]))
        assert sure == [hit for hit, chance in zip(every, alone, strict=True) if chance >= 0.001]
        assert len(sure) < len(every)
    for facet in ("visual", "mix=likeness:1,colour:1"):
        assert searchable.search_region(region, 5, facet, min_confidence=1.0) == searchable.search_region(
            region, 5, facet
        )


def test_without_a_fitted_confidence_there_is_no_floor(searchable: SearchableRun, truth: Truth) -> None:
    assert len(searchable.search_region(int(truth.ids[0]), 9, min_confidence=0.99)) == 9


def test_the_floor_is_that_of_the_run_unless_another_is_given(run: Run, truth: Truth) -> None:
    searchable = calibrated(run)
    region, floor = int(truth.ids[0]), searchable.config.search.min_confidence
    every = searchable.search_region(region, 1000, min_confidence=0.0)
    sure = searchable.search_region(region, 1000, min_confidence=floor)
    assert floor > 0 and RIVALS < len(sure) < len(every)
    assert searchable.search_region(region, 1000) == sure


def test_the_first_ten_are_hits_however_unsure_unless_a_floor_is_asked_for(run: Run, truth: Truth) -> None:
    searchable = calibrated(run, replace(USUAL, none=60.0))
    region = int(truth.ids[0])
    assert searchable.search_region(region, 20) == searchable.search_region(region, RIVALS, min_confidence=0.0)
    assert len(searchable.search_region(region, 3)) == 3
    assert searchable.search_region(region, 20, min_confidence=0.01) == []


def test_that_nothing_is_likely_is_said_with_the_hits(run: Run, truth: Truth) -> None:
    region = int(truth.ids[0])
    for none, says in ((60.0, "nothing in the catalogue is likely to be it: the best is under 1 % sure"), (-60.0, "")):
        hits = calibrated(run, replace(USUAL, none=none)).search_region(region, 5)
        assert nothing_likely(hits).startswith(says) and bool(nothing_likely(hits)) == bool(says)
    assert nothing_likely([]) == nothing_likely(SearchableRun.open(run.root).search_region(region, 5, "visual")) == ""
    assert left_out(0, 0.01) == "" and left_out(1, 0.01) == "1 product more, each less than 1 % sure, left out"


def test_a_hub_does_not_hide_what_is_surer_behind_it(run: Run, truth: Truth) -> None:
    """The nearest by cosine is a hub and below the floor; what follows is none."""
    first = SearchableRun.open(run.root).search_region(int(truth.ids[0]), 3)
    set_column(run, "hubness", {first[1].detection_id: 2.0})
    searchable = calibrated(run)
    every = searchable.search_region(int(truth.ids[0]), 1000, min_confidence=0.0)
    second = USUAL.chances_alone(np.array([hit.cosine_similarity for hit in every]))[1]
    found = searchable.search_region(int(truth.ids[0]), 1000, min_confidence=float(second) * 0.99)
    assert [hit.detection_id for hit in found][:2] == [first[0].detection_id, first[2].detection_id]
    assert first[1].detection_id not in {hit.detection_id for hit in found}


def test_an_index_that_gave_what_is_unsure_is_not_searched_further(run: Run, truth: Truth) -> None:
    searchable = calibrated(run)
    cells = Cells(truth, 32)
    searchable._products._searchers["likeness"] = (cells, 4, 32)
    assert 1 <= len(searchable.search_region(int(truth.ids[5]), 20, min_confidence=0.5)) < 20
    assert cells.asked == [(400, 4)]


def test_that_nothing_is_like_it_is_only_said_when_all_was_looked_at(run: Run, truth: Truth) -> None:
    searchable = calibrated(run, replace(USUAL, none=60.0))
    cells = Cells(truth, 32)
    searchable._products._searchers["likeness"] = (cells, 1, 32)
    assert searchable.search_region(int(truth.ids[5]), 20, min_confidence=0.5) == []
    assert cells.asked[-1][1] == 32
    nearest_one = searchable.search_region(int(truth.ids[5]), 1, min_confidence=0.0)
    product = truth.product_of[int(truth.images[5])]
    assert (
        nothing_found(nearest_one) == f"nothing in the catalogue is like it; the nearest, at under 1 %, is '{product}'"
    )
    assert nothing_found([]) == "no other product in the catalogue is like it"


def test_rooms_answer_rooms_alone(run: Run, truth: Truth) -> None:
    is_room = np.arange(N) % 5 == 0
    rewrite(run, truth, is_room=is_room)
    searchable = SearchableRun.open(run.root)
    rooms = set(truth.ids[is_room].tolist())

    of_a_thing = searchable.search_region(int(truth.ids[1]), 1000)
    of_a_room = searchable.search_region(int(truth.ids[0]), 1000)

    assert not rooms & {hit.detection_id for hit in of_a_thing}
    assert len({hit.product_id for hit in of_a_thing}) > 20
    assert of_a_room[0].detection_id == int(truth.ids[0]) and len(rooms & {hit.detection_id for hit in of_a_room}) > 1


@pytest.mark.parametrize(
    ("box_px", "answers"),
    [
        ((0, 0, 100, 80), True),
        ((10, 5, 90, 80), True),
        ((0, 0, 60, 60), False),
        ((90, 70, 100, 80), False),
        ((200, 200, 220, 220), False),
    ],
    ids=["the product", "about the product", "a part of it", "a thing in its corner", "a thing beside it"],
)
def test_a_photo_is_no_answer_for_what_only_stands_in_it(
    run: Run, truth: Truth, box_px: tuple[float, float, float, float], answers: bool
) -> None:
    """Nor are the photo's copies; that the box is asked for in another photo changes nothing."""
    image = next(image for image in truth.copies if (truth.images == image).any())
    place = int(np.flatnonzero(truth.images == image)[0])
    of_image = truth.ids[truth.images == image].tolist()
    for name, edge in (("x2_px", 100.0), ("y2_px", 80.0)):
        set_column(run, name, dict.fromkeys(of_image, edge), table="detections")
    searchable = SearchableRun.open(run.root)
    own = {
        int(one)
        for one, of in zip(truth.ids, truth.images, strict=True)
        if truth.copies.get(int(of)) == truth.copies[image]
    }

    query = replace(searchable.query_of(int(truth.ids[place])), box_px=box_px)
    found = {hit.detection_id for hit in searchable.nearest(query, 1000)}
    elsewhere = {hit.detection_id for hit in searchable.nearest(replace(query, own_image=None), 1000)}

    assert bool(own & found) == answers and own & elsewhere and len(found) > 20


def set_column(run: Run, name: str, values: dict[int, float], table: str = "embeddings") -> None:
    """Alter a column of a table for some regions."""
    for part in sorted(Path(run.table_uri(table)).iterdir()):
        read = pq.read_table(part)
        old, ids = read[name].to_pylist(), read["detection_id"].to_pylist()
        new = pa.array([values.get(of, value) for of, value in zip(ids, old, strict=True)], read[name].type)
        pq.write_table(read.set_column(read.schema.get_field_index(name), name, new), part)


def test_an_answer_says_how_many_are_left_out(run: Run, truth: Truth) -> None:
    searchable = calibrated(run)
    region = int(truth.ids[0])
    n_all = len(searchable.search_region(region, 40, min_confidence=0.0))
    for asked, percent in ((None, "1"), (0.3, "30")):
        found = answer(searchable, Question(region=region, k=40, min_confidence=asked))
        assert found.notes == (f"{n_all - len(found.hits)} products more, each less than {percent} % sure, left out",)
    alike = answer(calibrated(run, replace(USUAL, none=60.0)), Question(region=region, k=40))
    assert len(alike.hits) == RIVALS and (alike.hits[-1].confidence or 0.0) < 0.01
    assert alike.notes[-1] == f"{n_all - RIVALS} products more, none surer than the last of these, left out"
    assert answer(searchable, Question(region=region, k=3, min_confidence=0.0)).notes == ()
    assert answer(searchable, Question(region=region, k=40, facet="visual")).notes == ()
