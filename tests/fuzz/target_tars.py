"""Tars of photos: their members are listed and read or refused, as the tar holds them and from nowhere else."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from fuzzing import mutated, watching
from hypothesis import strategies as st

from prodseek.catalogue import tars
from prodseek.catalogue.folder import list_photos
from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage.remembered import Remembered

MAX_BYTES = 1000
_N_READ = 12
_CHECKSUM = slice(148, 156)
_TOKENS = (
    b"ustar\x0000", b"ustar  \0", b"././@LongLink", b"././@PaxHeader", b"\0" * 512, b"\0" * 1024, b"12 size=0\n",
    b"21 size=-1\n", b"30 path=../../../../etc/passwd\n", b"22 GNU.sparse.major=1\n", b"999999999 path=a\n",
    b"\x80" + b"\0" * 10 + b"\1", b"\xff" * 12, b"77777777777", b"0" * 12, b"../" * 30, b"/etc/passwd", b"photo.jpg\0",
    b"x", b"g", b"L", b"K", b"S", b"D", b"V", b"1", b"2", b"5", b"7", b"\0",
)  # fmt: skip
_NAMES = (
    "a.jpg",
    "./a.jpg",
    "../secret.jpg",
    "/etc/passwd",
    "",
    ".",
    "b/c.jpg",
    "link.jpg",
    "a.jpg\0",
    "\ud800",
    "#",
    "%2e",
)


class Case(NamedTuple):
    """A tar, and a name to ask it for. repaired: the sums of its headers are set right, so that tarfile reads on."""

    data: bytes
    name: str
    repaired: bool


@cache
def seeds() -> tuple[bytes, ...]:
    """Tars in every format, with links, a device, a folder, long names, old GNU's and pax's sparse files."""
    return (
        *(_packed(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)),
        _packed(tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 40, "SCHILY.xattr.user.a": "b"}),
        _packed(tarfile.GNU_FORMAT, tarfile.GNUTYPE_SPARSE),
        _packed(tarfile.PAX_FORMAT, pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s.jpg"}),
        _packed(tarfile.PAX_FORMAT, pax_headers={"GNU.sparse.map": "0,10,20,5", "GNU.sparse.size": "40"}),
        b"",
        b"\0" * 10240,
    )  # fmt: skip


def _packed(kind: int, member_type: bytes = tarfile.REGTYPE, pax_headers: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as packed:
        long = "b/" + "é" * 40 + "/" + "c" * (40 if kind == tarfile.USTAR_FORMAT else 120) + ".jpg"
        for name, content in (("./a.jpg", b"first"), (long, b"second" * 100), ("a.jpg", b"third"), ("n.txt", b"")):
            info = tarfile.TarInfo(name)
            info.size, info.type, info.pax_headers = len(content), member_type, pax_headers or {}
            packed.addfile(info, io.BytesIO(content))
        for name, odd, target in (
            ("link.jpg", tarfile.SYMTYPE, "../secret.jpg"),
            ("hard.jpg", tarfile.LNKTYPE, "a.jpg"),
            ("folder.jpg", tarfile.DIRTYPE, ""),
            ("device.jpg", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = odd, target
            packed.addfile(info)
    return buffer.getvalue()


@cache
def _folder() -> Path:
    tmp = Path(tempfile.mkdtemp(prefix="prodseek-fuzz-"))
    atexit.register(shutil.rmtree, tmp, ignore_errors=True)
    pa.array([""])  # Arrow imports pandas for its first array
    (tmp / "catalogue").mkdir()
    (tmp / "secret.jpg").write_text("secret")
    return tmp / "catalogue"


def cases() -> st.SearchStrategy[Case]:
    names = st.one_of(st.sampled_from(_NAMES), st.text(max_size=8))
    return st.builds(Case, mutated(seeds(), _TOKENS), names, st.booleans())


def check(case: Case) -> None:
    data = _repaired(case.data) if case.repaired else case.data
    folder = _folder()
    (folder / "x.tar").write_bytes(data)
    tars._remembered = Remembered()
    photos = PhotoSource(str(folder), (), ImageLimits(max_bytes=MAX_BYTES))
    may_open = {str(folder), os.path.realpath(folder), str(folder.parent), os.path.realpath(folder.parent)}

    def looked_at(event: str, values: tuple[object, ...]) -> None:
        path = os.fsdecode(values[0]) if event == "open" and isinstance(values[0], str | bytes) else ""
        # Below a folder that is open already the tar's own name is all that there is to open.
        assert path in {"", "x.tar", *may_open} or path.endswith("/x.tar"), path

    with watching(looked_at):
        members, damage = photos.members("x.tar")
        assert members == sorted(set(members)) and "" not in members
        for name in (*members[:_N_READ], case.name):
            try:
                photo = photos.read(f"x.tar#{name}")
            except ImageRejected as rejected:
                assert rejected.detail and len(rejected.detail) < 5000
                continue
            assert len(photo) <= MAX_BYTES + 1 and photo in data and tars._plain(name) in members
        listed = list_photos(find_catalogue(str(folder))).uris
    assert ("x.tar#" in listed) == (damage is not None)
    if damage is None:
        assert set(members) == _as_unpacked(data), "a member that an unpacking would give"


def _as_unpacked(data: bytes) -> set[str]:
    """The names in a tar by the standard library, all of it in memory."""
    if not data:
        return set()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="replace") as packed:
        return {tars._plain(member.name) for member in packed.getmembers()} - {""}


def _repaired(data: bytes) -> bytes:
    """Set the sum right in every block that has the mark of a header."""
    whole = bytearray(data)
    for start in range(0, len(whole) - 511, 512):
        block = whole[start : start + 512]
        if block[257:262] == b"ustar":
            block[_CHECKSUM] = b" " * 8
            whole[start : start + 512] = block
            whole[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    return bytes(whole)
