"""The projection from slices to embeddings, as `projection_fit` fits it to a catalogue."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.agreement import MOST_SHOTS, N_NEAREST
from prodseek.embedding.confidence import HUB_VIEWS, LEVEL, PRIOR_CALIBRATION, RIVALS, Calibration, hubness
from prodseek.embedding.departments import AGREEMENT_POWER, N_DEPARTMENTS, SHARPNESS, Departments
from prodseek.embedding.facets import (
    COLOUR,
    COLOUR_FLOOR,
    COMPONENTS,
    LIKENESS_DIM,
    LIKENESS_WEIGHTS,
    SHAPE_WEIGHTS,
    VISUAL_COMPONENTS,
    VISUAL_DIM,
    prepare,
    prepared_length,
    unit,
)
from prodseek.embedding.moments import check_slices
from prodseek.embedding.view_kinds import PRIOR_REGIONS, WHOLE_SCENE_AREA, Kinds
from prodseek.errors import StoreError
from prodseek.runs.columns import FACETS, LIKENESS, VISUAL
from prodseek.runs.slice_layout import SlicePart, lay_out, layout_to_dict

PROJECTION = "projection.npz"  # the file in a run's folder
_FORMAT = 7
# So the inner product of joined vectors is the weighted sum of their cosines.
LIKENESS_LENGTHS = {name: math.sqrt(weight) for name, weight in LIKENESS_WEIGHTS.items()}
_MIN_NORM = 1e-9  # a vector shorter than this is rounding, not a direction

# Errors that numpy and zipfile raise on damaged archives.
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class LinearMap:
    """The map (x - mean of its kind) @ basis. means: (3, d) float64, of each ViewKind. basis: (d, dim) float64.

    explained_variance: share of the component's variance that the basis spans, after suppressing nuisances, 0..1.
    """

    means: NDArray[np.float64]
    basis: NDArray[np.float64]
    explained_variance: float


@dataclass(frozen=True)
class Projection:
    """A fitted map from slices of one layout to the vectors of all facets.

    maps: component -> its map. weights: component -> length of its vector in `visual`, over the whole catalogue; departments:
    where it is another. rotation, likeness_rotation: (sum of the components' dims, VISUAL_DIM or LIKENESS_DIM) float64 with
    orthonormal columns, or zero columns if there are fewer axes. palette: (colours,) float64, the catalogue's mean colours.
    scene_views: (M, LIKENESS_DIM) float64, the likeness of objects pasted into scenes. calibration: of scores of `likeness`.
    n_slices, n_views: the numbers of slices and of views that it was fitted on.
    """

    layout: dict[str, SlicePart]
    n_slices: int
    n_views: int
    maps: dict[str, LinearMap]
    weights: dict[str, float]
    departments: Departments
    rotation: NDArray[np.float64]
    likeness_rotation: NDArray[np.float64]
    palette: NDArray[np.float64]
    scene_views: NDArray[np.float64]
    calibration: Calibration

    @property
    def projection_id(self) -> str:
        """16 hex digits of a hash over everything that decides the results of `apply`."""
        decided = (fit_recipe(), layout_to_dict(self.layout), self.weights, self.calibration)
        digest = hashlib.sha256(repr(decided).encode())
        for name in COMPONENTS:
            digest.update(np.ascontiguousarray(self.maps[name].means).tobytes())
            digest.update(np.ascontiguousarray(self.maps[name].basis).tobytes())
        departments = (self.departments.middles, self.departments.weights)
        for array in (*departments, self.rotation, self.likeness_rotation, self.palette, self.scene_views):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    @property
    def dims(self) -> dict[str, int]:
        """Facet -> length of its vectors."""
        return {
            LIKENESS: LIKENESS_DIM,
            VISUAL: VISUAL_DIM,
            COLOUR: prepared_length(COLOUR, self.layout),
            "texture": COMPONENTS["texture"].dim,
            "shape": sum(COMPONENTS[name].dim for name in SHAPE_WEIGHTS),
        }

    @property
    def explained_variance(self) -> dict[str, float]:
        """Component -> share of its variance that is kept, 0..1."""
        return {name: fitted.explained_variance for name, fitted in self.maps.items()}

    def apply(self, slices: NDArray[np.float16], kinds: Kinds) -> dict[str, NDArray[np.float32]]:
        """Compute the embeddings: facet -> (N, dim) float32, unit length.

        slices: (N, slice_length) float16. kinds: (N,) int8, the ViewKind of each. A vector without a direction (no colours, or
        exactly the mean of its kind) becomes the first axis, so that every vector has unit length. Raises ValueError for rows
        that are not finite and names them.
        """
        check_slices(slices, self.layout)
        mapped = map_components(slices, kinds, self.layout, self.maps)
        vectors = {
            LIKENESS: with_direction(joined(mapped, LIKENESS_LENGTHS) @ self.likeness_rotation),
            VISUAL: with_direction(joined(mapped, self.departments.weights_of(mapped)) @ self.rotation),
            # Inverse document frequency of colours (Spärck Jones, "A statistical interpretation of term specificity", 1972).
            COLOUR: with_direction(prepare(COLOUR, slices, self.layout) / np.sqrt(self.palette + COLOUR_FLOOR)),
            "texture": mapped["texture"],
            "shape": with_direction(joined(mapped, SHAPE_WEIGHTS)),
        }
        return {facet: vectors[facet].astype(np.float32) for facet in FACETS}

    def hubness_of(self, likeness: NDArray[np.float32]) -> NDArray[np.float32]:
        """The `hubness` of regions, (N,) float32. likeness: (N, LIKENESS_DIM) float32, as `apply` gives it."""
        return hubness(likeness @ self.scene_views.astype(np.float32).T).astype(np.float32)

    def to_bytes(self) -> bytes:
        """The content of an .npz file without pickles; equal projections give equal bytes."""
        lengths = layout_to_dict(self.layout)
        arrays: dict[str, NDArray[np.float64] | np.float64] = {}
        for name, fitted in self.maps.items():
            arrays[f"means_{name}"] = fitted.means
            arrays[f"basis_{name}"] = fitted.basis
            arrays[f"explained_variance_{name}"] = np.float64(fitted.explained_variance)
        for name, weight in self.weights.items():
            arrays[f"weight_{name}"] = np.float64(weight)
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            format=np.int64(_FORMAT),
            projection_id=np.array(self.projection_id),
            n_slices=np.int64(self.n_slices),
            n_views=np.int64(self.n_views),
            part_names=np.array(list(lengths)),
            part_lengths=np.array(list(lengths.values()), np.int64),
            department_middles=self.departments.middles,
            department_weights=self.departments.weights,
            rotation=self.rotation,
            likeness_rotation=self.likeness_rotation,
            palette=self.palette,
            scene_views=self.scene_views,
            calibration=np.array(astuple(self.calibration)),
            **arrays,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Projection:
        """Read what `to_bytes` wrote. Raises StoreError if it is damaged, altered or of another format."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                if int(stored["format"]) != _FORMAT:
                    raise StoreError(
                        f"the projection has format {int(stored['format'])}, and this version of prodseek reads format "
                        f"{_FORMAT}: run a night, which fits it again"
                    )
                lengths = zip(stored["part_names"], stored["part_lengths"], strict=True)
                found = cls(
                    lay_out({str(name): int(length) for name, length in lengths}),
                    int(stored["n_slices"]),
                    int(stored["n_views"]),
                    {
                        name: LinearMap(
                            stored[f"means_{name}"],
                            stored[f"basis_{name}"],
                            float(stored[f"explained_variance_{name}"]),
                        )
                        for name in COMPONENTS
                    },
                    {name: float(stored[f"weight_{name}"]) for name in VISUAL_COMPONENTS},
                    Departments(stored["department_middles"], stored["department_weights"]),
                    stored["rotation"],
                    stored["likeness_rotation"],
                    stored["palette"],
                    stored["scene_views"],
                    Calibration(*(float(value) for value in stored["calibration"])),
                )
                expected = str(stored["projection_id"])
        except _DAMAGED as error:
            raise StoreError(f"the projection is damaged: {error}; fit it again") from error
        if found.projection_id != expected:
            raise StoreError(
                f"the projection was altered: its content has the id {found.projection_id}, but it names "
                f"{expected}; fit it again"
            )
        return found


def fit_recipe() -> str:
    """Text that changes whenever this code would fit another projection to what was measured."""
    visual = (SHAPE_WEIGHTS, COLOUR_FLOOR, VISUAL_DIM, AGREEMENT_POWER, MOST_SHOTS, N_NEAREST, N_DEPARTMENTS, SHARPNESS)
    likeness = (
        LIKENESS_DIM,
        LIKENESS_WEIGHTS,
        HUB_VIEWS,
        RIVALS,
        LEVEL,
        PRIOR_CALIBRATION,
        PRIOR_REGIONS,
        WHOLE_SCENE_AREA,
    )
    return repr((_FORMAT, COMPONENTS, *visual, *likeness))


def map_components(
    slices: NDArray[np.float16], kinds: Kinds, layout: dict[str, SlicePart], maps: dict[str, LinearMap]
) -> dict[str, NDArray[np.float64]]:
    """Map slices, (N, slice_length) float16, of kinds, (N,): component -> (N, dim) float64, unit length."""
    return {
        name: with_direction((prepare(name, slices, layout) - fitted.means[kinds]) @ fitted.basis)
        for name, fitted in maps.items()
    }


def joined(
    mapped: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float] | Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    return np.concatenate([weight * mapped[name] for name, weight in weights.items()], axis=1)


def with_direction(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to unit length; a row without a direction becomes the first axis."""
    empty = np.sqrt((values * values).sum(axis=1)) < _MIN_NORM
    first_axis = np.zeros(values.shape[1])
    first_axis[0] = 1.0
    directed: NDArray[np.float64] = np.where(empty[:, None], first_axis, unit(values))
    return directed
