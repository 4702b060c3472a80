"""Shards: an index cut into ranges of whole cells, and the manifest with the SHA-256 of each file."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from prodseek.errors import StoreError
from prodseek.index.ivf import centroid_index, centroids_of, check_vectors
from prodseek.index.probe import add_to_cells

METRIC = "inner_product"


@dataclass(frozen=True)
class FileEntry:
    """A file of the index. file: its name, in the folder of the manifest."""

    file: str
    sha256: str
    n_bytes: int


@dataclass(frozen=True)
class ShardEntry(FileEntry):
    """A shard: the vectors of the cells first_cell <= cell < stop_cell. sum_squares: of the sizes of these cells."""

    first_cell: int
    stop_cell: int
    n_vectors: int
    sum_squares: int


@dataclass(frozen=True)
class RecallPoint:
    """Measured recall at one nprobe."""

    nprobe: int
    recall: float


@dataclass(frozen=True)
class IndexManifest:
    """The description of an index and its files.

    embedding_id: id of the projection that made the vectors. trained: the empty index with centroids and coding.
    trained_rows: size of the training sample. trained_imbalance: imbalance of the index just after training. n_grown: how
    many times vectors were added or removed since. recall: at `recall_k` with `nprobe`, measured on `recall_queries` vectors.
    graph_recall: of the neighbour graph, at `graph_k` with `graph_nprobe`.
    """

    facet: str
    embedding_id: str
    factory: str
    metric: str
    d: int
    nlist: int
    nprobe: int
    n_vectors: int
    faiss_version: str
    trained: FileEntry
    trained_rows: int
    trained_imbalance: float
    n_grown: int
    shards: tuple[ShardEntry, ...]
    recall: float | None = None
    recall_k: int = 10
    recall_queries: int = 0
    recall_curve: tuple[RecallPoint, ...] = ()
    graph_k: int = 0
    graph_nprobe: int = 1
    graph_recall: float | None = None

    @property
    def imbalance(self) -> float:
        """How unequal the cells are: 1 if all have the same size, 2 if a search takes twice as long as with equal cells.

        Source: Jegou et al., "Improving bag-of-features for large scale image search", 2010, section 2.3.
        """
        squares = sum(shard.sum_squares for shard in self.shards)
        return self.nlist * squares / max(1, self.n_vectors) ** 2

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "imbalance": self.imbalance}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> IndexManifest:
        """The inverse of `to_dict`. Raises StoreError for missing or unknown keys, and for cells not covered exactly once."""
        try:
            fields = {name: value for name, value in values.items() if name != "imbalance"}
            fields["trained"] = FileEntry(**values["trained"])
            fields["shards"] = tuple(ShardEntry(**shard) for shard in values["shards"])
            fields["recall_curve"] = tuple(RecallPoint(**point) for point in values["recall_curve"])
            IndexManifest(**fields)  # raises for unknown and for missing keys
            manifest = TypeAdapter(IndexManifest).validate_python(dict(values))
            for entry in (manifest.trained, *manifest.shards):
                if "/" in entry.file or entry.file in ("", ".", ".."):
                    raise ValueError(f"{entry.file!r:.100} is not the name of a file in the index's folder")
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the index manifest is malformed ({error}); build the index again") from error
        edges = [0, *(shard.stop_cell for shard in manifest.shards)]
        if [shard.first_cell for shard in manifest.shards] != edges[:-1] or edges[-1] != manifest.nlist:
            raise StoreError(
                f"the index manifest's shards end at cells {edges[1:]} and do not cover {manifest.nlist} cells once; "
                "build the index again"
            )
        return manifest


def faiss_version() -> str:
    """The version of the faiss library."""
    return str(faiss.__version__)


def cell_ranges(cell_sizes: NDArray[np.int64], n_shards: int) -> list[tuple[int, int]]:
    """Cut the cells into at most n_shards ranges (start, stop) with about equally many vectors.

    cell_sizes: (nlist,) int64, number of vectors in each cell.
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


def empty_shard(trained: Any, first_cell: int, stop_cell: int) -> Any:
    """An empty IVF index of the cells first_cell <= cell < stop_cell, numbered from 0, with the coding of `trained`."""
    nlist = stop_cell - first_cell
    shard: Any = faiss.clone_index(trained)
    quantizer = centroid_index(centroids_of(trained.quantizer)[first_cell:stop_cell])
    lists: Any = faiss.ArrayInvertedLists(nlist, shard.code_size)
    shard.nlist = nlist
    shard.replace_invlists(lists, True)
    lists.this.disown()
    shard.quantizer = quantizer
    shard.own_fields = True
    quantizer.this.disown()
    return shard


def build_shard(
    trained: Any,
    first_cell: int,
    stop_cell: int,
    cells: NDArray[np.int32],
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> Any:
    """The shard of these vectors: an IVF index, in which each cell is sorted by id.

    trained: the empty index. cells: (N,) int32, each vector's own cell, first_cell <= cell < stop_cell. ids: (N,) int64.
    vectors: (N, d) float32. The order of the input does not matter. Raises ValueError for repeated ids, cells out of range,
    and zero or NaN vectors.
    """
    cells, ids = np.asarray(cells), np.asarray(ids, dtype=np.int64)
    vectors = np.asarray(vectors, dtype=np.float32)
    check_vectors(ids, vectors)
    if len(cells) != len(ids):
        raise ValueError(f"{len(cells)} cells were given for {len(ids)} ids")
    if len(cells) and (cells.min() < first_cell or cells.max() >= stop_cell):
        raise ValueError(f"cells {cells.min()} to {cells.max()} are not all within {first_cell} to {stop_cell - 1}")
    unique_ids, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"detection id {unique_ids[counts > 1][0]} is given more than once")
    shard = empty_shard(trained, first_cell, stop_cell)
    order = np.lexsort((ids, cells))
    add_to_cells(shard, ids[order], vectors[order], cells[order] - first_cell)
    return shard


def grow_shard(
    old: Any, old_first_cell: int, added: Any, first_cell: int, trained: Any, removed_ids: NDArray[np.int64]
) -> Any:
    """The shard `added`, together with the vectors of `old` in the same cells, without the removed ids.

    Codes are copied unchanged. old: a shard whose cells start at old_first_cell and include the cells of `added`, which start
    at first_cell. removed_ids: (any,) int64. The result is byte for byte what `build_shard` makes of all vectors at once.
    Raises ValueError for an id that is in both.
    """
    stop_cell = first_cell + added.nlist
    grown = empty_shard(trained, first_cell, stop_cell)
    for cell in range(added.nlist):
        old_ids, old_codes = list_of(old, first_cell + cell - old_first_cell)
        new_ids, new_codes = list_of(added, cell)
        kept = ~np.isin(old_ids, removed_ids)
        ids = np.concatenate([old_ids[kept], new_ids])
        order = np.argsort(ids, kind="stable")
        ids, codes = ids[order], np.ascontiguousarray(np.concatenate([old_codes[kept], new_codes])[order])
        if (np.diff(ids) == 0).any():
            raise ValueError(f"detection id {ids[:-1][np.diff(ids) == 0][0]} is in the index already")
        grown.invlists.add_entries(cell, len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(codes))
        grown.ntotal += len(ids)
    return grown


def list_of(index: Any, cell: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The ids (n,) int64 and codes (n, code_size) uint8 of a cell of an IVF index; views, which the index must outlive."""
    size = index.invlists.list_size(cell)
    if not size:
        return np.zeros(0, np.int64), np.zeros((0, index.code_size), np.uint8)
    ids = faiss.rev_swig_ptr(index.invlists.get_ids(cell), size)
    codes = faiss.rev_swig_ptr(index.invlists.get_codes(cell), size * index.code_size)
    return ids, codes.reshape(size, index.code_size)


def cell_sizes(index: Any) -> NDArray[np.int64]:
    """The number of vectors in each cell of an IVF index, (nlist,) int64."""
    return np.array([index.invlists.list_size(cell) for cell in range(index.nlist)], np.int64)


def index_to_bytes(index: Any) -> bytes:
    """The content of a file that `faiss.read_index` reads."""
    return bytes(faiss.serialize_index(index).tobytes())


def index_from_bytes(data: bytes) -> Any:
    """The inverse of `index_to_bytes`."""
    return faiss.deserialize_index(np.frombuffer(data, np.uint8))


def quantizer_from_bytes(data: bytes) -> Any:
    """The coarse quantizer of an index, from the content of the index's file."""
    index = index_from_bytes(data)
    return centroid_index(centroids_of(index.quantizer))


def file_entry(file: str, data: bytes) -> FileEntry:
    """The manifest's entry for a file with these bytes."""
    return FileEntry(file, hashlib.sha256(data).hexdigest(), len(data))


def shard_entry(file: str, data: bytes, shard: Any, first_cell: int) -> ShardEntry:
    """The manifest's entry for a shard that is written as these bytes."""
    sizes = cell_sizes(shard)
    return ShardEntry(
        **asdict(file_entry(file, data)),
        first_cell=first_cell,
        stop_cell=first_cell + shard.nlist,
        n_vectors=int(shard.ntotal),
        sum_squares=int((sizes**2).sum()),
    )
