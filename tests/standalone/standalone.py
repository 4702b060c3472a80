"""Spark's standalone cluster on this machine: a master and workers, each a process of its own, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from processes import children_of, command_line, python_workers_of

from prodseek.spark.java import find_java_home

BIN = Path(sys.executable).parent
_DEPLOY = "org.apache.spark.deploy"
REPO = Path(__file__).parents[2]
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Shipped:
    """wheel: for --py-files. environment: for --archives. python: of the same environment, for the driver."""

    wheel: Path
    environment: Path
    python: Path


class Standalone:
    """A running cluster. url: for spark-submit's --master. folder: logs, and what executors write."""

    def __init__(self, url: str, folder: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
        self.url = url
        self.folder = folder
        self._daemons = daemons

    def executors(self) -> list[int]:
        """Process ids of the executors at work."""
        return [
            child
            for daemon in self._daemons
            for child in children_of(daemon.pid)
            if b"CoarseGrainedExecutorBackend" in command_line(child)
        ]

    def python_workers(self) -> list[int]:
        """Process ids of the Python workers of all executors."""
        return [worker for executor in self.executors() for worker in python_workers_of(executor)]

    def submit(
        self,
        shipped: Shipped,
        catalogue: Path,
        root: Path,
        out: IO[str],
        settings: Sequence[str],
        conf: dict[str, str],
    ) -> subprocess.Popen[str]:
        """spark-submit jobs/nightly.py, as the README says, with two executors. settings: prodseek's; conf: Spark's."""
        of_spark = {
            "spark.pyspark.python": "./environment/bin/python",
            "spark.pyspark.driver.python": str(shipped.python),
            "spark.executor.memory": "1g",
            "spark.executor.cores": "1",
            "spark.buffer.pageSize": "1m",
            "spark.ui.enabled": "false",
            **conf,
        }
        command = [
            *(BIN / "spark-submit", "--master", self.url, "--deploy-mode", "client"),
            *("--properties-file", REPO / "conf" / "spark-defaults.conf"),
            *("--py-files", shipped.wheel, "--archives", f"{shipped.environment}#environment"),
            *(part for key, value in of_spark.items() for part in ("--conf", f"{key}={value}")),
            *(REPO / "jobs" / "nightly.py", catalogue, "--root", root),
            *(part for setting in settings for part in ("--set", setting)),
        ]
        return subprocess.Popen(
            [str(part) for part in command],
            stdout=out,
            stderr=out,
            text=True,
            cwd="/",
            env=spark_environment(),
        )


@contextmanager
def standalone(folder: Path, n_workers: int = 2, worker_conf: dict[str, str] | None = None) -> Iterator[Standalone]:
    """Start a cluster of workers with one core each, and stop it at the end. worker_conf: settings of the workers."""
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons.append(_daemon("master", folder, "master.Master", "--port", port, conf={}))
        _wait_for(folder / "master.log", "I have been elected leader", daemons[-1])
        for number in range(n_workers):
            name = f"worker-{number}"
            options = ("--cores", "1", "--memory", "2g", "--work-dir", folder / name, url)
            daemons.append(_daemon(name, folder, "worker.Worker", *options, conf=worker_conf or {}))
        for number, daemon in enumerate(daemons[1:]):
            _wait_for(folder / f"worker-{number}.log", "Successfully registered with master", daemon)
        yield Standalone(url, folder, daemons)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(60)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def spark_environment(**more: object) -> dict[str, str]:
    """The environment of Spark's own programs: its Java, the network that it may use."""
    named = {
        "JAVA_HOME": find_java_home(),
        "SPARK_LOCAL_IP": "127.0.0.1",
        # Which Spark: the one beside this Python.
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **more,
    }
    # What a session in this very process has set, such as where its log settings lie, is not theirs.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    return {**inherited, **{name: str(value) for name, value in named.items()}}


def _daemon(name: str, folder: Path, program: str, *options: object, conf: dict[str, str]) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"spark.master.rest.enabled": "false", **conf}
    environment = spark_environment(
        XDG_CACHE_HOME=folder / "no cache",  # an executor that wants weights must have been given them
        SPARK_DAEMON_MEMORY="256m",
        SPARK_DAEMON_JAVA_OPTS=" ".join(f"-D{key}={value}" for key, value in settings.items()),
    )
    command = [BIN / "spark-class", f"{_DEPLOY}.{program}", "--host", "127.0.0.1", "--webui-port", "0", *options]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, env=environment)


def _wait_for(log: Path, text: str, daemon: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + _START_SECONDS
    while text not in log.read_text(errors="replace"):
        if daemon.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(f"{log} does not say {text!r}:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)
