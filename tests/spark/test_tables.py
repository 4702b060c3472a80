"""Every write is checked against its schema; what breaks it is not left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from prodseek.errors import StoreError, TableError
from prodseek.runs.store import Run
from prodseek.runs.tables import TABLES, table_schema
from prodseek.spark.batch_cache import read_batches
from prodseek.spark.tables import local_frame, naming_damaged_files, read_table, spark_schema, write_table

ROW = ("visual", "fine", "visual-1", None, "born", 0.0)


def lineage(spark: SparkSession, *rows: tuple[object, ...]):  # type: ignore[no-untyped-def]
    return spark.createDataFrame(
        list(rows),
        "facet string, level string, group_id string, previous_group_id string, event string, overlap float",
    )


def test_rows_of_the_driver_become_a_frame(spark: SparkSession) -> None:
    columns = "name string, number int, share float, ids array<long>"
    rows = [("a", 1, 0.5, [2**62, 3]), (None, None, None, None), ("é", -1, float("nan"), [])]
    found = local_frame(spark, rows, columns)
    assert found.schema == StructType.fromDDL(columns)
    assert [tuple(row)[:2] + tuple(row)[3:] for row in found.collect()] == [row[:2] + row[3:] for row in rows]
    assert str([row["share"] for row in found.collect()]) == "[0.5, None, nan]"
    assert local_frame(spark, iter(rows), found.schema).count() == 3
    nothing = local_frame(spark, [], found.schema)
    assert nothing.schema == found.schema and nothing.isEmpty()
    with pytest.raises(pa.ArrowInvalid):
        local_frame(spark, [("a", 2**31, None, None)], columns)


@pytest.mark.parametrize("name", TABLES)
def test_arrow_and_spark_agree(spark: SparkSession, empty_run: Run, name: str) -> None:
    frame = spark.createDataFrame([], spark_schema(name))
    assert write_table(frame, empty_run, name) == 0
    read = read_table(spark, empty_run, name).toArrow()
    assert read.schema.names == list(table_schema(name).column_names)
    for field, column in zip(read.schema, table_schema(name).columns, strict=True):
        assert str(field.type).replace(" not null", "").replace("element: ", "item: ") == str(
            column.arrow_type
        ).replace(" not null", "").replace("element: ", "item: ")
        assert column.comment


def test_good_rows_are_written_and_counted(spark: SparkSession, empty_run: Run) -> None:
    assert write_table(lineage(spark, ROW), empty_run, "group_lineage") == 1
    assert [tuple(row) for row in read_table(spark, empty_run, "group_lineage").collect()] == [ROW]
    assert write_table(lineage(spark, ROW), empty_run, "group_lineage") == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(None, *ROW[1:])], "1 rows with no facet"),
        ([("smell", *ROW[1:])], "1 rows with facet not one of likeness, visual, colour"),
        ([ROW, ROW], "2 rows share the key facet='visual', level='fine', event='born'"),
    ],
)
def test_bad_rows_leave_no_table(
    spark: SparkSession, empty_run: Run, rows: list[tuple[object, ...]], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        write_table(lineage(spark, *rows), empty_run, "group_lineage")
    with pytest.raises(StoreError, match="has no table group_lineage"):
        read_table(spark, empty_run, "group_lineage")


@pytest.mark.parametrize("rows_read_here", [0, 10_000])
def test_keys_that_rows_share_are_named_in_order_whoever_looks(
    spark: SparkSession, empty_run: Run, monkeypatch: pytest.MonkeyPatch, rows_read_here: int
) -> None:
    monkeypatch.setattr("prodseek.spark.tables._ROWS_READ_HERE", rows_read_here)
    rows = [("visual", "fine", f"visual-{i}", None, "born", 0.0) for i in (5, 4, 3, 4, 2, 5, 2, 3, 2, 1)]
    with pytest.raises(TableError) as error:
        write_table(lineage(spark, *rows), empty_run, "group_lineage")
    assert [fault.partition(" rows")[0] for fault in str(error.value).split(": ", 1)[1].split("; ")] == ["3", "2", "2"]
    assert [f"visual-{i}" in str(error.value) for i in range(1, 6)] == [False, True, True, True, False]


def test_all_wrong_columns_are_named_at_once(spark: SparkSession, empty_run: Run) -> None:
    frame = lineage(spark, ROW).drop("event").selectExpr("*", "1 as extra").withColumn("overlap", spark_float("double"))
    with pytest.raises(TableError) as error:
        write_table(frame, empty_run, "group_lineage")
    for part in (
        "column event is missing",
        "column extra is not in the schema",
        "column overlap is double, must be float",
    ):
        assert part in str(error.value)


def spark_float(type_name: str):  # type: ignore[no-untyped-def]
    from pyspark.sql import functions as F

    return F.lit(0.0).cast(type_name)


def test_schemas_are_sparks_own_json() -> None:
    for name in TABLES:
        assert json.loads(spark_schema(name).json())["type"] == "struct"


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_damaged_file_is_named_with_the_repair(spark: SparkSession, empty_run: Run, is_gone: bool) -> None:
    write_table(lineage(spark, ROW), empty_run, "group_lineage")
    frame = read_table(spark, empty_run, "group_lineage")
    for path in Path(empty_run.table_uri("group_lineage")).glob("*.parquet"):
        path.unlink() if is_gone else path.write_bytes(path.read_bytes()[:-30])
    with (
        pytest.raises(
            StoreError, match=r"/group_lineage/part-\S+\.parquet is damaged or gone: .*Remove the run's folder"
        ),
        naming_damaged_files(),
    ):
        frame.count()
    with pytest.raises(ZeroDivisionError), naming_damaged_files():
        raise ZeroDivisionError


def test_a_changed_value_in_a_table_is_seen(spark: SparkSession, empty_run: Run) -> None:
    codec = "spark.sql.parquet.compression.codec"
    usual = spark.conf.get(codec)
    spark.conf.set(codec, "uncompressed")
    write_table(lineage(spark, ROW).coalesce(1), empty_run, "group_lineage")
    spark.conf.set(codec, usual)
    (path,) = Path(empty_run.table_uri("group_lineage")).glob("*.parquet")
    (path.parent / f".{path.name}.crc").unlink(missing_ok=True)  # object storage has none
    group_id = ROW[2].encode()
    assert group_id in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(group_id, bytes([group_id[0] ^ 1, *group_id[1:]]), 1))
    with pytest.raises(StoreError, match=r"/group_lineage/part-\S+\.parquet is damaged"), naming_damaged_files():
        read_table(spark, empty_run, "group_lineage").collect()


def test_damage_in_a_page_without_a_checksum_is_said_to_be_damage(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    pq.write_table(pa.table({"uri": [f"{number}.jpg" for number in range(200)]}), path, compression="none")
    places = bytes(range(100, 110))
    assert path.read_bytes().count(places) == 1
    path.write_bytes(path.read_bytes().replace(places, b"\xfe" * 10))  # of 200 values the 255th
    with pytest.raises(StoreError, match="seems damaged, but Spark does not say which"), naming_damaged_files():
        spark.read.parquet(str(path)).collect()


def test_a_finished_runs_table_of_another_schema_is_not_read_as_null(
    spark: SparkSession, empty_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(lineage(spark, ROW), empty_run, "group_lineage")
    versions = {"group_lineage": table_schema("group_lineage").version}
    empty_run.write_json("MANIFEST.json", {"run_id": empty_run.run_id, "schema_versions": versions})
    assert read_table(spark, empty_run, "group_lineage").count() == 1
    empty_run.write_json("MANIFEST.json", {"run_id": empty_run.run_id, "schema_versions": {"group_lineage": 0}})
    with pytest.raises(StoreError, match=r"group_lineage has version 0, this prodseek reads 1\. `prodseek run nightly"):
        read_table(spark, empty_run, "group_lineage")


def test_batches_that_lack_a_column_are_made_anew(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = spark.range(3).selectExpr("id", "id AS colour"), spark.range(3, 5).selectExpr("id", "id AS hue")
    for number, frame in enumerate((old, old, new)):
        frame.write.parquet(str(tmp_path / f"batch={number}"))
    schema = StructType().add("id", "long").add("hue", "long")
    assert sorted(row["id"] for row in read_batches(spark, str(tmp_path), schema).collect()) == [3, 4]
    assert caplog.text.count("is passed over and made anew: it has no column hue") == 2
    assert read_batches(spark, str(tmp_path), StructType().add("id", "long").add("size", "long")).count() == 0
