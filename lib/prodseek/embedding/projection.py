"""The projection slice -> embedding: a whitening fitted on the catalogue, in closed form."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.facets import (
    COLOUR_PART,
    FACET_PARTS,
    FACETS,
    FITTED_PARTS,
    VISUAL_DIM,
    FacetPart,
    prepare,
    unit,
)
from prodseek.embedding.moments import Moments, check_slices
from prodseek.errors import StoreError
from prodseek.slice_layout import SlicePart, lay_out, layout_to_dict

__all__ = ["FACETS", "VISUAL_DIM", "Moments", "Projection", "fit_projection"]

DEFAULT_SHRINKAGE = 0.1
_FORMAT = 1
_MIN_NORM = 1e-9  # a vector shorter than this is rounding, not a direction


@dataclass(frozen=True)
class PartProjection:
    """The whitening of one part: (x - mean) @ basis. mean: (d,), basis: (d, dim), float64.

    explained_variance: the share of the part's variance that the basis spans, 0..1.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    explained_variance: float


@dataclass(frozen=True)
class Projection:
    """A fitted map from slices of one layout to the facets' vectors."""

    layout: dict[str, SlicePart]
    n_slices: int
    shrinkage: float
    parts: dict[str, PartProjection]

    @property
    def projection_id(self) -> str:
        """16 hex digits of a hash over everything that decides what `apply` gives."""
        digest = hashlib.sha256(repr((_FORMAT, layout_to_dict(self.layout), FACET_PARTS)).encode())
        for name in FITTED_PARTS:
            digest.update(np.ascontiguousarray(self.parts[name].mean).tobytes())
            digest.update(np.ascontiguousarray(self.parts[name].basis).tobytes())
        return digest.hexdigest()[:16]

    @property
    def dims(self) -> dict[str, int]:
        """Facet -> length of its vectors."""
        fitted = {facet: sum(part.dim for part in parts) for facet, parts in FACET_PARTS.items()}
        return {facet: fitted.get(facet, self.layout[COLOUR_PART].length) for facet in FACETS}

    @property
    def explained_variance(self) -> dict[str, float]:
        """Part -> the share of its variance that is kept."""
        return {name: part.explained_variance for name, part in self.parts.items()}

    def apply(self, slices: NDArray[np.float16]) -> dict[str, NDArray[np.float32]]:
        """Facet -> (N, dim) float32 of unit length.

        slices: (N, slice_length) float16. A part without a direction (no colours, or exactly the catalogue's
        mean) becomes the first axis, so that every vector has a length. Raises ValueError for rows that are
        not finite, naming them.
        """
        check_slices(slices, self.layout)
        prepared = {name: prepare(name, slices[:, part.span]) for name, part in self.layout.items()}
        vectors: dict[str, NDArray[np.float32]] = {}
        for facet in FACETS:
            if facet == COLOUR_PART:
                joined = _with_direction(prepared[COLOUR_PART])
            else:
                shares = [
                    share.weight * _with_direction(self._whiten(share.part, prepared[share.part]))
                    for share in FACET_PARTS[facet]
                ]
                joined = unit(np.concatenate(shares, axis=1))
            vectors[facet] = joined.astype(np.float32)
        return vectors

    def to_bytes(self) -> bytes:
        """As an .npz without pickles; equal projections give equal bytes."""
        lengths = layout_to_dict(self.layout)
        arrays: dict[str, NDArray[np.float64] | np.float64] = {}
        for name, part in self.parts.items():
            arrays[f"mean_{name}"] = part.mean
            arrays[f"basis_{name}"] = part.basis
            arrays[f"explained_variance_{name}"] = np.float64(part.explained_variance)
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            format=np.int64(_FORMAT),
            projection_id=np.array(self.projection_id),
            n_slices=np.int64(self.n_slices),
            shrinkage=np.float64(self.shrinkage),
            part_names=np.array(list(lengths)),
            part_lengths=np.array(list(lengths.values()), np.int64),
            **arrays,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Projection:
        """What `to_bytes` wrote. Raises StoreError where it is damaged, altered or of another version."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                if int(stored["format"]) != _FORMAT:
                    raise StoreError(
                        f"the projection is of format {int(stored['format'])}, expected {_FORMAT}; fit it again"
                    )
                lengths = zip(stored["part_names"], stored["part_lengths"], strict=True)
                layout = lay_out({str(name): int(length) for name, length in lengths})
                parts = {
                    name: PartProjection(
                        stored[f"mean_{name}"],
                        stored[f"basis_{name}"],
                        float(stored[f"explained_variance_{name}"]),
                    )
                    for name in FITTED_PARTS
                }
                found = cls(layout, int(stored["n_slices"]), float(stored["shrinkage"]), parts)
                expected = str(stored["projection_id"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"the projection is damaged: {error}; fit it again") from error
        if found.projection_id != expected:
            raise StoreError(
                f"the projection was altered: its content has the id {found.projection_id}, "
                f"it says {expected}; fit it again"
            )
        return found

    def _whiten(self, part: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted = self.parts[part]
        whitened: NDArray[np.float64] = (values - fitted.mean) @ fitted.basis
        return whitened


def fit_projection(moments: Moments, shrinkage: float = DEFAULT_SHRINKAGE) -> Projection:
    """PCA whitening of every part (Jegou and Chum, Negative evidences and co-occurences in image retrieval,
    2012, section 3), its eigenvalues shrunk towards their mean.

    The axes are the leading eigenvectors of the covariance; an axis of eigenvalue v is divided by (v + s x
    mean eigenvalue) ** (power / 2), where s is `shrinkage` plus axes / slices: the eigenvalues of a small
    sample say little. Raises ValueError for no slices or a negative shrinkage.
    """
    if not shrinkage >= 0:
        raise ValueError(f"shrinkage is {shrinkage}, it must be 0 or more")
    parts = {share.part: _fit_part(moments, share, shrinkage) for shares in FACET_PARTS.values() for share in shares}
    return Projection(moments.layout, moments.count, shrinkage, parts)


def _fit_part(moments: Moments, share: FacetPart, shrinkage: float) -> PartProjection:
    mean, covariance = moments.mean_and_covariance(share.part)
    values, axes = np.linalg.eigh(covariance)
    values = np.maximum(values[::-1], 0.0)
    axes = axes[:, ::-1]
    total = float(values.sum())
    n_axes = min(share.dim, len(values))
    kept, axes = values[:n_axes], axes[:, :n_axes]
    # An eigenvector's sign is open: its largest value is made positive.
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(n_axes)] < 0, -1.0, 1.0)
    shrunk = kept + (shrinkage + n_axes / moments.count) * kept.mean()
    basis = np.zeros((len(mean), share.dim))
    basis[:, :n_axes] = axes / (shrunk if total > 0 else np.ones(n_axes)) ** (share.power / 2)
    return PartProjection(mean, basis, float(kept.sum()) / total if total > 0 else 1.0)


def _with_direction(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of unit length; the first axis for those without a direction."""
    empty = np.sqrt((values * values).sum(axis=1)) < _MIN_NORM
    first_axis = np.zeros(values.shape[1])
    first_axis[0] = 1.0
    directed: NDArray[np.float64] = np.where(empty[:, None], first_axis, unit(values))
    return directed
