"""Stage cluster: the same however the tables are cut, ids that survive the night, samples, copies, facets, edge cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster_run import write_graph, write_photos
from pyspark.sql import SparkSession
from sklearn.metrics import adjusted_mutual_info_score
from synthetic_run import write_run

from prodseek.index.ivf import assign_cells
from prodseek.index.shards import quantizer_from_bytes
from prodseek.index.stored import index_manifest, read_trained
from prodseek.jobs import cluster, index
from prodseek.runs.columns import VISUAL
from prodseek.runs.facts import ClusterFacts, GroupedFacet
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import schema_versions
from prodseek.spark.cluster.fit import sampled
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue

TABLES = ("curation_groups", "curation_summary", "region_map", "group_lineage")
N_KINDS, KIND_SIZE, K = 8, 24, 16


def catalogue(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, unit vectors, and the kind of each: planted groups that lie apart."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(5).normal(size=(N_KINDS, 16))
    truth = np.repeat(np.arange(N_KINDS), KIND_SIZE)
    vectors = centres[truth] + 0.25 * rng.normal(size=(len(truth), 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return rng.permutation(10**6)[: len(truth)].astype(np.int64) + 10**6 * seed, vectors, truth


@pytest.fixture
def night_of(spark: SparkSession, tmp_path: Path, make_config):  # type: ignore[no-untyped-def]
    """Cluster regions in a run of a store under tmp_path and publish it; gives the run and the facts of `visual`."""

    def run_night(  # type: ignore[no-untyped-def]
        day: int,
        ids,
        vectors,
        *settings: str,
        root: str = "root",
        copies=None,
        uris=None,
        attributes=None,
        products=None,
        indexed: bool = False,
        n_files: int = 2,
    ) -> tuple[Run, GroupedFacet]:
        run = write_run(tmp_path / root, ids, vectors, f"202601{day:02d}T000000Z-{day:08d}", n_files=n_files)
        write_photos(run, ids, copies, uris, attributes, products)
        write_graph(run, ids, vectors, K)
        config = make_config(tmp_path, tmp_path / root, "cluster.n_components=4", *settings)
        night = Night.of(spark, config, run)
        if indexed:
            run.write_summary(index.run(night))
        run.write_summary(cluster.run(night))
        Store(run.root).publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
        return run, run.facts(ClusterFacts).visual

    return run_night


def contents(run: Run, name: str) -> list[dict[str, object]]:
    rows = pq.read_table(run.table_uri(name)).to_pylist()
    return sorted(rows, key=lambda row: repr(list(row.values())))


def groups_of(run: Run) -> dict[int, dict[str, object]]:
    return {row["detection_id"]: row for row in contents(run, "curation_groups") if row["facet"] == VISUAL}


def labels_of(found: dict[int, dict[str, object]], ids: np.ndarray, column: str = "group_id") -> list[str]:
    return [str(found[number][column]) for number in ids.tolist()]


def places_of(run: Run, ids: np.ndarray) -> np.ndarray:
    places = {row["detection_id"]: (row["x"], row["y"]) for row in contents(run, "region_map")}
    return np.array([places[number] for number in ids.tolist()])


def alone_share(places: np.ndarray, truth: np.ndarray) -> float:
    """How many regions have one of another kind as the nearest on the map."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float((truth[apart.argmin(axis=1)] != truth).mean())


def test_nights(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    """Five nights of one catalogue: as it is, cut otherwise, unchanged, a little changed, another one."""
    ids, vectors, truth = catalogue()
    # A photo that is like no other, nineteen copies of it, and a copy of one that is in a group.
    odd = 777_000_000 + np.arange(20)
    copies = {**dict.fromkeys(odd[1:].tolist(), int(odd[0])), 777_500_000: int(ids[0])}
    rows = np.r_[ids, odd, 777_500_000], np.r_[vectors, np.repeat(-vectors[:1], 20, axis=0), vectors[:1]]

    first, facts = night_of(1, *rows, copies=copies)
    found = groups_of(first)
    assert len(found) == len(rows[0]) and facts.fitted_regions == len(ids) + 1
    assert adjusted_mutual_info_score(truth, labels_of(found, ids, "coarse_group_id")) > 0.9
    for row in found.values():
        assert (row["group_id"] is None) == (row["membership"] == 0) and 0 <= row["membership"] <= 1
        assert row["group_id"] is None or (row["nearest_group_id"] is None and row["coarse_group_id"] is not None)
    parents = {(row["group_id"], row["coarse_group_id"]) for row in found.values() if row["group_id"]}
    listed = contents(first, "curation_summary")
    assert parents == {(row["group_id"], row["coarse_group_id"]) for row in listed if row["level"] == "fine"}
    assert len(dict(parents)) == len(parents) >= N_KINDS
    of_odd = set(labels_of(found, odd))
    assert len(of_odd) == 1 and (of_odd == {"None"} or of_odd & set(labels_of(found, ids)))
    assert found[777_500_000]["group_id"] == found[int(ids[0])]["group_id"]
    assert len(contents(first, "region_map")) == len(rows[0])
    assert alone_share(places_of(first, ids), truth) < 0.05
    assert len(np.unique(places_of(first, odd), axis=0)) == 1

    suit_catalogue(spark, 10**6)
    spark.conf.set("spark.sql.shuffle.partitions", 1)
    cut, _ = night_of(1, *rows, copies=copies, root="cut otherwise", n_files=7)
    suit_catalogue(spark, 1)
    spark.conf.set("spark.sql.shuffle.partitions", 8)
    assert all(contents(first, name) == contents(cut, name) for name in TABLES)

    same, facts = night_of(2, *rows, copies=copies)
    assert facts.changed_since == 0 and "carried" in facts.how
    assert all(contents(first, name) == contents(same, name) for name in TABLES[:3])
    assert {row["event"] for row in contents(same, "group_lineage")} == {"continued"}

    new_ids, new_vectors, new_truth = catalogue(seed=1)
    stay, come = np.arange(len(ids)) % 12 > 0, np.arange(len(ids)) % 12 == 5
    changed, facts = night_of(
        3,
        np.r_[rows[0][len(ids) :], ids[stay], new_ids[come]],
        np.r_[rows[1][len(ids) :], vectors[stay], new_vectors[come]],
        copies={number: of for number, of in copies.items() if number != 777_500_000},
    )
    assert facts.changed_since == (~stay).sum() + come.sum()
    before, now = groups_of(same), groups_of(changed)
    was, kept = (np.array(labels_of(night, ids[stay])) for night in (before, now))
    # Groups that are left with fewer than three regions are given up.
    assert (was == kept)[was != "None"].mean() > 0.95
    assert labels_of(now, new_ids[come]).count("None") <= come.sum() // 4
    np.testing.assert_array_equal(places_of(changed, ids[stay]), places_of(same, ids[stay]))
    there, kinds = np.r_[ids[stay], new_ids[come]], np.r_[truth[stay], new_truth[come]]
    assert alone_share(places_of(changed, there), kinds) < 0.05
    lineage = contents(changed, "group_lineage")
    for run, column in ((same, "previous_group_id"), (changed, "group_id")):
        assert {row[column] for row in lineage if row[column]} == {
            row["group_id"] for row in contents(run, "curation_summary")
        }

    other, facts = night_of(4, new_ids, new_vectors)
    assert facts.how.startswith("fitted, because ") and facts.changed_since == 0
    assert {"born", "retired"} <= {row["event"] for row in contents(other, "group_lineage")}


def test_a_sample_gives_the_groups_of_the_whole_in_every_facet(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    ids, vectors, truth = catalogue()
    settings = ("cluster.fit_rows=96", "cluster.coarse_min_cluster_size=8")
    wrong = [5, 60, 150]
    kinds = np.array(KINDS)[[(kind + (place in wrong)) % N_KINDS for place, kind in enumerate(truth)]]
    attributes = [{"category": str(kind)} for kind in kinds]
    run, facts = night_of(
        1, ids, vectors, *settings, "cluster.facets=[visual, colour]", indexed=True, attributes=attributes
    )
    found = groups_of(run)
    odd = {number for number, row in found.items() if row["odd_category"] is not None}
    assert len(odd) >= 2 and odd <= {int(ids[place]) for place in wrong}
    assert facts.fitted_regions == 96 and len(found) == len(ids)
    assert adjusted_mutual_info_score(truth, labels_of(found, ids, "coarse_group_id")) > 0.9
    rows = contents(run, "curation_groups")
    assert {row["facet"] for row in rows} == {"visual", "colour"} and len(rows) == 2 * len(ids)
    # `write_run` makes all other embeddings equal: one group, which the sample founds and all others join.
    colours = {row["group_id"] for row in rows if row["facet"] == "colour"}
    assert len(colours) == 1 and None not in colours
    titles = [row["title"] for row in contents(run, "curation_summary")]
    assert len(set(titles)) == len(titles)

    assert alone_share(places_of(run, ids), truth) < 0.05

    again, facts = night_of(2, ids, vectors, *settings, indexed=True, attributes=attributes)
    assert "carried" in facts.how
    assert found == groups_of(again)


def test_every_cell_is_in_the_sample(spark: SparkSession, tmp_path: Path, make_config) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(11_000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = rng.permutation(10**6)[: len(vectors)].astype(np.int64)
    run = write_run(tmp_path / "root", ids, vectors)
    night = Night.of(spark, make_config(tmp_path, tmp_path / "root"), run)
    index.run(night)
    standing = spark.createDataFrame(pa.table({"detection_id": ids, "product_id": ids.astype(str)}))
    chosen = sampled(night, standing, 1200).toArrow()
    assert chosen.num_rows == 1200 and index_manifest(run).nlist == 512
    cells = assign_cells(vectors, quantizer_from_bytes(read_trained(run)[0]), 1).cells[:, 0]
    found = cells[np.isin(ids, chosen.column("detection_id").to_numpy())]
    assert set(found.tolist()) == set(cells.tolist())


KINDS = ("office chairs", "Sofas", "lamps", "Stühle", "mugs", "棚", "t-shirts", "vases")


def bearing_out(run: Run, ids: np.ndarray, truth: np.ndarray) -> list[float]:
    """Of each fine group the share of its members whose kind its title names, by the last word."""
    groups = {row["group_id"]: row["title"] for row in contents(run, "curation_summary") if row["level"] == "fine"}
    members: dict[object, list[bool]] = {group_id: [] for group_id in groups}
    found = groups_of(run)
    for number, kind in zip(ids.tolist(), truth.tolist(), strict=True):
        group_id = found[number]["group_id"]
        if group_id is not None:
            members[group_id].append(KINDS[kind].split()[-1] in str(groups[group_id]))
    return [float(np.mean(one)) for one in members.values()]


def test_folders_name_groups_and_suppliers_do_not(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    """Folders by kind inside folders by supplier, some of the photos in a wrong one; then by supplier alone."""
    ids, vectors, truth = catalogue()
    rng = np.random.default_rng(0)
    suppliers = rng.choice(["vendor_a", "acme", "img/2023-05"], len(ids))
    kinds = np.where(rng.random(len(ids)) < 0.1, rng.integers(0, N_KINDS, len(ids)), truth)
    uris = [
        f"{supplier}/{KINDS[kind].replace(' ', '_')}/{n:05}.jpg"
        for n, (supplier, kind) in enumerate(zip(suppliers, kinds, strict=True))
    ]
    run, _ = night_of(1, ids, vectors, uris=uris)
    listed = contents(run, "curation_summary")
    assert {row["title_from"] for row in listed if row["level"] == "fine"} == {"folder"}
    assert min(bearing_out(run, ids, truth)) >= 0.75
    assert not any("acme" in row["title"] or "vendor" in row["title"] for row in listed)

    sku_uris = [f"{one}/SKU-{n}.jpg" for n, one in enumerate(suppliers)]
    by_supplier, _ = night_of(1, ids, vectors, root="suppliers", uris=sku_uris)
    listed = contents(by_supplier, "curation_summary")
    assert {row["title_from"] for row in listed} == {"look"}
    assert len({row["title"] for row in listed}) == len(listed)
    assert not any(word in row["title"] for row in listed for word in ("acme", "vendor", "SKU", "look-alike"))


def test_categories_titles_and_what_sits_in_another_categorys_group(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    """Columns in other capitals; a few photos are in a wrong category, two of them of one product; `sale` is no kind of thing."""
    ids, vectors, truth = catalogue()
    categories = [KINDS[kind] for kind in truth]
    wrong, sale = [3, 30, 31, 100], [50, 75, 125]
    for place in wrong:
        categories[place] = KINDS[(truth[place] + 3) % N_KINDS]
    for place in sale:
        categories[place] = "sale"
    attributes = [{" Category": one, "TITLE": f"Nordlys {one} {n}"} for n, one in enumerate(categories)]
    products = ["a pair" if place in (30, 31) else str(place) for place in range(len(ids))]
    run, facts = night_of(1, ids, vectors, attributes=attributes, products=products)
    listed = contents(run, "curation_summary")
    assert {row["title_from"] for row in listed} == {"category"}
    assert min(bearing_out(run, ids, truth)) >= 0.75
    found = {number: row["odd_category"] for number, row in groups_of(run).items() if row["odd_category"] is not None}
    assert {int(ids[30]), int(ids[31])} <= found.keys() <= {int(ids[place]) for place in wrong}
    assert all(found[int(ids[place])] == KINDS[truth[place]] for place in wrong if int(ids[place]) in found)
    assert facts.in_other_category == len(found)
    for place in wrong:
        row = groups_of(run)[int(ids[place])]
        if row["odd_category"] is not None:
            assert row["filed_category"] == categories[place]
            assert 0.6 * row["asked_neighbours"] <= row["odd_neighbours"] <= row["asked_neighbours"] >= 5
    assert groups_of(run)[int(ids[0])]["filed_category"] is None
    was_asked = {products[place] for place, number in enumerate(ids) if groups_of(run)[int(number)]["asked_neighbours"]}
    assert facts.products == len(set(products)) and facts.products_asked == len(was_asked) > 100
    assert not was_asked & {str(place) for place in sale}, "a category that is no kind of thing is not asked"
    assert facts.products_asked_narrowly == facts.products_asked, "a category of one level is its narrowest"

    series = [f"{KINDS[kind]} > {chr(97 + n // 26)}{chr(97 + n % 26)}xo" for n, kind in enumerate(truth)]
    _, facts = night_of(1, ids, vectors, root="series", attributes=[{"category": one} for one in series])
    assert facts.products_asked is not None and facts.products_asked > 100, "at the wider level"
    assert facts.products_asked_narrowly == 0, "nobody else is of the series"

    titled, facts = night_of(1, ids, vectors, root="titled", attributes=[{"Name": one["TITLE"]} for one in attributes])
    assert {row["title_from"] for row in contents(titled, "curation_summary") if row["level"] == "fine"} == {"title"}
    assert min(bearing_out(titled, ids, truth)) >= 0.75 and facts.in_other_category is None
    assert facts.products_asked is None
    assert not any("Nordlys" in row["title"] for row in contents(titled, "curation_summary"))


def test_a_department_called_storage_and_words_as_most_spell_them(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    """All photos lie in `home`, one kind of thing in `storage` there; a sixth of each kind's folders are in capitals."""
    ids, vectors, truth = catalogue()
    named = ["Storage", *KINDS[1:]]
    folders = [named[kind].upper() if place % 6 == 0 else named[kind] for place, kind in enumerate(truth)]
    run, _ = night_of(1, ids, vectors, uris=[f"home/{folder}/{n}.jpg" for n, folder in enumerate(folders)])
    fine = [row for row in contents(run, "curation_summary") if row["level"] == "fine"]
    titles = [str(row["title"]) for row in fine]
    assert {row["title_from"] for row in fine} == {"folder"}
    assert any("Storage" in title for title in titles) and not any("home" in title for title in titles)
    assert not any(folder.upper() in title for title in titles for folder in named if folder.upper() != folder)


@pytest.mark.parametrize("is_nested", [pytest.param(True, id="nested"), pytest.param(False, id="flat")])
def test_a_wrong_category_is_found_where_its_neighbours_are_of_many(  # type: ignore[no-untyped-def]
    spark: SparkSession, night_of, is_nested: bool
) -> None:
    """Fruit of three categories that look alike, beside things that are one category a kind; written in many ways."""
    ids, vectors, truth = catalogue()
    rng = np.random.default_rng(1)
    fruit, wrong = ("Äpfel", "Birnen", "Pflaumen"), [3, 30, 60]
    leaves = [str(rng.choice(fruit)) if kind < 3 else KINDS[kind] for kind in truth]
    paths = [f"{'Food' if kind < 3 else 'Home'} > {leaf}" for kind, leaf in zip(truth, leaves, strict=True)]
    categories = paths if is_nested else leaves
    for place in wrong:
        categories[place] = categories[100 + place]
    for place in range(5, len(ids), 7):
        if place not in wrong:
            plain = categories[place].replace("Ä", "A").upper()
            categories[place] = (plain, plain.replace(" > ", "/"), plain.split(" > ")[-1], "k.A.", "")[place % 5]
    attributes = [{"Kategorie": one} for one in categories]

    run, facts = night_of(1, ids, vectors, attributes=attributes)
    found = groups_of(run)
    odd = {number: row for number, row in found.items() if row["odd_category"] is not None}
    assert odd.keys() == {int(ids[place]) for place in wrong}
    assert all(row["odd_category"] in (("Food",) if is_nested else fruit) for row in odd.values())
    assert all(5 <= row["asked_neighbours"] >= row["odd_neighbours"] >= 1 for row in odd.values())
    for place, category in enumerate(categories):
        if category in ("", "k.A."):
            assert found[int(ids[place])]["asked_neighbours"] is None
    assert facts.in_other_category == len(wrong)

    spark.conf.set("spark.sql.shuffle.partitions", 1)
    again, _ = night_of(1, ids, vectors, root="cut otherwise", attributes=attributes, n_files=7)
    spark.conf.set("spark.sql.shuffle.partitions", 8)
    assert all(contents(run, name) == contents(again, name) for name in TABLES)


@pytest.mark.parametrize("n_rows", [1, 5])
def test_a_handful_of_regions(spark: SparkSession, night_of, n_rows: int) -> None:  # type: ignore[no-untyped-def]
    ids, vectors, _ = catalogue()
    run, facts = night_of(1, ids[:n_rows], vectors[:n_rows])
    assert np.isfinite(places_of(run, ids[:n_rows])).all()
    assert len(groups_of(run)) == n_rows == facts.grouped_regions
