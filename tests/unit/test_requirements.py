"""What `make` installs: every library at the version that was tested, and none that has to be compiled."""

import ast
import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPO = Path(__file__).parents[2]
# Published as source alone, which is plain Python and jars.
SOURCE_ALONE = {"pyspark"}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned():
    lines = (REPO / "conf/constraints.txt").read_text().splitlines()
    return {normal(line.split("==")[0]) for line in lines if "==" in line}


def asked():
    """What setup.py asks for, with every extra but the one for machines with a GPU."""
    lists = {
        word.arg: ast.literal_eval(word.value)
        for word in ast.walk(ast.parse((REPO / "setup.py").read_text()))
        if isinstance(word, ast.keyword) and word.arg in ("install_requires", "extras_require")
    }
    extras = [texts for extra, texts in lists["extras_require"].items() if extra != "gpu"]
    return [Requirement(text) for texts in (lists["install_requires"], *extras) for text in texts]


def resolved():
    """The names of all that is installed for setup.py's sake."""
    found, ahead = set(), [(each.name, tuple(each.extras)) for each in asked()]
    while ahead:
        name, extras = ahead.pop()
        if (normal(name), extras) not in found:
            found.add((normal(name), extras))
            for text in metadata.requires(name) or []:
                needed = Requirement(text)
                if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                    ahead.append((needed.name, tuple(needed.extras)))
    return {name for name, _ in found}


def is_compiled_here(wheel):
    """pip names a wheel that it builds after the machine, such as cp311-linux_x86_64, which no package index takes."""
    return re.search(r"^Tag: cp.*-linux_\w+$", wheel, re.M) is not None


def test_all_that_is_installed_is_pinned():
    # setuptools, because whoever builds prodseek itself has it already.
    assert resolved() - pinned() - {"setuptools"} == set()


@pytest.mark.parametrize("target", [".venv/runtime", ".venv/test", ".venv/dev", "env-archive"])
def test_make_refuses_what_has_no_wheel(target):
    made = subprocess.run(["make", "-n", "-B", target], cwd=REPO, capture_output=True, text=True, check=True)
    installs = [line for line in made.stdout.splitlines() if " install --quiet" in line]
    assert installs
    for line in installs:
        names = re.search(r"--only-binary (\S+)", line).group(1).split(",")
        assert {normal(name) for name in names} == pinned() - SOURCE_ALONE


@pytest.mark.parametrize(
    ("tag", "compiled"),
    [
        ("cp311-cp311-linux_x86_64", True),
        ("cp311-cp311-manylinux_2_28_x86_64", False),
        ("cp39-abi3-manylinux_2_28_x86_64", False),
        ("py3-none-any", False),
    ],
)
def test_a_tag_says_what_was_compiled_here(tag, compiled):
    assert is_compiled_here(f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n") == compiled


def test_nothing_was_compiled_on_this_machine():
    wheels = {name: metadata.distribution(name).read_text("WHEEL") for name in resolved()}
    assert len(wheels) > 100
    assert [name for name, wheel in wheels.items() if wheel is None or is_compiled_here(wheel)] == []


@pytest.mark.parametrize("name", sorted(SOURCE_ALONE))
def test_what_comes_as_source_has_nothing_to_compile(name):
    files = metadata.files(name)
    assert files and not [path for path in files if path.suffix in (".so", ".c", ".cpp", ".pyx")]
