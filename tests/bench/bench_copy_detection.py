"""Copy detection on catalogues that nothing was fitted on: each in turn is left out of the fit, and is what is measured.

pairs: planted pairs, half of them copies and half hard negatives, and real pairs that look alike, judged by a model that was
fitted on the other catalogues; with --families also on the other families of kinds alone. Writes the turns' models to --models,
and all.json, which is fitted on every catalogue.
catalogue: each catalogue with planted queries through the night's stages, by the protocol of DISC21, beside hashes and the
bare embedding; with the turn's model from --models. placeholder: thousands of re-encodes of one photo among 500. versions: 40
photos in 24 versions each. The last two measure on the first set.
Usage: bench_copy_detection.py MODE --set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN ... Photos of one product have one label. The
sample is always among the sets.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import copy_catalogues as planted
import copy_pairs
import copy_scores
from bench_embedding import LabelledSet, labelled_set
from catalogue import SAMPLE
from rich.console import Console
from rich.table import Table

from prodseek.config import load_config
from prodseek.duplicates.decision import MODEL_FILE
from prodseek.duplicates.planting.pairs import Photo
from prodseek.spark.session import start_session

MODES = ("pairs", "catalogue", "placeholder", "versions")
N_PLACEHOLDERS = (300, 3000)
N_AMONG = 500
# One is judged, and of the others each in turn calibrates.
LEAST_SETS = 3
N_VERSIONS, N_IN_VERSIONS = 24, 40
REPO = Path(__file__).parents[2]


def pairs(arguments: argparse.Namespace, sets: Sequence[LabelledSet]) -> list[Table]:
    """Array level: no Spark."""

    def make() -> list[copy_pairs.MeasuredPair]:
        catalogues = [planted.photos_of(labelled) for labelled in sets]
        return copy_pairs.measured_pairs(
            catalogues, arguments.pairs, arguments.real, arguments.seed, arguments.processes
        )

    found = copy_pairs.kept_or_measured(arguments.measured, make)
    turns = list(copy_pairs.turns(found, arguments.trained))
    if arguments.models:
        arguments.models.mkdir(parents=True, exist_ok=True)
        models = {turn.left_out: turn.model for turn in turns} | {"all": copy_pairs.fitted(found)}
        for name, model in models.items():
            (arguments.models / f"{name}.json").write_text(json.dumps(asdict(model)), encoding="utf-8")
    tables = copy_pairs.tables(turns)
    if arguments.families:
        tables.append(copy_pairs.table_of_turns(list(copy_pairs.family_turns(found))))
    return tables


def catalogue(arguments: argparse.Namespace, labelled: LabelledSet, folder: Path, root: Path) -> list[Table]:
    """One catalogue through the stages; the others are not read."""
    photos = planted.photos_of(labelled)
    made = planted.plant(folder, photos, arguments.seed, arguments.photos, arguments.each)
    spark = start_session(load_config().spark, "bench_copy_detection")
    done = planted.computed(spark, folder, root)
    tables = copy_scores.tables(done.run, folder, made, labelled.name)
    cost = Table("", "", title=f"{labelled.name}: cost")
    cost.add_row("candidates", f"{done.facts.candidates:,}")
    cost.add_row("seconds of the stage duplicates", f"{done.seconds:.0f}")
    return [*tables, cost]


def placeholder(photos: Sequence[Photo], folder: Path, root: Path, seed: int) -> list[Table]:
    """Candidates must grow with the photos, not with their square."""
    table = Table("", title=f"one placeholder, encoded again and again, among {N_AMONG} photos")
    for name in ("candidates", "seconds of the stage", "groups", "of them mixed", "placeholders in the largest group"):
        table.add_column(name, justify="right")
    spark = start_session(load_config().spark, "bench_copy_detection")
    for n_copies in N_PLACEHOLDERS:
        here = folder / str(n_copies)
        here.mkdir()
        source_of = planted.plant_placeholder(here, photos[:N_AMONG], n_copies, seed)
        done = planted.computed(spark, here, root / str(n_copies))
        groups = planted.groups_of(done.run)
        share = planted.largest_share(groups, source_of, [0])[0]
        table.add_row(
            f"{n_copies} copies",
            f"{done.facts.candidates:,}",
            f"{done.seconds:.0f}",
            str(groups["group_id"].nunique()),
            str(len(planted.mixed_groups(groups, source_of))),
            f"{round(share * n_copies)} of {n_copies}",
        )
    return [table]


def versions(photos: Sequence[Photo], folder: Path, root: Path, seed: int) -> list[Table]:
    """The most copied photo must be found best."""
    source_of = planted.plant_versions(folder, photos[: 5 * N_IN_VERSIONS], N_IN_VERSIONS, N_VERSIONS, seed)
    spark = start_session(load_config().spark, "bench_copy_detection")
    done = planted.computed(spark, folder, root)
    groups = planted.groups_of(done.run)
    shares = planted.largest_share(groups, source_of, range(N_IN_VERSIONS))
    table = Table(
        "", "", title=f"{N_IN_VERSIONS} photos in {N_VERSIONS} versions each, among {4 * N_IN_VERSIONS} others"
    )
    table.add_row("versions in one group, mean", f"{sum(shares) / len(shares):.3f}")
    table.add_row("photos with all versions in one group", f"{sum(share == 1 for share in shares)}")
    table.add_row("worst photo", f"{min(shares):.3f}")
    table.add_row("groups that hold two photos' copies", str(len(planted.mixed_groups(groups, source_of))))
    table.add_row("candidates", f"{done.facts.candidates:,}")
    table.add_row("seconds of the stage duplicates", f"{done.seconds:.0f}")
    return [table]


def with_model(model: Path, library: Path) -> dict[str, str]:
    """The environment of a process whose prodseek is a copy of this one with another model; executors inherit it."""
    package = library / "prodseek"
    shutil.copytree(REPO / "lib" / "prodseek", package)
    for name in ("jobs", "schemas", "conf"):
        shutil.copytree(REPO / name, package / name)
    shutil.copy(model, package / "duplicates" / MODEL_FILE)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(library), os.environ.get("PYTHONPATH", "")])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=MODES)
    parser.add_argument(
        "--set", action="append", type=labelled_set, default=[], dest="sets", metavar="NAME=MANIFEST:URI:LABEL"
    )
    parser.add_argument("--turn", action="append", help="catalogue: only this one; repeat for more")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=1500, help="planted pairs of each catalogue")
    parser.add_argument("--real", type=int, default=600, help="pairs: real negatives of each catalogue at most")
    parser.add_argument("--measured", type=Path, help="pairs: file of measurements, written if it is not there")
    parser.add_argument(
        "--trained", type=Path, help="pairs: what train_decision measured, to fit the turns on it instead"
    )
    parser.add_argument("--models", type=Path, help="folder of the turns' models: pairs writes, catalogue reads")
    parser.add_argument("--families", action="store_true", help="pairs: also leave out each family of kinds in turn")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--photos", type=int, default=800, help="catalogue: photos at most, queries aside")
    parser.add_argument("--each", type=int, default=8, help="queries of each kind with an original, and without")
    arguments = parser.parse_args()
    if arguments.mode is None:
        print(f"name what to measure: {', '.join(MODES)}; and labelled catalogues with --set")
        return
    sets = [*arguments.sets, LabelledSet("sample", SAMPLE / "truth.csv", "uri", "product_id")]
    console = Console(width=180)
    if arguments.mode == "pairs" and len(sets) < LEAST_SETS:
        parser.error(f"pairs needs {LEAST_SETS} catalogues, the sample among them: name more with --set")
    if arguments.mode == "catalogue" and arguments.models:
        for labelled in sets:
            if arguments.turn is None or labelled.name in arguments.turn:
                _in_a_process_of_its_own(arguments, labelled)
        return
    with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as name:
        for number, labelled in enumerate(sets):
            folder, root = Path(name) / f"photos-{number}", Path(name) / f"store-{number}"
            folder.mkdir()
            if arguments.mode == "pairs":
                found = pairs(arguments, sets)
            elif arguments.mode == "catalogue":
                if arguments.turn is not None and labelled.name not in arguments.turn:
                    continue
                found = catalogue(arguments, labelled, folder, root)
            else:
                measure = placeholder if arguments.mode == "placeholder" else versions
                found = measure(planted.photos_of(labelled), folder, root, arguments.seed)
            for table in found:
                console.print(table)
            if arguments.mode != "catalogue":
                break


def _in_a_process_of_its_own(arguments: argparse.Namespace, labelled: LabelledSet) -> None:
    with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as name:
        environment = with_model(arguments.models / f"{labelled.name}.json", Path(name))
        given = f"{labelled.name}={labelled.manifest.resolve()}:{labelled.uri_column}:{labelled.label_column}"
        sized = [f"--{option}={getattr(arguments, option)}" for option in ("seed", "photos", "each")]
        command = [sys.executable, __file__, "catalogue", "--turn", labelled.name, *sized]
        if labelled.name != "sample":
            command += ["--set", given]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
