"""Run the stages index and neighbours while Python workers are killed under them; print how many were."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from prodseek.config import load_config
from prodseek.jobs import index, neighbours
from prodseek.runs.store import Store
from prodseek.spark.night import Night
from prodseek.spark.session import start_session

_KILLS = 3


def workers() -> list[int]:
    """Python workers of this process's Spark: forks of its daemon."""
    parents, daemons = {}, set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"pyspark.daemon" in (process / "cmdline").read_bytes():
                daemons.add(int(process.name))
        except OSError:
            continue
    return [process for process in daemons if parents[process] in daemons and is_ours(process, parents)]


def is_ours(process: int, parents: dict[int, int]) -> bool:
    while process in parents:
        if process == os.getpid():
            return True
        process = parents[process]
    return False


def kill_some(stopped: threading.Event, killed: list[int]) -> None:
    while not stopped.is_set() and len(killed) < _KILLS:
        time.sleep(0.4)
        for process in workers()[:1]:
            os.kill(process, signal.SIGKILL)
            killed.append(process)


def main(root: str, run_id: str, *settings: str) -> None:
    config = load_config("local", settings=settings, root=root)
    # Eight attempts a task, where a local session gives one.
    spark = start_session(config.spark.model_copy(update={"master": "local[2,8]"}))
    night = Night.of(spark, config, Store.at(root).run(run_id))
    n_killed = {}
    for name, stage in (("index", index), ("neighbours", neighbours)):
        stopped, killed = threading.Event(), []
        killer = threading.Thread(target=kill_some, args=(stopped, killed))
        killer.start()
        try:
            stage.run(night)
        finally:
            stopped.set()
            killer.join()
        n_killed[name] = len(killed)
    spark.stop()
    print(json.dumps(n_killed))


if __name__ == "__main__":
    main(*sys.argv[1:])
