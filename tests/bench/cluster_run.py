"""What the stage `cluster` reads beside `synthetic_run`'s tables: photos, copies and a graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from prodseek.cluster.groups import search_knn
from prodseek.store import Run, Summary
from prodseek.tables import table_schema


def write_photos(run: Run, ids: NDArray[np.int64], copies: Mapping[int, int] | None = None) -> None:
    """Write `images`, a product of its own each, and `duplicate_groups`. copies: id -> id of its original."""
    names = [f"{number:064x}" for number in ids.tolist()]
    photos = [
        {
            "image_id": name,
            "product_id": f"product {number}",
            "uri": f"{number}.jpg",
            "format": "JPEG",
            "attributes": [],
        }
        | dict.fromkeys(("width_px", "height_px", "n_bytes"), 64)
        | dict.fromkeys(("pdq_hash", "pixel_hash"), b"")
        for number, name in zip(ids.tolist(), names, strict=True)
    ]
    _write(run, "images", photos)
    copies = copies or {}
    members = {**copies, **{original: original for original in copies.values()}}
    sizes = {original: 1 + sum(of == original for of in copies.values()) for original in set(copies.values())}
    grouped = [
        {"group_id": f"group-{original}", "image_id": f"{number:064x}", "is_representative": number == original}
        | {"group_size": sizes[original], "similarity_to_representative": 1.0}
        | {"product_id": f"product {number}", "uri": f"{number}.jpg"}
        for number, original in members.items()
    ]
    _write(run, "duplicate_groups", grouped)
    run.write_summary(Summary("ingest", facts={"base_uri": "nowhere"}))


def write_graph(run: Run, ids: NDArray[np.int64], vectors: NDArray[np.float32], k: int) -> None:
    """Write `neighbours`: the k nearest of each region."""
    indices, distances = search_knn(vectors, k + 1, 0)
    place = np.nonzero(indices != np.arange(len(ids))[:, None])
    edges = pa.table(
        {
            "detection_id": ids[place[0]],
            "neighbour_id": ids[indices[place]],
            "rank": place[1].astype(np.int32),
            "cosine_similarity": 1 - distances[place],
        }
    )
    _write_table(run, "neighbours", edges)


def _write(run: Run, name: str, rows: list[dict[str, object]]) -> None:
    schema = table_schema(name).arrow
    filled = [{column: row.get(column) for column in schema.names} for row in rows]
    _write_table(run, name, pa.Table.from_pylist(filled, schema))


def _write_table(run: Run, name: str, table: pa.Table) -> None:
    Path(run.table_uri(name)).mkdir(parents=True, exist_ok=True)
    pq.write_table(table, run.path(name, "part-0.parquet"))
