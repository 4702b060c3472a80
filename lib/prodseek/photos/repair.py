"""Photos that a browser shows and Pillow refuses: what decides over no pixel is left out, and a missing end is put back."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

# Pillow itself unpacks profiles of PNGs up to 1 MiB only.
MAX_PROFILE_BYTES = 16 * 1024 * 1024

_MAX_SIDE_PX = 65500  # of libjpeg
_END_OF_JPEG = b"\xff\xd9"
# Entropy-coded bits that a decoder would take for pixels if it still needed some (0xff is stuffed with 0x00).
_FILLINGS = (b"\x00" * 64, b"\xff\x00" * 64, b"\xa5" * 64, b"\x5a" * 64, b"\x0f" * 64, b"\xd3" * 64)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# PNG 11.3.2.1: bytes of tRNS by colour type.
_TRNS_BYTES = {0: (2, 2), 2: (6, 6), 3: (1, 256)}
_WEBP_PIXELS = (b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L")
# ISO/IEC 14496-12, the box `infe` of versions 2 and 3: identifier, protection, type of an item.
_EXIF_ITEM = re.compile(rb"(infe[\x02\x03].{3}(?:.{2}|.{4}).{2})Exif", re.DOTALL)
# WebP container specification, the flags of VP8X.
_WEBP_ICC, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x08, 0x04


@dataclass(frozen=True)
class Repaired:
    """A photo that may be readable now. icc_profile: taken out of it, where it is too long to be left in."""

    data: bytes
    icc_profile: bytes | None = None


def without_metadata(data: bytes) -> Repaired | None:
    """A JPEG, PNG, WebP, HEIF or AVIF without the parts that say nothing about pixels, or cannot be read.

    EXIF and colour profile stay where they can be told from the rest. None where nothing can be left out.
    """
    bare = None
    if data.startswith(b"\xff\xd8\xff"):
        bare = _bare_jpeg(data)
    elif data.startswith(_PNG_SIGNATURE):
        bare = _bare_png(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        bare = _bare_webp(data)
    elif data[4:8] == b"ftyp":
        # The item stays where it is, as one of a type that no decoder knows.
        bare = Repaired(_EXIF_ITEM.sub(rb"\1free", data))
    return None if bare is None or bare.data == data else bare


def with_end(data: bytes) -> Repaired | None:
    """A JPEG that lacks its end, with it; None if pixels are missing as well.

    No pixel is missing when every bit of every coefficient has its scan, and when it makes no difference to any pixel what
    follows the last byte.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    data = data.rstrip(b"\xff")  # half of the end marker
    if not _has_every_scan(data):
        return None
    shown = _with_whole_blocks(data)
    seen = None
    for filling in _FILLINGS:
        with Image.open(io.BytesIO(shown + filling + _END_OF_JPEG), formats=("JPEG",)) as image:
            image.draft("YCbCr", image.size)  # conversion to RGB would hide what it clips
            found = hashlib.sha256(image.tobytes()).digest()
        if seen not in (None, found):
            return None
        seen = found
    return Repaired(data + _END_OF_JPEG)


def _with_whole_blocks(jpeg: bytes) -> bytes:
    """The JPEG in a size that shows all of its last blocks, in which differences may be hidden else."""
    for segment in _segments(jpeg):
        if _is_frame(segment):
            at = segment.at + 5
            sides = (int.from_bytes(jpeg[place : place + 2], "big") for place in (at, at + 2))
            height, width = (min(-(-side // 8) * 8, _MAX_SIDE_PX) for side in sides)
            return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]
    return jpeg


class _Segment(NamedTuple):
    """A segment of a JPEG. at, end: of the marker and of the content; entropy-coded data follows the content of a scan."""

    kind: int
    at: int
    end: int
    content: bytes


def _segments(jpeg: bytes) -> Iterator[_Segment]:
    """The segments up to the end of the image or of the file; a last one may be cut off."""
    at = 2
    while (at := jpeg.find(b"\xff", at)) >= 0 and at + 1 < len(jpeg):
        kind = jpeg[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if kind in (0x00, 0x01, 0xD8) or 0xD0 <= kind <= 0xD7:  # stuffed data, and markers without content
            at += 2
            continue
        if kind == 0xD9:
            return
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield _Segment(kind, at, end, jpeg[at + 4 : end])
        at = max(end, at + 2)


def _bare_jpeg(data: bytes) -> Repaired:
    kept = [data[:2]]
    for segment in _segments(data):
        if segment.kind == 0xDA:
            kept.append(data[segment.at :])
            break
        if not _is_metadata(segment) or _is_readable(segment):
            kept.append(data[segment.at : segment.end])
    return Repaired(b"".join(kept))


def _is_frame(segment: _Segment) -> bool:
    return 0xC0 <= segment.kind <= 0xCF and segment.kind not in (0xC4, 0xC8, 0xCC) and len(segment.content) >= 9


def _is_metadata(segment: _Segment) -> bool:
    return 0xE0 <= segment.kind <= 0xEF or segment.kind == 0xFE


def _is_readable(segment: _Segment) -> bool:
    """Whether a segment is one that decides over colours or how the photo is turned, and is complete."""
    content = segment.content
    if segment.kind == 0xE0:
        return content.startswith(b"JFIF\0") and len(content) >= 14
    if segment.kind == 0xEE:
        return content.startswith(b"Adobe") and len(content) >= 12
    if segment.kind == 0xE2:
        return content.startswith(b"ICC_PROFILE\0") and len(content) > 14
    return segment.kind == 0xE1 and content.startswith((b"Exif\0\0II*\0", b"Exif\0\0MM\0*"))


def _has_every_scan(jpeg: bytes) -> bool:
    """Whether the scans of a JPEG hold every bit of every coefficient, and the last one all its restart intervals.

    ITU T.81, annexes B.2.3 and G.1.2: a scan brings bits from `low` on of the coefficients `first` to `last`.
    """
    frame: bytes | None = None
    interval, missing, last_scan = 0, {}, None
    for segment in _segments(jpeg):
        content = segment.content
        if segment.kind == 0xDD and len(content) >= 2:
            interval = int.from_bytes(content[:2], "big")
        elif _is_frame(segment):
            frame = content
            missing = {component: set(range(64)) for component in content[6::3]}
        elif segment.kind == 0xDA and frame is not None and segment.end <= len(jpeg) and len(content) >= 6:
            last_scan = segment
            components = content[1 : 1 + 2 * content[0] : 2]
            first, last, low = content[-3], content[-2], content[-1] & 15
            for component in components if low == 0 else ():
                missing.get(component, set()).difference_update(range(first, last + 1))
    if frame is None or last_scan is None or any(missing.values()):
        return False
    if not interval:
        return True
    n_restarts = sum(jpeg.count(bytes((0xFF, 0xD0 + n)), last_scan.end) for n in range(8))
    return n_restarts >= -(-_n_units(frame, last_scan.content) // interval) - 1


def _n_units(frame: bytes, scan: bytes) -> int:
    """Minimum coded units of a scan: ITU T.81, annex A.2. frame, scan: content of their headers."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = {frame[at]: (frame[at + 1] >> 4 or 1, frame[at + 1] & 15 or 1) for at in range(6, len(frame) - 2, 3)}
    most_across, most_down = (max(factor[side] for factor in factors.values()) for side in (0, 1))
    across, down = 8 * most_across, 8 * most_down
    if scan[0] == 1:  # a scan of one component has its blocks one by one
        own_across, own_down = factors.get(scan[1], (1, 1))
        width, height = -(-width * own_across // most_across), -(-height * own_down // most_down)
        across = down = 8
    return -(-width // across) * -(-height // down)


def _bare_png(data: bytes) -> Repaired:
    kept, profile = [_PNG_SIGNATURE], None
    at, colour_type = 8, None
    while at + 8 <= len(data):
        n_bytes, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunk = data[at : at + 12 + n_bytes]
        content = chunk[8 : 8 + n_bytes]
        at += 12 + n_bytes
        is_whole = int.from_bytes(chunk[8 + n_bytes :], "big") == zlib.crc32(chunk[4 : 8 + n_bytes])
        if kind == b"IHDR":
            colour_type = content[9:10]
        if kind == b"tRNS":
            least, most = _TRNS_BYTES.get(int.from_bytes(colour_type or b"\xff", "big"), (1, 0))
            is_kept = is_whole and least <= n_bytes <= most
        else:
            is_kept = kind in _PNG_PIXELS or (kind == b"eXIf" and is_whole)
        if is_kept:
            kept.append(chunk)
        elif kind == b"iCCP" and is_whole:
            profile = _unpacked(content.partition(b"\0")[2])
    return Repaired(b"".join(kept), profile)


def _unpacked(packed: bytes) -> bytes | None:
    """The profile of a chunk iCCP, behind its name; None if it is damaged or too long."""
    if packed[:1] != b"\0":
        return None
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacking.eof else None


def _bare_webp(data: bytes) -> Repaired:
    chunks: dict[bytes, list[bytes]] = {}
    order: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        kind, n_bytes = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        content = data[at + 8 : at + 8 + n_bytes]
        at += 8 + n_bytes + n_bytes % 2
        is_whole = len(content) == n_bytes
        if kind in _WEBP_PIXELS or kind == b"VP8X" or (kind in (b"ICCP", b"EXIF") and is_whole and kind not in chunks):
            chunks.setdefault(kind, []).append(content)
            order.append((kind, content))
    flags = (_WEBP_ICC if b"ICCP" in chunks else 0) | (_WEBP_EXIF if b"EXIF" in chunks else 0)
    body = b"WEBP"
    for kind, content in order:
        if kind == b"VP8X" and content:
            content = bytes((content[0] & ~(_WEBP_ICC | _WEBP_EXIF | _WEBP_XMP) | flags,)) + content[1:]
        body += kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return Repaired(b"RIFF" + struct.pack("<I", len(body)) + body)
