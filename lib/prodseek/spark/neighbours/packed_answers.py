"""What a query has found, as it travels from the tasks that answered to the one that merges: rows of ANSWERS."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodseek.index.graph import Answers
from prodseek.spark.arrow import batch_of, flags_of, ids_of, packed_runs, unpacked

# detection_id, is_primary: of the region that asked.
ANSWERS = "detection_id long, is_primary boolean, found binary"
_FOUND = np.dtype([("id", "<i8"), ("cosine", "<f4"), ("is_primary", "?")])


def pack_answers(query_ids: NDArray[np.int64], query_is_primary: NDArray[np.bool_], answers: Answers) -> pa.RecordBatch:
    """A row for each query, with all that it found. query_ids, query_is_primary: (M,), which `answers.query` counts."""
    found = np.empty(len(answers.ids), _FOUND)
    found["id"], found["cosine"], found["is_primary"] = answers[1:]
    ends = np.cumsum(np.bincount(answers.query, minlength=len(query_ids))) * _FOUND.itemsize
    return batch_of(detection_id=query_ids, is_primary=query_is_primary, found=packed_runs(found, np.append(0, ends)))


def unpack_answers(batches: list[pa.RecordBatch]) -> tuple[NDArray[np.int64], NDArray[np.bool_], Answers]:
    """The inverse of `pack_answers`, for several batches at once."""
    runs = [unpacked(batch.column("found"), _FOUND) for batch in batches]
    found = np.concatenate([values for values, _ in runs])
    counts = np.concatenate([n_bytes for _, n_bytes in runs]) // _FOUND.itemsize
    query_ids = np.concatenate([ids_of(batch.column("detection_id")) for batch in batches])
    is_primary = np.concatenate([flags_of(batch.column("is_primary")) for batch in batches])
    answers = Answers(np.repeat(np.arange(len(counts)), counts), found["id"], found["cosine"], found["is_primary"])
    return query_ids, is_primary, answers
