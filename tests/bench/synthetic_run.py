"""A run whose tables hold given vectors: what the stages after `project` need, without photos."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from prodseek.runs.columns import BOX_PX, LIKENESS, VISUAL
from prodseek.runs.facts import ProjectFacts
from prodseek.runs.store import Run, Store, Summary

_ROWS_PER_FILE = 131_072


def write_run(
    root: Path | str,
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    run_id: str = "20260101T000000Z-00000000",
    images: NDArray[np.int64] | None = None,
    is_primary: NDArray[np.bool_] | None = None,
    projection_id: str = "synthetic",
    n_files: int | None = None,
    facets: Mapping[str, NDArray[np.float32]] | None = None,
    is_room: NDArray[np.bool_] | None = None,
) -> Run:
    """Write `detections` and `embeddings` of regions. vectors: (N, d), of likeness and of visual. images: (N,) number of each
    one's image, its own if not given. facets: (N, any) of colour, texture and shape, (N, 1) ones where not given. is_room: (N,),
    none if not given."""
    run = Store.at(str(root)).run(run_id)
    for table in ("embeddings", "detections"):
        Path(run.table_uri(table)).mkdir(parents=True, exist_ok=True)
    images = ids if images is None else images
    is_primary = np.ones(len(ids), np.bool_) if is_primary is None else is_primary
    is_room = np.zeros(len(ids), np.bool_) if is_room is None else is_room
    rows_per_file = -(-len(ids) // n_files) if n_files else _ROWS_PER_FILE
    for start in range(0, max(1, len(ids)), max(1, rows_per_file)):
        rows = slice(start, start + max(1, rows_per_file))
        n = len(ids[rows])
        given = _lists(vectors[rows])
        other = _lists(np.ones((n, 1), np.float32))
        names = {"detection_id": ids[rows]}
        embeddings = pa.table(
            {**names, **dict.fromkeys((LIKENESS, VISUAL), given), "colour": other, "texture": other, "shape": other}
            | {name: _lists(values[rows]) for name, values in (facets or {}).items()}
            | {
                "hubness": np.zeros(n, np.float32),
                "is_scene": is_room[rows],
                "is_room": is_room[rows],
                "projection_id": [projection_id] * n,
            }
        )
        corner = np.zeros(n, np.float32)
        detections = pa.table(
            names
            | {"image_id": [f"{image:064x}" for image in images[rows].tolist()], "kind": ["frame"] * n}
            | {"class_name": pa.nulls(n, pa.string()), "score": pa.nulls(n, pa.float32())}
            | dict.fromkeys((*BOX_PX, "area_fraction"), corner)
            | {"is_primary": is_primary[rows], "model_id": ["synthetic"] * n, "slice": [b""] * n}
        )
        for table, content in (("embeddings", embeddings), ("detections", detections)):
            pq.write_table(content, run.path(table, f"part-{start:010d}.parquet"), compression="zstd")
    run.write_summary(Summary(ProjectFacts(projection_id=projection_id)))
    return run


def write_listing(
    run: Run, images: NDArray[np.int64], products: Sequence[str], copies: Mapping[int, str] | None = None
) -> None:
    """Write what a search reads of `images` and `duplicate_groups`. images: (M,) numbers. copies: image -> its group."""
    names = [f"{image:064x}" for image in images.tolist()]
    uris = [f"images/{image}.jpg" for image in images.tolist()]
    listed = pa.table({"image_id": names, "product_id": list(products), "uri": uris})
    groups = dict(copies or {})
    copied = pa.table(
        {
            "image_id": pa.array([f"{image:064x}" for image in groups], pa.string()),
            "group_id": pa.array(list(groups.values()), pa.string()),
        }
    )
    for table, content in (("images", listed), ("duplicate_groups", copied)):
        Path(run.table_uri(table)).mkdir(parents=True, exist_ok=True)
        pq.write_table(content, run.path(table, "part-0.parquet"))


class PeakMemory:
    """The largest resident set that any Python process of this family reached while the block ran; the JVM apart."""

    def __enter__(self) -> PeakMemory:
        self.peak_bytes = 0
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        # This process's own high-water mark starts anew.
        Path("/proc/self/clear_refs").write_text("5")
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            for process in _python_processes():
                self.peak_bytes = max(self.peak_bytes, _high_water_bytes(process))
            time.sleep(0.2)


def _python_processes() -> list[Path]:
    children: dict[str, list[Path]] = {}
    names = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        names[process.name] = fields[0].split("(", 1)[1]
        children.setdefault(fields[1].split()[1], []).append(process)
    found, waiting = [], [Path("/proc") / str(threading.main_thread().native_id)]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process.name, [])
        if names.get(process.name, "java") != "java":
            found.append(process)
    return found


def _high_water_bytes(process: Path) -> int:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def _lists(rows: NDArray[np.float32]) -> pa.Array:
    offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(rows).ravel())
