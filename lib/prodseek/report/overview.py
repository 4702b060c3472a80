"""The report's first page: what came in, what is new, the figures from run to run, and the costs. It needs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from jinja2 import Environment

from prodseek.errors import ReconciliationError
from prodseek.report import wording
from prodseek.report.charts import COLUMNS_SIZE, LINE_SIZE, Column, Line, columns, line
from prodseek.report.overview_model import MAX_THUMBNAILS, Overview, RejectedRows, RejectExample
from prodseek.report.records import About
from prodseek.report.templating import environment
from prodseek.runs.history import RunFigures

# Examples that are shown at once; the others unfold.
EXAMPLES_AT_FIRST = 3


@dataclass(frozen=True)
class _Kind:
    """A figure. name: in `RunFigures.figures`. unit: count, share or recall. is_marked: it depends on the network."""

    name: str
    label: str
    unit: str
    is_marked: bool = True


_FIGURES = (
    _Kind("rows_in", "Rows in", "count", False),
    _Kind("images", "Photos read", "count", False),
    _Kind("rejected", "Set aside", "count", False),
    _Kind("regions", "Regions", "count"),
    _Kind("duplicate_groups", "Duplicate groups", "count"),
    _Kind("duplicate_photos", "Photos in them", "count"),
    _Kind("pairs_judged_copies", "Pairs judged copies", "count"),
    _Kind("pairs_to_look_at", "Pairs to look at", "count"),
    _Kind("pairs_apart", "Variants kept apart", "count"),
    _Kind("groups", "Groups of look-alikes", "count"),
    _Kind("coarse_groups", "Coarse groups", "count"),
    _Kind("in_no_group", "In no group", "share"),
    _Kind("in_other_category", "Like another category", "count"),
    _Kind("index_recall", "Recall of the index", "recall"),
    _Kind("graph_recall", "Recall of the neighbour graph", "recall"),
)
_MEASURES = (
    _Kind("precision_at_1", "Nearest photo has the same label", "share"),
    _Kind("mean_average_precision", "Mean average precision", "recall"),
    _Kind("mutual_information", "Groups agree with labels", "recall"),
)

# Fields of `Changes`.
_OF_DUPLICATES = ("duplicate_groups", "copies", "pairs_to_look_at", "pairs_apart")


@dataclass(frozen=True)
class _Tile:
    """A figure of the newest run. change: since the previous run, empty if there is none. told: the trend in words."""

    name: str
    label: str
    value: str
    change: str
    line: Line | None
    told: str


@dataclass(frozen=True)
class _TrendRow:
    """A run in the table of all figures. mark: why its figures cannot be compared with the previous run."""

    run_id: str
    finished: str
    mark: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class _SetAside:
    """Rows rejected for one reason. n_new: those not rejected for it in the last run. examples: each, and whether it is new."""

    reason: str
    n_rows: int
    n_new: int
    examples: tuple[tuple[RejectExample, bool], ...]


@dataclass(frozen=True)
class _Stage:
    """A stage's time. share: of the whole run, 0..1. rate: photos per second. note: what else it did."""

    name: str
    seconds: float
    share: float
    rate: str
    core_hours: str
    money: str
    note: str


def render_overview(overview: Overview) -> bytes:
    """The page as HTML in UTF-8; equal overviews give equal bytes. All strings are escaped.

    Raises ReconciliationError if the rows differ from images + rejects, and ValueError if more is shown than was found or if the
    run's time has no time zone.
    """
    _check(overview)
    runs = (*overview.history.runs, overview.figures)
    marks = _marks(runs)
    totals = [sum(run.seconds.values()) for run in runs]
    page = (
        _environment(overview)
        .get_template("overview.html")
        .render(
            overview=overview,
            headline=wording.headline(overview),
            tiles=_tiles(_FIGURES, [run.figures for run in runs], [wording.day(run.finished) for run in runs], marks),
            trend_labels=[kind.label for kind in _FIGURES],
            trend_rows=_trend_rows(runs, marks, totals),
            has_marks=any(marks),
            measures=_measures(overview),
            set_aside=_set_aside(overview),
            stages=_stages(overview),
            total=_stage("all", totals[-1], overview, totals[-1]),
            columns=_columns(runs, totals),
            capped=_capped(overview.about),
            line_size=LINE_SIZE,
            columns_size=COLUMNS_SIZE,
            asked=_asked(overview),
            at_first=EXAMPLES_AT_FIRST,
        )
    )
    return page.encode("utf-8")


def _environment(overview: Overview) -> Environment:
    made = environment()
    made.filters |= {
        "counted": wording.counted,
        "duration": wording.duration,
        "figure": wording.figure,
        "meaning": wording.reason_meaning,
        "moment": wording.moment,
        "percent": wording.percent,
        "photo_alt": wording.photo_alt,
        "relative": partial(wording.relative_uri, catalogue=overview.about["catalogue"]),
        "verdict": wording.verdict_words,
    }
    return made


def _tiles(
    kinds: Sequence[_Kind], runs: Sequence[Mapping[str, float]], days: Sequence[str], marks: Sequence[str]
) -> list[_Tile]:
    """A tile for each figure that the newest of `runs` has."""
    tiles = []
    for kind in kinds:
        values = [run.get(kind.name) for run in runs]
        now, before = values[-1], values[-2] if len(values) > 1 else None
        if now is None:
            continue
        own_marks = marks if kind.is_marked else [""] * len(marks)
        changed = "" if before is None else wording.change(now, before, kind.unit)
        tiles.append(
            _Tile(
                kind.name,
                kind.label,
                _text(now, kind.unit),
                changed,
                line(values, [bool(mark) for mark in own_marks]),
                _told(values, days, own_marks, kind.unit),
            )
        )
    return tiles


def _told(values: Sequence[float | None], days: Sequence[str], marks: Sequence[str], unit: str) -> str:
    """The alternative text of a line chart."""
    known = [(value, day) for value, day in zip(values, days, strict=True) if value is not None]
    low, high = (_text(pick(value for value, _ in known), unit) for pick in (min, max))
    first, last = known[0], known[-1]
    told = f"{len(known)} runs: {_text(first[0], unit)} on {first[1]}, {_text(last[0], unit)} on {last[1]}; "
    told += f"lowest {low}, highest {high}."
    changed = [f"{mark} on {day}" for mark, day in zip(marks, days, strict=True) if mark]
    return told + (f" Marked: {'; '.join(changed)}." if changed else "")


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return {"count": f"{value:,.0f}", "share": wording.percent(value), "recall": f"{value:.3f}"}[unit]


def _marks(runs: Sequence[RunFigures]) -> list[str]:
    """For each run, why its figures cannot be compared with those of the previous run; empty if they can."""
    marks = [""]
    for before, now in pairwise(runs):
        if now.model_id != before.model_id:
            marks.append("another network")
        elif now.projection_id != before.projection_id:
            marks.append("projection fitted again")
        else:
            marks.append("")
    return marks


def _trend_rows(runs: Sequence[RunFigures], marks: Sequence[str], totals: Sequence[float]) -> list[_TrendRow]:
    """All figures of all runs, the newest first."""
    return [
        _TrendRow(
            run.run_id,
            wording.moment(run.finished),
            mark,
            (*(_text(run.figures.get(kind.name), kind.unit) for kind in _FIGURES), wording.duration(total)),
        )
        for run, mark, total in reversed(list(zip(runs, marks, totals, strict=True)))
    ]


def _measures(overview: Overview) -> list[_Tile]:
    evaluations = overview.history.evaluations
    if not evaluations:
        return []
    runs = {run.run_id: run for run in (*overview.history.runs, overview.figures)}
    days = [wording.day(runs[one.run_id].finished) if one.run_id in runs else one.run_id for one in evaluations]
    return _tiles(_MEASURES, [one.figures for one in evaluations], days, [""] * len(evaluations))


def _set_aside(overview: Overview) -> list[_SetAside]:
    """Each reason with its rows, new examples first."""
    new = {} if overview.changes is None else {one.reason: one for one in overview.changes.rejects}
    rows = []
    for rejected in overview.rows_in.rejects:
        found = new.get(rejected.reason, RejectedRows(rejected.reason, 0))
        examples = [(example, True) for example in found.examples]
        examples += [(example, False) for example in rejected.examples if example not in found.examples]
        rows.append(_SetAside(rejected.reason, rejected.n_rows, found.n_rows, tuple(examples)))
    return rows


def _asked(overview: Overview) -> str:
    """Of how many products it was asked whether they look like another category; empty where that is not known."""
    known = overview.figures.figures
    return wording.products_asked(*map(known.get, ("products_asked", "products_asked_narrowly", "products")))


def _stages(overview: Overview) -> list[_Stage]:
    seconds = overview.figures.seconds
    total = sum(seconds.values())
    notes = {}
    embedded, cached = (overview.figures.figures.get(name) for name in ("embedded", "cached"))
    if embedded is not None and cached is not None:
        notes["embed"] = f"{embedded:,.0f} photos seen by the network, {cached:,.0f} known from earlier runs"
    return [_stage(name, spent, overview, total, notes.get(name, "")) for name, spent in seconds.items()]


def _stage(name: str, seconds: float, overview: Overview, total: float, note: str = "") -> _Stage:
    cost = overview.cost
    hours = cost.n_cores * seconds / 3600
    price = cost.price_per_core_hour
    return _Stage(
        name,
        seconds,
        seconds / total if total else 0.0,
        wording.rate(overview.rows_in.n_images / seconds) if seconds else "–",
        wording.core_hours(hours),
        "" if price is None else wording.money(hours * price),
        note,
    )


def _columns(runs: Sequence[RunFigures], totals: Sequence[float]) -> list[tuple[Column, str]]:
    """A column for each run with its text; none for a single run."""
    if len(runs) < 2:
        return []
    told = [f"{wording.moment(run.finished)}: {wording.duration(t)}" for run, t in zip(runs, totals, strict=True)]
    return list(zip(columns(totals), told, strict=True))


def _capped(about: About) -> list[str]:
    """Sentences that say what the other pages leave out."""
    objects = ""
    if about["n_objects"] < about["n_images"]:
        objects = f"The other pages show {about['n_objects']:,} of {wording.counted(about['n_images'], 'image')}."
    groups = about["n_duplicate_groups"], about["n_all_duplicate_groups"]
    to_look_at = about["n_pairs_to_look_at"], about["n_all_pairs_to_look_at"]
    apart = about["n_pairs"] - to_look_at[0], about["n_all_pairs"] - to_look_at[1]
    sentences = (
        objects,
        wording.cap_sentence(*groups, "duplicate group", "duplicate_groups"),
        wording.cap_sentence(*to_look_at, "pair to look at", "near_duplicates", "likeliest", "pairs to look at"),
        wording.cap_sentence(*apart, "pair of variants", "near_duplicates", "likeliest", "pairs of variants"),
    )
    return [sentence for sentence in sentences if sentence]


def _check(overview: Overview) -> None:
    rows_in, changes = overview.rows_in, overview.changes
    if rows_in.n_rows != rows_in.n_images + rows_in.n_rejects:
        raise ReconciliationError(
            f"the report cannot be written: {rows_in.n_rows} rows came in, but {rows_in.n_images} images "
            f"and {rows_in.n_rejects} rejects make {rows_in.n_images + rows_in.n_rejects}"
        )
    for run in (*overview.history.runs, overview.figures):
        if run.finished.tzinfo is None:
            raise ValueError(f"the time at which run {run.run_id} finished has no time zone: {run.finished!r}")
    if len(overview.thumbnails) > MAX_THUMBNAILS:
        raise ValueError(f"{len(overview.thumbnails)} thumbnails, of which {MAX_THUMBNAILS} may be shown")
    rejects = (*rows_in.rejects, *(changes.rejects if changes else ()))
    shown_and_found = [(f"examples of {one.reason}", len(one.examples), one.n_rows) for one in rejects]
    if changes is not None:
        for name in ("came", "went", "replaced", "moved", "repaired", *_OF_DUPLICATES):
            found = getattr(changes, name)
            shown_and_found.append((f"{name} since {changes.run_id}", len(found.examples), found.n))
        for event in changes.groups:
            shown_and_found.append((f"groups {event.event}", len(event.examples), event.n_fine + event.n_coarse))
        n_rejected = {one.reason: one.n_rows for one in rows_in.rejects}
        for one in changes.rejects:
            shown_and_found.append((f"newly {one.reason}", one.n_rows, n_rejected.get(one.reason, 0)))
    for what, n_shown, n_found in shown_and_found:
        if n_shown > n_found:
            raise ValueError(f"{what}: {n_shown} to show, but only {n_found} were found")
