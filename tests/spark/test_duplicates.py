"""Stage duplicates: the same at one and at eight partitions, and a chain of crops that no group holds whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from planted_night import planted_night
from pyspark.sql import SparkSession
from scipy import ndimage

from prodseek.config import Config
from prodseek.errors import StoreError
from prodseek.jobs import duplicates
from prodseek.spark.tables import read_table

N_LINKS = 4
# What each photo's copy is, and how it was made.
ALTERED = (
    ("resized", lambda photo: photo.resize((270, 202))),
    ("mirrored", ImageOps.mirror),
    ("resized", lambda photo: photo.resize((270, 202))),
    ("rotated", lambda photo: photo.rotate(90, expand=True)),
)


def texture(seed: int, width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    values = sum(ndimage.gaussian_filter(rng.normal(size=(height, width, 3)), (s, s, 0)) * s for s in (1.5, 3, 6, 12))
    return Image.fromarray(np.clip(128 + 60 * values / values.std(), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photos with a copy each, one pasted into another, a chain: windows moved along one wide picture; and two things that
    share their lower part, which is also there alone."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        photo = texture(number, 320, 240)
        photo.save(folder / f"photo-{number}.jpg", quality=90)
        copy = ALTERED[number][1](photo)
        copy.save(folder / f"copy-{number}.jpg", quality=90)
    scene = texture(50, 320, 240)
    scene.paste(texture(0, 320, 240).resize((160, 120)), (130, 90))
    scene.save(folder / "scene.jpg", quality=90)
    wide = texture(99, 480, 240)
    for link in range(N_LINKS):
        wide.crop((link * 48, 0, link * 48 + 320, 240)).save(folder / f"chain-{link}.jpg", quality=90)
    legs = texture(200, 320, 480)
    legs.save(folder / "shorts-1.jpg", quality=90)
    legs.crop((0, 200, 320, 480)).save(folder / "legs.jpg", quality=90)
    legs.paste(texture(250, 320, 160), (0, 0))
    legs.save(folder / "shorts-2.jpg", quality=90)
    return folder


@pytest.fixture
def judged(spark: SparkSession, tmp_path: Path, catalogue: Path, make_config):  # type: ignore[no-untyped-def]
    """Run the stage after made-up stages before it; returns its tables as sorted rows, without the time it took."""

    def run(
        name: str, n_partitions: int, *settings: str, folder: Path = catalogue
    ) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        root = tmp_path / name
        night = planted_night(spark, catalogue, root, make_config, n_partitions, *settings, read_from=folder)
        run = night.run
        duplicates.run(night)
        pairs = [row.asDict(recursive=True) for row in read_table(spark, run, "near_duplicates").collect()]
        for pair in pairs:
            assert pair["evidence"].pop("verification_ms") > 0
        groups = [row.asDict(recursive=True) for row in read_table(spark, run, "duplicate_groups").collect()]
        return sorted(pairs, key=lambda p: (p["uri_a"], p["uri_b"])), sorted(groups, key=lambda g: g["uri"])

    return run


def test_tables_are_the_same_at_any_number_of_partitions_and_chains_are_broken(judged) -> None:  # type: ignore[no-untyped-def]
    turned_too = ("duplicates.mirrored=copy", "duplicates.turned=copy")
    pairs, groups = judged("one", 1, *turned_too)
    small = ("duplicates.pairs_per_partition=3", "duplicates.photos_per_partition=2")
    assert judged("eight", 8, *turned_too, *small) == (pairs, groups)

    verdicts = {frozenset((pair["uri_a"], pair["uri_b"])): pair["verdict"] for pair in pairs}
    decisions = {frozenset((pair["uri_a"], pair["uri_b"])): pair["decision"] for pair in pairs}
    for number in range(4):
        copy = frozenset((f"photo-{number}.jpg", f"copy-{number}.jpg"))
        assert verdicts[copy] == ALTERED[number][0]
    assert verdicts[frozenset(("photo-0.jpg", "scene.jpg"))] == "embedded"
    assert all(
        verdicts[frozenset((f"chain-{link}.jpg", f"chain-{link + 1}.jpg"))] == "cropped" for link in range(N_LINKS - 1)
    )

    group_of = {group["uri"]: group["group_id"] for group in groups}
    assert len({group_of[f"photo-{number}.jpg"] for number in range(4)}) == 4
    assert all(group_of[f"photo-{number}.jpg"] == group_of[f"copy-{number}.jpg"] for number in range(4))
    assert not {"scene.jpg", "legs.jpg", "shorts-1.jpg", "shorts-2.jpg"} & group_of.keys()
    assert all(decisions[frozenset(("legs.jpg", f"shorts-{one}.jpg"))] == "look" for one in (1, 2))
    heads = {group["group_id"]: group["uri"] for group in groups if group["is_representative"]}
    for group in groups:
        assert (
            group["keep_uri"] == heads[group["group_id"]] and group["keep_product_id"] == Path(group["keep_uri"]).stem
        )
        assert group["kept_because"] and (group["verdict"] is None) == group["is_representative"]
        assert group["n_products"] == group["group_size"] and group["conflicts"] is None
    for group in groups:
        pair = frozenset((group["uri"], heads[group["group_id"]]))
        assert len(pair) == 1 or decisions[pair] == "copy", "no member hangs on another that is not kept"


@pytest.mark.parametrize("setting", ["mirrored", "turned"])
def test_a_mirrored_or_turned_photo_is_a_copy_only_where_the_settings_say_so(judged, setting: str) -> None:  # type: ignore[no-untyped-def]
    pairs, groups = judged("some", 2, f"duplicates.{setting}=copy")
    decisions = {frozenset((pair["uri_a"], pair["uri_b"])): pair["decision"] for pair in pairs}
    found = [decisions[frozenset((f"photo-{number}.jpg", f"copy-{number}.jpg"))] for number in range(4)]
    expected = {"mirrored": ["copy", "copy", "copy", "look"], "turned": ["copy", "look", "copy", "copy"]}[setting]
    assert found == expected
    grouped = {group["uri"] for group in groups}
    assert [f"copy-{number}.jpg" in grouped for number in range(4)] == [one == "copy" for one in expected]


def test_what_nobody_is_shown_still_contradicts_a_copy(judged) -> None:  # type: ignore[no-untyped-def]
    pairs, groups = judged("strict", 2, "duplicates.min_confidence=1")
    assert {pair["decision"] for pair in pairs} == {"copy", "variant"}, "pairs to look at are not published"
    grouped = {group["uri"] for group in groups}
    assert {"photo-0.jpg", "copy-0.jpg"} <= grouped and "legs.jpg" not in grouped


def test_of_equal_pixels_the_jpeg_is_kept_whatever_the_names_are(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    texture(7, 320, 240).save(folder / "original.jpg", quality=90)
    with Image.open(folder / "original.jpg") as photo:
        photo.save(folder / "a saved again.png")
        photo.resize((270, 202)).save(folder / "b smaller.jpg", quality=90)
    night = planted_night(spark, folder, tmp_path / "root", make_config, 2)
    duplicates.run(night)
    why = {row["uri"]: (row["keep_uri"], row["kept_because"]) for row in night.table("duplicate_groups").collect()}
    assert {kept for kept, _ in why.values()} == {"original.jpg"} and len(why) == 3
    assert why["a saved again.png"][1] == "a JPEG with equal pixels, from which this file was saved"


def test_storage_that_fails_meanwhile_stops_the_night(judged, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StoreError, match=r"16 of 16 photos cannot be read, more than gates\.max_reject_share = 0\.3"):
        judged("gone", 2, folder=tmp_path / "nowhere")
