"""Many searches at once, in the newest finished run: a table of prompts, or every product of the catalogue.

Written is a folder: `search_results`, `rejected_prompts` of prompts, and MANIFEST.json, which comes last.
"""

from __future__ import annotations

import time

from prodseek.config import Config
from prodseek.errors import PromptError, StoppedError
from prodseek.runner.progress import Console
from prodseek.runner.stopping import StopCause, say_last, stoppable
from prodseek.runs.store import Store
from prodseek.search.prompts import PromptFault
from prodseek.search.searchable import check_question
from prodseek.spark.search.answers import BatchQuestion, answer_prompts
from prodseek.spark.search.similar_products import similar_products
from prodseek.spark.session import start_session
from prodseek.storage import files


def search_batch(config: Config, prompts: str | None, all_products: bool, out: str, question: BatchQuestion) -> None:
    """Start Spark and answer a table of prompts, or find similar products for all of them. Raises PromptError."""
    if (prompts is None) != all_products:
        raise PromptError(
            PromptFault.INVALID_PROMPT, "name a CSV or Parquet file of prompts, or --all-products: one of the two"
        )
    check_question(question.k, question.facet, question.min_confidence)
    console = Console()
    out = files.absolute(out)
    latest = Store.at(config.store.root).latest()

    def explain(cause: StopCause) -> StoppedError:
        return StoppedError(
            f"stopped by {cause.name}; {out} is unfinished, and the same command makes it anew", cause.exit_code
        )

    with stoppable(explain, say_last) as stopping:
        with console.starting():
            spark = stopping.start_spark(lambda: start_session(config.spark, "prodseek search"))
        started = time.monotonic()
        with console.stage(spark, "search"):
            if prompts is None:
                summary = similar_products(spark, latest, out, question, config.search.min_confidence)
            else:
                summary = answer_prompts(spark, latest, prompts, out, question, config.catalog.allowed_roots)
        console.done("search", time.monotonic() - started, (summary.line,))
