"""The house: which room may know which, that no import runs in a circle, and that jobs are stories that know no other job."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from prodseek.runs.facts import STAGES

REPO = Path(__file__).parents[2]
LIBRARY = REPO / "lib" / "prodseek"
JOBS = REPO / "jobs"
TOP_LEVEL = {"jobs", "lib", "schemas", "tests", "conf", "setup.py", "Makefile", "README.md", "LICENSE"}
LOOSE_MODULES = {"__init__", "cli", "config", "errors"}

KNOW_SPARK = {"spark", "runner"}
# What computes on arrays; none of these knows another.
ROOMS_OF_ARRAYS = ("vision", "embedding", "index", "duplicates", "cluster", "report")
# room -> rooms and modules that it may know, beside itself
MAY_KNOW = {
    "storage": {"errors"},
    "photos": {"errors", "storage"},
    "runs": {"errors", "storage"},
    "config": {"errors", "photos", "runs", "storage"},
    "catalogue": {"config", "errors", "photos", "runs", "storage"},
    **{room: {"config", "errors", "photos", "runs", "storage"} for room in ROOMS_OF_ARRAYS},
    "search": {"catalogue", "config", "errors", "photos", "runs", "storage", *ROOMS_OF_ARRAYS},
}
MOST_LINES_OF_A_STAGE = 260


def module_of(path: Path) -> str:
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Everything that a file imports, also inside functions: modules, and names in them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
            names.update(f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
    return names


def imported(path: Path, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imports_of(path))


@cache
def library() -> dict[str, set[str]]:
    """module -> the modules of the library that it imports"""
    modules = {module_of(path): path for path in LIBRARY.rglob("*.py")}
    return {name: (imports_of(path) & modules.keys()) - {name} for name, path in modules.items()}


def test_the_library_names_what_it_imports_in_full() -> None:
    """A relative import would pass by the rules below."""
    for path in LIBRARY.rglob("*.py"):
        assert not any(name.startswith(".") for name in imports_of(path)), path


def test_stages_are_imported_by_name_in_one_place() -> None:
    """Jobs are named in strings too, which no rule for imports sees."""
    paths = [*LIBRARY.rglob("*.py"), *JOBS.glob("*.py")]
    assert {path.name for path in paths if "prodseek.jobs." in path.read_text(encoding="utf-8")} == {"stages.py"}


def test_every_stage_is_held_against_its_protocol() -> None:
    tree = ast.parse((JOBS / "__init__.py").read_text(encoding="utf-8"))
    (held,) = [node.value for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    assert isinstance(held, ast.Tuple) and [ast.unparse(name) for name in held.elts] == list(STAGES)


def room_of(module: str) -> str:
    """The folder of a module, or the name of one that lies loose."""
    return module.split(".")[1] if "." in module else module


def by_name(paths: list[Path], root: Path) -> dict[str, object]:
    return {"argvalues": sorted(paths), "ids": [str(path.relative_to(root)) for path in sorted(paths)]}


def test_the_check_sees_imports() -> None:
    assert imported(LIBRARY / "spark" / "session.py", "pyspark")
    assert imported(JOBS / "ingest.py", "prodseek.photos.decode")
    assert not imported(JOBS / "ingest.py", "prodseek.report")
    assert "prodseek.runs.tables" in library()["prodseek.runs.store"]
    assert "prodseek.planning.show" in library()["prodseek.cli"], "inside a function"


@pytest.mark.parametrize("path", **by_name(list(LIBRARY.rglob("*.py")), LIBRARY))
def test_library_knows_no_job_and_only_two_rooms_know_spark(path: Path) -> None:
    assert not imported(path, "prodseek.jobs")
    if room_of(module_of(path)) not in KNOW_SPARK:
        assert not imported(path, "pyspark") and not imported(path, "py4j")


def test_rooms_know_what_lies_below_them() -> None:
    rooms = {room_of(module) for module in library()}
    for module, known in library().items():
        room = room_of(module)
        beyond = {room_of(other) for other in known} - {room, "prodseek"}
        if room in MAY_KNOW:
            assert beyond <= MAY_KNOW[room], f"{module} imports {beyond - MAY_KNOW[room]}"
        elif room != "cli":
            assert not beyond & ({"cli"} | (KNOW_SPARK - {"spark"} if room == "spark" else set())), module
            assert room in KNOW_SPARK or not beyond & KNOW_SPARK, f"{module} imports {beyond & KNOW_SPARK}"
    assert MAY_KNOW.keys() <= rooms


def test_no_import_runs_in_a_circle_between_modules_or_rooms() -> None:
    rooms: dict[str, set[str]] = {}
    for module, known in library().items():
        others = rooms.setdefault(room_of(module), set())
        others |= {room_of(other) for other in known} - {room_of(module)}
    # The folders of spark/ are rooms of their own.
    of_spark = {name: known for name, known in library().items() if name.startswith("prodseek.spark.")}
    folders: dict[str, set[str]] = {}
    for module, known in of_spark.items():
        place = module.split(".")[2]
        folders.setdefault(place, set()).update({name.split(".")[2] for name in known & of_spark.keys()} - {place})
    for graph in (library(), rooms, folders):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_jobs_are_the_stages_the_night_and_the_search() -> None:
    assert {path.stem for path in JOBS.glob("*.py")} == {*STAGES, "nightly", "search", "__init__"}


@pytest.mark.parametrize("path", **by_name(list(JOBS.glob("*.py")), JOBS))
def test_a_job_is_a_story_and_knows_no_other_job(path: Path) -> None:
    for other in ("prodseek.jobs", "jobs", "prodseek.cli"):
        assert not imported(path, other)
    if path.stem != "__init__":  # which holds all stages against their protocol, for the type checker alone
        assert not any(name.startswith(".") for name in imports_of(path))
    assert len(path.read_text(encoding="utf-8").splitlines()) < MOST_LINES_OF_A_STAGE


def test_few_modules_lie_loose() -> None:
    assert {path.stem for path in LIBRARY.glob("*.py")} == LOOSE_MODULES


@pytest.mark.parametrize("path", **by_name(list(LIBRARY.rglob("__init__.py")), LIBRARY))
def test_nothing_runs_where_a_room_is_entered(path: Path) -> None:
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "one line says what the room holds"
    assert all(isinstance(statement, ast.Expr | ast.Assign) for statement in statements)


def test_vision_imports_with_torch_alone() -> None:
    blocked = [
        "pyspark",
        "faiss",
        "ultralytics",
        "pydantic",
        "umap",
        "graspologic_native",
        "sklearn",
        "cv2",
        "pillow_heif",
    ]
    code = f"import sys\nfor name in {blocked}: sys.modules[name] = None\nimport prodseek.vision.inference"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_who_decodes_photos_needs_no_faiss() -> None:
    code = "import sys\nsys.modules['faiss'] = None\nimport prodseek.photos.decode_guard, prodseek.spark.catalogue.read_rows"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_top_level_is_the_agreed_one() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in listed.stdout.split("\0") if line}
    assert {name for name in names if not name.startswith(".")} == TOP_LEVEL
