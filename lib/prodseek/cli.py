"""The command line: `prodseek run`, `prodseek check`, `prodseek plan`, `prodseek search`, `prodseek search-batch`,
`prodseek evaluate`, `prodseek verify`, `prodseek status`, `prodseek gc`, `prodseek config`, `prodseek weights`,
`prodseek export-index`, `prodseek java-home`."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer
import yaml

from prodseek import __version__
from prodseek.errors import explain_errors
from prodseek.runner.commands import (
    CATALOGUES,
    NIGHTLY,
    Accept,
    Catalog,
    ConfigFiles,
    Environment,
    ExcludeSameProduct,
    FacetOrMix,
    MinConfidence,
    Root,
    Settings,
    configured,
    search_batch,
)
from prodseek.runs.columns import LIKENESS, FacetName
from prodseek.runs.facts import StageName

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=__doc__,
    rich_markup_mode=None,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prodseek {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What all commands have."""


@app.command()
def run(
    stage: Annotated[
        Literal["nightly", StageName], typer.Argument(help="One stage, or nightly for all of them.")
    ] = NIGHTLY,
    catalog: Catalog = None,
    root: Root = None,
    environment: Environment = None,
    config_files: ConfigFiles = None,
    settings: Settings = None,
    accept: Accept = False,
) -> None:
    """Run the night, or one stage of it. A run that died is resumed, one that finished is left alone."""
    from prodseek.runner.start import run_named

    run_named(stage, configured(environment, config_files, settings, catalog, root), accept)


@app.command()
def plan(
    catalog: Annotated[str, typer.Argument(help=CATALOGUES)],
    executors: Annotated[
        int | None, typer.Option(min=1, help="Executors of the cluster; this machine without.")
    ] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Task slots of each.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory of each, all processes together, such as 16g.")] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each.")] = 0,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure, loading not counted.")] = 30.0,
    costs: Annotated[bool, typer.Option("--costs", help="Print every cost and where it comes from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    root: Root = None,
    environment: Environment = None,
    config_files: ConfigFiles = None,
    settings: Settings = None,
) -> None:
    """Say what a night over CATALOG will take: time, memory, storage and price by stage, and what will not fit.

    Some of its photos are measured; where the root has a finished run and the machine is the same, that run's times count.
    """
    from prodseek.planning.show import plan_night

    plan_night(
        configured(environment, config_files, settings, catalog, root),
        executors,
        cores,
        memory,
        gpus,
        seconds,
        as_json,
        costs,
    )


@app.command()
def check(
    catalog: Annotated[str, typer.Argument(help=CATALOGUES)],
    root: Root = None,
    environment: Environment = None,
    config_files: ConfigFiles = None,
    settings: Settings = None,
) -> None:
    """Say in seconds how CATALOG is read, what becomes of its first rows, and what to set. Nothing is written."""
    from prodseek.catalogue.check import check_catalogue, show_check

    options = [] if root is None else ["--root", root]
    options += [] if environment is None else ["--env", environment]
    options += [part for file in config_files or () for part in ("--config", str(file))]
    options += [part for setting in settings or () for part in ("--set", setting)]
    config = configured(environment, config_files, settings, catalog, root)
    show_check(check_catalogue(config, options), options)


ReadRoot = Annotated[str, typer.Option("--root", help="Where runs are kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def search(
    image: Annotated[str | None, typer.Option(help="The photo to search in.")] = None,
    box: Annotated[str | None, typer.Option(help="x1,y1,x2,y2 in pixels of the upright photo.")] = None,
    object_number: Annotated[int | None, typer.Option("--object", help="A number of those listed without it.")] = None,
    region: Annotated[int | None, typer.Option(help="A detection_id of the catalogue, instead of a photo.")] = None,
    facet: FacetOrMix = LIKENESS,
    k: Annotated[int, typer.Option("-k", help="How many products.")] = 20,
    exclude_same_product: ExcludeSameProduct = False,
    min_confidence: MinConfidence = None,
    as_json: AsJson = False,
    html: Annotated[str | None, typer.Option(help="Write a page with the photos.")] = None,
    png: Annotated[str | None, typer.Option(help="Write a picture: the target, then the matches.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    root: ReadRoot = "out",
) -> None:
    """Find products that look like a part of a photo, or like a region of the catalogue, in the newest run.

    Without --box, --object and --region the objects in the photo are listed.
    """
    from prodseek.search import show
    from prodseek.search.searchable import SearchableRun

    question = show.Question(image, box, object_number, region, k, facet, exclude_same_product, min_confidence)
    question.check()
    searchable = SearchableRun.open(root)
    if image is not None and question.asks_for_objects:
        objects = searchable.objects(image)
        if as_json:
            typer.echo(show.as_json(objects))
        else:
            show.print_objects(image, root, objects)
        return
    found = show.answer(searchable, question)
    if open_page and html is None:
        html = str(Path(tempfile.mkdtemp(prefix="prodseek-")) / "search.html")
    show.write_pictures(searchable, found, html, png)
    if as_json:
        typer.echo(show.as_json(found))
    else:
        show.print_hits(found)
    if open_page and html is not None:
        webbrowser.open(Path(html).resolve().as_uri())


app.command()(search_batch)


@app.command()
def evaluate(
    labels: Annotated[str, typer.Option(help="A CSV file: photos as the catalogue names them, and their labels.")],
    uri_column: Annotated[
        str | None, typer.Option(help="The column that names the photo; as in the catalogue without.")
    ] = None,
    label_column: Annotated[str, typer.Option(help="The column of the label.")] = "label",
    pairs: Annotated[str | None, typer.Option(help="A CSV file of copies: uri_a, uri_b, perhaps verdict.")] = None,
    against: Annotated[str | None, typer.Option(help="An earlier evaluation's JSON, instead of the last one.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Another run than the newest.")] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Pictures, made with photos and network.")
    ] = True,
    root: ReadRoot = "out",
) -> None:
    """Measure a run by labels: what each facet finds, groups, duplicates. Written beside the runs, as JSON and as a page."""
    from prodseek.evaluation.show import evaluate_run

    evaluate_run(root, run_id, labels, uri_column, label_column, pairs, against, figures)


@app.command()
def verify(
    run_id: Annotated[str | None, typer.Option("--run", help="Another run than the newest.")] = None,
    photos: Annotated[int, typer.Option(min=0, help="How many photos go through the network again.")] = 8,
    as_json: AsJson = False,
    root: ReadRoot = "out",
) -> None:
    """Read a finished run again and say whether it is sound: tables, index, cache, some photos. Exit code 1 if it is not."""
    from prodseek.runs.store import Store
    from prodseek.upkeep.show import show_checks
    from prodseek.upkeep.verify import run_to_verify
    from prodseek.upkeep.verify import verify as checks_of

    store = Store.at(root)
    run = run_to_verify(store) if run_id is None else store.run(run_id)
    if not show_checks(run.run_id, checks_of(store, run, photos), as_json):
        raise typer.Exit(1)


@app.command()
def status(as_json: AsJson = False, root: ReadRoot = "out") -> None:
    """List runs, the newest first: how far they are, what came in, time, size; and who is at work."""
    from prodseek.runs.store import Store
    from prodseek.upkeep.show import show_status
    from prodseek.upkeep.survey import survey

    show_status(survey(Store.at(root)), as_json)


@app.command()
def gc(
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest finished runs stay.")],
    delete: Annotated[bool, typer.Option("--delete", help="Remove it, instead of saying what would go.")] = False,
    root: ReadRoot = "out",
) -> None:
    """Remove old runs, and caches and copies of photos that no run left reads. Without --delete it says what would go."""
    from prodseek.runs.lock import hold_root
    from prodseek.runs.store import Store
    from prodseek.upkeep.gc import find_removals, remove
    from prodseek.upkeep.show import show_removals

    store = Store.at(root)
    removals = find_removals(store, keep)
    if delete:
        with hold_root(store.root):
            removals = find_removals(store, keep)  # again, for until now others may have been at work
            remove(store, removals)
    show_removals(store.root, removals, delete)


@app.command()
def config(
    show: Annotated[bool, typer.Option("--show", help="Print the result as YAML.")] = False,
    catalog: Catalog = None,
    root: Root = None,
    environment: Environment = None,
    config_files: ConfigFiles = None,
    settings: Settings = None,
) -> None:
    """Check the configuration that these options make."""
    checked = configured(environment, config_files, settings, catalog, root)
    if show:
        typer.echo(yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)
    else:
        typer.echo("the configuration is good; --show prints it")


@app.command()
def weights(environment: Environment = None, config_files: ConfigFiles = None, settings: Settings = None) -> None:
    """Fetch the network's weights into the cache, once, and print where they are."""
    from prodseek.vision.weights import obtain_weights

    wanted = configured(environment, config_files, settings, remembers=False).network.weights
    typer.echo(obtain_weights(wanted.file_name, wanted.sha256, wanted.sources, wanted.folder))


@app.command()
def export_index(
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    root: ReadRoot = "out",
    facet: Annotated[FacetName, typer.Option(help="Which index.")] = LIKENESS,
) -> None:
    """Write the newest run's index as one file for plain faiss: `faiss.read_index(FILE)`, ids are detection_ids."""
    from prodseek.index.stored import export_index as export
    from prodseek.runs.store import Store

    manifest = export(Store.at(root).latest(), file, facet)
    typer.echo(f"{file}: {manifest.factory}, {manifest.n_vectors} x {manifest.d}-d, nprobe {manifest.nprobe}")


@app.command()
def java_home() -> None:
    """Print the JAVA_HOME that `prodseek run` starts Spark with, for use with spark-submit."""
    from prodseek.spark.java import find_java_home

    typer.echo(find_java_home())


def main() -> None:
    """Run the command line."""
    explain_errors(app)


if __name__ == "__main__":
    main()
