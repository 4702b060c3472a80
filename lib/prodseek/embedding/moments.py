"""What fitting a projection needs to know of a catalogue: counts, sums and second moments, gathered in any
order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.facets import FITTED_PARTS, prepare
from prodseek.errors import StoreError
from prodseek.slice_layout import SlicePart, lay_out, layout_to_dict, slice_length

# Prepared values, at most 1, are counted in whole steps of this size. Sums of whole numbers are exact in
# float64 up to 2^53, so however Spark splits and merges the rows, the moments, and with them the projection,
# are the same to the bit.
_STEPS = 2.0**15


@dataclass(frozen=True)
class Moments:
    """First and second moments of the prepared parts of `count` slices, in whole steps.

    sums: part -> (d,) float64. products: part -> (d, d) float64, sums of x_i x_j. Values do not change: `add`
    and `merge` give new ones.
    """

    layout: dict[str, SlicePart]
    count: int
    sums: dict[str, NDArray[np.float64]]
    products: dict[str, NDArray[np.float64]]

    @classmethod
    def empty(cls, layout: Mapping[str, SlicePart]) -> Moments:
        """The moments of no slices."""
        lengths = {part: layout[part].length for part in FITTED_PARTS}
        return cls(
            dict(layout),
            0,
            {part: np.zeros(length) for part, length in lengths.items()},
            {part: np.zeros((length, length)) for part, length in lengths.items()},
        )

    def add(self, slices: NDArray[np.float16]) -> Moments:
        """With these slices too. slices: (N, slice_length) float16. Raises ValueError for rows that are not
        finite."""
        check_slices(slices, self.layout)
        steps = {part: np.rint(prepare(part, slices[:, self.layout[part].span]) * _STEPS) for part in FITTED_PARTS}
        return Moments(
            self.layout,
            self.count + len(slices),
            {part: self.sums[part] + values.sum(axis=0) for part, values in steps.items()},
            {part: self.products[part] + values.T @ values for part, values in steps.items()},
        )

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of slices. Raises ValueError when their layouts differ."""
        if layout_to_dict(self.layout) != layout_to_dict(other.layout):
            raise ValueError(
                f"moments of different layouts: {layout_to_dict(self.layout)} and {layout_to_dict(other.layout)}"
            )
        return Moments(
            self.layout,
            self.count + other.count,
            {part: self.sums[part] + other.sums[part] for part in FITTED_PARTS},
            {part: self.products[part] + other.products[part] for part in FITTED_PARTS},
        )

    def mean_and_covariance(self, part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of one prepared part: mean (d,) and covariance (d, d), float64.

        One slice alone has no spread, so it is not centred: its mean is 0 and its second moment stands for
        the covariance. Raises ValueError when there is no slice.
        """
        if self.count < 1:
            raise ValueError("there are no slices to fit a projection on")
        mean = self.sums[part] / (_STEPS * self.count)
        second = self.products[part] / (_STEPS * _STEPS * self.count)
        if self.count == 1:
            return np.zeros_like(mean), second
        return mean, second - np.outer(mean, mean)

    def to_bytes(self) -> bytes:
        """As an .npz, to be shipped and merged elsewhere."""
        arrays = {f"sum_{part}": values for part, values in self.sums.items()}
        # Symmetric: the lower half would be shipped twice.
        arrays |= {f"product_{part}": values[np.triu_indices(len(values))] for part, values in self.products.items()}
        buffer = io.BytesIO()
        lengths = layout_to_dict(self.layout)
        np.savez(
            buffer,
            allow_pickle=False,
            count=np.int64(self.count),
            part_names=np.array(list(lengths)),
            part_lengths=np.array(list(lengths.values()), np.int64),
            **arrays,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Moments:
        """What `to_bytes` wrote. Raises StoreError where it is damaged."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                layout = lay_out(
                    {
                        str(name): int(length)
                        for name, length in zip(stored["part_names"], stored["part_lengths"], strict=True)
                    }
                )
                sums = {part: stored[f"sum_{part}"] for part in FITTED_PARTS}
                products = {part: _symmetric(stored[f"product_{part}"], layout[part].length) for part in FITTED_PARTS}
                return cls(layout, int(stored["count"]), sums, products)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"the moments of a projection are damaged: {error}; gather them again") from error


def check_slices(slices: NDArray[np.float16], layout: Mapping[str, SlicePart]) -> None:
    """Raise ValueError unless slices are (N, slice_length) of finite values; it names the first bad rows."""
    expected = slice_length(layout)
    if slices.ndim != 2 or slices.shape[1] != expected:
        raise ValueError(f"slices have the shape {slices.shape}, expected (N, {expected})")
    bad = np.flatnonzero(~np.isfinite(slices).all(axis=1))
    if len(bad):
        listed = ", ".join(str(row) for row in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise ValueError(f"{len(bad)} of {len(slices)} slices hold values that are not finite, rows {listed}")


def _symmetric(upper: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    full = np.zeros((length, length))
    full[np.triu_indices(length)] = upper
    return full + np.triu(full, 1).T
