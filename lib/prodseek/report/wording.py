"""The report's sentences and figures, in plain language."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from prodseek.report.model import Member, Photo, Report

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


class VerdictWords(NamedTuple):
    """A verdict as the page says it: a short label and what it means."""

    label: str
    meaning: str


# One for each verdict of `near_duplicates`; one that is not here is shown by its own name.
VERDICTS = {
    "identical_bytes": VerdictWords("same file", "Byte for byte the same file."),
    "identical_pixels": VerdictWords("same pixels", "Another file with exactly the same picture."),
    "re_encoded": VerdictWords("re-encoded", "Saved again, in another format or quality."),
    "resized": VerdictWords("resized", "The same picture at another size."),
    "cropped": VerdictWords("cropped", "A part of the picture."),
    "padded": VerdictWords("padded", "The picture with a border or more background."),
    "mirrored": VerdictWords("mirrored", "The picture flipped."),
    "rotated": VerdictWords("rotated", "The picture turned."),
    "toned": VerdictWords("toned", "Changed brightness, contrast or sharpness, or made grey."),
    "overlaid": VerdictWords("overlaid", "A watermark, text or badge put on it."),
    "recoloured": VerdictWords("recoloured", "The same product in another colour."),
    "embedded": VerdictWords("in a scene", "The object, pasted into another picture."),
    "same_object": VerdictWords("same object", "Another photo of the same thing."),
}


def verdict_words(verdict: str) -> VerdictWords:
    """What the page calls a verdict."""
    return VERDICTS.get(verdict, VerdictWords(verdict.replace("_", " "), ""))


def headline(report: Report) -> str:
    """The run in one sentence."""
    intake, duplicates = report.intake, report.duplicates
    came = f"{counted(intake.n_rows_in, 'photo')} came in"
    if intake.n_rows_in == 0:
        return "No photos came in."
    if intake.n_rejects == 0:
        read = "and all were read" if intake.n_rows_in > 1 else "and was read"
    else:
        read = f"{figure(intake.n_images)} {_was(intake.n_images)} read, {figure(intake.n_rejects)} set aside"
        came += ","
    n_copies = duplicates.n_photos - duplicates.n_groups
    copies = (
        f"{figure(n_copies)} {'is a copy' if n_copies == 1 else 'are copies'} of another photo"
        if n_copies
        else "none is a copy of another"
    )
    groups = (
        f"{counted(report.curation[0].n_groups, 'group')} of look-alikes"
        if report.curation and report.curation[0].n_groups
        else "no groups of look-alikes"
    )
    return f"{came} {read}; {copies}; {groups}."


def cap_sentence(n_shown: int, n_all: int, noun: str, table: str, order: str = "largest") -> str:
    """Says what the page leaves out and where all of it is; empty when it leaves nothing out."""
    if n_shown >= n_all:
        return ""
    if n_shown == 0:
        return f"None of the {counted(n_all, noun)} is shown here; all are in the table {table}."
    shown = f"The {order}" if n_shown == 1 else f"The {figure(n_shown)} {order}"
    return f"{shown} of {counted(n_all, noun)} {_was(n_shown, 'is', 'are')} shown; all are in the table {table}."


def counted(n: int, noun: str) -> str:
    """A number with its noun: "1 photo", "2,485 photos"."""
    return f"{n:,} {noun if n == 1 else noun + 's'}"


def figure(value: str | int | float) -> str:
    """An evidence value or a count as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return str(value)


def percent(share: float) -> str:
    """A share 0..1 as a percentage; never rounded up to 100 or down to 0 %."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return f"{int(share * 1000) / 10:.1f} %"
    return f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """A wall time: "0.4 s", "42 s", "3 min 05 s", "2 h 10 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(when: datetime) -> str:
    """A date and time, the same on every machine: "24 November 2026, 03:12 UTC"."""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M} {when.tzname()}"


def relative_uri(uri: str, catalogue: str) -> str:
    """A photo's uri without the folder of the catalogue, which is the same for every photo."""
    plain, root = uri.removeprefix("file://"), catalogue.removeprefix("file://").rstrip("/")
    for folder in (root, root.rpartition("/")[0]):
        if folder and plain.startswith(folder + "/"):
            return plain[len(folder) + 1 :]
    return uri


def photo_alt(photo: Photo) -> str:
    """What a photo shows, for those who cannot see it."""
    name = " ".join(part for part in (photo.title, photo.product_id) if part)
    return f"{name or 'Photo'}: {photo.uri.rpartition('/')[2] or photo.uri}"


def member_alt(member: Member) -> str:
    """What a region shows, for those who cannot see it."""
    return f"{member.class_name}, {photo_alt(member.photo)}" if member.class_name else photo_alt(member.photo)


def printable(text: str) -> str:
    """Text that HTML can hold: control characters and undecodable bytes become visible marks."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)


def _was(n: int, one: str = "was", more: str = "were") -> str:
    return one if n == 1 else more
