"""What a run leaves behind, altered: each file is read as it is, or an error says which and what to do.

Of the index nothing is given to faiss, which no altered file may reach, unless its SHA-256 is the manifest's.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from fuzzing import mutated
from hypothesis import strategies as st

from prodseek.config import load_config
from prodseek.duplicates import decision
from prodseek.duplicates.features import LocalFeatures
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import PROJECTION, Projection
from prodseek.embedding.projection_fit import Measured, fit_projection
from prodseek.errors import ProdseekError
from prodseek.evaluation.run import figures, read_evaluation
from prodseek.index.ivf import assign_cells
from prodseek.index.plan import IndexPlan, train_index
from prodseek.index.shards import (
    METRIC,
    IndexManifest,
    build_shard,
    cell_ranges,
    faiss_version,
    file_entry,
    index_to_bytes,
    shard_entry,
)
from prodseek.index.stored import open_index, read_trained
from prodseek.runs.facts import FACTS, STAGES
from prodseek.runs.history import EVALUATIONS, read_history
from prodseek.runs.lock import LOCK, Holder, read_holder
from prodseek.runs.manifest import Manifest
from prodseek.runs.slice_layout import slice_layout, slice_length
from prodseek.runs.store import LATEST, Run, Store, Summary
from prodseek.search.run_settings import config_of
from prodseek.storage import files
from prodseek.upkeep.gc import choose_removals
from prodseek.upkeep.show import show_status
from prodseek.upkeep.survey import survey
from prodseek.upkeep.verify import verify

MEMORY_BYTES = 16 * 1024**3
FINISHED, UNFINISHED = "20260101T000000Z-00000001", "20260102T000000Z-00000002"
_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1e308, float("nan"), "", "x", "../../../etc/passwd", "\ud800", "0" * 64, [], [None],
    [[1]], {}, {"": {}}, "2026-01-01T00:00:00", "99999999T999999Z-00000000", ["visual", "../.."], "\0", "x" * 5000,
    "/proc/self/environ",
)  # fmt: skip
_BYTES = (
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\xff",
    b"\xef\xbb\xbf",
    b"NaN",
    b"1e999",
    b"null",
    b"\0",
    b"9" * 5000,
    b'"',
    b"\\u0000",
)


class Case(NamedTuple):
    """Which file of the root holds what."""

    file: str
    data: bytes


@cache
def root() -> tuple[Store, dict[str, bytes]]:
    """A root with a finished run, one that is not, a lock and an evaluation; and its files."""
    folder = Path(tempfile.mkdtemp(prefix="prodseek-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = Store.at(str(folder))
    run = store.run(FINISHED)
    _write_index(run)
    layout = slice_layout({"stride8": 3, "stride16": 5, "stride32": 4})
    rows = np.abs(np.random.default_rng(1).normal(size=(40, slice_length(layout)))).astype(np.float16)
    fitted = fit_projection(Measured.of_packshots(rows, Moments.empty(layout)))
    files.write_bytes(run.path(PROJECTION), fitted.to_bytes())
    facts: dict[str, dict[str, Any]] = {stage: {} for stage in STAGES if stage != "embed"} | {
        "ingest": {"input_rows": 100, "base_uri": "/catalogue", "catalog": "/catalogue/a.csv"},
        "embed": {"model_id": "tiny", "embedded_images": 8, "cached_images": 90},
        "project": {"projection_id": "p1"},
        "index": {"recall": 0.99, "facets": {"visual": {"recall": 0.99}}},
        "cluster": {"groups": 9, "coarse_groups": 2, "grouped_regions": 80, "in_no_group": 20},
    }
    manifest = {
        "run_id": FINISHED, "prodseek_version": "0.1.0", "finished": "2026-01-05T03:00:00+00:00",
        "tables": {"images": 98, "rejects": 2}, "reconciliation": {"input_rows": 100, "images": 98, "rejects": 2},
        "seconds": {"ingest": 1.5, "report": 9.0}, "stages": facts, "config": load_config().model_dump(mode="json"),
    }  # fmt: skip
    store.publish(run, Manifest.from_json(manifest))
    for stage in ("ingest", "embed"):
        store.run(UNFINISHED).write_summary(
            Summary(FACTS[stage].from_json(facts[stage]), {"images": 98}, ("a line",), 1.5)
        )
    evaluation = {
        "run_id": FINISHED, "labels": {"file": "labels.csv", "column": "label"},
        "retrieval": {"visual": {"P@1": 0.5, "mAP": 0.5}}, "groups": {"fine": {"ami": 0.4}},
    }  # fmt: skip
    (folder / EVALUATIONS).mkdir()
    (folder / EVALUATIONS / f"{FINISHED}.json").write_text(json.dumps(evaluation))
    (folder / LOCK).write_bytes(Holder.this_process().to_bytes())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    parts = LocalFeatures(np.ones((3, 2), np.float32), np.ones((3, 128), np.uint8)).to_bytes()
    model = Path(decision.__file__).with_name(decision.MODEL_FILE).read_bytes()
    return store, found | {"features": b"".join(parts), decision.MODEL_FILE: model}


def _write_index(run: Run) -> None:
    vectors = np.random.default_rng(2).normal(size=(200, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.arange(200, dtype=np.int64)
    trained = train_index(IndexPlan(200, 8, 0, 4, "Flat", 0), vectors, seed=0)
    cells = assign_cells(vectors, trained.quantizer, 1).cells[:, 0]
    entries = []
    for number, (first, stop) in enumerate(cell_ranges(np.bincount(cells, minlength=4), 2)):
        own = (cells >= first) & (cells < stop)
        shard = build_shard(trained, first, stop, cells[own], ids[own], vectors[own])
        entries.append(shard_entry(f"shard-{number:05}.faiss", index_to_bytes(shard), shard, first))
        files.write_bytes(run.path("index", entries[-1].file), index_to_bytes(shard))
    files.write_bytes(run.path("index/trained.faiss"), index_to_bytes(trained))
    manifest = IndexManifest(
        "visual", "p1", "IVF4,Flat", METRIC, 8, 4, 2, 200, faiss_version(), file_entry("trained.faiss", index_to_bytes(trained)),
        200, 1.0, 0, tuple(entries), 0.99,
    )  # fmt: skip
    run.write_json("index/MANIFEST.json", manifest.to_dict())


def cases() -> st.SearchStrategy[Case]:
    found = root()[1]
    return st.one_of(*(st.builds(Case, st.just(name), _altered(data)) for name, data in found.items()))


def _altered(data: bytes) -> st.SearchStrategy[bytes]:
    edited = mutated([data, *((_again(data),) if data.startswith(b"PK") else ())], _BYTES)
    if not data.startswith(b"{"):
        return edited
    number = st.integers(0, 2**16)
    changes = st.lists(
        st.tuples(st.sampled_from(("set", "set", "drop", "wrap", "add")), number, number), min_size=1, max_size=4
    )
    changed = st.builds(lambda edits: _changed(data, edits), changes)
    return st.one_of(changed, changed, changed, edited)


def _changed(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    """A JSON file with other values at some places, by way down from the top."""
    top: Any = [json.loads(data)]
    for kind, position, value in edits:
        at, key = top, 0
        while isinstance(at[key], dict | list) and at[key] and position % 5:
            at = at[key]
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key, position = keys[position % len(keys)], position // 3
        odd = copy.deepcopy(_ODD[value % len(_ODD)])
        if kind == "set":
            at[key] = odd
        elif kind == "drop" and at is not top:
            del at[key]
        elif kind == "wrap":
            at[key] = [at[key]] if value % 2 else {"x": at[key]}
        elif kind == "add" and isinstance(at, dict):
            at[str(odd)[:50]] = odd
    return json.dumps(top[0] if top else None).encode()


def _again(archive: bytes) -> bytes:
    """A projection whose arrays are of other shapes, in an archive that is sound."""
    with np.load(io.BytesIO(archive)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["rotation"] = np.zeros((2, 0, 3))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def check(case: Case) -> None:
    store, found = root()
    if case.file == "features":
        boxed = len(case.data) - 16
        cut = boxed // 17
        with contextlib.suppress(ValueError):
            features = LocalFeatures.from_bytes(case.data[:cut], case.data[cut:boxed], case.data[boxed:])
            assert len(features.points_px) == len(features.histograms)
        return
    if case.file == decision.MODEL_FILE:
        with contextlib.suppress(ValueError, UnicodeDecodeError):
            decision.model_from_json(case.data.decode())
        return
    path = Path(store.root) / case.file
    before = {str(path) for path in Path(store.root).rglob("*")}
    path.write_bytes(case.data)
    try:
        for reader in _READERS:
            with contextlib.suppress(ProdseekError):
                reader(store)
    finally:
        for name in {case.file, LATEST}:
            (Path(store.root) / name).write_bytes(found[name])
    after = {str(path) for path in Path(store.root).rglob("*")}
    assert after == before, f"{after ^ before} came or went"


def _read_index(store: Store) -> None:
    """Open it, with a faiss that takes nothing but the files as they were written."""
    originals = {hashlib.sha256(data).hexdigest() for name, data in root()[1].items() if name.endswith(".faiss")}
    read_index, deserialize_index = faiss.read_index, faiss.deserialize_index

    def guarded_read(name: str, *flags: Any) -> Any:
        # From bytes it reads through an object of its own.
        assert not isinstance(name, str) or hashlib.sha256(Path(name).read_bytes()).hexdigest() in originals, (
            f"{name} was given to faiss"
        )
        return read_index(name, *flags)

    def guarded_deserialize(data: Any, *flags: Any) -> Any:
        assert hashlib.sha256(data.tobytes()).hexdigest() in originals, "an altered file was given to faiss"
        return deserialize_index(data, *flags)

    faiss.read_index, faiss.deserialize_index = guarded_read, guarded_deserialize
    try:
        opened = open_index(store.run(FINISHED))
        ids, _ = opened.search(np.eye(8, dtype=np.float32)[:2], 3)
        assert ids.shape == (2, 3)
    finally:
        faiss.read_index, faiss.deserialize_index = read_index, deserialize_index


def _read_lock(store: Store) -> None:
    holder = read_holder(store.root)
    assert holder is None or (str(holder) and holder.is_dead in (True, False))


def _read_summaries(store: Store) -> None:
    run = store.run(UNFINISHED)
    for stage in STAGES:
        summary = run.summary(stage)
        assert summary is None or isinstance(summary.facts, FACTS[stage])
    run.require("project", "ingest", "embed")


def _read_status(store: Store) -> None:
    for as_json in (False, True):
        with contextlib.redirect_stdout(io.StringIO()):
            show_status(survey(store), as_json)
    choose_removals(survey(store), 1)


def _read_projection(store: Store) -> None:
    projection = Projection.from_bytes(files.read_bytes(store.run(FINISHED).path(PROJECTION)))
    assert projection.dims["visual"] > 0
    length = slice_length(projection.layout)
    if length < 10_000:
        projection.apply(np.ones((2, length), np.float16), np.zeros(2, np.int8))


def _read_evaluation(store: Store) -> None:
    list(figures(read_evaluation(files.join(store.root, EVALUATIONS, f"{FINISHED}.json"))))


_READERS: tuple[Callable[[Store], object], ...] = (
    lambda store: store.run(FINISHED).manifest(),
    lambda store: config_of(store.run(FINISHED), store.run(FINISHED).manifest()),
    lambda store: store.latest(),
    lambda store: store.before(store.run(UNFINISHED)),
    lambda store: read_history(store, UNFINISHED),
    lambda store: list(verify(store, store.run(FINISHED), 0)),
    lambda store: read_trained(store.run(FINISHED)),
    _read_index,
    _read_lock,
    _read_summaries,
    _read_status,
    _read_projection,
    _read_evaluation,
    lambda store: store.mend_latest(),
)
