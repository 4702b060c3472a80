"""Many searches at once, in the newest finished run: a table of prompts, or every product of the catalogue.

Written is a folder: `search_results`, `rejected_prompts` of prompts, and MANIFEST.json, which comes last.
"""

from __future__ import annotations

import json
import time

from prodseek.config import Config
from prodseek.errors import PromptError
from prodseek.runner.progress import Console
from prodseek.runs.columns import VISUAL
from prodseek.runs.store import MANIFEST, Store
from prodseek.search.prompts import PromptFault
from prodseek.search.searchable import check_question
from prodseek.spark.search.answers import BatchQuestion, answer_prompts
from prodseek.spark.search.similar_products import similar_products
from prodseek.spark.search.summary import BatchSummary
from prodseek.spark.session import start_session
from prodseek.storage import files


def search_batch(config: Config, prompts: str | None, all_products: bool, out: str, question: BatchQuestion) -> None:
    """Start Spark and answer a table of prompts, or find similar products for all of them. Raises PromptError."""
    if (prompts is None) != all_products:
        raise PromptError(
            PromptFault.INVALID_PROMPT, "name a CSV or Parquet file of prompts, or --all-products: one of the two"
        )
    check_question(question.k, question.facet)
    if all_products and question.facet != VISUAL:
        raise PromptError(
            PromptFault.INVALID_PROMPT,
            f"--all-products reads the neighbour graph, which is of {VISUAL}; leave out --facet {question.facet}, or give a "
            "table of prompts",
        )
    console = Console()
    latest = Store.at(config.store.root).latest()
    with console.starting():
        spark = start_session(config.spark, "prodseek search")
    started = time.monotonic()
    try:
        with console.stage(spark, "search"):
            if prompts is None:
                summary = similar_products(spark, latest, files.absolute(out), question.k)
            else:
                roots = config.catalog.allowed_roots
                summary = answer_prompts(spark, latest, prompts, files.absolute(out), question, roots)
            write_batch_manifest(files.absolute(out), summary)
        console.done("search", time.monotonic() - started, (summary.line,))
    finally:
        spark.stop()


def write_batch_manifest(out: str, summary: BatchSummary) -> None:
    """Mark a batch of searches as done."""
    values = {**summary.facts, "tables": dict(summary.rows)}
    files.write_bytes(files.join(out, MANIFEST), (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
