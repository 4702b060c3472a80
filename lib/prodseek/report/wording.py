"""Sentences and figures of the report, in plain language."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from prodseek.photos.decode import RejectReason
from prodseek.report.overview_model import Overview
from prodseek.runs.columns import LIKENESS

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
    """A verdict as the page words it: a short label and its meaning."""

    label: str
    meaning: str


# All verdicts of `near_duplicates`; one that is missing here is shown by its own name.
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
    "other_ground": VerdictWords("other ground", "The product on another plain background."),
    "overlaid": VerdictWords("overlaid", "A watermark, text or badge put on it."),
    "recoloured": VerdictWords("recoloured", "The same product in another colour."),
    "part_differs": VerdictWords("a part differs", "The same shot, but a part of the product differs."),
    "embedded": VerdictWords("in a scene", "The object, pasted into another picture."),
    "same_object": VerdictWords("same object", "Another photo of the same thing."),
}

# All doubts of `near_duplicates.evidence`: what a person should look at.
DOUBTS = {
    "hidden": "a margin hides a part",
    "margin": "the margins differ, or the frames",
    "plain": "little can be compared",
    "different": "something differs",
    "tone": "it may be another shade, or a pattern",
    "pattern": "one may have a weave, stripes or spots",
    "outline": "on another ground, the outline may differ",
    "more": "one may show more things",
    "small": "a thumbnail shows too little",
    "faint": "something faint differs",
}

# What each reason of `rejects` means, and what to do.
REASON_MEANINGS = {
    RejectReason.INVALID_ROW: "The row names no photo or no product, or cannot be read as one. Correct it in the catalogue.",
    RejectReason.DUPLICATE_ROW: "The same product and photo stand in an earlier row. Remove one of the two.",
    RejectReason.UNSUPPORTED_URI: "The photo lies on a kind of storage that is not read. Copy it to a disk or bucket.",
    RejectReason.NOT_ALLOWED: "The photo lies outside the places that may be read. Add its folder to catalog.allowed_roots, "
    "or its web server to catalog.http_hosts.",
    RejectReason.MISSING: "There is no file of this name, or no photo in the manifest's row. Upload it, or correct the name.",
    RejectReason.UNREADABLE: "The file is there but cannot be read. Check its permissions and the storage.",
    RejectReason.EMPTY: "The file has no content. Upload it again.",
    RejectReason.TOO_MANY_BYTES: "The file is larger than images.max_bytes. Shrink it, or raise the limit.",
    RejectReason.NOT_AN_IMAGE: "The file is no image, whatever its name says; often an error page saved as .jpg.",
    RejectReason.UNSUPPORTED_FORMAT: "The file is an image in a format that is not read. Convert it to JPEG or PNG.",
    RejectReason.TRUNCATED: "The file ends too early; an upload broke off. Upload it again.",
    RejectReason.CORRUPT: "The file is damaged. Export it again.",
    RejectReason.TOO_SMALL: "The photo has fewer pixels a side than images.min_side_px; often a tracking pixel.",
    RejectReason.TOO_MANY_PIXELS: "The photo has more pixels than images.max_pixels. Shrink it, or raise the limit.",
    RejectReason.CHANGED: "The file was replaced while the run went on. The next run takes it.",
    RejectReason.CRASHED: "Decoding the photo ended the process that did it. Save it again with another program.",
}


def verdict_words(verdict: str) -> VerdictWords:
    """A verdict in the page's words."""
    return VERDICTS.get(verdict, VerdictWords(verdict.replace("_", " "), ""))


def reason_meaning(reason: str) -> str:
    """What a reason of `rejects` means and what to do, in plain words; empty for an unknown reason."""
    return REASON_MEANINGS[RejectReason(reason)] if reason in set(RejectReason) else ""


def headline(overview: Overview) -> str:
    """The run in one sentence."""
    rows_in, figures, changes = overview.rows_in, overview.figures.figures, overview.changes
    if rows_in.n_rows == 0:
        return "No photos came in."
    came = f"{counted(rows_in.n_rows, 'photo')} came in"
    if rows_in.n_rejects == 0:
        read = "and all were read" if rows_in.n_rows > 1 else "and was read"
    else:
        read = f"{figure(rows_in.n_images)} {_was(rows_in.n_images)} read, {figure(rows_in.n_rejects)} set aside"
        came += ","
    new = "" if changes is None else f"; {_new_photos(changes.came.n + changes.repaired.n)} since the last run"
    n_copies = int(figures.get("duplicate_photos", 0) - figures.get("duplicate_groups", 0))
    copies = (
        f"{figure(n_copies)} {'is a copy' if n_copies == 1 else 'are copies'} of another photo"
        if n_copies
        else "none is a copy of another"
    )
    n_to_look_at = int(figures.get("pairs_to_look_at", 0))
    if n_to_look_at:
        copies += f", {counted(n_to_look_at, 'pair')} {_was(n_to_look_at, 'is', 'are')} for a person to look at"
    n_groups = int(figures.get("groups", 0))
    groups = f"{counted(n_groups, 'group')} of look-alikes" if n_groups else "no groups of look-alikes"
    return f"{came} {read}{new}; {copies}; {groups}."


def _new_photos(n: int) -> str:
    return f"{figure(n)} {_was(n, 'is', 'are')} new" if n else "none is new"


def products_asked(n_asked: float | None, n_narrowly: float | None, n_products: float | None) -> str:
    """How far a number of odd categories reaches: of how many products it could be asked, and why not of the others.

    n_narrowly: of how many at the narrowest level of their category. Empty where one of them is not known.
    """
    if n_asked is None or n_narrowly is None or n_products is None:
        return ""
    n_wide = int(n_asked - n_narrowly)
    wide = (
        f" ({figure(n_wide)} of them only at a wider level of {_was(n_wide, 'its', 'their')} category)"
        if n_wide
        else ""
    )
    if n_asked >= n_products:
        return f"asked of all products{wide}; not every wrong category is found so"
    return (
        f"asked of {figure(n_asked)} of {counted(int(n_products), 'product')}{wide}: the others have no "
        "category that is a kind of thing, or too few neighbours with one; not every wrong category is found so"
    )


def cap_sentence(n_shown: int, n_all: int, noun: str, table: str, order: str = "largest", nouns: str = "") -> str:
    """A sentence that says what the page leaves out, and where all of it is; empty if nothing is left out.

    nouns: the plural, if it is not the noun with an s.
    """
    if n_shown >= n_all:
        return ""
    all_of_them = f"{n_all:,} {nouns}" if nouns and n_all > 1 else counted(n_all, noun)
    if n_shown == 0:
        return f"None of the {all_of_them} is shown here; all are in the table {table}."
    shown = f"The {order}" if n_shown == 1 else f"The {figure(n_shown)} {order}"
    return f"{shown} of {all_of_them} {_was(n_shown, 'is', 'are')} shown; all are in the table {table}."


def counted(n: int, noun: str) -> str:
    """A number with its noun: "1 photo", "2,485 photos"."""
    return f"{n:,} {noun if n == 1 else noun + 's'}"


def figure(value: str | int | float) -> str:
    """A figure as text: a number, or a value of the evidence."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return str(value)


def percent(share: float) -> str:
    """A share 0..1 as a percentage, never rounded up to 100 % or down to 0 %."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return f"{int(share * 1000) / 10:.1f} %"
    return f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """A duration: "0.4 s", "42 s", "3 min 05 s", "2 h 10 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def change(now: float, before: float, kind: str) -> str:
    """The change of a figure: "+12", "−3", "+0.4 points", "no change". kind: count, share or recall."""
    difference = now - before
    size = abs(difference)
    text = {"count": f"{size:,.0f}", "share": f"{size * 100:.1f} points", "recall": f"{size:.3f}"}[kind]
    if not any(digit in "123456789" for digit in text):
        return "no change"
    return ("+" if difference > 0 else "\N{MINUS SIGN}") + text


def rate(photos_per_second: float) -> str:
    """Photos per second: "1,204", "26", "0.4"."""
    return f"{photos_per_second:,.0f}" if photos_per_second >= 10 else f"{photos_per_second:.1f}"


def core_hours(hours: float) -> str:
    """A number of core hours: "0.005", "1.25", "1,204"; never rounded down to 0."""
    if 0 < hours < 0.001:
        return "under 0.001"
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2f}" if hours >= 1 else f"{hours:.3f}"


def money(amount: float) -> str:
    """An amount of money: "1,204.50"; never rounded down to 0."""
    return "under 0.01" if 0 < amount < 0.01 else f"{amount:,.2f}"


def day(when: datetime) -> str:
    """A date without its year, the same on every machine: "24 November"."""
    return f"{when.day} {_MONTHS[when.month - 1]}"


def moment(when: datetime) -> str:
    """A date and time, the same on every machine: "24 November 2026, 03:12 UTC"."""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M} {when.tzname()}"


def relative_uri(uri: str, catalogue: str) -> str:
    """A photo's uri without the folder of the catalogue, which is the same for all photos."""
    plain, root = uri.removeprefix("file://"), catalogue.removeprefix("file://").rstrip("/")
    for folder in (root, root.rpartition("/")[0]):
        if folder and plain.startswith(folder + "/"):
            return plain[len(folder) + 1 :]
    return uri


def photo_alt(title: str, product_id: str, uri: str) -> str:
    """The alternative text of a photo."""
    name = " ".join(part for part in (title, product_id) if part)
    return f"{name or 'Photo'}: {uri.rpartition('/')[2] or uri}"


def printable(text: str) -> str:
    """Replace control characters and undecodable bytes, which HTML cannot hold, by visible marks."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)


def _was(n: int, one: str = "was", more: str = "were") -> str:
    return one if n == 1 else more


def ranked_by(facet: str) -> str:
    """What the order of hits follows, because of hubs it is not the cosine alone. facet: as it was asked for."""
    return "likeness, less for what is near to everything" if facet == LIKENESS else facet


def chance(confidence: float) -> str:
    """A chance in percent; never 0 and never 100, because neither is ever certain. confidence: 0..1."""
    return "under 1 %" if confidence < 0.01 else f"{min(99, round(100 * confidence))} %"
