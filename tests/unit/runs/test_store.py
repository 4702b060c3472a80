"""Runs exist when their manifest does; ids are ordered; files are replaced whole."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodseek.errors import StoreError
from prodseek.runs.facts import IngestFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary, read_columns
from prodseek.runs.tables import schema_versions
from prodseek.storage import files

NIGHT = datetime.datetime(2026, 3, 1, 2, 0, tzinfo=datetime.UTC)


def test_a_run_without_manifest_does_not_exist(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    run = store.new_run("ab" * 32, NIGHT)
    with pytest.raises(StoreError, match="no run has been published"):
        store.latest()
    run.write_summary(Summary(IngestFacts(input_rows=4, changes={"new": 3}), {"images": 3}, ("three",), 1.5, 2))
    assert not run.is_finished and store.current("ab" * 32) == run
    with pytest.raises(StoreError, match="has not finished"):
        run.manifest()
    store.publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
    assert store.latest() == run and run.is_finished
    assert run.summary("ingest") == Summary(
        IngestFacts(input_rows=4, changes={"new": 3}), {"images": 3}, ("three",), 1.5, 2
    )


def test_run_ids_stay_ordered_when_the_clock_goes_back(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    ids = []
    for hours, fingerprint in ((0, "aa"), (-5, "bb"), (0, "cc"), (1, "dd")):
        run = store.new_run(fingerprint * 32, NIGHT + datetime.timedelta(hours=hours))
        run.write_summary(Summary(IngestFacts(input_rows=0)))
        ids.append(run.run_id)
    assert ids == sorted(ids) == store.run_ids()


def test_only_the_newest_run_is_current(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    old = store.new_run("aa" * 32, NIGHT)
    old.write_summary(Summary(IngestFacts(input_rows=0)))
    store.new_run("bb" * 32, NIGHT + datetime.timedelta(days=1)).write_summary(Summary(IngestFacts(input_rows=0)))
    assert store.current("aa" * 32) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"run_id": "20200101T000000Z-00000000"}', b"\xff\xfe"])
def test_damaged_manifest_is_named(tmp_path: Path, damage: bytes) -> None:
    run = Run(str(tmp_path), "20260301T020000Z-abababab")
    files.write_bytes(run.path("MANIFEST.json"), damage)
    with pytest.raises(StoreError, match=r"MANIFEST\.json"):
        run.manifest()


def test_a_stage_names_the_one_it_needs(empty_run: Run) -> None:
    with pytest.raises(StoreError, match=r"stage project .* needs ingest, embed first"):
        empty_run.require("project", "ingest", "embed")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "LATEST"
    files.write_bytes(str(target), b"old")
    with pytest.raises(TypeError):
        files.write_bytes(str(target), "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [path.name for path in target.parent.iterdir()] == ["LATEST"]


@pytest.mark.parametrize("name", ["a b.jpg", "été#1.jpg", "what?.jpg", "100%.jpg", "[x].jpg"])
def test_awkward_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    assert files.read_bytes(files.resolve(name, str(tmp_path))) == b"content"
    assert files.exists(files.join(str(tmp_path), name))


def test_places_as_hadoop_names_them() -> None:
    assert files.spark_uri("/a b/model=x") == "file:///a b/model=x"
    assert files.spark_uri("s3://bucket/key") == "s3a://bucket/key"
    assert files.spark_pattern("/a[1]/b") == "file:///a\\[1\\]/b"
    assert files.from_spark("file:/a%20b/%2541%23.parquet") == "/a b/%41#.parquet"
    assert files.from_spark("s3a://bucket/k%C3%A9y") == "s3://bucket/kéy"
    assert files.from_spark("hdfs://host:8020/a%20b") == "hdfs://host:8020/a b"


def test_some_columns_and_rows_of_a_table_are_read_and_missing_columns_named(tmp_path):
    run = Store.at(str(tmp_path)).run("20260101T000000Z-00000000")
    folder = Path(run.table_uri("images"))
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"uri": ["a", "b"], "n_bytes": [1, 2], "format": ["JPEG", "PNG"]}), folder / "part.parquet")
    (folder / "_SUCCESS").touch()
    assert read_columns(run, "images", ["uri"], pc.field("format") == "PNG").to_pydict() == {"uri": ["b"]}
    assert read_columns(run, "images", ["n_bytes"]).num_rows == 2
    with pytest.raises(StoreError, match="has no column product_id, pdq_hash: another version"):
        read_columns(run, "images", ["uri", "product_id", "pdq_hash"])


def test_the_run_before_is_the_newest_finished_older_one(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    runs = [store.run(f"2026010{day}T000000Z-0000000{day}") for day in range(1, 6)]
    assert store.before(runs[0]) is None
    for run in (runs[0], runs[3], runs[4]):
        store.publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
    runs[1].write_json("stages/ingest.json", {})
    runs[2].write_json("MANIFEST.json", {"run_id": "another"})

    assert store.before(runs[4]) == runs[3]
    assert store.before(runs[3]) == runs[0], "one has not finished, the other's manifest is damaged"
    assert store.before(runs[0]) is None


def published(store: Store, *run_ids: str) -> list[Run]:
    runs = [store.run(run_id) for run_id in run_ids]
    for run in runs:
        store.publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
    return runs


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"20260109T000000Z-00000009", "names '20260109T000000Z-00000009', which is not there or has not finished"),
        (b"20260103T000000Z-00000003", "names '20260103T000000Z-00000003', which is not there or has not finished"),
        (b"", "names '', which is no run"),
        (b"../../etc\xff", "which is no run"),
        (None, "no run has been published"),
    ],
)
def test_latest_that_leads_to_no_run_is_named_and_mended(tmp_path: Path, content: bytes | None, said: str) -> None:
    store = Store.at(str(tmp_path))
    published(store, "20260101T000000Z-00000001", "20260102T000000Z-00000002", "20260104T000000Z-00000004")
    store.run("20260103T000000Z-00000003").write_summary(Summary(IngestFacts(input_rows=0)))
    files.write_bytes(store.run("20260104T000000Z-00000004").path("MANIFEST.json"), b"{")
    (tmp_path / "LATEST").unlink()
    if content is not None:
        (tmp_path / "LATEST").write_bytes(content)
    with pytest.raises(StoreError, match=said):
        store.latest()
    mended = store.mend_latest()
    assert mended is not None and "names 20260102T000000Z-00000002 again" in mended and said in mended
    assert store.latest().run_id == "20260102T000000Z-00000002"
    assert store.mend_latest() is None


def test_latest_is_left_alone_where_it_is_right_or_nothing_is_there(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    assert store.mend_latest() is None and not (tmp_path / "LATEST").exists()
    older, _ = published(store, "20260101T000000Z-00000001", "20260102T000000Z-00000002")
    files.write_bytes(files.join(str(tmp_path), "LATEST"), f"{older.run_id}\n".encode())
    assert store.mend_latest() is None and store.latest() == older, "set back by a person"


@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_table_is_named_with_the_repair(tmp_path: Path, damage: str) -> None:
    run = Store.at(str(tmp_path)).run("20260101T000000Z-00000000")
    path = Path(run.table_uri("images")) / "part.parquet"
    if damage != "gone":
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"uri": ["a", "b"]}), path)
        path.write_bytes(b"" if damage == "empty" else path.read_bytes()[:-7])
    with pytest.raises(StoreError, match=r"table images of run 2026.* cannot be read.* remove the folder .*"):
        read_columns(run, "images", ["uri"])


def test_a_storage_that_fails_for_a_moment_does_not_move_latest(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    _, newest = published(store, "20260101T000000Z-00000001", "20260102T000000Z-00000002")
    Path(newest.path("MANIFEST.json")).unlink()
    Path(newest.path("MANIFEST.json")).mkdir()
    with pytest.raises(StoreError, match=r"MANIFEST\.json cannot be read"):
        store.mend_latest()
    assert (tmp_path / "LATEST").read_text() == f"{newest.run_id}\n"


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Niue")


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """The process in a time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield ZoneInfo(request.param)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "instants",
    [
        # Clocks go back in Berlin, and forward; in New York; over midnight; over a new year.
        ["2026-10-24T23:30Z", "2026-10-25T00:30Z", "2026-10-25T01:30Z"],
        ["2026-03-29T00:30Z", "2026-03-29T01:30Z"],
        ["2026-11-01T05:30Z", "2026-11-01T06:30Z"],
        ["2026-05-01T23:59:59Z", "2026-05-02T00:00:00Z"],
        ["2026-12-31T23:59:59Z", "2027-01-01T00:00:01Z"],
    ],
)
def test_run_ids_are_the_same_in_every_zone_and_ordered_over_every_change(
    tmp_path: Path, zone: ZoneInfo, instants: list[str]
) -> None:
    store = Store.at(str(tmp_path))
    ids = []
    for number, instant in enumerate(instants):
        now = datetime.datetime.fromisoformat(instant)
        run = store.new_run(f"{number:08x}", now.astimezone(zone))
        run.write_summary(Summary(IngestFacts(input_rows=0)))
        ids.append(run.run_id)
        assert run.run_id == f"{now:%Y%m%dT%H%M%SZ}-{number:08x}"
    assert ids == sorted(ids) == store.run_ids()


@given(
    st.lists(
        st.datetimes(
            datetime.datetime(2001, 1, 1), datetime.datetime(2099, 1, 1), timezones=st.sampled_from(ZONES).map(ZoneInfo)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_the_clock_says_the_next_run_is_the_newest(
    tmp_path_factory: pytest.TempPathFactory, clock: list[datetime.datetime]
) -> None:
    store = Store.at(str(tmp_path_factory.mktemp("root")))
    ids = []
    for number, now in enumerate(clock):
        run = store.new_run(f"{number:08x}", now)
        Path(run.uri).mkdir(parents=True)
        ids.append(run.run_id)
    assert ids == sorted(set(ids)) == store.run_ids()


def test_names_that_are_no_time_are_no_runs_and_the_end_of_time_is_named(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    Path(store.run("20261341T250000Z-00000001").uri).mkdir(parents=True)
    assert store.run_ids() == [] and store.new_run("ab" * 4, NIGHT).run_id == "20260301T020000Z-abababab"
    Path(store.run("99991231T235959Z-00000001").uri).mkdir()
    with pytest.raises(StoreError, match=r"99991231T235959Z-00000001 .* is dated at the end of time; remove it"):
        store.new_run("ab" * 4, NIGHT)


def with_versions(store: Store, run_id: str, **versions: int) -> Run:
    run = store.run(run_id)
    manifest = {"run_id": run_id, "prodseek_version": "0.0.9", "tables": {"images": 1, "rejects": 0}}
    store.publish(run, Manifest.from_json(manifest | ({"schema_versions": versions} if versions else {})))
    return run


def test_tables_of_other_schemas_are_refused_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.at(str(tmp_path))
    then = {**schema_versions(), "images": 1, "rejects": 1}
    monkeypatch.setattr("prodseek.runs.store.schema_versions", lambda: then)
    first = with_versions(store, "20260101T000000Z-00000001")
    second = with_versions(store, "20260102T000000Z-00000002", images=1, rejects=1)
    tonight = store.run("20260103T000000Z-00000003")
    for run in (first, second):
        run.require_schemas()
        Path(run.table_uri("images")).mkdir()
        pq.write_table(pa.table({"uri": ["a"]}), run.path("images", "part.parquet"))
        assert read_columns(run, "images", ["uri"]).num_rows == 1
    assert store.before(tonight) == second

    now = {**then, "images": 2}
    monkeypatch.setattr("prodseek.runs.store.schema_versions", lambda: now)
    said = (
        r"by prodseek 0\.0\.9 with other schemas: images has version 1, this prodseek reads 2\. `prodseek run nightly"
    )
    for run in (first, second):
        with pytest.raises(StoreError, match=said):
            read_columns(run, "images", ["uri"])
        run.require_schemas("rejects")
    assert store.latest() == second and store.before(tonight) is None, "readers are told; the night starts afresh"
    third = with_versions(store, "20260102T000001Z-00000003", images=3, rejects=1)
    with pytest.raises(StoreError, match="images has version 3, this prodseek reads 2"):
        third.require_schemas()
