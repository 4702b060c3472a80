"""Find me more like this, on a real night over the sample: planted objects, regions, turned photos, the command line."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import prodseek
from PIL import Image

from prodseek.errors import PromptError, StoreError
from prodseek.runs.store import Run
from prodseek.search.searchable import SearchableRun
from prodseek.spark.search import answers as answers

FACETS = ("likeness", "visual", "colour", "texture", "shape")
MIN_COSINE = 0.999  # of embeddings in bf16 and fp32, in a batch and alone


@pytest.fixture(scope="module")
def searchable(night: Run) -> SearchableRun:
    return SearchableRun.open(night.root)


@pytest.fixture(scope="module")
def planted(sample_folder: Path) -> list[dict[str, str]]:
    """Objects that fill a fair part of a room, and where they stand in it."""
    with (sample_folder / "truth.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["kind"] == "scene_object"]
    return [row for row in rows if int(row["detail"].split()[0]) >= 10_000]


def box_of(row: dict[str, str]) -> tuple[float, ...]:
    return tuple(float(row[edge]) for edge in ("x1_px", "y1_px", "x2_px", "y2_px"))


def test_a_box_round_an_object_in_a_room_finds_its_product(
    searchable: SearchableRun, sample_folder: Path, planted
) -> None:  # type: ignore[no-untyped-def]
    assert len(planted) == 51
    ranks = []
    for row in planted:
        hits = searchable.search(sample_folder / row["uri"], box_of(row), k=10, exclude_same_product=True)
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        assert len({hit.product_id for hit in hits}) == len(hits)
        assert 0 < sum(hit.confidence for hit in hits) < 1
        assert all(a.confidence >= b.confidence for a, b in pairwise(hits))
        ranks.append(next((hit.rank for hit in hits if hit.product_id == row["product_id"]), 99))
    assert np.mean(np.array(ranks) <= 10) >= 0.97
    assert np.mean(np.array(ranks) == 1) >= 0.7


def test_embeddings_of_a_drawn_box_are_those_of_the_night(
    searchable: SearchableRun, night: Run, tables, sample_folder: Path
) -> None:  # type: ignore[no-untyped-def]
    uri_of = {row["image_id"]: row["uri"] for row in tables(night, "images").to_pylist()}
    stored = {row["detection_id"]: row for row in tables(night, "embeddings").to_pylist()}
    regions = tables(night, "detections").drop_columns(["slice"]).sort_by("detection_id").to_pylist()[::25]
    assert len(regions) > 20 and {region["kind"] for region in regions} == {"detection", "foreground", "frame"}
    for region in regions:
        photo = searchable.read(sample_folder / uri_of[region["image_id"]])
        assert photo.image_id == region["image_id"]
        (query,) = searchable.embed(photo, [[region[edge] for edge in ("x1_px", "y1_px", "x2_px", "y2_px")]])
        for facet in FACETS:
            assert query.vectors[facet] @ np.array(stored[region["detection_id"]][facet]) > MIN_COSINE, (facet, region)


def test_a_region_is_answered_like_its_box(searchable: SearchableRun, sample_folder: Path) -> None:
    photo = sample_folder / "images" / "room-02.jpg"
    objects = searchable.objects(photo)
    assert [found.number for found in objects] == list(range(1, len(objects) + 1))
    assert {"chair", "sofa"} <= {found.class_name for found in objects} and objects[-1].kind == "frame"
    for found in objects:
        assert found.detection_id is not None
        for facet in ("likeness", "visual", "colour", "mix=visual:1,shape:1"):
            by_region = searchable.search_region(found.detection_id, 8, facet, min_confidence=0.0)
            by_box = searchable.search(photo, found.box_px, 8, facet, min_confidence=0.0)
            assert len({hit.detection_id for hit in by_region} & {hit.detection_id for hit in by_box}) >= 6
            np.testing.assert_allclose(
                *(sorted(hit.cosine_similarity for hit in hits) for hits in (by_region, by_box)), atol=0.02
            )


def test_copies_of_a_photo_are_one_hit(searchable: SearchableRun, night: Run, tables) -> None:  # type: ignore[no-untyped-def]
    group_of = {row["image_id"]: row["group_id"] for row in tables(night, "duplicate_groups").to_pylist()}
    primary = [row for row in tables(night, "detections").to_pylist() if row["is_primary"]]
    copied = [row for row in primary if row["image_id"] in group_of]
    assert len(copied) > 30
    for row in copied[::6]:
        hits = searchable.search_region(row["detection_id"], 30)
        originals = [group_of.get(hit.image_id, hit.image_id) for hit in hits]
        assert len(set(originals)) == len(originals) and group_of[row["image_id"]] == originals[0]
        others = searchable.search_region(row["detection_id"], 30, exclude_same_product=True)
        assert group_of[row["image_id"]] not in {group_of.get(hit.image_id) for hit in others}


def test_boxes_are_in_pixels_of_the_upright_photo(searchable: SearchableRun, sample_folder: Path) -> None:
    """A photo that EXIF turns is searched as it is seen."""
    photo = Image.open(sample_folder / "images" / "room-02.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    buffer = io.BytesIO()
    photo.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", quality=95, exif=exif)
    hits = searchable.search(buffer.getvalue(), (259, 227, 623, 345), k=2)
    assert [hit.product_id for hit in hits] == ["sofa-retro", "sofa-futon"]
    with pytest.raises(PromptError, match=r"which is 768 x 576 px after turning it upright"):
        searchable.search(buffer.getvalue(), (10, 600, 300, 700))


def test_photos_that_cannot_be_read(searchable: SearchableRun, sample_folder: Path) -> None:
    for name, reason in (("bad-html.jpg", "not_an_image"), ("bad-empty.jpg", "empty"), ("none.jpg", "missing")):
        with pytest.raises(PromptError, match=rf"the photo '.*{name}' cannot be read \({reason}: ") as raised:
            searchable.search(sample_folder / "images" / name, (10, 10, 50, 50))
        assert raised.value.reason == reason
    with pytest.raises(PromptError, match="the photo cannot be read"):
        searchable.search(b"nothing", (10, 10, 50, 50))


def test_a_region_is_searched_without_torch(night: Run, tables) -> None:  # type: ignore[no-untyped-def]
    region = tables(night, "detections").column("detection_id")[0].as_py()
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from prodseek.search.searchable import SearchableRun\n"
        f"print(len(SearchableRun.open({night.root!r}).search_region({region}, min_confidence=0.0)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "20", done.stderr


def test_an_altered_projection_is_not_used(night: Run, tmp_path: Path, sample_folder: Path) -> None:
    copy = SearchableRun.open(night.root)
    object.__setattr__(copy.run, "root", str(tmp_path))
    with pytest.raises(StoreError, match=r"projection\.npz cannot be read"):
        copy.search(sample_folder / "images" / "room-02.jpg", (259, 227, 623, 345))


def test_the_command_line(night: Run, sample_folder: Path, tmp_path: Path) -> None:
    photo = sample_folder / "images" / "room-02.jpg"
    listed = prodseek("search", "--root", night.root, "--image", photo)
    assert listed.returncode == 0, listed.stderr
    assert "suitcase" in listed.stdout and "--object 1" in listed.stdout

    page, sheet = tmp_path / "seite é.html", tmp_path / "sheet.png"
    files = ("--html", page, "--png", sheet)
    box = ("--box", "259,227,623,345", "-k", 7)
    found = prodseek("search", "--root", night.root, "--image", photo, *box, *files, "--json")
    assert found.returncode == 0, found.stderr
    answer = json.loads(found.stdout)
    assert answer["run_id"] == night.run_id and answer["box_px"] == [259.0, 227.0, 623.0, 345.0]
    assert [hit["product_id"] for hit in answer["hits"]][:2] == ["sofa-retro", "sofa-futon"]
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/webp") == 1 + len(answer["hits"]) > 2 and "http" not in re.sub(
        r"http-equiv", "", text
    )
    assert all(html.escape(hit["product_id"]) in text for hit in answer["hits"])
    with Image.open(sheet) as picture:
        assert picture.format == "PNG" and picture.width == 1196

    region = str(answer["hits"][0]["detection_id"])
    shown = prodseek("search", "--root", night.root, "--region", region, "--facet", "mix=visual:1,colour:1", "-k", 3)
    assert shown.returncode == 0 and "sofa-retro" in shown.stdout, shown.stderr
    assert len(shown.stdout.strip().splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give either --image PHOTO or --region ID"),
        (["--image", "PHOTO", "--region", "1"], "give either --image PHOTO or --region ID"),
        (["--region", "1", "--box", "1,2,3,4"], "--region brings its own box"),
        (["--image", "PHOTO", "--box", "1,2,3,4", "--object", "1"], "give one of them"),
        (["--image", "PHOTO", "--box", "1,2,3"], "the box '1,2,3' is not four numbers"),
        (["--region", "1"], "has no region 1;"),
        (["--region", "1", "-k", "0"], "k is 0; ask for 1 result or more"),
        (["--region", "1", "--facet", "smell"], "the facet 'smell' is unknown"),
    ],
)
def test_bad_questions_are_one_sentence_and_exit_code_2(
    night: Run, sample_folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    from typer.testing import CliRunner

    from prodseek.cli import app

    photo = str(sample_folder / "images" / "room-02.jpg")
    given = [photo if argument == "PHOTO" else argument for argument in arguments]
    done = CliRunner().invoke(app, ["search", "--root", night.root, *given])
    assert isinstance(done.exception, PromptError) and done.exception.exit_code == 2
    assert says in str(done.exception) and "\n" not in str(done.exception)


def name_of(row: dict[str, str]) -> str:
    return f"{row['uri']}#{row['x1_px']},{row['y1_px']},{row['x2_px']},{row['y2_px']}"


def test_a_table_of_boxes_is_answered_like_one_by_one(
    spark,
    searchable: SearchableRun,
    night: Run,
    planted,
    sample_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # type: ignore[no-untyped-def]
    prompts = tmp_path / "prompts.csv"
    rooms = [row for row in planted if row["uri"] in {f"images/room-0{number}.jpg" for number in (1, 2, 3)}]
    lines = [f"{row['uri']},{row['x1_px']},{row['y1_px']},{row['x2_px']},{row['y2_px']}" for row in rooms]
    bad = ["images/room-01.jpg,0.1,0.2,0.3,0.4", "images/none.jpg,1,2,30,40", "images/bad-html.jpg,1,2,30,40"]
    prompts.write_text("\n".join(["uri,x1_px,y1_px,x2_px,y2_px", *lines, *bad]) + "\n")
    found = {}
    for name, per_partition in (("one", 1000), ("many", 4)):
        monkeypatch.setattr(answers, "_PROMPTS_PER_PARTITION", per_partition)
        summary = answers.answer_prompts(
            spark, night, str(prompts), str(tmp_path / name), answers.BatchQuestion(5, "likeness", False, 0.01)
        )
        assert summary.facts["rejected"] == {"box_normalised": 1, "missing": 1, "not_an_image": 1}
        found[name] = sorted(pq.read_table(tmp_path / name / "search_results").to_pylist(), key=repr)
    assert found["one"] == found["many"]
    assert {hit["query_id"] for hit in found["one"]} == set(map(name_of, rooms))
    for row in rooms:
        rows = sorted((hit for hit in found["one"] if hit["query_id"] == name_of(row)), key=lambda hit: hit["rank"])
        alone = searchable.search(sample_folder / row["uri"], box_of(row), len(rows), min_confidence=0.0)
        assert rows[0]["detection_id"] == alone[0].detection_id
        np.testing.assert_allclose(
            [hit["cosine_similarity"] for hit in rows], [hit.cosine_similarity for hit in alone], atol=0.02
        )
