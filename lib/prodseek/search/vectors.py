"""The vectors of a run's regions for all facets, read from its Parquet files when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from prodseek.index.ivf import Probes
from prodseek.index.probe import flat_cells, nearest_in_cells
from prodseek.runs.columns import FACETS
from prodseek.runs.store import Run, naming_damage, read_columns
from prodseek.storage import files

# Vectors kept for later searches: those of half a million regions.
_KEPT_BYTES = 2**30


@dataclass
class Embeddings:
    """Vectors by detection_id. Row groups that were read are kept, up to _KEPT_BYTES; the least recently used are dropped."""

    run: Run
    _kept: OrderedDict[tuple[str, int], dict[str, NDArray[np.float32]]] = field(default_factory=OrderedDict)
    _kept_bytes: int = 0

    def of(self, ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """The vectors of regions: facet -> (N, d) float32. ids: (N,) int64. Raises KeyError if the run lacks one of them."""
        place = self._places
        found = np.minimum(np.searchsorted(place.ids, ids), len(place.ids) - 1)
        absent = place.ids[found] != ids
        if absent.any():
            raise KeyError(int(ids[absent][0]))
        groups, rows = place.groups[found], place.rows[found]
        vectors: dict[str, NDArray[np.float32]] = {}
        for group in np.unique(groups).tolist():
            read = self._row_group(place.row_groups[group])
            own = groups == group
            for facet in FACETS:
                if facet not in vectors:
                    vectors[facet] = np.empty((len(ids), read[facet].shape[1]), np.float32)
                vectors[facet][own] = read[facet][rows[own]]
        return vectors

    def _row_group(self, name: tuple[str, int]) -> dict[str, NDArray[np.float32]]:
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        path, number = name
        with naming_damage(self.run, "embeddings"):
            table = pq.ParquetFile(path, filesystem=self._file_system).read_row_group(number, columns=list(FACETS))
        vectors = {facet: _matrix(table.column(facet)) for facet in FACETS}
        self._kept[name] = vectors
        self._kept_bytes += _n_bytes(vectors)
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= _n_bytes(self._kept.popitem(last=False)[1])
        return vectors

    @cached_property
    def _file_system(self) -> fs.FileSystem:
        return files.locate(self.run.table_uri("embeddings"))[0]

    @cached_property
    def _places(self) -> _Places:
        folder = files.locate(self.run.table_uri("embeddings"))[1]
        infos = self._file_system.get_file_info(fs.FileSelector(folder))
        paths = sorted(info.path for info in infos if info.path.endswith(".parquet"))
        row_groups: list[tuple[str, int]] = []
        ids: list[NDArray[np.int64]] = []
        for path in paths:
            with naming_damage(self.run, "embeddings"):
                file = pq.ParquetFile(path, filesystem=self._file_system)
                for number in range(file.num_row_groups):
                    row_groups.append((path, number))
                    ids.append(file.read_row_group(number, columns=["detection_id"]).column(0).to_numpy())
        counts = [len(part) for part in ids]
        every = np.concatenate(ids)
        order = np.argsort(every)
        groups = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        rows = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
        return _Places(every[order], groups[order], rows[order], row_groups)


@dataclass(frozen=True)
class _Places:
    """Where the vectors of each region are.

    ids: (N,) int64, ascending. groups: (N,) int32, index into row_groups. rows: (N,) int32, row within the row group.
    row_groups: path of the file and number of the row group in it.
    """

    ids: NDArray[np.int64]
    groups: NDArray[np.int32]
    rows: NDArray[np.int32]
    row_groups: list[tuple[str, int]]


@dataclass(frozen=True)
class ExactFacet:
    """All vectors of a facet in memory, for a facet without an index: they are all compared, in a single cell."""

    vectors: faiss.IndexIVF
    n_vectors: int
    nlist: int = 1
    nprobe: int = 1

    @classmethod
    def read(cls, run: Run, facet: str) -> ExactFacet:
        table = read_columns(run, "embeddings", ["detection_id", facet])
        ids = table.column("detection_id").to_numpy()
        index = flat_cells(_matrix(table.column(facet)), np.zeros(len(ids), np.int32), 1, ids)
        return cls(index, len(ids))

    def search(
        self, queries: NDArray[np.float32], k: int, nprobe: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `ShardedIndex.search`."""
        everywhere = Probes(np.zeros((len(queries), 1), np.int32), np.zeros((len(queries), 1), np.float32))
        found = nearest_in_cells(self.vectors, queries, everywhere, k)
        return found.ids, found.cosine


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    return np.concatenate([chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunk in chunks]).astype(
        np.float32, copy=False
    )


def _n_bytes(vectors: dict[str, NDArray[np.float32]]) -> int:
    return sum(matrix.nbytes for matrix in vectors.values())
