"""Which run a command works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from prodseek import __version__
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import Config
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import schema_versions
from prodseek.spark.catalogue.rows import catalogue_fingerprint, catalogue_rows, open_catalogue


@dataclass(frozen=True)
class OpenedRun:
    """The run that a command works on. is_new: nothing of it existed before."""

    run: Run
    fingerprint: str
    is_new: bool


def open_run(spark: SparkSession, config: Config) -> OpenedRun:
    """The run of this catalogue, configuration and version: the newest when it is of the same, else a new one.

    Raises CatalogueError for a catalogue that cannot be read.
    """
    source = open_catalogue(config.catalog)
    store = Store.at(config.store.root)
    found = catalogue_rows(spark, source, config.catalog)
    photos = PhotoSource.of(config, source.base_uri, store.root)
    catalogue = catalogue_fingerprint(found.rows, photos, config.ingest.read_threads)
    found.tallies.refuse_damage()
    fingerprint = hashlib.sha256(
        f"{catalogue}|{config.fingerprint}|{__version__}|{schema_versions()}".encode()
    ).hexdigest()
    current = store.current(fingerprint)
    if current is not None:
        return OpenedRun(current, fingerprint, is_new=False)
    return OpenedRun(store.new_run(fingerprint, datetime.now(UTC)), fingerprint, is_new=True)
