"""All that is needed to fit a projection: counts, sums and second moments of slices, added up in any order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.facets import COMPONENTS, STEPS, prepare, prepared_length
from prodseek.errors import StoreError
from prodseek.runs.slice_layout import SlicePart, lay_out, layout_to_dict, slice_length


@dataclass(frozen=True)
class Moments:
    """First and second moments of the prepared components of `count` slices, in whole steps.

    sums: component -> (d,) float64. products: component -> (d, d) float64, sums of x_i x_j. Moments are immutable: `add`,
    `add_views` and `merge` return new ones.
    """

    layout: dict[str, SlicePart]
    count: int
    sums: dict[str, NDArray[np.float64]]
    products: dict[str, NDArray[np.float64]]

    @classmethod
    def empty(cls, layout: Mapping[str, SlicePart]) -> Moments:
        """The moments of no slices."""
        lengths = {name: prepared_length(name, layout) for name in COMPONENTS}
        return cls(
            dict(layout),
            0,
            {name: np.zeros(length) for name, length in lengths.items()},
            {name: np.zeros((length, length)) for name, length in lengths.items()},
        )

    def add(self, slices: NDArray[np.float16]) -> Moments:
        """Add slices, (N, slice_length) float16. Raises ValueError for rows that are not finite."""
        check_slices(slices, self.layout)
        return self._add({name: prepare(name, slices, self.layout) for name in COMPONENTS})

    def add_views(self, slices: NDArray[np.float16], n_views: int) -> Moments:
        """Add the deviations of each object's views from their mean: what varies while the object stays the same.

        slices: (N x n_views, slice_length) float16, the views of one object after another. Raises ValueError for rows that
        are not finite, and for a number of rows that is not a multiple of n_views.
        """
        check_slices(slices, self.layout)
        if n_views < 1 or len(slices) % n_views:
            raise ValueError(f"{len(slices)} slices are not whole objects of {n_views} views")
        deviations = {}
        for name in COMPONENTS:
            views = prepare(name, slices, self.layout).reshape(
                len(slices) // n_views, n_views, prepared_length(name, self.layout)
            )
            deviations[name] = (views - views.mean(axis=1, keepdims=True)).reshape(len(slices), views.shape[2])
        return self._add(deviations)

    def _add(self, prepared: Mapping[str, NDArray[np.float64]]) -> Moments:
        steps = {name: np.rint(values * STEPS) for name, values in prepared.items()}
        return Moments(
            self.layout,
            self.count + len(next(iter(steps.values()))),
            {name: self.sums[name] + values.sum(axis=0) for name, values in steps.items()},
            {name: self.products[name] + values.T @ values for name, values in steps.items()},
        )

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of slices together. Raises ValueError if their layouts differ."""
        if layout_to_dict(self.layout) != layout_to_dict(other.layout):
            raise ValueError(
                f"moments of different layouts: {layout_to_dict(self.layout)} and {layout_to_dict(other.layout)}"
            )
        return Moments(
            self.layout,
            self.count + other.count,
            {name: self.sums[name] + other.sums[name] for name in COMPONENTS},
            {name: self.products[name] + other.products[name] for name in COMPONENTS},
        )

    def mean_and_covariance(self, component: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean (d,) and covariance (d, d) of one prepared component, float64.

        A single slice has no spread, so it is not centred: its mean is 0, and its second moment is used as the covariance.
        Raises ValueError if there is no slice.
        """
        if self.count < 1:
            raise ValueError("there are no slices to fit a projection on")
        mean = self.sums[component] / (STEPS * self.count)
        second = self.products[component] / (STEPS * STEPS * self.count)
        if self.count == 1:
            return np.zeros_like(mean), second
        return mean, second - np.outer(mean, mean)

    def to_bytes(self) -> bytes:
        """The content of an .npz file, to send the moments to another process and merge them there."""
        arrays = {f"sum_{name}": values for name, values in self.sums.items()}
        # Only the upper half, because the matrices are symmetric.
        arrays |= {f"product_{name}": values[np.triu_indices(len(values))] for name, values in self.products.items()}
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
        """Read what `to_bytes` wrote. Raises StoreError if it is damaged."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                layout = lay_out(
                    {
                        str(name): int(length)
                        for name, length in zip(stored["part_names"], stored["part_lengths"], strict=True)
                    }
                )
                sums = {name: stored[f"sum_{name}"] for name in COMPONENTS}
                products = {
                    name: _symmetric(stored[f"product_{name}"], prepared_length(name, layout)) for name in COMPONENTS
                }
                return cls(layout, int(stored["count"]), sums, products)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"the moments of a projection are damaged: {error}; gather them again") from error


def check_slices(slices: NDArray[np.float16], layout: Mapping[str, SlicePart]) -> None:
    """Raise ValueError unless slices are (N, slice_length) of finite values; the message names the first bad rows."""
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
