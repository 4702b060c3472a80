"""A DAG for Airflow 3 that runs the night: put this file into the dags folder and set the names in capitals below.

The night resumes itself, so trying again is always right, except where it would only say the same once more: a night that is
beyond a gate (4) waits for a person, and a root that another run holds (3) is left to that run. With Airflow 2 import `dag` and
`task` from airflow.decorators, and the exceptions from airflow.exceptions.
"""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

CATALOG = os.environ.get("PRODSEEK_CATALOG", "s3://bucket/products.parquet")
ROOT = os.environ.get("PRODSEEK_ROOT", "s3://bucket/prodseek")
MASTER = os.environ.get("PRODSEEK_MASTER", "spark://host:7077")
# Where the environment, the wheel, jobs/ and conf/ of prodseek lie on the workers of Airflow.
HOME = os.environ.get("PRODSEEK_HOME", "/opt/prodseek")
WHEEL = os.environ.get("PRODSEEK_WHEEL", "dist/prodseek-0.1.0-py3-none-any.whl")

COMMAND = [
    f"{HOME}/.venv/bin/spark-submit",
    *("--master", MASTER),
    *("--properties-file", f"{HOME}/conf/spark-defaults.conf"),
    *("--py-files", f"{HOME}/{WHEEL}"),
    f"{HOME}/jobs/nightly.py",
    CATALOG,
    *("--root", ROOT),
    *("--set", "logs.format=json"),
]

ROOT_IN_USE = 3
BEYOND_A_GATE = 4


def run_night(command: list[str]) -> None:
    """Run the command, its lines in the task's log; what it ends with becomes what Airflow does next.

    Raises AirflowSkipException for 3, AirflowFailException, which is not tried again, for 4, and AirflowException for all else.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as night:
        try:
            for line in night.stdout or ():
                print(line, end="", flush=True)
        except BaseException:
            # Airflow stops a task by an exception in it. SIGTERM lets the night give its root back.
            night.terminate()
            raise
    code = night.returncode
    if code == ROOT_IN_USE:
        raise AirflowSkipException("another run works on the root")
    if code == BEYOND_A_GATE:
        raise AirflowFailException("the night is whole, but beyond a gate: see its report; a person decides")
    if code:
        raise AirflowException(f"the night ended with exit code {code}; the next try resumes it")


@dag(
    dag_id="prodseek",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a night that was missed is made up for by the next one
    max_active_runs=1,
    tags=["prodseek"],
)
def prodseek() -> None:
    """The night at two o'clock, UTC."""

    @task(
        retries=3,
        retry_delay=timedelta(minutes=10),
        retry_exponential_backoff=True,
        execution_timeout=timedelta(hours=20),
    )
    def nightly() -> None:
        run_night(COMMAND)

    nightly()


prodseek()
