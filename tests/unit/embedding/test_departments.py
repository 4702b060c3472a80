"""Departments: a component counts where it says what a thing is, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.embedding.departments import N_DEPARTMENTS, Departments, agreed_weights, fit_departments
from prodseek.embedding.facets import COMPONENTS, VISUAL_COMPONENTS, unit


def things(n_kinds: int, of_each: int, colour_tells: bool, offset: float, seed: int) -> dict[str, NDArray[np.float64]]:
    """Things of some kinds, which texture and grid tell apart, and colour only where it does. offset: the department's look."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(n_kinds), of_each)
    found = {}
    for name in VISUAL_COMPONENTS:
        dim = COMPONENTS[name].dim
        department = np.full(dim, offset) if name != "colour" else np.zeros(dim)
        of_kind = rng.normal(size=(n_kinds, dim))[kinds]
        if name == "colour" and not colour_tells:
            of_kind = rng.normal(size=(len(kinds), dim))
        found[name] = unit(department + of_kind + 0.3 * rng.normal(size=(len(kinds), dim)))
    return found


def test_colour_counts_in_the_department_that_it_tells_apart() -> None:
    groceries, clothes = things(20, 20, True, 1.5, seed=1), things(20, 20, False, -1.5, seed=2)
    mixed = {name: np.concatenate([groceries[name], clothes[name]]) for name in VISUAL_COMPONENTS}

    colour = fit_departments(mixed, np.arange(800)).weights_of(mixed)["colour"][:, 0]

    assert colour[:400].mean() > 0.8 and colour[400:].mean() < 0.55
    assert colour[400:].mean() < agreed_weights(mixed, np.arange(800))["colour"], "of the whole, colour counts for both"


@pytest.mark.parametrize("of_each", [1, 2], ids=["sixty", "a hundred and twenty"])
def test_a_small_catalogue_is_one_department(of_each: int) -> None:
    few = things(60, of_each, True, 0.0, seed=3)

    photos = np.arange(60 * of_each)
    fitted = fit_departments(few, photos)

    assert fitted.weights.shape == (1, len(VISUAL_COMPONENTS))
    for name, weight in agreed_weights(few, photos).items():
        np.testing.assert_allclose(fitted.weights_of(few)[name], weight)


def test_equal_things_are_one_department() -> None:
    one = things(1, 1, True, 0.0, seed=4)
    equal = {name: np.repeat(rows, 500, axis=0) for name, rows in one.items()}

    assert len(fit_departments(equal, np.arange(500)).weights) == 1


def test_the_same_sample_gives_the_same_departments() -> None:
    some = things(50, 10, True, 0.0, seed=5)
    first, again = (fit_departments(some, np.arange(500)) for _ in range(2))

    assert len(first.weights) == N_DEPARTMENTS
    np.testing.assert_array_equal(first.middles, again.middles)
    np.testing.assert_array_equal(first.weights, again.weights)


def test_only_one_counts_alike_everywhere() -> None:
    some = things(5, 4, True, 0.0, seed=6)
    weights = Departments.only_one({"texture": 0.25, "grid": 0.5, "colour": 0.75}).weights_of(some)

    assert {name: set(values.ravel().tolist()) for name, values in weights.items()} == {
        "texture": {0.25},
        "grid": {0.5},
        "colour": {0.75},
    }
