"""What users of such tools report, through a whole night: which pairs are copies and which only look like them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from drawn_things import banded, logo, on_margin, png, printed, thing
from night_fixtures import night_config
from nights import TINY_SETTINGS, whole_night
from PIL import Image

from prodseek.runs.store import Run

# Drawn from different seeds, because they share a night. In each pair of copies the first is to be kept.
COPIES = {
    "wide margin": (thing(22), on_margin(thing(22), (250, 250, 248))),
    "enlarged": (thing(5), thing(5).resize((1200, 1200), Image.Resampling.LANCZOS)),
    "grey": (thing(31), thing(31).convert("L").convert("RGB")),
}
NO_COPIES = {
    "size in print": (printed(21, "Length 100 cm", 28), printed(21, "Length 150 cm", 28)),
    "white on nothing": (logo(is_cross=False), logo(is_cross=True)),
    "a part in another colour": (thing(47), banded(thing(47))),
}
PAIRS = {**COPIES, **NO_COPIES}


@pytest.fixture(scope="module")
def cases(spark_session, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:  # type: ignore[no-untyped-def]
    """A night over all pairs, each of a category and titled; the columns are called as spreadsheets call them."""
    folder = tmp_path_factory.mktemp("cases")
    lines = ["Product ID;URI;CATEGORY; Title "]
    for name, pair in PAIRS.items():
        for place, image in zip("ab", pair, strict=True):
            (folder / f"{name} {place}.png").write_bytes(png(image))
            lines.append(f"{name} {place};{name} {place}.png;Things;{name}")
    (folder / "products.csv").write_text("\n".join(lines), encoding="utf-16")
    config = night_config(folder / "products.csv", folder / "root", *TINY_SETTINGS)
    return whole_night(spark_session, config, accept=True)


def test_every_photo_is_read(cases: Run, tables: Callable[[Run, str], pa.Table]) -> None:
    assert tables(cases, "images").num_rows == 2 * len(PAIRS) and tables(cases, "rejects").num_rows == 0


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_grouped_and_the_original_kept(cases: Run, tables: Callable[[Run, str], pa.Table], name: str) -> None:
    groups = [row for row in tables(cases, "duplicate_groups").to_pylist() if row["uri"].startswith(name)]
    assert Counter(row["uri"] for row in groups) == {f"{name} a.png": 1, f"{name} b.png": 1}
    assert {row["group_size"] for row in groups} == {2} and {row["keep_uri"] for row in groups} == {f"{name} a.png"}


@pytest.mark.parametrize("name", NO_COPIES)
def test_what_only_looks_like_a_copy_is_in_no_group(
    cases: Run, tables: Callable[[Run, str], pa.Table], name: str
) -> None:
    assert not [row for row in tables(cases, "duplicate_groups").to_pylist() if row["uri"].startswith(name)]


def test_category_and_title_are_found_whatever_their_capitals(
    cases: Run, tables: Callable[[Run, str], pa.Table]
) -> None:
    rows = tables(cases, "images").to_pylist()
    assert all(dict(row["attributes"])["category"] == "Things" for row in rows)
    assert all(dict(row["attributes"])["title"] in PAIRS for row in rows)
    named = tables(cases, "curation_summary").to_pylist()
    assert named and {row["category"] for row in named} == {"Things"}
