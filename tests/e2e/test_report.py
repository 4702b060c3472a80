"""The report's data files against the tables of the night that they show."""

from __future__ import annotations

import base64
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prodseek.embedding.confidence import Calibration, likeness_score
from prodseek.jobs import report
from prodseek.runs.class_words import class_words
from prodseek.runs.columns import LIKENESS
from prodseek.runs.facts import ProjectFacts
from prodseek.runs.store import Run
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue

REPORT = "report"


def handed_over(path: Path) -> tuple[str, Any]:
    """The name and the value that a data file hands to the page."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("prodseek.receive(") and text.endswith(");\n")
    name, value = json.loads(f"[{text[len('prodseek.receive(') : -len(');') - 1]}]")
    return name, value


def read_report(folder: Path) -> dict[str, Any]:
    """Everything in the data files: single values by name, shards joined."""
    found: dict[str, Any] = {}
    for path in sorted([*folder.glob("data/*.js"), *folder.glob("thumbs/*.js")]):
        name, value = handed_over(path)
        assert name == path.stem
        kind, _, number = name.rpartition("-")
        if number.isdigit():
            found.setdefault(kind, []).extend(value)
        else:
            found[name] = value
    return found


@pytest.fixture(scope="module")
def shown(night: Run) -> dict[str, Any]:
    return read_report(Path(night.path(REPORT)))


def test_objects_are_the_primary_regions(night: Run, tables, shown: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    regions = {row["detection_id"]: row for row in tables(night, "detections").to_pylist() if row["is_primary"]}
    photos: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in tables(night, "images").to_pylist():
        photos[row["image_id"]].add((row["product_id"], row["uri"]))
    assert shown["about"]["n_objects"] == shown["about"]["n_images"] == len(shown["objects"]) == len(regions)
    for one in shown["objects"]:
        region = regions.pop(int(one["detection_id"]))
        assert (one["image_id"], one["kind"]) == (region["image_id"], region["kind"])
        np.testing.assert_allclose(
            one["box_px"], [region[name] for name in ("x1_px", "y1_px", "x2_px", "y2_px")], atol=0.06
        )
        assert {(photo["product_id"], photo["uri"]) for photo in one["photos"]} == photos[one["image_id"]]
    assert not regions
    scene = max(shown["objects"], key=lambda one: len(one["others"]))
    scores = [other["score"] for other in scene["others"]]
    assert len(scores) > 3 and scores == sorted(scores, reverse=True)


def test_classes_are_in_plain_english_everywhere_and_as_they_were_in_tables(
    night: Run, tables, shown: dict[str, Any]
) -> None:  # type: ignore[no-untyped-def]
    detected = {row["class_name"] for row in tables(night, "detections").to_pylist()} - {None}
    spelt = {name for name in detected if class_words(name) != name}
    assert {"tvmonitor", "pottedplant", "diningtable"} <= spelt
    on_map = next(column for column in shown["map"]["columns"] if column["name"] == "class")
    told = {
        *(one["class_name"] for one in shown["objects"]),
        *(other["class_name"] for one in shown["objects"] for other in one["others"]),
        *(group["class_name"] for level in ("fine", "coarse") for group in shown["groups-visual"][level]),
        *on_map["names"],
    }
    assert not spelt & told and {"TV", "potted plant", "dining table"} <= told


def test_galleries_are_the_curation_groups(night: Run, tables, shown: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    groups, objects = shown["groups-visual"], shown["objects"]
    of_group: dict[str | None, set[str]] = defaultdict(set)
    for row in tables(night, "curation_groups").to_pylist():
        of_group[row["group_id"]].add(str(row["detection_id"]))
    for place, group in enumerate(groups["fine"]):
        members = {objects[number]["detection_id"] for number in group["members"]}
        assert members == of_group.pop(group["group_id"]) and len(members) == group["n_regions"]
        assert {objects[number]["group"] for number in group["members"]} == {place}
        assert {objects[number]["coarse"] for number in group["members"]} == {group["parent"]}
    assert {objects[number]["detection_id"] for number in groups["odd"]} == of_group.pop(None)
    assert groups["n_ungrouped"] == len(groups["odd"]) and not of_group
    listed = {row["group_id"]: row for row in tables(night, "curation_summary").to_pylist()}
    for group in [*groups["fine"], *groups["coarse"]]:
        row = listed.pop(group["group_id"])
        assert (group["title"], group["n_products"]) == (row["title"], row["n_products"])
        assert [objects[n]["detection_id"] for n in group["members"][: group["n_exemplars"]]] == [
            str(one) for one in row["exemplar_ids"]
        ]
    assert not listed
    # What is shown together lies together.
    first = [min(group["members"]) for group in groups["fine"]]
    spans = [max(group["members"]) - low + 1 for group, low in zip(groups["fine"], first, strict=True)]
    assert spans == [len(group["members"]) for group in groups["fine"]]


def test_copies_and_pairs_are_the_duplicates(night: Run, tables, shown: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    groups: dict[str, set[tuple[str, str]]] = defaultdict(set)
    kept = {}
    for row in tables(night, "duplicate_groups").to_pylist():
        groups[row["group_id"]].add((row["product_id"], row["uri"]))
        if row["is_representative"]:
            kept[row["group_id"]] = row["uri"]
    kept_groups = {group_id: set(keys) for group_id, keys in groups.items()}
    pairs = {(row["uri_a"], row["uri_b"]): row for row in tables(night, "near_duplicates").to_pylist()}
    for place, group in enumerate(shown["duplicates"]):
        head, copies = group["representative"], [copy["photo"] for copy in group["copies"]]
        assert {(one["product_id"], one["uri"]) for one in [head, *copies]} == groups.pop(group["group_id"])
        assert head["uri"] == kept[group["group_id"]] and group["kept_because"] and group["n_photos"] == 1 + len(copies)
        for one in [head, *copies]:
            described = shown["objects"][one["object"]]
            assert described["duplicates"] == place and one["uri"] in {photo["uri"] for photo in described["photos"]}
        for copy in group["copies"]:
            forth, back = (head["uri"], copy["photo"]["uri"]), (copy["photo"]["uri"], head["uri"])
            pair = pairs.get(forth) or pairs.get(back)
            if pair is not None:
                assert copy["likeness"]["verdict"] == pair["verdict"] and pair["decision"] == "copy"
                assert copy["kept_because"]
                check_transform(copy["likeness"], head, copy["photo"])
    assert not groups
    group_of = {key: group_id for group_id, keys in kept_groups.items() for key in keys}
    apart = {(one["a"]["uri"], one["b"]["uri"]): one for one in shown["pairs"]}
    assert set(apart) == {
        key
        for key, pair in pairs.items()
        if pair["decision"] == "variant"
        or group_of.get((pair["product_id_a"], key[0]), "") != group_of.get((pair["product_id_b"], key[1]))
    }
    is_variant = [one["likeness"]["decision"] == "variant" for one in shown["pairs"]]
    assert is_variant == sorted(is_variant) and is_variant.count(False) == shown["about"]["n_pairs_to_look_at"]
    for number, one in enumerate(shown["pairs"]):
        assert number in shown["objects"][one["a"]["object"]]["pairs"]
        check_transform(one["likeness"], one["a"], one["b"])


def check_transform(likeness: dict[str, Any], a: dict[str, Any], b: dict[str, Any]) -> None:
    """The centre of the part that both show lies, laid over, on the same part's centre."""
    if likeness["transform"] is None or likeness["box_a_px"] is None:
        return
    there, here = (
        np.array([(box[0] + box[2]) / 2 / photo["width_px"], (box[1] + box[3]) / 2 / photo["height_px"]])
        for box, photo in ((likeness["box_a_px"], a), (likeness["box_b_px"], b))
    )
    matrix = np.array(likeness["transform"]).reshape(2, 3)
    assert np.abs(matrix[:, :2] @ here + matrix[:, 2] - there).max() < 0.05


def test_neighbours_are_the_most_similar_and_never_copies(night: Run, tables, shown: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    vectors = {str(row["detection_id"]): row for row in tables(night, "embeddings").to_pylist()}
    objects = shown["objects"]
    copies = np.array([one["duplicates"] for one in objects])
    assert Calibration.of_facts(night.facts(ProjectFacts).likeness_calibration) is not None
    hubness, is_room, is_scene = (
        np.array([vectors[one["detection_id"]][name] for one in objects]) for name in ("hubness", "is_room", "is_scene")
    )
    assert is_room.any()
    for facet in shown["about"]["facets"]:
        matrix = np.array([vectors[one["detection_id"]][facet] for one in objects])
        cosine = matrix @ matrix.T
        for number in range(0, len(objects), 17):
            found = shown["neighbours"][number][facet]
            others = [other for other, _ in found]
            score, answers = cosine[number], np.ones(len(objects), bool)
            if facet == LIKENESS:
                score = likeness_score(score, hubness)
                answers = (is_scene[number] | ~is_room) & (cosine[number] > 0)
                assert answers[others].all()
            assert number not in others and (facet == LIKENESS or len(others) == 8)
            own = copies[number]
            assert own < 0 or own not in copies[others]
            groups = [copies[other] for other in others if copies[other] >= 0]
            assert len(set(groups)) == len(groups)
            values = [value for _, value in found]
            np.testing.assert_allclose(values, score[others], atol=1e-3)
            assert values == sorted(values, reverse=True)
            left = [
                other
                for other in np.flatnonzero(answers & (copies < 0)).tolist()
                if other not in others and other != number
            ]
            # What is too unsure is left out, so by likeness there may be fewer.
            assert not left or len(others) == 8 or facet == LIKENESS
            assert not left or not others or score[left].max() <= score[others].min() + 1e-3


def test_pictures_and_map(shown: dict[str, Any]) -> None:
    objects = shown["objects"]
    assert len(shown["regions"]) == len(shown["photos"]) == len(objects)
    for number in range(0, len(objects), 13):
        one = objects[number]
        photo, region = (
            Image.open(io.BytesIO(base64.b64decode(shown[kind][number]))) for kind in ("photos", "regions")
        )
        assert photo.format == "WEBP" and max(photo.size) <= 256 and max(region.size) <= 160
        assert photo.width / photo.height == pytest.approx(one["width_px"] / one["height_px"], rel=0.05)
        x1, y1, x2, y2 = one["box_px"]
        assert region.width / region.height == pytest.approx((x2 - x1) / (y2 - y1), rel=0.15)
    for axis in ("x", "y"):
        assert len(np.frombuffer(base64.b64decode(shown["map"][axis]), "<u2")) == len(objects)
    columns = {column["name"]: column for column in shown["map"]["columns"]}
    assert {"coarse", "fine", "class", "colour", "category"} <= set(columns)
    fine = np.frombuffer(base64.b64decode(columns["fine"]["values"]), "<u4").astype(np.int64)
    assert np.where(fine == 0xFFFFFFFF, -1, fine).tolist() == [one["group"] for one in objects]


def test_again_on_other_partitions_and_with_a_cap(
    spark, night: Run, sample_folder: Path, make_config, shown, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    """The same files, no picture made anew; and a report of some of the photos holds together."""
    config, capped = (
        make_config(sample_folder / "catalog.csv", night.root, *settings)
        for settings in ((), ("report.max_images=40",))
    )
    cache = sorted(Path(night.root, "cache", "thumbnails").rglob("*.parquet"))
    before = contents(night)
    try:
        report.run(Night.of(spark, capped, night))
        few = read_report(Path(night.path(REPORT)))
    finally:
        suit_catalogue(spark, 10**6)
        spark.conf.set("spark.sql.shuffle.partitions", "1")
        report.run(Night.of(spark, config, night))
    assert contents(night) == before
    assert sorted(Path(night.root, "cache", "thumbnails").rglob("*.parquet")) == cache
    assert few["about"]["n_objects"] == len(few["objects"]) == len(few["neighbours"]) == 40
    assert few["about"]["n_images"] == shown["about"]["n_images"]
    numbers = set(range(40))
    for group in [*few["groups-visual"]["fine"], *few["groups-visual"]["coarse"]]:
        assert set(group["members"]) <= numbers
    for group in few["duplicates"]:
        assert {group["representative"]["object"], *(copy["photo"]["object"] for copy in group["copies"])} <= numbers
    assert {one["duplicates"] for one in few["objects"]} <= {-1, *range(len(few["duplicates"]))}
    assert {number for one in few["objects"] for number in one["pairs"]} <= set(range(len(few["pairs"])))


def contents(run: Run) -> dict[str, bytes]:
    """All data files of a report but the one that names the time it was made."""
    folder = Path(run.path(REPORT))
    files = [path for part in ("data", "thumbs") for path in (folder / part).iterdir()]
    return {path.name: path.read_bytes() for path in files if path.name != "about.js"}
