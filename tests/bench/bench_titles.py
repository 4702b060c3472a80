"""Titles of curation groups, through real nights: whether labels that people gave bear them out.

Usage: bench_titles.py --data DIR [--set NAME ...] [--layout NAME ...] [--every N] [--keep DIR]. DIR holds the labelled sets of
`SETS`; the sample is always there. Every set is laid out anew as each kind of catalogue, with names that say nothing wherever
the layout does not speak: numbered files, article numbers.

A member bears a title out if one of its own labels is named in it. A title that names no label is borne out by nobody.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import rich.console
from catalogue import SAMPLE
from rich.table import Table

from prodseek.config import load_config
from prodseek.photos.decode import content_id
from prodseek.runner.open_run import open_run
from prodseek.runner.progress import Console
from prodseek.runner.stages import run_stage
from prodseek.runs.columns import FINE, VISUAL
from prodseek.runs.facts import STAGES
from prodseek.runs.store import Run, read_columns
from prodseek.spark.night import Night
from prodseek.spark.session import start_session

BORNE_OUT = 0.75
SUPPLIERS = (
    "vendor_a",
    "vendor_b",
    "acme/2023-05",
    "acme/2023-06/small",
    "img",
    "3f0b9a52-1c77-4e0e-9d3c-6a8f1e0c1b2d",
)


@dataclass(frozen=True)
class LabelledPhoto:
    """path: of the photo. labels: names that are right. levels: of a person's folders. title: as a shop would write it."""

    path: Path
    labels: frozenset[str]
    levels: tuple[str, ...]
    title: str


@dataclass(frozen=True)
class TitleScores:
    """Shares of fine groups, 0..1. by_first: borne out by the first thing named alone. by_basis: `title_from` -> groups."""

    n_groups: int
    borne_out: float
    by_first: float
    look_alikes: int
    by_basis: dict[str, int]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _spaced(text: str) -> str:
    return text.replace("-", " ").replace("_", " ")


def grocery(data: Path) -> list[LabelledPhoto]:
    return [
        LabelledPhoto(
            data / row["image"],
            frozenset((row["department"], row["kind"], row["product"])),
            (row["department"], row["kind"]),
            f"{_spaced(row['product'])} {_spaced(row['kind'])}",
        )
        for row in _rows(data / "labels.csv")
    ]


_BRANDS, _PRAISE = ("Nordlys", "Kito", "Verano", "Aldgate"), ("Basic", "Summer", "Soft", "Classic")


def clothing(data: Path) -> list[LabelledPhoto]:
    draw = random.Random(0)
    return [
        LabelledPhoto(
            data / row["image"],
            frozenset([row["category"]]),
            (row["category"],),
            f"{draw.choice(_BRANDS)} {draw.choice(_PRAISE)} {row['category']}, size {draw.choice('SML')}",
        )
        for row in _rows(data / "labels.csv")
    ]


def magento(data: Path) -> list[LabelledPhoto]:
    draw = random.Random(0)
    found = []
    for row in _rows(data / "labels.csv"):
        levels = tuple(row["category"].split("/"))
        labels = frozenset(name for level in levels for name in level.split(" & "))
        title = f"{draw.choice(_BRANDS)} {draw.choice(_PRAISE)} {row['colour']} {levels[-1]} {row['product'].upper()}"
        found.append(LabelledPhoto(data / row["image"], labels, levels, title))
    return found


def sample(_: Path) -> list[LabelledPhoto]:
    return [
        LabelledPhoto(SAMPLE / row["uri"], frozenset([row["category"]]), (row["category"],), row["title"])
        for row in _rows(SAMPLE / "catalog.csv")
        if (SAMPLE / row["uri"]).is_file() and row["category"]
    ]


SETS: dict[str, Callable[[Path], list[LabelledPhoto]]] = {
    "sample": sample,
    "magento": magento,
    "clothing": clothing,
    "grocery": grocery,
}


def folders(photos: Sequence[LabelledPhoto], target: Path) -> Path:
    """A folder a label, one in the other; files are numbered."""
    for number, photo in enumerate(photos):
        _link(photo, target / "/".join(photo.levels) / f"{number:05}{photo.path.suffix}")
    return target


def titles(photos: Sequence[LabelledPhoto], target: Path) -> Path:
    return _manifest(photos, target, lambda photo: {"Title ": photo.title})


def categories(photos: Sequence[LabelledPhoto], target: Path) -> Path:
    return _manifest(photos, target, lambda photo: {" Category": " > ".join(photo.levels), "Title ": photo.title})


def suppliers(photos: Sequence[LabelledPhoto], target: Path) -> Path:
    """Folders that say who sent a photo and when, by chance; nothing in them is about what the photo shows."""
    draw = random.Random(0)
    for number, photo in enumerate(photos):
        _link(photo, target / draw.choice(SUPPLIERS) / f"SKU-{number:05}{photo.path.suffix}")
    return target


LAYOUTS = {"folders": folders, "titles": titles, "categories": categories, "suppliers": suppliers}


def _manifest(
    photos: Sequence[LabelledPhoto], target: Path, columns: Callable[[LabelledPhoto], dict[str, str]]
) -> Path:
    rows = []
    for number, photo in enumerate(photos):
        name = f"{number:05}{photo.path.suffix}"
        _link(photo, target / name)
        rows.append({"product_id": f"SKU-{number:05}", "uri": name, **columns(photo)})
    manifest = target / "catalog.csv"
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return manifest


def _link(photo: LabelledPhoto, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(photo.path.resolve())


def run_of(photos: Sequence[LabelledPhoto], layout: str, folder: Path, cache: Path) -> Run:
    """The stages up to `cluster` over a set in a layout. cache: what no night of the same photos has to do again."""
    shutil.rmtree(folder, ignore_errors=True)
    catalog = LAYOUTS[layout](photos, folder / "catalogue")
    root = folder / "out"
    root.mkdir()
    cache.mkdir(parents=True, exist_ok=True)
    (root / "cache").symlink_to(cache.resolve())
    allowed = ",".join(sorted({str(photo.path.resolve().parent) for photo in photos}))
    config = load_config(settings=[f"catalog.allowed_roots=[{allowed}]"], catalog=str(catalog), root=str(root))
    spark = start_session(config.spark)
    night, console = Night.of(spark, config, open_run(spark, config).run), Console()
    for stage in STAGES[: STAGES.index("cluster") + 1]:
        run_stage(night, stage, console)
    return night.run


def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words without an English plural's s."""
    return tuple(word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.casefold()))


def named_in(title: str, labels: set[str]) -> list[str]:
    """Labels whose words stand in a title one after the other, in its order."""
    words = words_of(title)
    places = {}
    for label in labels:
        own = words_of(label)
        starts = [at for at in range(len(words)) if words[at : at + len(own)] == own]
        if own and starts:
            places[label] = (starts[0], -len(own))
    return sorted(places, key=places.__getitem__)


def scores(run: Run, truth: dict[str, frozenset[str]]) -> TitleScores:
    """truth: image_id -> labels."""
    summary = read_columns(
        run,
        "curation_summary",
        ["group_id", "title", "title_from"],
        (pc.field("facet") == VISUAL) & (pc.field("level") == FINE),
    ).to_pylist()
    of_image = dict(
        zip(
            *(read_columns(run, "detections", ["detection_id", "image_id"]).column(i).to_pylist() for i in (0, 1)),
            strict=True,
        )
    )
    members: dict[str, list[frozenset[str]]] = {row["group_id"]: [] for row in summary}
    for row in read_columns(
        run, "curation_groups", ["detection_id", "group_id"], pc.field("facet") == VISUAL
    ).to_pylist():
        if row["group_id"] is not None:
            members[row["group_id"]].append(truth[of_image[row["detection_id"]]])
    vocabulary = {label for labels in truth.values() for label in labels}
    borne, first = 0, 0
    for row in summary:
        named, own = named_in(row["title"], vocabulary), members[row["group_id"]]
        borne += sum(bool(set(named) & labels) for labels in own) >= BORNE_OUT * len(own)
        first += sum(bool(set(named[:1]) & labels) for labels in own) >= BORNE_OUT * len(own)
    n = max(1, len(summary))
    basis = Counter(row["title_from"] for row in summary)
    return TitleScores(
        len(summary),
        borne / n,
        first / n,
        sum("look-alike" in row["title"] for row in summary),
        dict(basis.most_common()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=SETS, nargs="+", default=list(SETS), dest="sets")
    parser.add_argument("--layout", choices=LAYOUTS, nargs="+", default=list(LAYOUTS), dest="layouts")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo of a set")
    parser.add_argument("--keep", type=Path, help="where the nights are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        table = Table("set", "layout", "groups", "borne out", "by the first", "look-alikes", "title from")
        for name in options.sets:
            photos = SETS[name](options.data / name)[:: options.every]
            truth = {content_id(photo.path.read_bytes()): photo.labels for photo in photos}
            for layout in options.layouts:
                found = scores(run_of(photos, layout, folder / f"{name}-{layout}", folder / f"{name}-cache"), truth)
                basis = ", ".join(f"{kind} {count}" for kind, count in found.by_basis.items())
                table.add_row(
                    name,
                    layout,
                    str(found.n_groups),
                    f"{found.borne_out:.2f}",
                    f"{found.by_first:.2f}",
                    str(found.look_alikes),
                    basis,
                )
        rich.console.Console().print(table)


if __name__ == "__main__":
    main()
