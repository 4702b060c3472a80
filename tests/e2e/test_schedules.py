"""What starts the night: cron's line, systemd's units and Airflow's DAG, each by the program that reads it where it is there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
import typer

from prodseek.cli import app

CONF = Path(__file__).parents[2] / "conf"
# Brings Airflow itself, some 300 MB.
AIRFLOW = "apache-airflow-task-sdk==1.3.2"
DAG = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
(task,) = bag.dags["prodseek"].tasks
module = sys.modules[bag.dags["prodseek"].tasks[0].python_callable.__module__]
ended = {}
for code in range(6):
    try:
        module.run_night([sys.executable, "-c", f"raise SystemExit({code})"])
        ended[code] = ""
    except Exception as error:
        ended[code] = type(error).__name__
dag = bag.dags["prodseek"]
print(json.dumps([bag.import_errors, dag.catchup, dag.max_active_runs, task.retries, ended, module.COMMAND]))
"""


def parse(command: str, arguments: list[str]) -> dict[str, object]:
    """What prodseek's command line makes of arguments; fails where it does not know one."""
    context = typer.main.get_command(app).commands[command].make_context(command, arguments)  # type: ignore[attr-defined]
    return context.params


def fake(path: Path, code: int) -> Path:
    path.write_text(f'#!/bin/sh\necho "ran $*" >&2\nexit {code}\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("code", "is_mailed"), [(0, False), (1, True), (2, True), (3, False), (4, True)])
def test_cron_mails_what_a_person_must_know(tmp_path: Path, code: int, is_mailed: bool) -> None:
    lines = (CONF / "prodseek.cron").read_text(encoding="utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]+=", line))
    nightly, gc = (line.split(maxsplit=6) for line in lines if re.match(r"\d", line))
    assert nightly[5] == gc[5] == "prodseek" and "%" not in nightly[6] + gc[6], "cron ends a command at a percent sign"
    settings["PRODSEEK"] = str(fake(tmp_path / "prodseek", code))
    for command, arguments in ((nightly[6], "run nightly"), (gc[6], "gc --keep 14")):
        done = subprocess.run([settings["SHELL"], "-c", command], env=settings, capture_output=True, text=True)
        mail = done.stdout + done.stderr
        if arguments == "run nightly":
            assert bool(mail) == is_mailed
            assert not is_mailed or (f"ran {arguments} --catalog" in mail and f"exit code {code}" in mail)
    given = shlex.split(re.search(r'"\$PRODSEEK" run (.+?) 2>&1', nightly[6])[1])  # type: ignore[index]
    assert parse("run", given)["catalog"] == "$CATALOG"
    given = shlex.split(re.search(r'"\$PRODSEEK" gc (.+?) 2>&1', gc[6])[1])  # type: ignore[index]
    assert parse("gc", given)["delete"] is True


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    text = (CONF / "prodseek.service").read_text(encoding="utf-8")
    command = shlex.split(re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert parse(command[1], command[2:])["settings"] == ["logs.format=json"]
    for line in ("SuccessExitStatus=3", "RestartPreventExitStatus=2 4", "Restart=on-failure"):
        assert f"\n{line}\n" in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    ready = text.replace(command[0], "/bin/true").replace("User=prodseek", "User=root")
    (tmp_path / "prodseek.service").write_text(ready)
    shutil.copy(CONF / "prodseek.timer", tmp_path)
    units = [str(tmp_path / name) for name in ("prodseek.service", "prodseek.timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert done.returncode == 0 and str(tmp_path) not in done.stderr, done.stderr


@pytest.mark.slow
def test_airflow_loads_the_dag_and_exit_codes_mean_what_they_should(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    installed = subprocess.run([python, "-m", "pip", "install", "--quiet", AIRFLOW], capture_output=True, text=True)
    if installed.returncode != 0:
        pytest.skip(f"Airflow cannot be installed: {installed.stderr.strip()[-300:]}")
    (tmp_path / "dags").mkdir()
    shutil.copy(CONF / "airflow_dag.py", tmp_path / "dags")
    environment = {"AIRFLOW_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    command = [python, "-c", DAG, tmp_path / "dags"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
    assert done.returncode == 0, done.stderr
    faults, catchup, at_once, retries, ended, night = json.loads(done.stdout.splitlines()[-1])
    assert (faults, catchup, at_once, retries) == ({}, False, 1, 3)
    again = "AirflowException"
    expected = {0: "", 1: again, 2: again, 3: "AirflowSkipException", 4: "AirflowFailException", 5: again}
    assert {int(code): name for code, name in ended.items()} == expected
    given = night[night.index(next(part for part in night if part.endswith("nightly.py"))) + 1 :]
    catalog, *options = given
    assert parse("run", ["nightly", "--catalog", catalog, *options])["settings"] == ["logs.format=json"]


def test_all_of_it_is_shipped() -> None:
    packaged = (CONF.parent / "setup.py").read_text(encoding="utf-8")
    for path in CONF.iterdir():
        assert path.suffix in (".md", ".py", ".txt", "") or f'"*{path.suffix}"' in packaged, path.name
