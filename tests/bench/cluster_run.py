"""What the stage `cluster` reads beside `synthetic_run`'s tables: photos, copies and a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from prodseek.cluster.groups import search_knn
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import Run, Summary
from prodseek.runs.tables import table_schema

_BROAD_KINDS = 60
_REGIONS_PER_KIND = 50
_BLOCK_ROWS = 100_000


def planted(
    n: int, d: int = 128, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Ids, unit vectors, and of each its narrow and its broad kind. Narrow kinds are of unequal size and touch each other."""
    rng = np.random.default_rng(seed)
    n_kinds, real_d = max(1, n // _REGIONS_PER_KIND), 24
    basis = rng.normal(size=(real_d, d)).astype(np.float32) / np.sqrt(real_d)
    broad_of = rng.integers(0, _BROAD_KINDS, n_kinds)
    kinds = 2 * rng.normal(size=(_BROAD_KINDS, real_d))[broad_of] + rng.normal(size=(n_kinds, real_d))
    sizes = rng.pareto(2.0, n_kinds) + 0.5
    kind_of = rng.choice(n_kinds, n, p=sizes / sizes.sum())
    vectors = np.empty((n, d), np.float32)
    for start in range(0, n, _BLOCK_ROWS):
        own = kinds[kind_of[start : start + _BLOCK_ROWS]]
        block = (own + 0.35 * rng.normal(size=own.shape)).astype(np.float32) @ basis
        block += 0.05 * rng.standard_normal(size=block.shape, dtype=np.float32)
        vectors[start : start + _BLOCK_ROWS] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return rng.permutation(4 * n)[:n].astype(np.int64), vectors, kind_of, broad_of[kind_of]


def write_photos(
    run: Run,
    ids: NDArray[np.int64],
    copies: Mapping[int, int] | None = None,
    uris: Sequence[str] | None = None,
    attributes: Sequence[Mapping[str, str]] | None = None,
    products: Sequence[str] | None = None,
) -> None:
    """Write `images` and `duplicate_groups`. copies: id -> id of its original.

    uris, attributes: of each photo; without them they say nothing. products: of each; without them each is its own.
    """
    n, numbers = len(ids), ids.tolist()
    uris = uris or [f"{number}.jpg" for number in numbers]
    columns = {
        "image_id": [f"{number:064x}" for number in numbers],
        "product_id": products or [f"product {number}" for number in numbers],
        "uri": uris,
        "format": ["JPEG"] * n,
        "attributes": [list(one.items()) for one in attributes or [{}] * n],
        **dict.fromkeys(("width_px", "height_px", "n_bytes"), np.full(n, 64)),
        **dict.fromkeys(("pdq_hash", "pixel_hash"), [""] * n),
        "taken_at": [None] * n,
        "colour_profile": ["none"] * n,
    }
    schema = table_schema("images").arrow
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    _write_table(run, "images", pa.Table.from_arrays(arrays, schema=schema))
    copies = copies or {}
    members = {**copies, **{original: original for original in copies.values()}}
    sizes = {original: 1 + sum(of == original for of in copies.values()) for original in set(copies.values())}
    grouped = [
        {"group_id": f"group-{original}", "image_id": f"{number:064x}", "is_representative": number == original}
        | {"group_size": sizes[original], "n_products": sizes[original], "confidence": 1.0}
        | {"keep_product_id": f"product {original}", "keep_uri": f"{original}.jpg", "kept_because": "first by name"}
        | {"product_id": f"product {number}", "uri": f"{number}.jpg"}
        for number, original in members.items()
    ]
    _write_table(run, "duplicate_groups", pa.Table.from_pylist(grouped, table_schema("duplicate_groups").arrow))
    run.write_summary(Summary(IngestFacts(input_rows=len(ids), base_uri="nowhere")))


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


def _write_table(run: Run, name: str, table: pa.Table) -> None:
    Path(run.table_uri(name)).mkdir(parents=True, exist_ok=True)
    pq.write_table(table, run.path(name, "part-0.parquet"))
