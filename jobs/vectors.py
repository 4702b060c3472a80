"""Arrow columns to numpy arrays and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def slices_of(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float16]:
    """Binary slices, one a row, to (N, L) float16."""
    rows = column.to_pylist()
    return np.frombuffer(b"".join(rows), "<f2").reshape(len(rows), -1)


def vectors_of(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float32]:
    """Lists of floats, one a row and all of one length, to (N, d) float32."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunk in chunks if len(chunk)]
    return np.concatenate(parts).astype(np.float32) if parts else np.empty((0, 0), np.float32)


def ids_of(column: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """Integers to (N,) int64."""
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy(), np.int64
    )


def list_column(vectors: NDArray[np.float32]) -> pa.Array:
    """(N, d) float32 to a column of lists."""
    flat = np.ascontiguousarray(vectors, np.float32)
    offsets = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, flat.ravel())


def batch_of(**columns: Sequence[object] | NDArray[np.generic] | pa.Array) -> pa.RecordBatch:
    """A record batch of named columns."""
    return pa.RecordBatch.from_arrays(
        [pa.array(c) if not isinstance(c, pa.Array) else c for c in columns.values()], names=list(columns)
    )


def on_group(function: Callable[..., pa.Table], **settings: object) -> Callable[[pa.Table], pa.Table]:
    """`function` with its settings filled in, for applyInArrow.

    A lambda, because Spark 4.3 looks for type hints on what it is given and fails on functools.partial.
    """
    return lambda table: function(table, **settings)
