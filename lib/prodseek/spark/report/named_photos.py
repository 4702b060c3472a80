"""What the catalogue calls its photos: the title, from whichever column holds it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from prodseek.runs.facts import ClusterFacts
from prodseek.runs.store import Run
from prodseek.spark.cluster.names import attribute


def title_of(run: Run) -> Column:
    """The title in a row of a run's `images`, empty where it has none; of the column that its groups were named after."""
    cluster = run.facts_if_done(ClusterFacts)
    return F.coalesce(attribute("title" if cluster is None else cluster.title_column), F.lit(""))
