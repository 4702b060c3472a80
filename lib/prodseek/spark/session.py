"""Starting Spark: one place for the settings that every stage relies on."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.resources import files as resources
from pathlib import Path

from pyspark import SparkContext, SparkFiles
from pyspark.sql import SparkSession

from prodseek.config import SparkConfig
from prodseek.spark.gpus import is_local
from prodseek.spark.java import find_java_home
from prodseek.spark.submitted import is_spark_submitted

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # Rows carry slices of up to 4 KB: 1,024 of them keep an Arrow batch at a few MB.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1024",
    # Pairs of photos carry the local features of both, 136 KB.
    "spark.sql.execution.arrow.maxBytesPerBatch": "33554432",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    # Spark writes a checksum into every page of a table, and without this looks at none.
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
}
_LOCAL_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # Nobody looks at the plans that are written out for Spark's UI, a tenth of the driver's work.
    "spark.sql.ui.explainMode": "simple",
}
_SHUFFLE_PARTITIONS = "spark.sql.shuffle.partitions"
_LOCAL_SHUFFLE_PARTITIONS = 8
# For few rows, compiling a query and planning it again while it runs takes longer than running it as it is, and starting
# a task longer than what it has to do.
_FEW_ROWS = 10_000
_FOR_FEW_ROWS = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


def start_session(settings: SparkConfig, app_name: str = "prodseek") -> SparkSession:
    """A Spark session: the one that spark-submit prepared, else one on `settings.master`."""
    builder = SparkSession.builder.appName(app_name)
    options = dict(_SETTINGS)
    if not is_spark_submitted():
        _prepare_environment()
        options |= _LOCAL_SETTINGS | {"spark.driver.memory": settings.driver_memory}
        builder = builder.master(settings.master or "local[*,4]")
    for key, value in {**options, **settings.conf}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    _suit(session, has_few_rows=False)
    _let_workers_import_wheels(session.sparkContext)
    return session


def suit_catalogue(session: SparkSession, n_rows: int) -> None:
    """Run queries in the way that suits a catalogue of `n_rows` rows, unless Spark's configuration says otherwise."""
    _suit(session, n_rows <= _FEW_ROWS)


def _suit(session: SparkSession, has_few_rows: bool) -> None:
    context = session.sparkContext
    settings: dict[str, str] = {}
    if has_few_rows:
        n_partitions = min(_LOCAL_SHUFFLE_PARTITIONS, context.defaultParallelism)
        settings = {**_FOR_FEW_ROWS, _SHUFFLE_PARTITIONS: str(n_partitions)}
    elif is_local(session):
        settings = {_SHUFFLE_PARTITIONS: str(_LOCAL_SHUFFLE_PARTITIONS)}
    given = context.getConf()
    for key in (*_FOR_FEW_ROWS, _SHUFFLE_PARTITIONS):
        if given.contains(key):
            continue
        if key in settings:
            session.conf.set(key, settings[key])
        else:
            session.conf.unset(key)


def _let_workers_import_wheels(context: SparkContext) -> None:
    """Spark sends the wheels of --py-files to executors, but imports from files that end in .zip, .egg or .jar alone."""
    for path in context.getConf().get("spark.submit.pyFiles", "").split(","):
        wheel = Path(SparkFiles.get(Path(path).name))
        if wheel.suffix == ".whl":
            archive = wheel.parent / "wheels" / wheel.with_suffix(".zip").name
            archive.parent.mkdir(exist_ok=True)
            shutil.copyfile(wheel, archive)
            context.addPyFile(str(archive))


def _prepare_environment() -> None:
    os.environ["JAVA_HOME"] = str(find_java_home())
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    conf_dir = Path(str(resources("prodseek.conf")))
    if (conf_dir / "log4j2.properties").is_file():
        os.environ.setdefault("SPARK_CONF_DIR", str(conf_dir))
