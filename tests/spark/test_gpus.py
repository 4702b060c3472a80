"""Sharing out GPUs: the discovery script, and what is refused. That only `embed` and `project` hold one: tests/standalone."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prodseek.config import load_config
from prodseek.errors import ConfigError
from prodseek.spark.gpus import check_slots, held_gpu, task_profile
from prodseek.spark.shipped_detector import ship
from prodseek.vision.configured import detector_settings

SCRIPT = Path(__file__).parents[2] / "conf" / "find-gpus.sh"
GIB = 2**30


@pytest.mark.parametrize(
    ("listed", "addresses"), [("0\n1\n10\n", ["0", "1", "10"]), ("3\n", ["3"]), ("", []), (None, [])]
)
def test_the_script_tells_spark_what_nvidia_smi_lists(listed: str | None, addresses: list[str], tmp_path: Path) -> None:
    environment = dict(os.environ)
    if listed is not None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\nprintf '{listed}'\n")
        tool.chmod(0o755)
        environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    elif torch.cuda.is_available():
        pytest.skip("this machine has GPUs")
    said = subprocess.run([str(SCRIPT)], env=environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == {"name": "gpu", "addresses": addresses}


def test_more_processes_than_a_gpu_holds_are_refused() -> None:
    check_slots(4, 8 * GIB)
    check_slots(1, GIB)
    with pytest.raises(ConfigError, match=r"16 task slots .* 8\.0 GiB hold 4 .*spark.master=local\[4,4\]"):
        check_slots(16, 8 * GIB)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has GPUs")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_sent(spark, tiny_weights: Path) -> None:  # type: ignore[no-untyped-def]
    settings = detector_settings(load_config())
    with pytest.raises(ConfigError, match=r"embed\.device is cuda, but torch finds no GPU on this machine"):
        ship(spark, replace(settings, device="cuda"))
    assert ship(spark, settings).device == "cpu"


def test_local_mode_shares_out_nothing(spark) -> None:  # type: ignore[no-untyped-def]
    assert task_profile(spark) is None and held_gpu() is None
