"""The report page: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from jinja2 import Environment
from markupsafe import Markup

from prodseek.errors import ReconciliationError
from prodseek.report import wording
from prodseek.report.model import DuplicateGroup, Member, Photo, Report
from prodseek.report.templating import environment, source

# A gallery opens with this many members; the others unfold.
MEMBERS_AT_FIRST = 16
ODD_ONES_AT_FIRST = 40


def render_report(report: Report) -> bytes:
    """The report as UTF-8 HTML; the same report gives the same bytes.

    Every string of the report is escaped. Raises ReconciliationError when rows in differ from images +
    rejects, and ValueError when more is shown than was found or the run's time has no zone.
    """
    _check(report)
    script = source("page.js")
    page = (
        _environment(report)
        .get_template("report.html")
        .render(
            report=report,
            headline=headline(report),
            slowest_seconds=max((stage.seconds for stage in report.stages), default=0.0),
            total_seconds=sum(stage.seconds for stage in report.stages),
            group_verdicts=_verdicts(copy.verdict for group in report.duplicates.groups for copy in group.copies),
            pair_verdicts=_verdicts(pair.verdict for pair in report.duplicates.pairs_apart),
            style=Markup(source("page.css")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            members_at_first=MEMBERS_AT_FIRST,
            odd_ones_at_first=ODD_ONES_AT_FIRST,
        )
    )
    return page.encode("utf-8")


def headline(report: Report) -> str:
    """The run in one sentence."""
    intake, duplicates = report.intake, report.duplicates
    came = f"{wording.counted(intake.n_rows_in, 'photo')} came in"
    if intake.n_rows_in == 0:
        return "No photos came in."
    if intake.n_rejects == 0:
        read = "and all were read" if intake.n_rows_in > 1 else "and was read"
    else:
        was = "was" if intake.n_images == 1 else "were"
        read = f"{wording.figure(intake.n_images)} {was} read, {wording.figure(intake.n_rejects)} set aside"
        came += ","
    n_copies = duplicates.n_photos - duplicates.n_groups
    copies = (
        f"{wording.figure(n_copies)} {'is a copy' if n_copies == 1 else 'are copies'} of another photo"
        if n_copies
        else "none is a copy of another"
    )
    groups = (
        f"{wording.counted(report.curation[0].n_groups, 'group')} of look-alikes"
        if report.curation and report.curation[0].n_groups
        else "no groups of look-alikes"
    )
    return f"{came} {read}; {copies}; {groups}."


def photo_alt(photo: Photo) -> str:
    """What a photo shows, for those who cannot see it."""
    return wording.photo_alt(photo.title, photo.product_id, photo.uri)


def member_alt(member: Member) -> str:
    """What a region shows, for those who cannot see it."""
    return f"{member.class_name}, {photo_alt(member.photo)}" if member.class_name else photo_alt(member.photo)


def n_products(group: DuplicateGroup) -> int:
    """How many products the photos shown of a duplicate group belong to."""
    return len({photo.product_id for photo in _photos(group)})


def _photos(group: DuplicateGroup) -> list[Photo]:
    return [group.representative, *(copy.photo for copy in group.copies)]


def _verdicts(verdicts: Iterable[str]) -> list[str]:
    return sorted(set(verdicts), key=lambda verdict: wording.verdict_words(verdict).label)


def _environment(report: Report) -> Environment:
    made = environment()
    made.filters |= {
        "alt": photo_alt,
        "cap": wording.cap_sentence,
        "counted": wording.counted,
        "duration": wording.duration,
        "figure": wording.figure,
        "member_alt": member_alt,
        "moment": wording.moment,
        "n_products": n_products,
        "percent": wording.percent,
        "relative": lambda uri: wording.relative_uri(uri, report.run.catalogue),
        "verdict": wording.verdict_words,
    }
    return made


def _check(report: Report) -> None:
    intake, duplicates = report.intake, report.duplicates
    if intake.n_rows_in != intake.n_images + intake.n_rejects:
        raise ReconciliationError(
            f"the report cannot be written: {intake.n_rows_in} rows came in, but {intake.n_images} images "
            f"and {intake.n_rejects} rejects make {intake.n_images + intake.n_rejects}"
        )
    if report.run.finished.tzinfo is None:
        raise ValueError(f"run.finished must have a time zone, got {report.run.finished!r}")
    shown_and_found = [
        ("duplicate groups", len(duplicates.groups), duplicates.n_groups),
        ("pairs kept apart", len(duplicates.pairs_apart), duplicates.n_pairs_apart),
    ]
    shown_and_found += [
        (f"photos of duplicate group {group.group_id}", 1 + len(group.copies), group.n_photos)
        for group in duplicates.groups
    ]
    shown_and_found += [
        (f"examples of {rejected.reason}", len(rejected.examples), rejected.n_rows) for rejected in intake.rejects
    ]
    for facet in report.curation:
        shown_and_found.append((f"{facet.facet} groups", len(facet.groups), facet.n_groups))
        shown_and_found.append((f"{facet.facet} odd ones out", len(facet.odd_ones_out), facet.n_ungrouped))
        shown_and_found.append((f"{facet.facet} regions in no group", facet.n_ungrouped, facet.n_regions))
        shown_and_found += [
            (f"regions of group {group.group_id}", len(group.exemplars) + len(group.members), group.n_regions)
            for group in facet.groups
        ]
    for what, n_shown, n_found in shown_and_found:
        if n_shown > n_found:
            raise ValueError(f"{what}: {n_shown} to show, but only {n_found} were found")
