"""Shards: an index cut into ranges of whole cells, and the manifest that vouches for every file of it."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from prodseek.errors import StoreError
from prodseek.index.ivf import check_vectors

METRIC = "inner_product"


@dataclass(frozen=True)
class FileEntry:
    """A file of the index; `file` is its name beside the manifest."""

    file: str
    sha256: str
    n_bytes: int


@dataclass(frozen=True)
class ShardEntry(FileEntry):
    """A shard: the vectors of cells first_cell <= cell < stop_cell."""

    first_cell: int
    stop_cell: int
    n_vectors: int


@dataclass(frozen=True)
class RecallPoint:
    """Measured recall at one nprobe."""

    nprobe: int
    recall: float


@dataclass(frozen=True)
class IndexManifest:
    """What an index is, file by file. `recall`: measured at `recall_k` with `nprobe`, None where not measured."""

    facet: str
    factory: str
    metric: str
    d: int
    nlist: int
    nprobe: int
    n_vectors: int
    faiss_version: str
    centroids: FileEntry
    shards: tuple[ShardEntry, ...]
    recall: float | None = None
    recall_k: int = 10
    recall_curve: tuple[RecallPoint, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> IndexManifest:
        """The inverse of `to_dict`. StoreError for missing or unknown keys, or cells not covered exactly once."""
        try:
            fields = dict(values)
            fields["centroids"] = FileEntry(**values["centroids"])
            fields["shards"] = tuple(ShardEntry(**shard) for shard in values["shards"])
            fields["recall_curve"] = tuple(RecallPoint(**point) for point in values["recall_curve"])
            manifest = IndexManifest(**fields)
        except (KeyError, TypeError) as error:
            raise StoreError(f"the index manifest is malformed ({error}); build the index again") from error
        edges = [0, *(shard.stop_cell for shard in manifest.shards)]
        if [shard.first_cell for shard in manifest.shards] != edges[:-1] or edges[-1] != manifest.nlist:
            raise StoreError(
                f"the index manifest's shards end at cells {edges[1:]} and do not cover {manifest.nlist} cells once; "
                "build the index again"
            )
        return manifest


def factory_name(nlist: int) -> str:
    """faiss's name of the index: "Flat", or "IVF4096,Flat"."""
    return "Flat" if nlist == 1 else f"IVF{nlist},Flat"


def faiss_version() -> str:
    """Version of the faiss library that writes shards."""
    return str(faiss.__version__)


def cell_ranges(cell_sizes: NDArray[np.int64], n_shards: int) -> list[tuple[int, int]]:
    """Cut the cells into at most n_shards ranges (start, stop) of about equally many vectors.

    cell_sizes: (nlist,) number of vectors in each cell.
    """
    if n_shards < 1:
        raise ValueError(f"n_shards is {n_shards}; at least 1 is needed")
    nlist = len(cell_sizes)
    if not nlist:
        raise ValueError("there are no cells to cut into shards")
    filled = np.concatenate([[0], np.cumsum(np.asarray(cell_sizes, dtype=np.int64))])
    targets = filled[-1] * np.arange(1, n_shards) / n_shards
    right = np.searchsorted(filled, targets)
    left = np.maximum(right - 1, 0)
    cuts = np.where(targets - filled[left] < filled[np.minimum(right, nlist)] - targets, left, right)
    edges = np.unique(np.concatenate([[0], cuts[(cuts > 0) & (cuts < nlist)], [nlist]])).tolist()
    return list(itertools.pairwise(edges))


def build_shard(
    centroids: NDArray[np.float32],
    cells: NDArray[np.int32],
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> bytes:
    """A faiss IVFFlat index (inner product) of the given vectors, serialised.

    centroids: (nlist, d), cells: (N,) each vector's own cell, ids: (N,), vectors: (N, d). Rows are stored by (cell,
    id): the order of the input does not matter. ValueError for repeated ids, cells out of range, zero or NaN
    vectors.
    """
    centroids = np.ascontiguousarray(centroids, dtype=np.float32)
    cells, ids = np.asarray(cells), np.asarray(ids, dtype=np.int64)
    vectors = np.asarray(vectors, dtype=np.float32)
    check_vectors(ids, vectors)
    if len(cells) != len(ids):
        raise ValueError(f"{len(cells)} cells were given for {len(ids)} ids")
    if len(cells) and (cells.min() < 0 or cells.max() >= len(centroids)):
        raise ValueError(f"cells {cells.min()} to {cells.max()} are not all within 0 to {len(centroids) - 1}")
    unique_ids, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"detection id {unique_ids[counts > 1][0]} is given more than once")
    order = np.lexsort((ids, cells))
    quantizer = faiss.IndexFlatIP(centroids.shape[1])
    quantizer.add(centroids)
    index = faiss.IndexIVFFlat(quantizer, centroids.shape[1], len(centroids), faiss.METRIC_INNER_PRODUCT)
    # Held in names: faiss reads them through bare pointers.
    stored = np.ascontiguousarray(vectors[order])
    stored_ids = np.ascontiguousarray(ids[order])
    stored_cells = np.ascontiguousarray(cells[order], dtype=np.int64)
    index.add_core(len(order), faiss.swig_ptr(stored), faiss.swig_ptr(stored_ids), faiss.swig_ptr(stored_cells))
    return bytes(faiss.serialize_index(index).tobytes())


def centroids_to_bytes(centroids: NDArray[np.float32]) -> bytes:
    """Centroids as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(centroids, dtype=np.float32), allow_pickle=False)
    return buffer.getvalue()


def centroids_from_bytes(data: bytes) -> NDArray[np.float32]:
    """The inverse of `centroids_to_bytes`."""
    centroids: NDArray[np.float32] = np.load(io.BytesIO(data), allow_pickle=False)
    return centroids


def file_entry(file: str, data: bytes) -> FileEntry:
    """The manifest's entry of a file with these bytes."""
    return FileEntry(file, hashlib.sha256(data).hexdigest(), len(data))


def shard_entry(file: str, data: bytes, first_cell: int, stop_cell: int, n_vectors: int) -> ShardEntry:
    """The manifest's entry of a shard with these bytes."""
    return ShardEntry(file, hashlib.sha256(data).hexdigest(), len(data), first_cell, stop_cell, n_vectors)
