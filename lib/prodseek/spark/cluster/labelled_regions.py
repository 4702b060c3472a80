"""Every primary region with its labels: fitted, carried on, voted for by its neighbours, or those of its original."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.cluster.labels import LevelLabels, belonging
from prodseek.runs.columns import COARSE, FINE, LEVELS, VISUAL
from prodseek.spark.cluster.fit import Fit, FittedRegions
from prodseek.spark.cluster.neighbour_votes import is_noise, nearest_fitted, voted_for
from prodseek.spark.cluster.primary_regions import standing_regions
from prodseek.spark.night import Night
from prodseek.spark.tables import facet_vectors


def label_regions(
    night: Night, regions: DataFrame, fit: Fit, labels: LevelLabels, known: DataFrame | None
) -> DataFrame:
    """All primary regions with fine, coarse and nearest label, membership and outlier_score.

    labels: of the fitted regions. known: LABELS of the last night's regions, where groups go on.
    """
    standing = standing_regions(regions).select("detection_id", "standing_image_id")
    decided = _fitted_labels(night, fit, labels)
    if fit.regions.is_sample:
        unfitted = standing.select("detection_id").join(decided, "detection_id", "left_anti")
        edges = _edges(night, fit.regions, unfitted)
        decided = decided.unionByName(voted_for(edges, unfitted, decided, known, labels.parents))
    of_image = standing.join(decided, "detection_id").drop("detection_id")
    return regions.join(of_image, "standing_image_id")


def voting_edges(night: Night, regions: DataFrame, fit: Fit) -> DataFrame:
    """The neighbours of every standing region: detection_id, neighbour_id, cosine_similarity.

    Those of fitted regions are the graph that groups were found in; the others' are as `label_regions` asks them.
    """
    ids, graph = fit.regions.detection_ids, fit.graph
    columns = {
        "detection_id": ids[graph.rows],
        "neighbour_id": ids[graph.neighbours],
        "cosine_similarity": graph.cosine,
    }
    fitted = night.spark.createDataFrame(
        pa.table(columns), "detection_id long, neighbour_id long, cosine_similarity float"
    )
    if not fit.regions.is_sample:
        return fitted
    standing = standing_regions(regions).select("detection_id")
    unfitted = standing.join(fit.regions.id_frame(night.spark), "detection_id", "left_anti")
    others = _edges(night, fit.regions, unfitted).join(unfitted, "detection_id", "left_semi")
    return fitted.unionByName(others.select(*columns))


def in_groups_by_level(labelled: DataFrame) -> DataFrame:
    """Every region that is in a group, once for each level: with `level` and `label`."""
    levels = [labelled.withColumns({"level": F.lit(level), "label": F.col(level)}) for level in LEVELS]
    return reduce(DataFrame.unionByName, levels).where(~is_noise("label"))


def _fitted_labels(night: Night, fit: Fit, labels: LevelLabels) -> DataFrame:
    belongs = belonging(fit.graph, labels.fine)
    return night.spark.createDataFrame(
        pa.table(
            {
                "detection_id": fit.regions.detection_ids,
                FINE: labels.fine,
                COARSE: labels.coarse,
                "nearest": belongs.nearest,
                "membership": belongs.membership,
                "outlier_score": fit.groups.outlier_score,
            }
        ),
        "detection_id long, fine int, coarse int, nearest int, membership float, outlier_score float",
    )


def _edges(night: Night, fitted: FittedRegions, unfitted: DataFrame) -> DataFrame:
    """Who votes for the regions that were not fitted: detection_id, neighbour_id, cosine_similarity."""
    if fitted.facet == VISUAL:
        return night.table("neighbours")
    vectors = facet_vectors(night.spark, night.run, fitted.facet).join(unfitted, "detection_id", "left_semi")
    return nearest_fitted(vectors, fitted.detection_ids, fitted.vectors, night.config.neighbours.k)
