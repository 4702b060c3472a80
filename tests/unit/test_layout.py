"""Two rooms, one direction: jobs know the library, the library does not know jobs or Spark; its rooms do not know each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
LIBRARY = REPO / "lib" / "prodseek"
ROOMS = ("vision", "embedding", "index", "duplicates", "cluster", "report")
TOP_LEVEL = {"jobs", "lib", "schemas", "tests", "conf", "setup.py", "Makefile", "README.md", "LICENSE"}


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported(path: Path, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imports_of(path))


def test_the_check_sees_imports() -> None:
    assert imported(REPO / "jobs" / "ingest.py", "pyspark")
    assert imported(REPO / "jobs" / "ingest.py", "prodseek.photos.decode")
    assert not imported(REPO / "jobs" / "ingest.py", "prodseek.report")


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_library_knows_neither_spark_nor_jobs(path: Path) -> None:
    if path.relative_to(LIBRARY).parts[0] != "spark":
        assert not imported(path, "pyspark")
    if path.name != "cli.py":
        assert not imported(path, "prodseek.jobs")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_do_not_know_each_other(room: str) -> None:
    paths = sorted((LIBRARY / room).rglob("*.py"))
    assert paths
    for path in paths:
        for other in (*ROOMS, "spark"):
            assert other == room or not imported(path, f"prodseek.{other}"), f"{path} imports {other}"


def test_vision_imports_with_torch_alone() -> None:
    blocked = ["pyspark", "faiss", "ultralytics", "pydantic", "umap", "hdbscan", "sklearn", "cv2", "pillow_heif"]
    code = f"import sys\nfor name in {blocked}: sys.modules[name] = None\nimport prodseek.vision.inference"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_top_level_is_the_agreed_one() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in listed.stdout.split("\0") if line}
    assert {name for name in names if not name.startswith(".")} == TOP_LEVEL
