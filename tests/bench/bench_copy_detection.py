"""Copy detection by the protocol of DISC21, beside hashes and the bare embedding.

References and queries are each made from a source of their own; half of the queries have no reference. Queries are altered in
fifteen ways. All of them are one catalogue, which goes through the night's stages; what is measured is the table that they
publish. Score of a pair: our confidence, or the contender's likeness.
Usage: bench_copy_detection.py --set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN ... Photos of one label are one source, of which
the first is taken. Half of the sources, by their bytes, is for development: the verdicts' bounds and the confidence were made
on it; the other half is held out, and is what is measured unless --part says otherwise.

Source: Douze et al., "The 2021 Image Similarity Dataset and Challenge", 2021, section 4.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.fft
from bench_embedding import LabelledSet, labelled_set
from catalogue import rows_of
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from prodseek.config import load_config
from prodseek.duplicates.hashes import dihedral_hashes, hamming, hashes_from_hex
from prodseek.duplicates.planting.copies import ALTERATIONS, altered
from prodseek.duplicates.train_confidence import expected_calibration_error, is_development
from prodseek.runner.open_run import open_run
from prodseek.runner.progress import Console as Progress
from prodseek.runner.stages import run_stage
from prodseek.runs.facts import STAGES
from prodseek.runs.store import Run
from prodseek.spark.night import Night
from prodseek.spark.session import start_session

TARGET_PRECISION = 0.9
N_DISTINCT = 1000
LIKENESSES = ("prodseek", "PDQ, eight orientations", "pHash, 64 bits", "visual embedding, frames")


@dataclass(frozen=True)
class Query:
    """A query photo: how it was altered, and the row of the reference it was made from; None if it has none."""

    uri: str
    alteration: str
    reference: int | None


@dataclass(frozen=True)
class Catalogue:
    """What was planted. source_of: uri -> the source it shows; the scene that a query was pasted into has its own."""

    n_references: int
    queries: tuple[Query, ...]
    source_of: dict[str, int]


def sources(sets: Sequence[LabelledSet], part: str) -> list[bytes]:
    """Files of the part, the first of each label, in an order that no name decides."""
    found: dict[tuple[str, str], bytes] = {}
    for labelled in sets:
        for row, path in rows_of(labelled.manifest, labelled.uri_column):
            if path.exists():
                found.setdefault((labelled.name, row[labelled.label_column]), path.read_bytes())
    chosen = {data for data in found.values() if part == "all" or is_development(data) == (part == "development")}
    return sorted(chosen, key=lambda data: hashlib.sha256(data).digest())


def plant(folder: Path, files: Sequence[bytes], n_references: int, n_each: int) -> Catalogue:
    """Write references and queries; for each alteration n_each queries with a reference and as many without."""
    n_scenes = len(files) // 8
    scenes, references = files[:n_scenes], files[n_scenes : n_scenes + n_references]
    strangers = files[n_scenes + n_references :][:n_references]
    if len(strangers) < n_references // 2:
        raise SystemExit(f"{len(files)} sources are too few for {n_references} references and as many strangers")
    source_of = {}
    for row, data in enumerate(references):
        uri = f"reference-{row:04d}.jpg"
        (folder / uri).write_bytes(data)
        source_of[uri] = row
    queries = []
    for kind, name in enumerate(ALTERATIONS):
        for number in range(2 * n_each):
            has_reference = number < n_each
            pool = references if has_reference else strangers
            row = (kind * n_each + number % n_each) % len(pool)
            rng = np.random.default_rng([kind, number])
            with Image.open(io.BytesIO(scenes[int(rng.integers(len(scenes)))])) as scene:
                data = altered(name, pool[row], scene, rng)
            if data is None:
                continue
            data = data.data
            uri = f"query-{kind:02d}-{number:04d}.jpg"
            (folder / uri).write_bytes(data)
            queries.append(Query(uri, name, row if has_reference else None))
            source_of[uri] = row if has_reference else n_references + row
    return Catalogue(n_references, tuple(queries), source_of)


def computed(spark: SparkSession, folder: Path, root: Path) -> tuple[Run, float]:
    """The stages from ingest to duplicates, every pair with a verdict written; and the seconds that the last took."""
    config = load_config("local", settings=["duplicates.min_confidence=0"], catalog=str(folder), root=str(root))
    night, console = Night.of(spark, config, open_run(spark, config).run), Progress()
    for stage in STAGES[: STAGES.index("duplicates") + 1]:
        summary = run_stage(night, stage, console)
    return night.run, summary.seconds


def likenesses(run: Run, folder: Path, planted: Catalogue) -> dict[str, NDArray[np.float64]]:
    """(queries, references) by contender; -inf where a pair was not reported."""
    images = read(run, "images").to_pandas().set_index("uri")
    references = [uri for uri in planted.source_of if uri.startswith("reference")]
    uris = [query.uri for query in planted.queries]
    ours = np.full((len(uris), len(references)), -np.inf)
    row_of, column_of = ({uri: place for place, uri in enumerate(names)} for names in (uris, references))
    for pair in pairs_of(run):
        for query, reference in (pair[:2], pair[1::-1]):
            if query in row_of and reference in column_of:
                ours[row_of[query], column_of[reference]] = pair[3]
    hashes = {
        name: hashes_from_hex(images.loc[names, "pdq_hash"].tolist())
        for name, names in (("q", uris), ("r", references))
    }
    turned = dihedral_hashes(hashes["q"])
    pdq = np.stack([hamming(turned[:, slot, None], hashes["r"][None]) for slot in range(turned.shape[1])]).min(axis=0)
    phash = [np.array([phash_bits(folder / uri) for uri in names]) for names in (uris, references)]
    frames = read(run, "detections").to_pandas().query("kind == 'frame'").set_index("image_id")["detection_id"]
    vectors = read(run, "embeddings").to_pandas().set_index("detection_id")["visual"]
    visual = [np.stack(vectors.loc[frames.loc[images.loc[names, "image_id"]]].tolist()) for names in (uris, references)]
    scores = (ours, -pdq, -(phash[0][:, None] != phash[1][None]).sum(axis=2), visual[0] @ visual[1].T)
    return {name: np.asarray(score, np.float64) for name, score in zip(LIKENESSES, scores, strict=True)}


def pairs_of(run: Run, least: float | None = None) -> list[tuple[str, str, str, float]]:
    """uri_a, uri_b, verdict, confidence of pairs of at least this confidence; None: of those that are published by default.

    A pair of images stands for all photos with their bytes.
    """
    least = load_config().duplicates.min_confidence if least is None else least
    uris = read(run, "images").to_pandas().groupby("image_id")["uri"].apply(list)
    found = []
    table = read(run, "near_duplicates").to_pandas()
    for row in table[table["confidence"] >= least].drop_duplicates(["image_id_a", "image_id_b"]).itertuples():
        for a, b in product(uris[row.image_id_a], uris[row.image_id_b]):
            if a != b:
                found.append((a, b, row.verdict, row.confidence))
    return found


def read(run: Run, name: str) -> pa.Table:
    table = pq.read_table(run.table_uri(name))
    if "uri" in table.column_names:
        names = pa.array([Path(uri).name for uri in table.column("uri").to_pylist()])
        table = table.set_column(table.column_names.index("uri"), "uri", names)
    return table


def phash_bits(path: Path) -> NDArray[np.bool_]:
    """imagededup's default: the low 8 x 8 of the DCT of 32 x 32 grey values, against their median."""
    with Image.open(path) as opened:
        grey = np.asarray(ImageOps.grayscale(opened).resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    low = scipy.fft.dctn(grey)[:8, :8].ravel()
    return np.asarray(low > np.median(low[1:]), np.bool_)


def precision_recall(
    scores: NDArray[np.float64], is_true: NDArray[np.bool_], n_true: int
) -> tuple[float, float, float]:
    """Micro-average precision, recall at TARGET_PRECISION, and the score from which it is reached. Equal scores count at once."""
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    last = np.r_[np.diff(scores[order]) != 0, True] if len(order) else np.zeros(0, bool)
    hits = np.cumsum(is_true[order])[last]
    precision, recall = hits / (np.flatnonzero(last) + 1), hits / n_true
    reached = np.flatnonzero(precision >= TARGET_PRECISION)
    average = float((precision * np.diff(np.r_[0.0, recall])).sum())
    if not len(reached):
        return average, 0.0, np.inf
    return average, float(recall[reached[-1]]), float(scores[order][last][reached[-1]])


def tables(run: Run, folder: Path, planted: Catalogue, part: str) -> list[Table]:
    queries = planted.queries
    truth = np.array([[query.reference == row for row in range(planted.n_references)] for query in queries])
    main, each = (
        Table("", title=f"{title}; photos {part}") for title in (summary(planted), "recall at 90 % precision")
    )
    for name in ("uAP", "R@P90"):
        main.add_column(name, justify="right")
    recalls = []
    for name, scores in likenesses(run, folder, planted).items():
        average, recall, bound = precision_recall(scores.ravel(), truth.ravel(), int(truth.sum()))
        main.add_row(name, f"{average:.3f}", f"{recall:.3f}")
        each.add_column(name, justify="right")
        found = (scores >= bound) & truth
        recalls.append([share(found, truth, queries, kind) for kind in ALTERATIONS])
    each.add_column("verdict right", justify="right")
    verdicts = {frozenset(pair[:2]): pair[2] for pair in pairs_of(run)}
    n_right = n_found = 0
    for kind, values in zip(ALTERATIONS, zip(*recalls, strict=True), strict=True):
        pairs = [
            frozenset((q.uri, f"reference-{q.reference:04d}.jpg"))
            for q in queries
            if q.alteration == kind and q.reference is not None
        ]
        given = [verdicts[pair] for pair in pairs if pair in verdicts]
        right = sum(verdict == ALTERATIONS[kind].verdict for verdict in given)
        n_right, n_found = n_right + right, n_found + len(given)
        each.add_row(kind, *(f"{value:.2f}" for value in values), f"{right} of {len(given)}")
    more = Table("", "", title=f"verdict, confidence, groups; photos {part}")
    more.add_row("verdict right among the true pairs that were published", f"{n_right / max(1, n_found):.3f}")
    confidence, is_true = judged(run, planted)
    error = expected_calibration_error(confidence, is_true)
    more.add_row(
        f"expected calibration error, {len(is_true)} pairs with a verdict, {(~is_true).sum()} of them wrong",
        f"{error:.4f}",
    )
    more.add_row("groups that hold two sources", str(mixed_groups(run, planted.source_of)))
    return [main, each, more]


def summary(planted: Catalogue) -> str:
    n_true = sum(query.reference is not None for query in planted.queries)
    return f"{planted.n_references} references, {len(planted.queries)} queries of which {n_true} have one"


def share(found: NDArray[np.bool_], truth: NDArray[np.bool_], queries: Sequence[Query], kind: str) -> float:
    rows = [query.alteration == kind for query in queries]
    return float(found[rows].sum() / max(1, truth[rows].sum()))


def judged(run: Run, planted: Catalogue) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of all pairs with a verdict, and whether they show one source.

    Two pasted photos may share their scene: left out.
    """
    pasted = {query.uri for query in planted.queries if query.alteration == "paste"}
    rows = [
        (confidence, planted.source_of[a] == planted.source_of[b])
        for a, b, verdict, confidence in pairs_of(run, least=0.0)
        if not {a, b} <= pasted and not verdict.startswith("identical")
    ]
    confidence, is_true = zip(*rows, strict=True)
    return np.array(confidence), np.array(is_true)


def mixed_groups(run: Run, source_of: dict[str, int]) -> int:
    groups = read(run, "duplicate_groups").to_pandas()
    return int((groups.assign(source=groups["uri"].map(source_of)).groupby("group_id")["source"].nunique() > 1).sum())


def distinct(spark: SparkSession, files: Sequence[bytes], folder: Path, root: Path) -> Table:
    """What the stage makes of photos that all show different things."""
    source_of = {f"{row:04d}.jpg": row for row in range(len(files))}
    for uri, row in source_of.items():
        (folder / uri).write_bytes(files[row])
    run, seconds = computed(spark, folder, root)
    table = Table("", "", title=f"{len(files)} distinct photos, all parts")
    table.add_row("groups that hold two of them", str(mixed_groups(run, source_of)))
    for a, b, verdict, confidence in pairs_of(run):
        photos = " ".join(hashlib.sha256(files[source_of[uri]]).hexdigest()[:8] for uri in (a, b))
        table.add_row("pair published", f"{photos}: {verdict}, {confidence:.3f}")
    table.add_row("seconds of the stage duplicates", f"{seconds:.0f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--set", action="append", type=labelled_set, default=[], dest="sets", metavar="NAME=MANIFEST:URI:LABEL"
    )
    parser.add_argument("--part", choices=("held-out", "development", "all"), default="held-out")
    parser.add_argument("--references", type=int, default=300)
    parser.add_argument("--each", type=int, default=30, help="queries of each alteration with a reference, and without")
    parser.add_argument(
        "--distinct", action="store_true", help=f"also run up to {N_DISTINCT} distinct photos as a catalogue"
    )
    arguments = parser.parse_args()
    if not arguments.sets:
        print("no photos: name labelled catalogues of distinct photos with --set")
        return
    spark = start_session(load_config().spark, "bench_copy_detection")
    console = Console(width=160)
    with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as name:
        folder, root = Path(name) / "photos", Path(name) / "store"
        folder.mkdir()
        planted = plant(folder, sources(arguments.sets, arguments.part), arguments.references, arguments.each)
        run, seconds = computed(spark, folder, root)
        for table in tables(run, folder, planted, arguments.part):
            console.print(table)
        console.print(f"stage duplicates: {seconds:.0f} s; {run.summary('duplicates').lines[0]}")
    if arguments.distinct:
        with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as name:
            folder = Path(name) / "photos"
            folder.mkdir()
            console.print(distinct(spark, sources(arguments.sets, "all")[:N_DISTINCT], folder, Path(name) / "store"))


if __name__ == "__main__":
    main()
