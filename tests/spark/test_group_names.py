"""What names groups where products have several photos: kinds of things, not what the photos of one product share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cluster_run import write_photos
from pyspark.sql import SparkSession
from synthetic_run import write_run

from prodseek.cluster.titles import GroupTitle, group_titles
from prodseek.config import Config
from prodseek.spark.cluster.names import catalogue_words, group_facts
from prodseek.spark.cluster.primary_regions import primary_regions
from prodseek.spark.night import Night

KINDS = ("chair", "lamp", "vase", "sofa", "mug", "rug", "desk", "clock")
BRANDS = ("Nordvik", "Albera", "Tavio", "Lena")
Product = tuple[int, str] | tuple[int, str, str]  # its group, its title, its colour


@pytest.fixture
def titles_of(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config]
) -> Callable[[list[Product]], dict[int, GroupTitle]]:
    """The titles of groups of products that have two photos each, by group."""

    def named(products: list[Product]) -> dict[int, GroupTitle]:
        photos = [(number, group, said) for number, (group, *said) in enumerate(products) for _ in range(2)]
        ids = np.arange(len(photos), dtype=np.int64)
        run = write_run(tmp_path / "root", ids, np.eye(len(ids), dtype=np.float32))
        titles = [dict(zip(("title", "Farbe"), said, strict=False)) for _, _, said in photos]
        write_photos(run, ids, attributes=titles, products=[f"SKU-{number}" for number, _, _ in photos])
        night = Night.of(spark, make_config(tmp_path, tmp_path / "root"), run)
        regions = primary_regions(night)
        labels = [(int(number), "fine", group) for number, (_, group, _) in zip(ids, photos, strict=True)]
        in_groups = regions.join(
            spark.createDataFrame(labels, "detection_id long, level string, label int"), "detection_id"
        )
        titled = group_titles(group_facts(night, in_groups, catalogue_words(regions, ()), {}))
        return {group: title for (_, group), title in titled.items()}

    return named


def test_two_photos_of_a_product_do_not_vouch_for_its_brand(titles_of) -> None:  # type: ignore[no-untyped-def]
    """Pairs of products of one kind and two brands, and of each second kind a product in a group of its own."""
    pairs = [(group, f"{BRANDS[(group + of) % 4]} {kind}") for group, kind in enumerate(KINDS) for of in (0, 1)]
    alone = [(10 + group, f"{BRANDS[(group + 2) % 4]} {kind}") for group, kind in enumerate(KINDS) if group % 2]
    titles = titles_of([*pairs, *alone])
    assert {group: title.title.split(",")[0].split()[0] for group, title in titles.items()} == {
        **dict(enumerate(KINDS)),
        **{10 + group: kind for group, kind in enumerate(KINDS) if group % 2},
    }
    assert {title.title_from for title in titles.values()} == {"title"}


def test_a_brand_that_groups_are_of_names_them(titles_of) -> None:  # type: ignore[no-untyped-def]
    """Each group holds the things of one brand, of all kinds."""
    things = [(group, f"{brand} {KINDS[(group + of) % 8]}") for group, brand in enumerate(BRANDS) for of in range(6)]
    assert [titles_of(things)[group].title for group in range(4)] == list(BRANDS)


def test_a_column_of_colours_says_the_colour_of_groups(titles_of) -> None:  # type: ignore[no-untyped-def]
    """Two groups of chairs, of which most are blue by the column, and green; and one of which half are."""
    things = [(0, "Chair", colour) for colour in ("Blau", "blue", "BLUE", "rot")]
    things += [(1, "Chair", "grün matt")] * 3 + [(2, "Lamp", colour) for colour in ("green", "green", "red", "white")]
    titles = titles_of(things)
    assert [titles[group].title for group in range(3)] == ["blue Chair", "green Chair", "Lamp"]


def test_a_sentence_at_the_end_of_all_titles_takes_no_name_away(titles_of) -> None:  # type: ignore[no-untyped-def]
    praise = (
        "aus nachhaltig produzierter klimaneutral geprüfter Neuware mit kostenloser Rückgabe innerhalb Deutschlands"
    )
    colours = "wählbar schwarz weiß rot blau"
    things = [(group, f"{KINDS[group]} {praise} {colours}") for group in range(6) for _ in range(4)]
    titles = titles_of(things)
    assert [titles[group].title for group in range(6)] == list(KINDS[:6])
