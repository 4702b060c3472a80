"""The options that all commands share, whether they are started as `prodseek ...` or by `spark-submit jobs/...`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from prodseek.config import Config, changed_settings, load_config
from prodseek.runner.remembered import remembered
from prodseek.runs.columns import LIKENESS
from prodseek.spark.submitted import is_spark_submitted

# The name that stands for all stages.
NIGHTLY: Final = "nightly"

CATALOGUES: Final = "A folder of photos, or a manifest: CSV, TSV, JSON lines or Parquet."
Catalog = Annotated[str | None, typer.Option("--catalog", help=CATALOGUES)]
Root = Annotated[str | None, typer.Option("--root", help="Where runs are kept.")]
Environment = Annotated[
    str | None,
    typer.Option(
        "--env",
        help="Settings laid over the defaults: local, or cluster, which spark-submit has where nothing is said.",
    ),
]
ConfigFiles = Annotated[list[Path] | None, typer.Option("--config", help="A YAML file laid over them; repeatable.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, laid over all; repeatable.")]
Accept = Annotated[bool, typer.Option("--accept", help="Publish the night though it is beyond a gate.")]
FacetOrMix = Annotated[
    str,
    typer.Option(
        "--facet", help="likeness, visual, colour, texture or shape, or a mix such as mix=visual:0.5,colour:0.5."
    ),
]
ExcludeSameProduct = Annotated[
    bool, typer.Option("--exclude-same-product", help="Leave out the products of the photo itself.")
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        help="How sure every hit of likeness must be, had it no rivals, 0 to 1; without it the first ten are shown in any case.",
    ),
]


def configured(
    environment: str | None = None,
    config_files: list[Path] | None = None,
    settings: list[str] | None = None,
    catalog: str | None = None,
    root: str | None = None,
    remembers: bool = True,
) -> Config:
    """The configuration that the options make. Raises ConfigError that lists every fault.

    remembers: lay the options over what the root's last run read its catalogue with, and say what of that holds.
    """
    environment = environment or ("cluster" if is_spark_submitted() else "local")
    config = load_config(environment, config_files or (), settings or (), catalog, root)
    kept = remembered(config.store.root, config.catalog.uri, load_config(environment).catalog) if remembers else None
    if kept is None:
        return config
    catalog = kept.uri if config.catalog.uri is None else catalog
    again = load_config(environment, config_files or (), settings or (), catalog, root, {"catalog": kept.settings})
    changed = changed_settings(config.catalog.model_dump(mode="json"), again.catalog.model_dump(mode="json"))
    if changed and config.logs.format == "console":
        now = again.catalog.model_dump(mode="json")
        names = [change.split(" was ")[0].split(".")[0] for change in changed]
        told = ", ".join(f"catalog.{name}={json.dumps(now[name], ensure_ascii=False)}" for name in dict.fromkeys(names))
        typer.echo(f"as in run {kept.run_id} of this root: {told}; options win", err=True)
    return again


def search_batch(
    out: Annotated[str, typer.Option(help="The folder to write search_results and rejected_prompts to.")],
    prompts: Annotated[str | None, typer.Argument(help="CSV or Parquet: uri and box, or detection_id.")] = None,
    all_products: Annotated[
        bool, typer.Option("--all-products", help="Similar products of every product, instead of prompts.")
    ] = False,
    k: Annotated[int, typer.Option("-k", help="How many products for each.")] = 20,
    facet: FacetOrMix = LIKENESS,
    exclude_same_product: ExcludeSameProduct = False,
    min_confidence: MinConfidence = None,
    root: Root = None,
    environment: Environment = None,
    config_files: ConfigFiles = None,
    settings: Settings = None,
) -> None:
    """Answer a table of prompts with Spark, in the newest run; or find similar products for every product."""
    # Here, because Spark takes a second to import and `--help` does not need it.
    from prodseek.runner.search_batch import search_batch as answer_all
    from prodseek.spark.search.answers import BatchQuestion

    config = configured(environment, config_files, settings, root=root)
    answer_all(config, prompts, all_products, out, BatchQuestion(k, facet, exclude_same_product, min_confidence))
