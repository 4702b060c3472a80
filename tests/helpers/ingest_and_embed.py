"""Ingest and embed a catalogue in a Spark session of its own, which tries a task four times as a night's does."""

from __future__ import annotations

import sys

from prodseek.config import load_config
from prodseek.jobs import embed, ingest
from prodseek.runs.store import Store
from prodseek.spark.night import Night
from prodseek.spark.session import start_session


def main(catalog: str, root: str, run_id: str) -> None:
    config = load_config("local", catalog=catalog, root=root)
    spark = start_session(config.spark.model_copy(update={"master": "local[2,4]"}))
    run = Store.at(root).run(run_id)
    for stage in (ingest, embed):
        run.write_summary(stage.run(Night.of(spark, config, run)))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
