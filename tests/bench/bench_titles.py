"""Titles of curation groups, through a real night: whether labels that people gave bear them out.

Usage: bench_titles.py --data DIR [--set NAME ...] [--layout NAME ...] [--every N] [--keep DIR] [--show]. DIR holds the labelled
sets of `SETS`; the sample is always there. A night groups each set; then its groups are named as if the catalogue were each of
`LAYOUTS`, with names that say nothing wherever a layout does not speak: numbered files, article numbers.

A member bears a title out if one of its own labels is named in it. A title that names no label is borne out by nobody.
Where a set says colours, the colour that a title begins with is right if three quarters of its members have a label that it may
stand for (`MAY_BE`), and left out where there is none; only groups with such a label are counted.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from pathlib import Path

import rich.console
from catalogue import SAMPLE
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.table import Table

from prodseek.cluster.colours import COLOUR_NAMES, colour_name
from prodseek.cluster.titles import GroupTitle, group_titles
from prodseek.config import load_config
from prodseek.photos.decode import content_id
from prodseek.runner.open_run import open_run
from prodseek.runner.progress import Console
from prodseek.runner.stages import run_stage
from prodseek.runs.columns import BOX_PX, GROUP_COLUMNS, VISUAL
from prodseek.runs.facts import STAGES
from prodseek.spark.cluster.looks import looks_by_group
from prodseek.spark.cluster.names import catalogue_words, group_facts
from prodseek.spark.cluster.primary_regions import primary_regions
from prodseek.spark.night import Night
from prodseek.spark.session import start_session
from prodseek.spark.tables import local_frame

BORNE_OUT = 0.75
# What people call a colour -> what it may rightly be called.
MAY_BE = {
    "black": {"black", "dark grey"},
    "white": {"white", "light grey"},
    "gray": {"grey", "dark grey", "light grey"},
    "grey": {"grey", "dark grey", "light grey"},
    "red": {"red", "dark red"},
    "orange": {"orange"},
    "yellow": {"yellow", "olive"},
    "gold": {"yellow", "tan", "olive", "brown"},
    "green": {"green", "dark green", "light green", "olive", "turquoise"},
    "blue": {"blue", "light blue", "navy", "turquoise"},
    "purple": {"purple"},
    "lavender": {"purple"},
    "pink": {"pink"},
    "beige": {"beige", "tan"},
    "cream": {"beige", "white"},
    "brown": {"brown", "dark brown", "tan"},
}
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
    colour: str = ""


@dataclass(frozen=True)
class ColourScores:
    """Groups by how their colour is named, and photos of which the colour is asked by themselves. n: those with a label."""

    n: int
    right: int
    wrong: int

    def __str__(self) -> str:
        if not self.n:
            return ""
        left_out = self.n - self.right - self.wrong
        return " / ".join(f"{count / self.n:.2f}" for count in (self.right, self.wrong, left_out)) + f" of {self.n}"


@dataclass(frozen=True)
class TitleScores:
    """Shares of fine groups, 0..1. by_first: borne out by the first thing named alone. by_basis: `title_from` -> groups.

    not_borne_out: titles, with labels that are frequent there.
    """

    n_groups: int
    borne_out: float
    by_first: float
    look_alikes: int
    by_basis: dict[str, int]
    not_borne_out: tuple[str, ...]


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
        found.append(LabelledPhoto(data / row["image"], labels, levels, title, row["colour"]))
    return found


def sample(_: Path) -> list[LabelledPhoto]:
    return [
        LabelledPhoto(
            SAMPLE / row["uri"], frozenset([row["category"]]), (row["category"],), row["title"], row["colour"]
        )
        for row in _rows(SAMPLE / "catalog.csv")
        if (SAMPLE / row["uri"]).is_file() and row["category"]
    ]


SETS: dict[str, Callable[[Path], list[LabelledPhoto]]] = {
    "sample": sample,
    "magento": magento,
    "clothing": clothing,
    "grocery": grocery,
}


@dataclass(frozen=True)
class Named:
    """How a catalogue names a photo."""

    uri: str
    product_id: str
    attributes: dict[str, str]


def folders(photos: Sequence[LabelledPhoto]) -> list[Named]:
    """A folder a label, one in the other; files are numbered."""
    uris = ["/".join((*photo.levels, f"{number:05}.jpg")) for number, photo in enumerate(photos)]
    return [Named(uri, uri.removesuffix(".jpg"), {}) for uri in uris]


def titles(photos: Sequence[LabelledPhoto]) -> list[Named]:
    return [_article(number, {"Title ": photo.title}) for number, photo in enumerate(photos)]


def categories(photos: Sequence[LabelledPhoto]) -> list[Named]:
    return [
        _article(number, {" Category": " > ".join(photo.levels), "Title ": photo.title})
        for number, photo in enumerate(photos)
    ]


def colours(photos: Sequence[LabelledPhoto]) -> list[Named]:
    return [
        _article(number, {" Category": " > ".join(photo.levels), "Farbe": photo.colour})
        for number, photo in enumerate(photos)
    ]


def suppliers(photos: Sequence[LabelledPhoto]) -> list[Named]:
    """Folders that say who sent a photo and when, by chance; nothing in them is about what the photo shows."""
    draw = random.Random(0)
    uris = [f"{draw.choice(SUPPLIERS)}/SKU-{number:05}.jpg" for number in range(len(photos))]
    return [Named(uri, uri.removesuffix(".jpg"), {}) for uri in uris]


def _article(number: int, attributes: dict[str, str]) -> Named:
    return Named(f"{number:05}.jpg", f"SKU-{number:05}", attributes)


LAYOUTS = {"folders": folders, "titles": titles, "categories": categories, "colours": colours, "suppliers": suppliers}

# Copies are not looked for, because titles do not ask for them.
_SETTINGS = ["duplicates.max_pdq_hamming=0", "duplicates.max_neighbours=0", "duplicates.max_code_partners=0"]


def night_of(photos: Sequence[LabelledPhoto], folder: Path) -> Night:
    """The stages up to `cluster` over a set in folders. folder: where its root is; what lies there is used again."""
    catalogue = folder / "catalogue"
    for photo, named in zip(photos, folders(photos), strict=True):
        target = catalogue / named.uri
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_symlink():
            target.symlink_to(photo.path.resolve())
    allowed = ",".join(sorted({str(photo.path.resolve().parent) for photo in photos}))
    config = load_config(
        settings=[*_SETTINGS, f"catalog.allowed_roots=[{allowed}]"], catalog=str(catalogue), root=str(folder / "out")
    )
    spark = start_session(config.spark)
    night, console = Night.of(spark, config, open_run(spark, config).run), Console()
    for stage in STAGES[: STAGES.index("cluster") + 1]:
        run_stage(night, stage, console)
    return night


def titles_in(night: Night, image_ids: Sequence[str], named: Sequence[Named]) -> dict[str, GroupTitle]:
    """The titles that tonight's groups have where the catalogue names its photos otherwise, by group_id."""
    regions = primary_regions(night)
    grouped = night.table("curation_groups").where(F.col("facet") == VISUAL)
    levels = [
        grouped.select("detection_id", F.lit(level).alias("level"), F.col(column).alias("label")).where(
            "label is not null"
        )
        for level, column in GROUP_COLUMNS.items()
    ]
    rows = [
        (image_id, one.uri, one.product_id, list(one.attributes.items()))
        for image_id, one in dict(zip(image_ids, named, strict=True)).items()
    ]
    schema = "image_id string, uri string, product_id string, attributes map<string,string>"
    others = local_frame(night.spark, rows, schema)
    members = reduce(DataFrame.unionByName, levels)
    looks = looks_by_group(night, regions.join(members, "detection_id"))
    renamed = regions.drop("uri", "product_id", "attributes").join(others, "image_id")
    words = catalogue_words(renamed, ())
    facts = group_facts(night, renamed.join(members, "detection_id"), words, looks)
    return {label: title for (_, label), title in group_titles(facts).items()}


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


def scores(night: Night, titles: dict[str, GroupTitle], truth: dict[str, frozenset[str]]) -> TitleScores:
    """Of fine groups. titles: by group_id. truth: image_id -> labels."""
    grouped = night.table("curation_groups").where((F.col("facet") == VISUAL) & F.col("group_id").isNotNull())
    regions = night.table("detections").select("detection_id", "image_id")
    members: dict[str, list[frozenset[str]]] = defaultdict(list)
    for row in grouped.join(regions, "detection_id").select("group_id", "image_id").collect():
        members[row["group_id"]].append(truth[row["image_id"]])
    vocabulary = {label for labels in truth.values() for label in labels}
    by_first = look_alikes = 0
    not_borne_out: list[str] = []
    for group_id, own in members.items():
        title = titles[group_id].title
        named = named_in(title, vocabulary)
        if sum(bool(set(named) & labels) for labels in own) < BORNE_OUT * len(own):
            not_borne_out.append(f"{title} ({', '.join(label for label, _ in Counter(chain(*own)).most_common(3))})")
        by_first += sum(bool(set(named[:1]) & labels) for labels in own) >= BORNE_OUT * len(own)
        look_alikes += "look-alike" in title
    n = max(1, len(members))
    basis = Counter(titles[group_id].title_from for group_id in members)
    return TitleScores(
        len(members),
        1 - len(not_borne_out) / n,
        by_first / n,
        look_alikes,
        dict(basis.most_common()),
        tuple(not_borne_out),
    )


def colour_in(title: str) -> str | None:
    """The colour that a title begins with, as `dark grey` of `dark grey chairs`."""
    return max(
        (name for name in COLOUR_NAMES if f"{title} ".startswith((f"{name} ", f"{name},"))), key=len, default=None
    )


def colours_of_groups(night: Night, titles: dict[str, GroupTitle], colour_of: dict[str, str]) -> ColourScores:
    """Of fine groups. titles: by group_id. colour_of: image_id -> what people call its colour."""
    grouped = night.table("curation_groups").where((F.col("facet") == VISUAL) & F.col("group_id").isNotNull())
    regions = night.table("detections").select("detection_id", "image_id")
    members: dict[str, list[str]] = defaultdict(list)
    for row in grouped.join(regions, "detection_id").select("group_id", "image_id").collect():
        members[row["group_id"]].append(colour_of[row["image_id"]])
    n = right = wrong = 0
    for group_id, own in members.items():
        label, count = Counter(own).most_common(1)[0]
        if label not in MAY_BE or count < BORNE_OUT * len(own):
            continue
        named = colour_in(titles[group_id].title)
        n += 1
        right += named in MAY_BE[label]
        wrong += named is not None and named not in MAY_BE[label]
    return ColourScores(n, right, wrong)


def colours_of_photos(night: Night, colour_of: dict[str, str]) -> ColourScores:
    """Of primary regions, each for itself, as the report's map shows them. colour_of: see `colours_of_groups`."""
    rows = (
        primary_regions(night)
        .select(
            "detection_id",
            "image_id",
            "uri",
            *BOX_PX,
            F.lit("each").alias("level"),
            F.col("detection_id").alias("label"),
        )
        .cache()
    )
    looks = looks_by_group(night, rows)
    n = right = wrong = 0
    for row in rows.select("image_id", "label").collect():
        label = colour_of[row["image_id"]]
        if label not in MAY_BE or ("each", row["label"]) not in looks:
            continue
        (look,) = looks["each", row["label"]]
        named = look.rgb and colour_name(look.rgb)
        n += 1
        right += named in MAY_BE[label]
        wrong += named is not None and named not in MAY_BE[label]
    return ColourScores(n, right, wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=SETS, nargs="+", default=list(SETS), dest="sets")
    parser.add_argument("--layout", choices=LAYOUTS, nargs="+", default=list(LAYOUTS), dest="layouts")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo of a set")
    parser.add_argument("--keep", type=Path, help="where the nights are kept")
    parser.add_argument("--show", action="store_true", help="print all titles")
    options = parser.parse_args()
    table = Table("set", "layout", "groups", "borne out", "by the first", "look-alikes", "title from", "colour")
    table.caption = "colour: right / wrong / left out, of groups with one"
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets:
            photos = SETS[name](options.data / name)[:: options.every]
            image_ids = [content_id(photo.path.read_bytes()) for photo in photos]
            truth = dict(zip(image_ids, (photo.labels for photo in photos), strict=True))
            colour_of = dict(zip(image_ids, (photo.colour for photo in photos), strict=True))
            night = night_of(photos, (options.keep or Path(scratch)) / name)
            for layout in options.layouts:
                titles = titles_in(night, image_ids, LAYOUTS[layout](photos))
                found = scores(night, titles, truth)
                basis = ", ".join(f"{kind} {count}" for kind, count in found.by_basis.items())
                shares = f"{found.borne_out:.3f}", f"{found.by_first:.3f}"
                colours = str(colours_of_groups(night, titles, colour_of))
                table.add_row(name, layout, str(found.n_groups), *shares, str(found.look_alikes), basis, colours)
                if options.show:
                    print(f"{name}, {layout}:", "; ".join(sorted(title.title for title in titles.values())))
                    print("not borne out:", "; ".join(found.not_borne_out))
            of_photos = colours_of_photos(night, colour_of)
            if of_photos.n:
                print(f"{name}, colours of photos, right / wrong / left out: {of_photos}")
    rich.console.Console(width=180).print(table)


if __name__ == "__main__":
    main()
