"""Arrow columns to numpy arrays and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


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


def packed(rows: NDArray[np.generic]) -> pa.Array:
    """(N, any) of any fixed-size type to N binary values, one a row: Spark moves those whole, lists value by value."""
    rows = np.ascontiguousarray(rows)
    row_bytes = rows.nbytes // max(1, len(rows))
    return packed_runs(rows, np.arange(len(rows) + 1, dtype=np.int64) * row_bytes)


def packed_runs(values: NDArray[np.generic], offsets_bytes: NDArray[np.int64]) -> pa.Array:
    """Values in a row, cut at offsets_bytes (N + 1,), to N binary values."""
    data = np.ascontiguousarray(values).view(np.uint8).reshape(-1)
    buffers = [None, pa.py_buffer(offsets_bytes.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(offsets_bytes) - 1, buffers)


def unpacked(column: pa.Array, dtype: type[Scalar] | np.dtype[Scalar]) -> tuple[NDArray[Scalar], NDArray[np.int64]]:
    """The inverse of `packed_runs`: all values in a row, and how many bytes of them are each row's, (N,)."""
    _, offsets_buffer, data = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    values = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return values[offsets[0] : offsets[-1]].view(dtype), np.diff(offsets)


def unpacked_rows(column: pa.Array, dtype: type[Scalar] | np.dtype[Scalar]) -> NDArray[Scalar]:
    """The inverse of `packed`."""
    values, _ = unpacked(column, dtype)
    return values.reshape(len(column), -1) if len(column) else values.reshape(0, 0)


def flags_of(column: pa.Array) -> NDArray[np.bool_]:
    """Booleans to (N,) bool."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.bool_)


def batch_of(**columns: Sequence[object] | NDArray[np.generic] | pa.Array) -> pa.RecordBatch:
    """A record batch of named columns."""
    return pa.RecordBatch.from_arrays(
        [pa.array(c) if not isinstance(c, pa.Array) else c for c in columns.values()], names=list(columns)
    )
