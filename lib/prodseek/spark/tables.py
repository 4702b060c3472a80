"""Reading and writing tables, each write checked against its schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_type
from pyspark.sql.types import StringType, StructField, StructType

from prodseek.errors import CatalogueError, StoreError, TableError
from prodseek.runs.store import RUN_ID, Run
from prodseek.runs.tables import TableSchema, table_schema
from prodseek.storage import files

# How Spark 4 says it, in its own exceptions and in those that py4j passes on.
_UNREADABLE = re.compile(
    r"\[FAILED_READ_FILE\S*\] Encountered error while reading file (.+?)\.(?: +SQLSTATE| File | Could not )"
)
_REFUSED = re.compile(rf"{CatalogueError.__name__}: (.+)")
# Values that are taken out of a page after it was read; files without checksums come that far.
_IMPOSSIBLE = re.compile(r"java\.lang\.(?:ArrayIndexOutOfBounds|IndexOutOfBounds|NegativeArraySize)Exception[^\n]*")

# Up to this many rows the driver compares keys itself, in a tenth of the time that a query takes.
_ROWS_READ_HERE = 10_000
# How many of the keys that rows share are named.
_NAMED_KEYS = 3


@contextmanager
def naming_damaged_files() -> Iterator[None]:
    """Turn Spark's report of a file that it cannot read into a StoreError that says which and what to do, and what a task
    found wrong with the catalogue into that CatalogueError."""
    try:
        yield
    except (Py4JError, PySparkException) as error:
        refused = _REFUSED.search(str(error))
        if refused is not None:
            raise CatalogueError(refused[1]) from error
        found = _UNREADABLE.search(str(error))
        if found is None:
            impossible = _IMPOSSIBLE.search(str(error))
            if impossible is None:
                raise
            raise StoreError(
                f"a Parquet file that was read seems damaged, but Spark does not say which ({impossible[0].strip()}): write the "
                "manifest anew if it is Parquet; `prodseek verify` finds what is damaged in a finished run"
            ) from error
        uri = re.sub(r"^file:(?://)?(?=/)", "", found[1])
        batch, _, _ = uri.rpartition("/")
        if re.search(r"/cache/\w+/\w+=", uri):
            repair = f"remove the folder {batch} and start again; what it held is computed anew"
        elif re.search(rf"/runs/{RUN_ID.pattern}/", uri):
            repair = (
                "`prodseek verify` says what else is damaged in a finished run. Remove the run's folder and start again; "
                "no photo goes through the network again"
            )
        else:
            repair = "write it anew"
        raise StoreError(f"{uri} is damaged or gone: {repair}") from error


def spark_schema(table: str) -> StructType:
    """A table's columns as Spark types."""
    return StructType.fromJson(table_schema(table).spark_json)


def computed_schema(table: str, *more: str) -> StructType:
    """A table's columns as a function's output, followed by `more` string columns.

    All may be null: Spark trusts a function's schema without looking, and `write_table` is what checks the values.
    """
    fields = [StructField(field.name, field.dataType) for field in spark_schema(table).fields]
    return StructType([*fields, *(StructField(name, StringType()) for name in more)])


def local_frame(spark: SparkSession, rows: Iterable[tuple[Any, ...]], schema: StructType | str) -> DataFrame:
    """Rows that the driver holds, as a frame. schema: its columns, or as Spark's DDL has them; each may be null.

    Through Arrow: what `createDataFrame` is given as Python's rows it sends through Python workers, of a kind of their own.
    """
    fields = cast(StructType, StructType.fromDDL(schema)) if isinstance(schema, str) else schema
    columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True)) or [()] * len(fields)
    arrays = [pa.array(values, to_arrow_type(field.dataType)) for values, field in zip(columns, fields, strict=True)]
    return spark.createDataFrame(pa.Table.from_arrays(arrays, fields.names))


def only_row(frame: DataFrame) -> Row:
    """The row of a frame that has one, such as an aggregate over all rows. Raises ValueError where there is none."""
    row = frame.first()
    if row is None:
        raise ValueError("an aggregate over all rows has given no row")
    return row


def facet_vectors(spark: SparkSession, run: Run, facet: str) -> DataFrame:
    """detection_id, vector: a facet's embeddings."""
    return read_table(spark, run, "embeddings").select("detection_id", F.col(facet).alias("vector"))


def read_table(spark: SparkSession, run: Run, table: str) -> DataFrame:
    """A table of a run. Raises StoreError when the run does not hold it, or has it with another schema."""
    uri = run.table_uri(table)
    if not files.exists(uri):
        raise StoreError(f"run {run.run_id} has no table {table} at {uri}; run the stage that writes it first")
    if run.is_finished:
        run.require_schemas(table)
    return spark.read.schema(spark_schema(table)).parquet(files.spark_uri(uri))


def write_table(frame: DataFrame, run: Run, table: str) -> int:
    """Write a table of a run as `write_table_at` does; returns the number of rows."""
    return write_table_at(frame, run.table_uri(table), table)


def write_table_at(frame: DataFrame, uri: str, table: str) -> int:
    """Write a table into the folder `uri`, replacing what is there; returns the number of rows.

    Raises TableError, and leaves no table, when the columns are not the schema's, a value that must be there is
    null, a value is not on its column's closed list, or two rows share a key.
    """
    schema = table_schema(table)
    expected = spark_schema(table)
    _check_columns(frame, schema, expected)
    target = files.spark_uri(uri)
    checks = _row_checks(schema)
    observation = Observation()
    checked = frame.select(*schema.column_names).observe(
        observation,
        F.count(F.lit(1)).alias("rows"),
        *(F.count_if(bad).alias(name) for name, bad in checks.items()),
    )
    checked.write.mode("overwrite").parquet(target)
    counts = observation.get
    faults = [f"{counts[name]} rows with {name}" for name in checks if counts[name]]
    if schema.key and not faults and counts["rows"]:
        faults = _key_faults(frame.sparkSession, uri, schema, int(counts["rows"]))
    if faults:
        files.delete_dir(uri)
        raise TableError(f"table {table} breaks its schema: " + "; ".join(faults))
    return int(counts["rows"])


def _check_columns(frame: DataFrame, schema: TableSchema, expected: StructType) -> None:
    found = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    wanted = {field.name: field.dataType.simpleString() for field in expected.fields}
    faults = [f"column {name} is missing" for name in wanted if name not in found]
    faults += [f"column {name} is not in the schema" for name in found if name not in wanted]
    faults += [
        f"column {name} is {found[name]}, must be {type_name}"
        for name, type_name in wanted.items()
        if name in found and found[name] != type_name
    ]
    if faults:
        raise TableError(f"table {schema.name} breaks its schema: " + "; ".join(faults))


def _row_checks(schema: TableSchema) -> dict[str, Column]:
    checks = {}
    for column in schema.columns:
        if not column.nullable:
            checks[f"no {column.name}"] = F.col(column.name).isNull()
        if column.allowed:
            checks[f"{column.name} not one of {', '.join(column.allowed)}"] = ~F.col(column.name).isin(*column.allowed)
    return checks


def _key_faults(spark: SparkSession, uri: str, schema: TableSchema, n_rows: int) -> list[str]:
    if n_rows <= _ROWS_READ_HERE:
        # Imported here, because it brings pandas, which Python workers would wait for.
        import pyarrow.dataset as ds

        file_system, path = files.locate(uri)
        keys = ds.dataset(path, filesystem=file_system, format="parquet", partitioning=None).to_table(list(schema.key))
        counted = keys.group_by(schema.key).aggregate([([], "count_all")]).filter(pc.field("count_all") > 1)
        repeated = counted.sort_by([(name, "ascending") for name in schema.key]).slice(0, _NAMED_KEYS).to_pylist()
    else:
        written = spark.read.schema(spark_schema(schema.name)).parquet(files.spark_uri(uri))
        counts = written.groupBy(*schema.key).agg(F.count(F.lit(1)).alias("count_all")).where("count_all > 1")
        repeated = [row.asDict() for row in counts.orderBy(*schema.key).limit(_NAMED_KEYS).collect()]
    return [
        f"{row['count_all']} rows share the key " + ", ".join(f"{name}={row[name]!r}" for name in schema.key)
        for row in repeated
    ]
