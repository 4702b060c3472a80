"""The command line, as a person starts it."""

from __future__ import annotations

import subprocess
import sys


def prodseek(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, to its end."""
    command = [sys.executable, "-m", "prodseek.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900)
