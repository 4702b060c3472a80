"""What executors are given: prodseek's wheel and a packed environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy
import pytest
from standalone import Shipped

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """The wheel, and the archive of `make env-archive` with a small environment: in place of the libraries themselves, which
    are gigabytes, it has the path of those that run this test, and in place of prodseek nothing: the wheel has to do."""
    folder = tmp_path_factory.mktemp("shipped")
    variables = [f"PYTHON={sys.executable}", f"DIST={folder}", "PACKAGES=--no-deps ."]
    make = ["make", "--no-print-directory", "-C", str(REPO), "env-archive", *variables]
    subprocess.run(make, check=True, capture_output=True, text=True)
    wheel = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder), str(REPO)]
    subprocess.run([sys.executable, *wheel], check=True, capture_output=True, text=True)
    moved = folder / "moved"
    with tarfile.open(folder / "environment.tar.gz") as archive:
        archive.extractall(moved, filter="fully_trusted")
    where = [moved / "bin" / "python", "-c", "import prodseek; print(prodseek.__file__)"]
    found = subprocess.run(where, check=True, capture_output=True, text=True, cwd="/")
    (site_packages,) = moved.glob("lib/python3*/site-packages")
    assert Path(found.stdout.strip()) == site_packages / "prodseek" / "__init__.py"
    shutil.rmtree(site_packages / "prodseek")
    # A folder that a .pth file names is searched, but its own .pth files, such as an editable prodseek's, are not read.
    (site_packages / "libraries.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    environment = folder / "small.tar.gz"
    with tarfile.open(environment, "w:gz", compresslevel=1) as archive:
        archive.add(moved, ".")
    (built,) = folder.glob("prodseek-*.whl")
    return Shipped(built, environment, moved / "bin" / "python")
