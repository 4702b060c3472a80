"""Candidates: planted copies are found by each source, a photo of many copies is a star, and variants do not vanish in one."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from made_photos import packshot, scene
from PIL import Image, ImageDraw, ImageOps
from planted_night import planted_night
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.duplicates.candidates import MAX_PHOTOS_A_CODE
from prodseek.jobs.duplicates import _ROUNDS, _judged
from prodseek.spark.duplicates.candidates import PAIRS, STOOD_IN, Candidates, candidate_pairs, near_objects
from prodseek.spark.duplicates.compared_photos import ComparedPhotos
from prodseek.spark.duplicates.local_features import kept_features
from prodseek.spark.duplicates.pair_verdicts import PAIR
from prodseek.spark.duplicates.stars import MEMBERS, Stars
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame

N_RE_ENCODED = 40
N_VERSIONS = 24
N_OTHERS = 12
COLOURS = {"blue": (0, 1, 2), "green": (0, 2, 1), "red": (2, 1, 0)}


def versions(photo: Image.Image) -> list[Image.Image]:
    """The photo with other crops, margins, grounds and sizes."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(N_VERSIONS):
        x, y = (int(value) for value in rng.integers(0, 30, 2))
        one = photo.crop((x, y, photo.width - int(rng.integers(0, 30)), photo.height - int(rng.integers(0, 30))))
        if number % 3 == 1:
            one = ImageOps.expand(one, tuple(int(v) for v in rng.integers(0, 90, 4)), "white")
        if number % 3 == 2:
            one = ImageOps.expand(one, 30, tuple(int(v) for v in rng.integers(0, 255, 3)))
        scale = rng.uniform(0.6, 1.2)
        made.append(one.resize((round(one.width * scale), round(one.height * scale)), Image.Resampling.LANCZOS))
    return made


def n_sources(frame: DataFrame) -> int:
    """How many sources a frame's plan reads: 1 where it does not depend on how its rows were made."""
    return int(frame._jdf.queryExecution().logical().collectLeaves().size())


def labelled(photo: Image.Image, text: str) -> Image.Image:
    out = photo.copy()
    ImageDraw.Draw(out).text((10, 10), text, fill=(0, 0, 0))
    return out


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    placeholder = packshot(1)
    for number in range(N_RE_ENCODED):
        placeholder.save(folder / f"placeholder-{number:02d}.jpg", quality=20 + 2 * number)
    for colour, channels in COLOURS.items():
        photo = Image.merge("RGB", [packshot(2, outline=((0, 0), (1, 0), (1, 1), (0, 1))).split()[c] for c in channels])
        for quality in (60, 90):
            photo.save(folder / f"{colour}-{quality}.jpg", quality=quality)
    packshot(3).save(folder / "margin.jpg", quality=90)
    ImageOps.expand(packshot(3), (130, 40, 60, 90), "white").save(folder / "margin-wider.jpg", quality=90)
    ImageOps.expand(ImageOps.pad(packshot(3), (640, 360), color="white"), (0, 50), "black").save(
        folder / "margin-screenshot.jpg", quality=90
    )
    room = scene(5, 720, 540)
    room.paste(scene(4).resize((252, 189), Image.Resampling.LANCZOS), (300, 200))
    room.save(folder / "room.jpg", quality=85)
    scene(4).save(folder / "pasted.jpg", quality=90)
    for number, version in enumerate(versions(scene(6, 420, 320))):
        version.save(folder / f"version-{number:02d}.jpg", quality=70 + number)
    for text in ("100 cm", "150 cm"):
        for quality in (70, 90):
            labelled(packshot(7), text).save(folder / f"{text[:3]}-{quality}.jpg", quality=quality)
    for number in range(N_OTHERS):
        (scene if number % 2 else packshot)(20 + number).save(folder / f"other-{number:02d}.jpg", quality=90)
    Image.new("RGB", (300, 300), "white").save(folder / "empty-1.jpg")
    Image.new("RGB", (200, 300), "white").save(folder / "empty-2.jpg")
    return folder


def by_name(night: Night, candidates: Candidates) -> set[tuple[str, str]]:
    names = {row["image_id"]: row["uri"][:-4] for row in night.table("images").select("image_id", "uri").collect()}
    rows = [(names[row[0]], names[row[1]]) for row in candidates.pairs.collect()]
    assert len(set(rows)) == len(rows) and all(a != b for a, b in rows)
    return {(min(pair), max(pair)) for pair in rows}


def linked(pairs: set[tuple[str, str]], start: str, within: str) -> set[str]:
    """Those whose name begins with `within` that pairs among them lead to."""
    found, todo = {start}, [start]
    while todo:
        one = todo.pop()
        for pair in pairs:
            if one in pair and all(name.startswith(within) for name in pair):
                new = set(pair) - found
                found |= new
                todo += new
    return found


def test_what_was_planted_is_found_at_any_number_of_partitions(
    spark: SparkSession, tmp_path: Path, photos: Path, make_config
) -> None:  # type: ignore[no-untyped-def]
    def run(n_partitions: int) -> tuple[Night, Candidates]:
        night = planted_night(spark, photos, tmp_path / str(n_partitions), make_config, n_partitions)
        compared = ComparedPhotos.of(night)
        return night, candidate_pairs(night, compared, kept_features(night, compared))

    night, candidates = run(1)
    pairs = by_name(night, candidates)
    assert by_name(*run(8)) == pairs

    # One stand-in, and all others are candidates of it alone.
    re_encoded = {pair for pair in pairs if all(name.startswith("placeholder") for name in pair)}
    assert len(linked(re_encoded, "placeholder-00", "placeholder")) == N_RE_ENCODED
    assert len({pair for pair in pairs if any(name.startswith("placeholder") for name in pair)}) < 1.2 * N_RE_ENCODED

    # Each colour is a pair of its own, and the colours are no star.
    for colour in COLOURS:
        assert (f"{colour}-60", f"{colour}-90") in pairs
    stars = {row["image_id"]: row["stand_in_id"] for row in candidates.stars.members.collect()}
    ids = {row["uri"][:-4]: row["image_id"] for row in night.table("images").collect()}
    for one, other in combinations(COLOURS, 2):
        assert {stars.get(ids[f"{one}-60"]), stars.get(ids[f"{one}-90"])}.isdisjoint(
            {ids[f"{other}-60"], ids[f"{other}-90"]}
        )

    assert len(linked(pairs, "margin", "margin")) == 3
    assert ("pasted", "room") in pairs
    assert len(linked(pairs, "version-00", "version")) == N_VERSIONS > MAX_PHOTOS_A_CODE
    assert len({pair for pair in pairs if "other" in pair[0] and "other" in pair[1]}) <= N_OTHERS

    assert [source.name for source in candidates.sources] == ["looks", "hashes", "codes", "regions", "objects"]
    assert sum(source.found_alone for source in candidates.sources) <= len(pairs)
    assert sum(source.pairs for source in candidates.sources) >= len(pairs)
    assert all(source.found_alone <= source.pairs for source in candidates.sources)
    assert candidates.sources[0].found_alone >= N_RE_ENCODED - 1 and candidates.sources[2].found_alone > 0


def test_copies_of_a_variant_are_paired_once_it_is_no_copy_of_its_stand_in(
    spark: SparkSession, tmp_path: Path, photos: Path, make_config
) -> None:  # type: ignore[no-untyped-def]
    night = planted_night(spark, photos, tmp_path, make_config, 2)
    compared = ComparedPhotos.of(night)
    candidates: Candidates | None = candidate_pairs(night, compared, kept_features(night, compared))
    assert candidates is not None
    ids = {row["uri"][:-4]: row["image_id"] for row in night.table("images").collect()}
    stars = {row["image_id"]: row["stand_in_id"] for row in candidates.stars.members.collect()}
    labels = [ids[name] for name in ("100-70", "100-90", "150-70", "150-90")]
    assert sum(one in stars for one in labels) == 3

    # All re-encodings are copies; of the photos with a printed size those with the same one.
    copies = [pair for name in COLOURS for pair in [(ids[f"{name}-60"], ids[f"{name}-90"])]]
    copies += [(labels[0], labels[1]), (labels[2], labels[3])]
    names = [f"placeholder-{number:02d}" for number in range(N_RE_ENCODED)]
    copies += [(ids[a], ids[b]) for a, b in combinations(names, 2)]
    verdicts = local_frame(spark, copies, PAIRS)
    following = candidates.among_no_copies(verdicts)
    assert following is not None
    pairs = by_name(night, following)
    assert ({"100-70", "100-90"} in map(set, pairs)) or ({"150-70", "150-90"} in map(set, pairs))
    assert not any(name.startswith("placeholder") for pair in pairs for name in pair)
    # Should nothing be a copy, it ends all the same, and stays linear.
    rounds, left = 0, following
    while (more := left.among_no_copies(local_frame(spark, [], PAIRS))) is not None and rounds < 3:
        assert len(by_name(night, more)) <= 2 * len(list(pairwise(names)))
        # Spark compares each plan with all that are cached: on 700 shop photos plans that grew took all of the driver's memory.
        assert n_sources(more.pairs) == n_sources(more.stars.members) == 1
        rounds, left = rounds + 1, more


def test_every_copy_in_a_series_is_compared_with_its_photo(spark: SparkSession) -> None:
    """Gift cards that differ in the amount look the same, and each has a copy."""
    cards = [f"{10 * amount:03d}" for amount in range(1, 13)]
    names = [f"{card}-{copy}" for card in cards for copy in "ab"]
    others = [(name, "010-a", "010-a", place, False) for place, name in enumerate(names) if place]
    members = spark.createDataFrame(others, MEMBERS)
    between = local_frame(spark, [("010-a", "partner")], "left string, right string")
    candidates: Candidates | None = Candidates(
        local_frame(spark, [], PAIRS), Stars(members), between, local_frame(spark, [], STOOD_IN), ()
    )
    copies = local_frame(spark, [(f"{card}-a", f"{card}-b") for card in cards], PAIRS)
    asked = [("010-a", "010-b")]
    for _ in range(_ROUNDS):
        candidates = candidates.among_no_copies(copies) if candidates else None
        if candidates is None:
            break
        asked += [(row["image_id_a"], row["image_id_b"]) for row in candidates.pairs.collect()]
    assert candidates is None
    assert {(f"{card}-a", f"{card}-b") for card in cards} <= set(asked)
    assert len(asked) < len(cards) * len(others)
    # What a card may be a copy of besides, the best of its photos is compared with.
    assert {(f"{card}-a", "partner") for card in cards[1:]} == {pair for pair in asked if "partner" in pair}


class _NeverSure(NamedTuple):
    """A judge to whom all photos are likely copies, and none for sure, because something faint differs."""

    spark: SparkSession

    def judge(self, pairs: DataFrame) -> tuple[DataFrame, int]:
        evidence = F.struct(F.lit("faint").alias("doubt")).alias("evidence")
        judged = pairs.select(*PAIR, F.lit("look").alias("decision"), F.lit(0.9).alias("confidence"), evidence)
        return judged, pairs.count()


def test_photos_that_cannot_be_proved_do_not_meet_each_other(spark: SparkSession) -> None:
    """Of a placeholder compressed a hundred times, those of quality 5 are proved copies of nothing."""
    names = [f"{number:03d}" for number in range(101)]
    rows = [(name, "000", "000", place, False) for place, name in enumerate(names) if place]
    stars = Stars(spark.createDataFrame(rows, MEMBERS))
    pairs = local_frame(spark, [("000", name) for name in names[1:]], PAIRS)
    nothing = local_frame(spark, [], "left string, right string")
    candidates = Candidates(pairs, stars, nothing, local_frame(spark, [], STOOD_IN), ())
    judged, n_candidates, n_looked_at = _judged(candidates, _NeverSure(spark))
    met = judged.select(F.explode(F.array(*PAIR)).alias("one")).groupBy("one").count()
    assert {row["one"]: row["count"] for row in met.where("one > '003'").collect()} == dict.fromkeys(names[4:], 4)
    assert n_candidates == n_looked_at == judged.count() == 100 + 99 + 98 + 97


@pytest.mark.parametrize(
    ("n_members", "n_copies", "n_asked_again"),
    [(200, 3, 0), (200, 20, 180), (100, 0, 100)],
    ids=["many, of which few are copies", "many, of which some are", "not many"],
)
def test_where_hardly_any_of_many_are_copies_the_others_are_given_up(
    spark: SparkSession, n_members: int, n_copies: int, n_asked_again: int
) -> None:
    names = [f"{number:03d}" for number in range(n_members + 1)]
    rows = [(name, "000", "000", place, False) for place, name in enumerate(names) if place]
    rows += [("small star's", "small star", "small star", n_members + 1, False)]
    stars = Stars(spark.createDataFrame(rows, MEMBERS))
    left = stars.without(
        local_frame(spark, [("000", name) for name in names[1 : n_copies + 1]], PAIRS)
    ).members.collect()
    assert {row["image_id"] for row in left if row["stand_in_id"] == "small star"} == {"small star's"}
    assert len(left) == n_asked_again + 1 and {tuple(row) for row in left} <= set(rows)


class _TakesSmallOnesForTheFirst(NamedTuple):
    """A judge who tells labels apart, but takes small copies of any for copies of "a"."""

    spark: SparkSession

    def judge(self, pairs: DataFrame) -> tuple[DataFrame, int]:
        own = F.substring(PAIR[0], 1, 1) == F.substring(PAIR[1], 1, 1)
        taken = own | (F.col(PAIR[0]) == "a") & F.col(PAIR[1]).endswith("small")
        decision = F.when(taken, "copy").otherwise("variant").alias("decision")
        evidence = F.struct(F.lit(None).cast("string").alias("doubt")).alias("evidence")
        # The surest are copies of "a" itself.
        confidence = F.when(F.col(PAIR[1]).startswith("a"), F.lit(0.999)).otherwise(F.lit(0.99)).alias("confidence")
        return pairs.select(*PAIR, decision, confidence, evidence), pairs.count()


def test_a_copy_that_the_wrong_variant_took_meets_its_own_photo(spark: SparkSession) -> None:
    """Two labels differ in a digit, and a small copy of the second is taken for the first, its stand-in."""
    names = ["a", "b", "c", "a-small", "b-small", "c-small"]
    rows = [(name, "a", "a", place, False) for place, name in enumerate(names) if place]
    pairs = local_frame(spark, [("a", name) for name in names[1:]], PAIRS)
    nothing = local_frame(spark, [], "left string, right string")
    stars = Stars(spark.createDataFrame(rows, MEMBERS))
    candidates = Candidates(pairs, stars, nothing, local_frame(spark, [], STOOD_IN), ())
    judged, n_candidates, n_looked_at = _judged(candidates, _TakesSmallOnesForTheFirst(spark))
    found = {(row[PAIR[0]], row[PAIR[1]]): row["decision"] for row in judged.collect()}
    assert found["b", "b-small"] == found["c", "c-small"] == found["a", "a-small"] == "copy"
    assert n_candidates == n_looked_at == len(found)


def test_of_many_copies_the_least_sure_meet_a_variant(spark: SparkSession) -> None:
    names = ["a", "b", *(f"a{number:02d}" for number in range(40)), *(f"b{number:02d}-small" for number in range(10))]
    rows = [(name, "a", "a", place, False) for place, name in enumerate(names) if place]
    nothing, nobody = local_frame(spark, [], "left string, right string"), local_frame(spark, [], STOOD_IN)
    stars, heads = Stars(spark.createDataFrame(rows, MEMBERS)), local_frame(spark, [("b", "a")], STOOD_IN)
    judged, _ = _TakesSmallOnesForTheFirst(spark).judge(local_frame(spark, [("a", name) for name in names[1:]], PAIRS))
    candidates = Candidates(local_frame(spark, [], PAIRS), stars, nothing, nobody.unionByName(heads), ())
    found = {
        row[PAIR[0]] if row[PAIR[1]] == "b" else row[PAIR[1]]
        for row in candidates.beside_variants(stars, judged).collect()
    }
    assert len(found) == 32 and {name for name in names if name.endswith("small")} <= found


def test_an_object_in_a_room_meets_the_three_photos_nearest_to_it(spark: SparkSession) -> None:
    """The product may have been photographed from several sides, and another of these may be nearest."""
    products = ("other side", "same side", "detail", "another product")
    detections = spark.createDataFrame(
        [("object", "room", False, "detection"), *((f"in {name}", name, True, "foreground") for name in products)],
        "detection_id string, image_id string, is_primary boolean, kind string",
    )
    edges = [("object", f"in {name}", 0.6 - 0.1 * place) for place, name in enumerate(products)]
    neighbours = spark.createDataFrame(edges, "detection_id string, neighbour_id string, cosine_similarity double")
    stars = Stars(spark.createDataFrame([], MEMBERS))
    pairs = near_objects(detections, neighbours, stars)
    assert {(row["left"], row["right"]) for row in pairs.collect()} == {("room", name) for name in products[:3]}
