"""What stays, what goes, and that nothing else is ever touched."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import prodseek
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.catalogue.photo_copies import copies_folder, copy_name, keep_copy
from prodseek.errors import StoreError
from prodseek.photos.decode import content_id
from prodseek.runs.facts import STAGES, CacheFolder, IngestFacts, regions_cache, thumbnails_cache
from prodseek.runs.lock import LOCK, Holder, hold_root
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions
from prodseek.upkeep.gc import Removal, choose_removals, find_removals, remove
from prodseek.upkeep.survey import Survey, SurveyedCache, SurveyedRun, survey

STATES = ("finished", "unfinished", "damaged")


def run_id(number: int) -> str:
    return f"202601{number:02d}T000000Z-{number:08x}"


def surveyed(states: str, latest: int | None = None, holder: Holder | None = None) -> Survey:
    """Runs from 1 on, oldest first, by the first letters of their states; run n reads cache n."""
    names = {name[0]: name for name in STATES}
    runs = tuple(
        SurveyedRun(
            run_id(n),
            names[letter],
            100 * n,
            is_latest=n == latest,
            caches=(CacheFolder("detections", f"model={n}"),) if letter == "f" else (),
        )
        for n, letter in enumerate(states, start=1)
    )
    caches = tuple(SurveyedCache("detections", f"model={n}", n, (run_id(n),)) for n in range(1, len(states) + 1))
    return Survey("/root", runs, caches, None if latest is None else run_id(latest), None, holder)


def gone(found: Survey, keep: int) -> tuple[list[int], list[int]]:
    """Numbers of the runs and of the caches that go."""
    paths = [removal.path for removal in choose_removals(found, keep)]
    runs = [int(path.rpartition("-")[2], 16) for path in paths if path.startswith("runs/")]
    return runs, [int(path.rpartition("=")[2]) for path in paths if path.startswith("cache/")]


@pytest.mark.parametrize(
    ("states", "latest", "keep", "expected"),
    [
        ("ffff", 4, 2, ([1, 2], [1, 2])),
        ("ffff", 1, 2, ([2], [2])),  # set back by a person
        ("fuff", 4, 2, ([1, 2], [1, 2])),
        ("fffu", 3, 1, ([1, 2], [])),  # what the last one reads is not known yet
        ("uuuf", 4, 9, ([1, 2, 3], [1, 2, 3])),
        ("dfdf", 4, 2, ([1], [])),  # a damaged run among those that stay
        ("dfdf", 4, 1, ([1, 2, 3], [1, 2, 3])),
        ("ud", None, 1, ([1], [])),
        ("", None, 1, ([], [])),
    ],
)
def test_what_goes(states: str, latest: int | None, keep: int, expected: tuple[list[int], list[int]]) -> None:
    assert gone(surveyed(states, latest), keep) == expected


def test_the_run_at_work_stays() -> None:
    holder = replace(Holder.this_process(), run_id=run_id(2))
    assert gone(surveyed("uuff", 4, holder), 1) == ([1, 3], [])


def test_at_least_one_run_stays() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        choose_removals(surveyed("f"), 0)


@given(st.text("fud", max_size=12), st.integers(0, 12), st.integers(1, 12))
def test_rules_hold_for_any_root(states: str, latest: int, keep: int) -> None:
    found = surveyed(states, latest if 0 < latest <= len(states) and states[latest - 1] != "u" else None)
    paths = {removal.path for removal in choose_removals(found, keep)}
    staying = [run for run in found.runs if f"runs/{run.run_id}" not in paths]
    finished = [run.run_id for run in found.runs if run.state == "finished"]
    assert set(finished[-keep:]) <= {run.run_id for run in staying}
    assert not any(run.is_latest for run in found.runs if run not in staying)
    assert not found.runs or found.runs[-1] in staying
    for run in staying:
        for kind, key in run.caches:
            assert f"cache/{kind}/{key}" not in paths


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "runs",
        "cache",
        "cache/detections",
        "cache/photos",
        "cache/photos/00",
        "LATEST",
        "runs/../runs",
        "runs/..",
        "runs/20260101T000000Z-00000001/images",
        "runs/latest",
        "cache/detections/..",
        "cache/detections/model=x/batch=1",
        "cache/other/model=x",
        "evaluations/20260101T000000Z-00000001.json",
        "../runs/20260101T000000Z-00000001",
        "cache/detections/model=..%2f/x",
    ],
)
def test_nothing_else_is_removed_whatever_is_asked(tmp_path: Path, path: str) -> None:
    (tmp_path / "runs" / run_id(1) / "images").mkdir(parents=True)
    with pytest.raises(StoreError, match="is not removed"):
        remove(Store.at(str(tmp_path)), [Removal(f"runs/{run_id(1)}", 0, ""), Removal(path, 0, "")])
    assert (tmp_path / "runs" / run_id(1) / "images").is_dir()


def make_root(root: Path, states: str, latest: int | None) -> Store:
    """Runs as they lie in a root: run n was made by model n modulo 3."""
    store = Store.at(str(root))
    for n, letter in enumerate(states, start=1):
        run = store.run(run_id(n))
        model = f"m{n % 3}"
        run.write_summary(Summary(IngestFacts(input_rows=8), {"images": 7, "rejects": 1}, (), 1.5))
        if letter == "f":
            run.write_json("MANIFEST.json", manifest_of(run, model))
        if letter == "d":
            Path(run.path("MANIFEST.json")).write_bytes(b"{")
        for cache in map(run.cache_uri, (regions_cache(model), thumbnails_cache(160, 256))):
            batch = Path(cache) / f"batch={run.run_id}-0"
            batch.mkdir(parents=True)
            (batch / "part.parquet").write_bytes(b"x" * 10)
    if latest is not None:
        (root / "LATEST").write_text(run_id(latest))
    return store


def manifest_of(run: Run, model: str) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "finished": "2026-01-01T00:00:00+00:00",
        "reconciliation": {"input_rows": 8, "images": 7, "rejects": 1},
        "seconds": dict.fromkeys(STAGES, 2.0),
        "stages": {"embed": {"model_id": model}},
        "config": {"report": {"region_px": 160, "photo_px": 256}},
        "schema_versions": schema_versions(),
    }


def all_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=10)
@given(st.text("fud", min_size=1, max_size=6), st.integers(1, 4))
def test_on_a_disk_only_what_was_named_is_removed(
    tmp_path_factory: pytest.TempPathFactory, states: str, keep: int
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "root"
    numbers = [n for n, letter in enumerate(states, start=1) if letter == "f"]
    store = make_root(root, states, numbers[-1] if numbers else None)
    (outside / "photo.jpg").write_bytes(b"photo")
    for name in (
        "evaluations/x.json",
        "runs/notes.txt",
        "cache/other/model=m1/x",
        "runs/my run/x",
        "cache/detections/x",
        "logs/unopened.jsonl",
        *(f"logs/{run_id(n)}.jsonl" for n in range(1, len(states) + 1)),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"mine")
    (root / "runs" / run_id(1) / "photos").symlink_to(outside)
    before = all_files(outside)
    removals = choose_removals(survey(store), keep)
    remove(store, removals)
    named = [f"root/{removal.path}/" for removal in removals]
    named += [f"root/{removal.path.replace('runs', 'logs')}.jsonl" for removal in removals if "runs" in removal.path]
    assert all_files(outside) == {name for name in before if not name.startswith(tuple(named) or ("\0",))}
    assert [removal.path for removal in choose_removals(survey(store), keep)] == []
    shutil.rmtree(outside)


def name_photos(run: Run, photos: set[int]) -> None:
    """The table `images` of a run, as far as it matters here."""
    Path(run.table_uri("images")).mkdir(parents=True)
    pq.write_table(
        pa.table({"image_id": pa.array(map(photo_id, photos), pa.string())}), run.path("images", "part.parquet")
    )


def photo_id(number: int) -> str:
    return content_id(b"%d" % number)


@settings(max_examples=20)
@given(st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=5), st.integers(1, 3), st.sampled_from("fffud"))
def test_a_copy_of_a_photo_goes_when_no_run_that_stays_names_it(
    tmp_path_factory: pytest.TempPathFactory, named: list[set[int]], keep: int, last: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    store = make_root(root, "f" * (len(named) - 1) + last, None)
    for n, photos in enumerate(named, start=1):
        name_photos(store.run(run_id(n)), photos)
    folder = copies_folder(store.root)
    for number in range(6):
        keep_copy(folder, photo_id(number), b"%d" % number)
    (Path(folder) / "00").mkdir(exist_ok=True)
    partial = f"00/.00{'a' * 62}.{'0' * 32}.partial"
    for foreign in (partial, "notes.txt", "00/photo.jpg", f"01/00{'a' * 62}"):
        (Path(folder) / foreign).parent.mkdir(exist_ok=True)
        (Path(folder) / foreign).write_bytes(b"mine")
    before, removals = all_files(Path(folder)), find_removals(store, keep)
    assert all_files(Path(folder)) == before, "nothing goes before it is asked for"
    remove(store, removals)
    n_finished = len(named) - (last != "f")
    kept = range(max(0, n_finished - keep), n_finished)
    staying = set().union(*(named[n] for n in kept)) if last == "f" else set(range(6))
    gone = {copy_name(photo_id(number)) for number in range(6) if number not in staying}
    if last == "f":
        gone.add(partial)
    assert all_files(Path(folder)) == before - gone
    (found,) = [removal for removal in removals if removal.copies] or [Removal("", 0, "0 photos")]
    assert found.why.startswith(f"{len(gone)} photos")
    assert found.n_bytes == sum(4 if name == partial else 1 for name in gone)
    assert not [removal for removal in find_removals(store, keep) if removal.copies]
    shutil.rmtree(root)


def test_all_copies_stay_while_a_run_cannot_say_what_it_names(tmp_path: Path) -> None:
    store = make_root(tmp_path, "ff", 2)
    keep_copy(copies_folder(store.root), photo_id(1), b"1")
    assert [removal.path for removal in find_removals(store, 1) if removal.copies] == []
    name_photos(store.run(run_id(2)), set())
    assert [removal.path for removal in find_removals(store, 1) if removal.copies] == ["cache/photos"]


@pytest.mark.parametrize("copies", [("../../LATEST",), ("notes.txt",), (copy_name(photo_id(1)), "00/..")])
def test_nothing_but_copies_is_removed_as_one(tmp_path: Path, copies: tuple[str, ...]) -> None:
    for path in ("cache/photos", f"runs/{run_id(1)}", "cache"):
        with pytest.raises(StoreError, match="is not removed"):
            remove(Store.at(str(tmp_path)), [Removal(path, 0, "", copies)])


def test_a_run_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    store = make_root(tmp_path / "root", "ff", 2)
    moved = tmp_path / "elsewhere"
    (tmp_path / "root" / "runs" / run_id(1)).rename(moved)
    (tmp_path / "root" / "runs" / run_id(1)).symlink_to(moved)
    with pytest.raises(StoreError, match="is a link to another place"):
        remove(store, choose_removals(survey(store), 1))
    assert (moved / "MANIFEST.json").exists()


def test_commands(tmp_path: Path) -> None:
    make_root(tmp_path, "fuff", 4)
    before = all_files(tmp_path)
    planned = prodseek("gc", "--keep", 2, "--root", tmp_path)
    assert planned.returncode == 0 and all_files(tmp_path) == before
    assert f"runs/{run_id(2)}" in planned.stdout and "never finished" in planned.stdout
    assert "nothing was removed, --delete removes it" in planned.stdout
    with hold_root(str(tmp_path)):
        refused = prodseek("gc", "--keep", 2, "--delete", "--root", tmp_path)
        assert refused.returncode == 3 and "is in use by process" in refused.stderr
        listed = prodseek("status", "--root", tmp_path, "--json")
    values = json.loads(listed.stdout)
    assert not values["lock"]["is_dead"] and values["latest"] == run_id(4)
    newest, _, unfinished, _ = values["runs"]
    assert (newest["run_id"], newest["state"], newest["seconds"]) == (run_id(4), "finished", 2.0 * len(STAGES))
    assert (newest["catalogue_rows"], newest["images"], newest["rejects"]) == (8, 7, 1) and newest["is_latest"]
    assert (unfinished["state"], unfinished["next_stage"], unfinished["seconds"]) == ("unfinished", "embed", 1.5)
    assert newest["n_bytes"] == sum(p.stat().st_size for p in (tmp_path / "runs" / run_id(4)).rglob("*") if p.is_file())

    done = prodseek("gc", "--keep", 2, "--delete", "--root", tmp_path)
    assert done.returncode == 0 and "removed" in done.stdout, done.stderr
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [run_id(3), run_id(4)]
    assert sorted(path.name for path in (tmp_path / "cache" / "detections").iterdir()) == ["model=m0", "model=m1"]
    assert len(list((tmp_path / "cache" / "detections" / "model=m1").iterdir())) == 2, "a cache in use stays whole"
    (tmp_path / LOCK).write_bytes(replace(Holder.this_process(), process_start="1").to_bytes())
    table = prodseek("status", "--root", tmp_path)
    assert "finished, LATEST" in table.stdout and "which is dead; the next run takes over" in table.stdout


def test_a_damaged_run_and_latest_are_shown(tmp_path: Path) -> None:
    store = make_root(tmp_path, "fd", None)
    (tmp_path / "LATEST").write_text(run_id(9))
    found = survey(store)
    assert [run.state for run in found.runs] == ["finished", "damaged"]
    assert "MANIFEST.json is damaged" in str(found.runs[1].fault) and "which is not there" in str(found.latest_fault)
    with pytest.raises(StoreError, match="there is no"):
        survey(Store.at(str(tmp_path / "absent")))
