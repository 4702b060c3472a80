"""A made-up first page for a made-up report: many runs, hostile names, every kind of change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from synthetic_report import HOSTILE_FILES, HOSTILE_TITLES, Report

from prodseek.photos.decode import RejectReason
from prodseek.report.overview_model import (
    ChangedGroup,
    ChangedPhoto,
    Changes,
    Cost,
    CountedExamples,
    GroupChanges,
    IndexQuality,
    NewCopy,
    NewDuplicateGroup,
    NewPair,
    Overview,
    RejectedRows,
    RejectExample,
    RowsIn,
    TableFile,
)
from prodseek.report.thumbnails import thumbnail
from prodseek.runs.gates import Breach
from prodseek.runs.history import Evaluation, History, RunFigures
from prodseek.runs.tables import TABLES, table_schema

_NIGHT = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
_EXAMPLES = 12


def make_overview(report: Report, n_runs: int = 31, seed: int = 3) -> Overview:
    """The overview of `report`, with `n_runs` runs before it."""
    random = np.random.default_rng(seed)
    n_images = len(report.objects)
    rejects = tuple(_rejected(reason, place + 1) for place, reason in enumerate(RejectReason))
    n_rejects = sum(one.n_rows for one in rejects)
    figures = {
        "rows_in": n_images + n_rejects,
        "images": n_images,
        "rejected": n_rejects,
        "regions": 3 * n_images,
        "embedded": 40,
        "cached": n_images - 40,
        "duplicate_groups": len(report.duplicates),
        "duplicate_photos": sum(group["n_photos"] for group in report.duplicates),
        "pairs_judged_copies": 2 * len(report.duplicates),
        "pairs_to_look_at": report.about["n_pairs_to_look_at"],
        "pairs_apart": len(report.pairs) - report.about["n_pairs_to_look_at"],
        "groups": len(report.groups["visual"]["fine"]),
        "coarse_groups": len(report.groups["visual"]["coarse"]),
        "in_no_group": 0.09,
        "index_recall": 0.98,
        "graph_recall": 0.99,
    }
    seconds = {"ingest": 9.0, "embed": 44.0, "project": 24.0, "index": 3.0, "neighbours": 4.0, "duplicates": 94.0}
    runs = []
    for place in range(n_runs + 1):
        share = 1 - 0.01 * (n_runs - place) * random.random()
        finished = _NIGHT - timedelta(days=n_runs - place)
        drawn = {name: value * share if value < 1 else round(value * share) for name, value in figures.items()}
        spent = {name: value * random.uniform(0.7, 1.3) for name, value in seconds.items()}
        fit = f"p{place // 9}"
        runs.append(RunFigures(f"{finished:%Y%m%dT%H%M%SZ}-{place:08d}", finished, "tiny", fit, drawn, spent))
    own = RunFigures(report.about["run_id"], _NIGHT, "tiny", runs[-1].projection_id, figures, seconds)
    photos = [_photo(report, number) for number in range(2 * _EXAMPLES)]
    picture = thumbnail(np.full((144, 192, 3), 150, np.uint8), 192)
    return Overview(
        about=report.about,
        figures=own,
        rows_in=RowsIn(n_images + n_rejects, n_images, n_images, 3 * n_images, rejects),
        cost=Cost(2, 0.043, "EUR"),
        history=History(
            tuple(runs[:-1]),
            tuple(
                Evaluation(
                    run.run_id, HOSTILE_FILES[0], HOSTILE_TITLES[0], {"precision_at_1": random.uniform(0.8, 0.9)}
                )
                for run in runs[:-1:3]
            ),
            n_skipped=2,
        ),
        changes=_changes(runs[-2].run_id, photos, rejects) if n_runs else None,
        thumbnails={photo.image_id: picture for photo in photos[1:]},
        objects={photo.image_id: number for number, photo in enumerate(photos)},
        index=IndexQuality("Flat", 10, 0.98, 0.95, 1000),
        tables=tuple(TableFile(name, 100, f"/out/runs/{name}", table_schema(name).grain) for name in TABLES),
        breaches=(Breach("max_reject_share", 0.4, 0.3, f"40.0 %: {HOSTILE_TITLES[0]}", tuple(HOSTILE_FILES[:3])),),
    )


def _photo(report: Report, number: int) -> ChangedPhoto:
    shown = report.objects[number]
    photo = shown["photos"][0]
    return ChangedPhoto(
        shown["image_id"], photo["product_id"], photo["uri"], photo["title"], "was", "/shop/was.jpg", "empty"
    )


def _rejected(reason: str, n_rows: int) -> RejectedRows:
    examples = tuple(
        RejectExample(f"/shop/{HOSTILE_FILES[place]}", HOSTILE_TITLES[place], HOSTILE_TITLES[place + 1])
        for place in range(min(3, n_rows))
    )
    return RejectedRows(reason, n_rows, examples)


def _changes(run_id: str, photos: list[ChangedPhoto], rejects: tuple[RejectedRows, ...]) -> Changes:
    some = tuple(photos[:_EXAMPLES])
    titles = [HOSTILE_TITLES[place % len(HOSTILE_TITLES)] for place in range(_EXAMPLES)]
    found = CountedExamples(1234, some)
    return Changes(
        run_id,
        came=found,
        went=found,
        replaced=CountedExamples(_EXAMPLES, tuple(photos[_EXAMPLES:])),
        moved=found,
        repaired=found,
        rejects=rejects[::2],
        n_lost=7,
        duplicate_groups=CountedExamples(
            40, tuple(NewDuplicateGroup(f"dup-{i:05d}", 3, p.product_id, p.uri, p.title) for i, p in enumerate(some))
        ),
        copies=CountedExamples(
            20, tuple(NewCopy(f"dup-{i:05d}", p.product_id, p.uri, p.title) for i, p in enumerate(some))
        ),
        **{
            name: CountedExamples(
                n, tuple(NewPair(verdict, 0.8, p.product_id, p.uri, p.product_id, p.uri) for p in some)
            )
            for name, n, verdict in (("pairs_to_look_at", 40, "mirrored"), ("pairs_apart", 99, "recoloured"))
        },
        groups=tuple(
            GroupChanges(
                event, 90, 9, tuple(ChangedGroup(f"g{i}", "fine", title, 9, (title,)) for i, title in enumerate(titles))
            )
            for event in ("born", "merged", "split", "retired")
        ),
    )
