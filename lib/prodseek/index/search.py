"""Search in a sharded index. Only shards with a probed cell are visited; the number of shards does not change answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from prodseek.errors import StoreError
from prodseek.index.ivf import Probes, assign_cells
from prodseek.index.probe import Found, LeftOut, merge_found, nearest_in_cells, on_gpu
from prodseek.index.shards import METRIC, FileEntry, IndexManifest, ShardEntry, index_from_bytes, list_of

# From a file that the manifest names to its path on this machine; raises OSError if it is not there.
Locate = Callable[[FileEntry], Path]

_QUERIES_AT_ONCE = 1024
_ONE_THREAD_QUERIES = 8


@dataclass(frozen=True)
class ShardedIndex:
    """An index whose files were all checked against its manifest. Get one from `open`."""

    manifest: IndexManifest
    _trained: Any
    _shards: tuple[Any, ...]

    @classmethod
    def open(cls, locate: Locate, manifest: IndexManifest) -> ShardedIndex:
        """Check all files of an index and map its shards into memory; pages are read when a query needs them.

        Raises StoreError that names a file that is missing, truncated, altered or of another index.
        """
        if manifest.metric != METRIC:
            raise StoreError(f"the metric of the index is {manifest.metric!r}; this version reads only {METRIC!r}")
        trained = _open_trained(locate, manifest)
        return cls(manifest, trained, tuple(open_shard(locate, shard, manifest) for shard in manifest.shards))

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        nprobe: int | None = None,
        excluded_ids: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k most similar vectors of each query, ties by id.

        queries: (Q, d) float32, unit length. nprobe: number of cells to visit, by default the manifest's. excluded_ids: (any,)
        ids that must not be answers. Returns ids (Q, k) int64, padded with -1, and cosines (Q, k) float32, padded with -inf.
        Raises ValueError for a wrong d, k or nprobe, and for zero or NaN queries.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.manifest.d:
            raise ValueError(f"queries of shape {queries.shape} do not fit an index of {self.manifest.d} dimensions")
        if k < 1:
            raise ValueError(f"k is {k}; at least 1 result is needed")
        if nprobe is not None and nprobe < 1:
            raise ValueError(f"nprobe is {nprobe}; at least 1 cell must be probed")
        left_out: LeftOut | None = None
        if excluded_ids is not None and len(excluded_ids):
            unwanted = np.asarray(excluded_ids, np.int64)

            def left_out(_: NDArray[np.intp], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
                return np.isin(ids, unwanted)

        found = Found.nothing(len(queries), k)
        with _threads_for(len(queries)):
            for start in range(0, len(queries), _QUERIES_AT_ONCE):
                block = queries[start : start + _QUERIES_AT_ONCE]
                probes = assign_cells(block, self._trained.quantizer, nprobe or self.manifest.nprobe)
                part = self._search_probes(block, probes, k, left_out)
                found.ids[start : start + len(block)], found.cosine[start : start + len(block)] = part
        return found.ids, found.cosine

    def on_gpu(self) -> ShardedIndex:
        """The same index in the GPU's memory, for many queries at a time; the index itself if faiss has no GPU.

        faiss has no GPU kernel for RaBitQ codes.
        """
        return ShardedIndex(self.manifest, self._trained, tuple(on_gpu(shard) for shard in self._shards))

    def merged(self) -> Any:
        """The whole index in memory as one plain faiss index with its nprobe, which `faiss.write_index` can write."""
        whole: Any = faiss.clone_index(self._trained)
        for entry, shard in zip(self.manifest.shards, self._shards, strict=True):
            for cell in range(shard.nlist):
                ids, codes = list_of(shard, cell)
                whole.invlists.add_entries(
                    entry.first_cell + cell, len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(codes)
                )
            whole.ntotal += shard.ntotal
        whole.nprobe = self.manifest.nprobe
        return whole

    def _search_probes(self, queries: NDArray[np.float32], probes: Probes, k: int, left_out: LeftOut | None) -> Found:
        parts = []
        for entry, shard in zip(self.manifest.shards, self._shards, strict=True):
            own = within(probes, entry)
            asking = np.flatnonzero((own.cells >= 0).any(axis=1))
            if len(asking) and shard.ntotal:
                answer = nearest_in_cells(
                    shard, queries[asking], Probes(own.cells[asking], own.cosine[asking]), k, left_out
                )
                part = Found.nothing(len(queries), k)
                part.ids[asking], part.cosine[asking] = answer
                parts.append(part)
        return merge_found(parts, k) if parts else Found.nothing(len(queries), k)


@contextmanager
def _threads_for(n_queries: int) -> Iterator[None]:
    """Use one thread for a few queries: they end before a second thread could start, and do not wait for a busy core."""
    n_threads = faiss.omp_get_max_threads()
    if n_queries <= _ONE_THREAD_QUERIES:
        faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)


def within(probes: Probes, shard: ShardEntry) -> Probes:
    """The probes of a shard's cells, numbered from 0 within the shard; -1 for cells of other shards."""
    owned = (probes.cells >= shard.first_cell) & (probes.cells < shard.stop_cell)
    return Probes(np.where(owned, probes.cells - shard.first_cell, -1).astype(np.int32), probes.cosine)


def open_shard(locate: Locate, shard: ShardEntry, manifest: IndexManifest) -> Any:
    """Map a shard into memory. Raises StoreError if it is not the one that the manifest describes."""
    index: Any = faiss.read_index(str(_checked(locate, shard)), faiss.IO_FLAG_MMAP)
    shape = (index.d, index.nlist, index.ntotal)
    expected = (manifest.d, shard.stop_cell - shard.first_cell, shard.n_vectors)
    if shape != expected:
        raise StoreError(
            f"index file {shard.file} holds (d, cells, vectors) = {shape}, the manifest says {expected}; "
            "build the index again"
        )
    lists = faiss.downcast_InvertedLists(index.invlists)
    if isinstance(lists, faiss.OnDiskInvertedLists):
        # Else each query would start this many threads to read ahead.
        lists.prefetch_nthread = 0
    return index


def checked_bytes(locate: Locate, entry: FileEntry) -> bytes:
    """The content of a file of the index. Raises StoreError if it is not the one that the manifest describes."""
    return _checked(locate, entry).read_bytes()


def check_digest(sha256: str, entry: FileEntry) -> None:
    """Raise StoreError unless `sha256` is that of the file that the entry names."""
    if sha256 != entry.sha256:
        raise StoreError(f"index file {entry.file} is altered or of another index; build the index again")


def _open_trained(locate: Locate, manifest: IndexManifest) -> Any:
    trained = index_from_bytes(checked_bytes(locate, manifest.trained))
    if (trained.d, trained.nlist) != (manifest.d, manifest.nlist):
        raise StoreError(
            f"index file {manifest.trained.file} is trained for (d, nlist) = {(trained.d, trained.nlist)}, the "
            f"manifest says {(manifest.d, manifest.nlist)}; build the index again"
        )
    return trained


def _checked(locate: Locate, entry: FileEntry) -> Path:
    try:
        path = locate(entry)
        n_bytes = path.stat().st_size
        if n_bytes < entry.n_bytes:
            raise StoreError(
                f"index file {entry.file} is truncated: {n_bytes} of {entry.n_bytes} bytes; build the index again"
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"index file {entry.file} cannot be read ({error}); build the index again") from error
    check_digest(digest, entry)
    return path
