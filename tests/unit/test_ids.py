"""Ids of tests are plain words, and the same whenever they are collected: processes of tests compare what they collect."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plain_ids import MAX_CHARACTERS, id_of

REPO = Path(__file__).parents[2]
PLAIN = re.compile(r"tests/[\w/]+\.py::\w+(\[[\w .,'/+=-]+\])?")


def test_ids_are_plain_words_and_the_same_in_another_process_at_another_time(request: pytest.FixtureRequest) -> None:
    """Compared with what this process has collected, which may be a part of all."""
    here = [item.nodeid for item in request.session.items]
    assert [name for name in here if not PLAIN.fullmatch(name)] == []
    time.sleep(1.1)  # another second than the one in which this process collected
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTHONHASHSEED"] = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(REPO / "tests")]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    there = [line for line in done.stdout.splitlines() if "::" in line]
    assert len(set(there)) == len(there) > 2000
    assert [name for name in there if not PLAIN.fullmatch(name)] == []
    assert here == [name for name in there if name in set(here)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{tmp}/a é #1?.jpg", "tmp a e 1 jpg"),
        ("no column 'uri'; it has sku, image", "no column uri it has sku image"),
        ("<html>", "html"),
        ("{", "argument"),
        ("", "nothing"),
        (b"\x1f\x8b\x08", "argument"),
        (3, None),
        (None, None),
        (str, None),
        (lambda: 0, "argument"),
        ("word " * 100, ("word " * (MAX_CHARACTERS // 5)).strip()),
    ],
)
def test_what_stands_for_a_value(value: object, expected: str | None) -> None:
    assert id_of(value, "argument") == expected
