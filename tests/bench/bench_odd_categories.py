"""Photos that look like another category, through a real night: how many of those that were given a wrong one are named.

Usage: bench_odd_categories.py --data DIR [--set NAME ...] [--seeds N] [--share S] [--every N] [--keep DIR]. DIR holds the
labelled sets of `bench_titles.py`; the sample is always there. Categories are a path, `Food > Apple`, and then its narrowest
level alone. A share of the photos gets the category of another photo of the set, drawn anew for each seed; each photo is a
product of its own. What is named where nothing was changed is false, or a label that is wrong in the set itself.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import rich.console
from bench_titles import SETS, night_of
from pyspark.sql import functions as F
from rich.table import Table

from prodseek.cluster.named_columns import NamedColumns
from prodseek.photos.decode import content_id
from prodseek.runs.columns import VISUAL
from prodseek.spark.cluster.fit import Fit, fit_groups
from prodseek.spark.cluster.odd_categories import with_odd_category
from prodseek.spark.cluster.primary_regions import primary_regions
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame


def with_wrong(categories: Sequence[str], share: float, seed: int) -> list[str]:
    """The categories, a share of them replaced by another of them."""
    draw, changed = random.Random(seed), list(categories)
    for place in draw.sample(range(len(categories)), round(share * len(categories))):
        changed[place] = draw.choice([one for one in categories if one != categories[place]])
    return changed


def named(night: Night, fit: Fit, image_ids: Sequence[str], categories: Sequence[str]) -> set[str]:
    """The image_id of what looks like another category, where photos have these."""
    rows = [(image_id, [("category", one)]) for image_id, one in dict(zip(image_ids, categories, strict=True)).items()]
    filed = local_frame(night.spark, rows, "image_id string, attributes map<string,string>")
    regions = primary_regions(night).drop("attributes").join(filed, "image_id")
    odd = with_odd_category(night, regions, fit, NamedColumns("category", None)).where(
        F.col("odd_category").isNotNull()
    )
    return {row["image_id"] for row in odd.select("image_id").collect()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=SETS, nargs="+", default=list(SETS), dest="sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.02, help="of the photos, that get a wrong category")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo of a set")
    parser.add_argument("--keep", type=Path, help="where the nights are kept")
    options = parser.parse_args()
    table = Table("set", "categories", "photos", "nothing changed", "right", "found")
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets:
            photos = SETS[name](options.data / name)[:: options.every]
            image_ids = [content_id(photo.path.read_bytes()) for photo in photos]
            night = night_of(photos, (options.keep or Path(scratch)) / name)
            fit = fit_groups(night, primary_regions(night), VISUAL)
            for kind, levels in (("paths", slice(None)), ("narrowest", slice(-1, None))):
                categories = [" > ".join(photo.levels[levels]) for photo in photos]
                n_named = n_right = n_wrong = 0
                for seed in range(options.seeds):
                    changed = with_wrong(categories, options.share, seed)
                    wrong = {of for of, was, now in zip(image_ids, categories, changed, strict=True) if was != now}
                    found = named(night, fit, image_ids, changed)
                    n_named, n_right, n_wrong = (
                        n_named + len(found),
                        n_right + len(found & wrong),
                        n_wrong + len(wrong),
                    )
                unchanged = len(named(night, fit, image_ids, categories))
                shares = (f"{n_right / max(1, n):.2f}" for n in (n_named, n_wrong))
                table.add_row(name, kind, str(len(photos)), str(unchanged), *shares)
    rich.console.Console(width=120).print(table)


if __name__ == "__main__":
    main()
