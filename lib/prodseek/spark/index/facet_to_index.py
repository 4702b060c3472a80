"""The vectors of one facet, counted and checked before they are indexed."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from prodseek.errors import StoreError
from prodseek.index.plan import IndexPlan, plan_index
from prodseek.index.stored import index_folder
from prodseek.runs.facts import ProjectFacts
from prodseek.spark.night import Night
from prodseek.spark.tables import facet_vectors, only_row

_NAMED_IDS = 10


@dataclass(frozen=True)
class FacetToIndex:
    """vectors: detection_id, vector. embedding_id: of the projection that made them. folder_uri: where the index goes."""

    name: str
    vectors: DataFrame
    plan: IndexPlan
    embedding_id: str
    folder_uri: str

    @classmethod
    def of(cls, night: Night, name: str) -> FacetToIndex:
        """A facet of tonight's run. Raises StoreError where it has no vectors, or some that cannot be compared."""
        vectors = facet_vectors(night.spark, night.run, name)
        squared_norm = F.aggregate("vector", F.lit(0.0), lambda total, value: total + value * value)
        is_bad = F.isnan(squared_norm) | (squared_norm == 0) | (squared_norm == float("inf"))
        seen = only_row(vectors.select(F.count(F.lit(1)), F.count_if(is_bad), F.max(F.size("vector"))))
        n_vectors, n_bad, d = (int(value or 0) for value in seen)
        if n_bad:
            raise StoreError(
                f"{name} embeddings that are zero, NaN or infinite cannot be compared; detection ids "
                f"{_named(vectors, is_bad, n_bad)}"
            )
        if not n_vectors:
            raise StoreError(f"run {night.run.run_id} has no {name} embeddings: there is nothing to index")
        projected = night.run.facts_if_done(ProjectFacts)
        return cls(
            name,
            vectors,
            plan_index(n_vectors, d, night.config.index.memory_bytes),
            "" if projected is None else projected.projection_id,
            night.run.path(index_folder(name)),
        )


def _named(vectors: DataFrame, is_bad: Column, n_bad: int) -> str:
    ids = [str(row[0]) for row in vectors.where(is_bad).orderBy("detection_id").limit(_NAMED_IDS).collect()]
    more = f" and {n_bad - len(ids)} more" if n_bad > len(ids) else ""
    return f"{', '.join(ids)}{more}"
