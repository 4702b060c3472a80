"""Search in a sharded index: only the shards that own a probed cell are visited, and their number changes no answer."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from prodseek.errors import StoreError
from prodseek.index.ivf import assign_cells
from prodseek.index.knn import merge_topk, scan_topk
from prodseek.index.shards import METRIC, FileEntry, IndexManifest, ShardEntry, centroids_from_bytes


@dataclass(frozen=True)
class ShardedIndex:
    """An index whose files were all checked against its manifest. Make one with `open`."""

    manifest: IndexManifest
    centroids: NDArray[np.float32]
    _shards: tuple[Any, ...]

    @classmethod
    def open(cls, read_file: Callable[[str], bytes], manifest: IndexManifest) -> ShardedIndex:
        """Read and check every file of the index.

        read_file: the bytes of a file named in the manifest. StoreError names the file that is missing, truncated,
        altered or of another index.
        """
        if manifest.metric != METRIC:
            raise StoreError(f"the index compares by {manifest.metric!r}; this version reads {METRIC!r} only")
        centroids = centroids_from_bytes(_checked(read_file, manifest.centroids))
        if centroids.shape != (manifest.nlist, manifest.d):
            raise StoreError(
                f"index file {manifest.centroids.file} holds centroids of shape {centroids.shape}, the manifest says "
                f"({manifest.nlist}, {manifest.d}); build the index again"
            )
        shards = tuple(_open_shard(read_file, shard, manifest) for shard in manifest.shards)
        return cls(manifest, centroids, shards)

    def search(
        self, queries: NDArray[np.float32], k: int, nprobe: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k most similar vectors of each query, equal ones by id.

        queries: (Q, d) float32, unit length. nprobe: cells visited, the manifest's by default. Returns ids (Q, k)
        int64 padded with -1 and cosine (Q, k) float32 padded with -inf. ValueError for a wrong d, k or nprobe, or
        zero or NaN queries.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.manifest.d:
            raise ValueError(f"queries of shape {queries.shape} do not fit an index of {self.manifest.d} dimensions")
        if k < 1:
            raise ValueError(f"k is {k}; at least 1 result is needed")
        probed = assign_cells(queries, self.centroids, self.manifest.nprobe if nprobe is None else nprobe)
        found_queries: list[NDArray[np.intp]] = []
        found_ids: list[NDArray[np.int64]] = []
        found_cosine: list[NDArray[np.float32]] = []
        for cell in np.unique(probed).tolist():
            ids, vectors = self._cell(cell)
            in_cell = np.flatnonzero((probed == cell).any(axis=1))
            query, row, cosine = scan_topk(queries[in_cell], vectors, k)
            found_queries.append(in_cell[query])
            found_ids.append(ids[row])
            found_cosine.append(cosine)
        ids_out = np.full((len(queries), k), -1, dtype=np.int64)
        cosine_out = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if found_queries:
            edges = merge_topk(
                np.concatenate(found_queries), np.concatenate(found_ids), np.concatenate(found_cosine), k
            )
            ids_out[edges.query_ids, edges.rank - 1] = edges.neighbour_ids
            cosine_out[edges.query_ids, edges.rank - 1] = edges.cosine
        return ids_out, cosine_out

    def _cell(self, cell: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        first_cells = [shard.first_cell for shard in self.manifest.shards]
        lists = self._shards[bisect_right(first_cells, cell) - 1].invlists
        size = lists.list_size(cell)
        if not size:
            return np.zeros(0, dtype=np.int64), np.zeros((0, self.manifest.d), dtype=np.float32)
        ids = faiss.rev_swig_ptr(lists.get_ids(cell), size)
        codes = faiss.rev_swig_ptr(lists.get_codes(cell), size * self.manifest.d * 4)
        return ids, codes.view(np.float32).reshape(size, self.manifest.d)


def _checked(read_file: Callable[[str], bytes], entry: FileEntry) -> bytes:
    try:
        data = read_file(entry.file)
    except OSError as error:
        raise StoreError(f"index file {entry.file} cannot be read ({error}); build the index again") from error
    if len(data) < entry.n_bytes:
        raise StoreError(
            f"index file {entry.file} is truncated: {len(data)} of {entry.n_bytes} bytes; build the index again"
        )
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise StoreError(f"index file {entry.file} is altered or of another index; build the index again")
    return data


def _open_shard(read_file: Callable[[str], bytes], shard: ShardEntry, manifest: IndexManifest) -> Any:
    index: Any = faiss.deserialize_index(np.frombuffer(_checked(read_file, shard), dtype=np.uint8))
    shape = (index.d, index.nlist, index.ntotal)
    expected = (manifest.d, manifest.nlist, shard.n_vectors)
    if shape != expected:
        raise StoreError(
            f"index file {shard.file} holds (d, nlist, vectors) = {shape}, the manifest says {expected}; "
            "build the index again"
        )
    return index
