"""Values as text: as Spark writes them, and ids as a person sees them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from prodseek.catalogue.value_texts import texts


@pytest.mark.parametrize(
    ("value", "as_value", "as_id"),
    [
        (123.0, "123.0", "123"),
        (1.5, "1.5", "1.5"),
        (0.0, "0.0", "0"),
        (-7.0, "-7.0", "-7"),
        (12345678901.0, "12345678901", "12345678901"),
        (1e7, "10000000", "10000000"),
        (9999999.5, "9999999.5", "9999999.5"),
        (12345678.5, "1.23456785E7", "1.23456785E7"),
        (0.001, "0.001", "0.001"),
        (0.0001, "1.0E-4", "1.0E-4"),
        (1e19, "1.0E19", "10000000000000000000"),
        (2.0**53, "9.007199254740992E15", "9007199254740992"),
        (1e22, "1.0E22", "1.0E22"),
        (float("inf"), "Infinity", "Infinity"),
        (float("nan"), "NaN", "NaN"),
        (None, None, None),
    ],
    ids=str,
)
def test_floats(value: float | None, as_value: str | None, as_id: str | None) -> None:
    column = pa.array([1.25, value], pa.float64())
    assert texts(column).to_pylist() == ["1.25", as_value] and texts(column, is_id=True).to_pylist() == ["1.25", as_id]


def test_floats_of_single_precision_have_their_own_digits() -> None:
    assert texts(pa.array([0.1, 1e-5, 16777216.0], pa.float32())).to_pylist() == ["0.1", "1.0E-5", "16777216"]
