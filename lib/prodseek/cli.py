"""The command line: `prodseek run`, `prodseek config`, `prodseek weights`, `prodseek export-index`,
`prodseek java-home`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from prodseek.config import load_config
from prodseek.errors import ProdseekError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=__doc__,
    rich_markup_mode=None,
)


class Stage(StrEnum):
    """What `prodseek run` can run."""

    NIGHTLY = "nightly"
    INGEST = "ingest"
    EMBED = "embed"
    PROJECT = "project"
    INDEX = "index"
    NEIGHBOURS = "neighbours"
    DUPLICATES = "duplicates"
    CLUSTER = "cluster"
    REPORT = "report"


class Facet(StrEnum):
    """What likeness an index is of."""

    VISUAL = "visual"
    COLOUR = "colour"
    TEXTURE = "texture"
    SHAPE = "shape"


Catalog = Annotated[str | None, typer.Option(help="A folder of photos, or a CSV or Parquet manifest.")]
Root = Annotated[str | None, typer.Option(help="Where runs are kept.")]
Environment = Annotated[str, typer.Option("--env", help="Settings to lay over the defaults: local or cluster.")]
ConfigFiles = Annotated[list[Path] | None, typer.Option("--config", help="A YAML file laid over them; repeatable.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, laid over all; repeatable.")]


@app.command()
def run(
    stage: Annotated[Stage, typer.Argument(help="One stage, or nightly for all of them.")] = Stage.NIGHTLY,
    catalog: Catalog = None,
    root: Root = None,
    environment: Environment = "local",
    config_files: ConfigFiles = None,
    settings: Settings = None,
) -> None:
    """Run the night, or one stage of it. A run that died is resumed, one that finished is left alone."""
    from prodseek.jobs.stages import run_named

    run_named(stage.value, load_config(environment, config_files or (), settings or (), catalog, root))


@app.command()
def config(
    show: Annotated[bool, typer.Option("--show", help="Print the result as YAML.")] = False,
    catalog: Catalog = None,
    root: Root = None,
    environment: Environment = "local",
    config_files: ConfigFiles = None,
    settings: Settings = None,
) -> None:
    """Check the configuration that these options make."""
    checked = load_config(environment, config_files or (), settings or (), catalog, root)
    if show:
        typer.echo(yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)
    else:
        typer.echo("the configuration is good; --show prints it")


@app.command()
def weights(environment: Environment = "local", config_files: ConfigFiles = None, settings: Settings = None) -> None:
    """Fetch the network's weights into the cache, once, and print where they are."""
    from prodseek.vision.weights import obtain_weights

    wanted = load_config(environment, config_files or (), settings or ()).network.weights
    typer.echo(obtain_weights(wanted.file_name, wanted.sha256, wanted.sources, wanted.folder))


@app.command()
def export_index(
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    root: Annotated[str, typer.Option(help="Where runs are kept.")] = "out",
    facet: Annotated[Facet, typer.Option(help="Which index.")] = Facet.VISUAL,
) -> None:
    """Write the newest run's index as one file for plain faiss: `faiss.read_index(FILE)`, ids are detection_ids."""
    from prodseek.index.stored import export_index as export
    from prodseek.store import Store

    manifest = export(Store.at(root).latest(), file, facet.value)
    typer.echo(f"{file}: {manifest.factory}, {manifest.n_vectors} x {manifest.d}-d, nprobe {manifest.nprobe}")


@app.command()
def java_home() -> None:
    """Print the JAVA_HOME that `prodseek run` starts Spark with, for use with spark-submit."""
    from prodseek.spark.java import find_java_home

    typer.echo(find_java_home())


def main() -> None:
    """Run the command line."""
    explain_errors(app)


def explain_errors(command: Callable[[], object]) -> None:
    """Call `command`; an error that prodseek explains becomes one message and its exit code, without a traceback."""
    try:
        command()
    except ProdseekError as error:
        print(f"prodseek: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
