"""Catalogues and the names in them: read or refused, and nothing outside the allowed places is ever opened."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fuzzing import mutated, watching
from hypothesis import strategies as st

from prodseek.catalogue.manifests import product_of
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.text_manifest import text_table
from prodseek.catalogue.text_rows import blocks_of, read_block
from prodseek.config import load_config
from prodseek.errors import CatalogueError
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import files

_ROWS = 'product_id,uri,title\np1,photos/a.jpg,Chair\np2,"photos/b, c.jpg","two\nlines"\np3,s3://bucket/x.jpg,\n'
_TOKENS = (
    b'"',
    b'""',
    b",",
    b"\r",
    b"\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"'",
    b";",
    b"\t",
    b"_fault",
    b"uri",
    b"a" * 140_000,
)
_PARTS = (
    "photos", "a.jpg", "..", ".", "", "/", "//", "in", "out", "out.jpg", "loop", "chain", "secret", "catalogue",
    "catalogue-old", "shared", "~", "~root", "%2e%2e", "%2F", "%00", "\0", "\\", "..\\", "file:", "file://",
    "FILE://", "file://localhost", "s3://bucket", "http://127.0.0.1", "{tmp}", "{tmp}/catalogue", "{tmp}/secret",
    "etc", "passwd", "proc", "self", "root", "environ", "fd", "0", "dev", "stdin", "zero", "pipe", "?x", "#x", ":",
    "\N{FULLWIDTH SOLIDUS}", "\u202e", "a" * 300, "\ud800", "*", "$HOME", "\n", " ",
)  # fmt: skip


class Case(NamedTuple):
    """A CSV manifest, and the name of a photo. allowed: roots beside the catalogue's folder."""

    manifest: bytes
    uri: str
    allowed: tuple[str, ...]


@cache
def places() -> Path:
    """A catalogue's folder with links that lead in, out and round; `secret` and `catalogue-old` are not allowed."""
    tmp = Path(tempfile.mkdtemp(prefix="prodseek-fuzz-"))
    atexit.register(shutil.rmtree, tmp, ignore_errors=True)
    for name in ("catalogue/photos", "shared", "secret", "catalogue-old"):
        (tmp / name).mkdir(parents=True)
        (tmp / name / "a.jpg").write_text(f"in {name}")
    links = {
        "in": "photos", "out": "../secret", "out.jpg": "../secret/a.jpg", "loop": "loop", "shared": "../shared", "up": "..",
        "photos/out": "/", "photos/in": "..", "chain": "in/in/out",
    }  # fmt: skip
    for name, target in links.items():
        (tmp / "catalogue" / name).symlink_to(target)
    os.mkfifo(tmp / "catalogue" / "pipe")
    return tmp


def cases() -> st.SearchStrategy[Case]:
    parts = st.lists(st.one_of(st.sampled_from(_PARTS), st.text(max_size=3)), max_size=8)
    uris = st.builds(lambda found, glue: glue.join(found), parts, st.sampled_from(("/", "/", "/", "", "//")))
    allowed = st.sampled_from(((), ("{tmp}/shared",), ("{tmp}/shared", "s3://other"), ("{tmp}/catalogue/photos",)))
    return st.builds(Case, mutated([_ROWS.encode(), _ROWS.encode("utf-8-sig")], _TOKENS), uris, allowed)


def check(case: Case) -> None:
    tmp = places()
    _check_manifest(case.manifest, tmp / "catalogue" / "manifest.csv")
    roots = [str(tmp / "catalogue"), *(root.replace("{tmp}", str(tmp)) for root in case.allowed)]
    photos = PhotoSource(roots[0], tuple(roots[1:]), ImageLimits(max_bytes=1000))
    uri = case.uri.replace("{tmp}", str(tmp))
    local_roots = [os.path.realpath(root) for root in roots if "://" not in root]
    assert isinstance(product_of(uri, "file"), str) and isinstance(product_of(uri, "folder"), str)

    def looked_at(event: str, values: tuple[object, ...]) -> None:
        if event == "socket.connect":
            raise AssertionError(f"{uri!r} led to {values!r:.100}")
        if event != "open":
            return
        path = os.fsdecode(values[0]) if isinstance(values[0], str | bytes) else ""
        # A part of a path, below a folder that is open already, or an allowed root.
        assert ("/" not in path.strip("/") and path not in ("..", ".")) or path in {
            *local_roots,
            *map(os.path.dirname, local_roots),
        }, path

    with watching(looked_at):
        photos.stamp(uri)
        try:
            data = photos.read(uri)
        except ImageRejected as rejected:
            assert rejected.detail
            return
    place = os.path.realpath(files.locate(files.resolve(uri, roots[0]))[1])
    assert any(files.is_within(place, root) for root in local_roots)
    assert data in [f"in {name}".encode() for name in ("catalogue/photos", "shared")] or place.endswith("manifest.csv")


def _check_manifest(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    try:
        table, _ = text_table(str(path), is_json=False, config=load_config().catalog)
        n_rows = sum(len(some.rows) for block in blocks_of(table) for some in read_block(table, block))
    except CatalogueError as error:
        assert len(str(error)) < 5000
        return
    assert n_rows <= data.count(b"\n") + data.count(b"\r") + 1
