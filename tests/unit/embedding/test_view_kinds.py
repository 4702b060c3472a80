"""Kinds of photos: told alike for detected and drawn boxes, and each compared around its own mean."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.embedding.facets import COMPONENTS, prepare, prepared_length
from prodseek.embedding.view_kinds import PRIOR_REGIONS, KindSums, ViewKind, are_rooms, view_kinds
from prodseek.runs.slice_layout import slice_layout, slice_length

LAYOUT = slice_layout({"stride8": 3, "stride16": 5, "stride32": 4})


def some_slices(n_rows: int, seed: int = 0) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(size=(n_rows, slice_length(LAYOUT)))).astype(np.float16)


@pytest.mark.parametrize(
    ("on_plain_ground", "area_fraction", "kind"),
    [
        (True, 0.3, ViewKind.PACKSHOT),
        (True, 1.0, ViewKind.PACKSHOT),
        (False, 0.3, ViewKind.OBJECT_IN_SCENE),
        (False, 0.9, ViewKind.OBJECT_IN_SCENE),
        (False, 1.0, ViewKind.SCENE),
    ],
    ids=["a product", "its whole photo", "an object in a room", "a large object in a room", "the room"],
)
def test_the_kind_of_a_region(on_plain_ground: bool, area_fraction: float, kind: ViewKind) -> None:
    assert view_kinds(np.array([on_plain_ground]), np.array([area_fraction])).tolist() == [kind]


@pytest.mark.parametrize(
    ("kind", "n_sure_classes", "is_furnished", "is_primary", "is_room"),
    [
        (ViewKind.SCENE, 2, False, True, True),
        (ViewKind.SCENE, 1, False, True, False),
        (ViewKind.SCENE, 0, False, True, False),
        (ViewKind.SCENE, 1, True, True, True),
        (ViewKind.OBJECT_IN_SCENE, 1, True, True, True),
        (ViewKind.OBJECT_IN_SCENE, 5, True, False, False),
        (ViewKind.OBJECT_IN_SCENE, 5, False, True, False),
        (ViewKind.PACKSHOT, 2, True, True, False),
    ],
    ids=[
        "a room of several things",
        "a photo full of apples",
        "a fabric",
        "a room with one small chair",
        "a room that its small chair stands for",
        "a chair that only stands in a room",
        "a sofa that fills its photo",
        "a set on white",
    ],
)
def test_a_scene_of_several_things_or_with_small_furniture_is_a_room(
    kind: ViewKind, n_sure_classes: int, is_furnished: bool, is_primary: bool, is_room: bool
) -> None:
    told = are_rooms(
        np.array([kind], np.int8), np.array([n_sure_classes]), np.array([is_furnished]), np.array([is_primary])
    )
    assert told.tolist() == [is_room]


def test_each_kind_has_its_own_mean() -> None:
    slices = some_slices(4000)
    kinds = np.repeat(np.array([0, 1], np.int8), 2000)
    sums = KindSums.empty(LAYOUT).add(slices, kinds)
    of_all = prepare("grid", slices, LAYOUT).mean(axis=0)

    means = sums.means("grid", of_all)

    assert means.shape == (3, prepared_length("grid", LAYOUT))
    for kind in (0, 1):
        own = prepare("grid", slices[kinds == kind], LAYOUT).mean(axis=0)
        np.testing.assert_allclose(means[kind], own, atol=2e-3)
    np.testing.assert_allclose(means[2], of_all, err_msg="of a kind that a catalogue does not have")


def test_the_mean_of_a_few_is_drawn_towards_that_of_all() -> None:
    of_all = np.zeros(prepared_length("grid", LAYOUT))
    one = some_slices(1)

    mean = KindSums.empty(LAYOUT).add(one, np.array([1], np.int8)).means("grid", of_all)[1]

    np.testing.assert_allclose(mean * (1 + PRIOR_REGIONS), prepare("grid", one, LAYOUT)[0], atol=1e-3)


def test_sums_are_the_same_however_rows_are_split() -> None:
    slices, kinds = some_slices(90), np.arange(90, dtype=np.int8) % 3
    whole = KindSums.empty(LAYOUT).add(slices, kinds)

    split = KindSums.empty(LAYOUT)
    for rows in (slice(60, 90), slice(0, 7), slice(7, 60)):
        split = split.merge(KindSums.empty(LAYOUT).add(slices[rows], kinds[rows]))

    assert whole.to_bytes() == split.to_bytes() == KindSums.from_bytes(whole.to_bytes(), LAYOUT).to_bytes()
    assert whole.sums.shape == (3, sum(prepared_length(name, LAYOUT) for name in COMPONENTS))
