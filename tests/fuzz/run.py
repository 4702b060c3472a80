"""`python tests/fuzz/run.py TARGET --minutes 10`: look for input that a reader cannot take. Exit code 1 where some was found.

The search runs in a process of its own with little memory. When that dies or hangs the case it was at is kept, in the folder
that `--out` names, and the search goes on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = (
    "images",
    "tars",
    "web",
    "manifests",
    "feeds",
    "held_photos",
    "catalogues",
    "darknet",
    "checkpoints",
    "artefacts",
)
HANG_SECONDS = 60
MEMORY_BYTES = 6 * 1024**3


def main() -> int:
    """Watch over the searching process until the time is up; print what it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-faults"))
    parser.add_argument("--searching", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    folder = asked.out / asked.target
    folder.mkdir(parents=True, exist_ok=True)
    if asked.searching:
        search(asked.target, asked.seed, asked.minutes * 60, folder)
        return 0
    end = time.monotonic() + 60 * asked.minutes
    n_cases, found, seed = 0, {}, asked.seed
    (folder / "figures.json").unlink(missing_ok=True)
    while (left := end - time.monotonic()) > 1:
        seed += 1_000_000
        done = watched(asked.target, seed, left, folder)
        if done is not None:
            kept = folder / f"dead-{seed}.case"
            (folder / "case").replace(kept)
            found[done] = f"see {kept}"
        if not (folder / "figures.json").exists():
            sys.exit((folder / "log").read_text())
        figures = json.loads((folder / "figures.json").read_text())
        n_cases += figures["n_cases"]
        found |= figures["found"]
    for name, what in found.items():
        print(f"--- {name}\n{what}\n")
    print(f"{asked.target}: {asked.minutes:g} minutes, {n_cases} cases, {len(found)} distinct faults")
    return 1 if found else 0


def watched(target: str, seed: int, seconds: float, folder: Path) -> str | None:
    """Run a search; why it ended before its time, None where it did not."""
    command = [sys.executable, __file__, target, "--searching", "--seed", str(seed), "--minutes", str(seconds / 60)]
    log = folder / "log"
    with log.open("wb") as output:
        searching = subprocess.Popen([*command, "--out", str(folder.parent)], stdout=output, stderr=output)
        beat = folder / "case"
        beat.touch()
        while searching.poll() is None:
            time.sleep(1)
            if time.time() - beat.stat().st_mtime > HANG_SECONDS:
                searching.kill()
                searching.wait()
                return "it hung"
    if searching.returncode == 0:
        return None
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    return f"the process died: {searching.returncode} {last}"


def search(name: str, seed: int, seconds: float, folder: Path) -> None:
    """Check cases until the time is up, and write down how many, and what was found."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "helpers")]
    target = importlib.import_module(f"target_{name}")
    from fuzzing import Faults

    end = time.monotonic() + seconds
    target.cases()
    resource.setrlimit(resource.RLIMIT_AS, (getattr(target, "MEMORY_BYTES", MEMORY_BYTES),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faults = Faults()
    written = 0.0
    with (folder / "case").open("wb", buffering=0) as beat:

        def on_case(case: object) -> None:
            nonlocal written
            data = repr(case).encode(errors="backslashreplace")
            os.pwrite(beat.fileno(), data, 0)
            os.truncate(beat.fileno(), len(data))
            if time.monotonic() - written > 5:
                written = time.monotonic()
                tell()

        def tell() -> None:
            new = folder / "figures.new"
            new.write_text(json.dumps({"n_cases": faults.n_cases, "found": faults.found}))
            new.replace(folder / "figures.json")

        tell()
        faults.search(target, seed, lambda: time.monotonic() > end, on_case)
        tell()


if __name__ == "__main__":
    sys.exit(main())
