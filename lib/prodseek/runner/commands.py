"""The options that all commands share, whether they are started as `prodseek ...` or by `spark-submit jobs/...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from prodseek.config import Config, load_config
from prodseek.runs.columns import LIKENESS
from prodseek.spark.submitted import is_spark_submitted

# The name that stands for all stages.
NIGHTLY: Final = "nightly"

Catalog = Annotated[str | None, typer.Option("--catalog", help="A folder of photos, or a CSV or Parquet manifest.")]
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


def configured(
    environment: str | None = None,
    config_files: list[Path] | None = None,
    settings: list[str] | None = None,
    catalog: str | None = None,
    root: str | None = None,
) -> Config:
    """The configuration that the options make. Raises ConfigError that lists every fault."""
    environment = environment or ("cluster" if is_spark_submitted() else "local")
    return load_config(environment, config_files or (), settings or (), catalog, root)


def search_batch(
    out: Annotated[str, typer.Option(help="The folder to write search_results and rejected_prompts to.")],
    prompts: Annotated[str | None, typer.Argument(help="CSV or Parquet: uri and box, or detection_id.")] = None,
    all_products: Annotated[
        bool, typer.Option("--all-products", help="Similar products of every product, instead of prompts.")
    ] = False,
    k: Annotated[int, typer.Option("-k", help="How many products for each.")] = 20,
    facet: FacetOrMix = LIKENESS,
    exclude_same_product: ExcludeSameProduct = False,
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
    answer_all(config, prompts, all_products, out, BatchQuestion(k, facet, exclude_same_product))
