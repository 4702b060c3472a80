"""Stage project: fit the projection on a sample of primary regions, or take over the last night's; then turn every slice
into embeddings."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from typing import NamedTuple

from pyspark.sql import DataFrame

from prodseek.embedding.projection import PROJECTION, Projection, fit_recipe
from prodseek.errors import StoreError
from prodseek.runs.facts import EmbedFacts, ProjectFacts
from prodseek.runs.store import Summary
from prodseek.spark.embedding.apply import apply_projection
from prodseek.spark.embedding.fit import ROWS_PER_PARTITION, fit_on
from prodseek.spark.embedding.view_kinds import SHOWN, with_surroundings
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.tables import read_table
from prodseek.storage import files
from prodseek.vision.settings import NUISANCE_VERSION

_logger = logging.getLogger(__name__)


class _Fit(NamedTuple):
    """A projection, the run that fitted it, the primary regions that it was fitted for, and those that came in since."""

    projection: Projection
    fitted_in: str
    fitted_for: int
    new_since: int


def run(night: Night) -> Summary[ProjectFacts]:
    """Fit or take over, store and apply the projection."""
    run = night.run
    detections = night.table("detections")
    primary = detections.where("is_primary").select("detection_id", "image_id")
    recipe = _recipe(night)
    fit, why = _last_fit(night, primary, recipe)
    if fit is None:
        n_primary = primary.count()
        fit = _Fit(fit_on(night, n_primary), run.run_id, n_primary, 0)
    projection = fit.projection
    files.write_bytes(run.path(PROJECTION), projection.to_bytes())
    slices = with_surroundings(detections, detections).select("detection_id", "slice", *SHOWN)
    dealt = deal(slices, "detection_id", detections.count(), ROWS_PER_PARTITION)
    n_regions = night.write_table(apply_projection(dealt, projection.to_bytes()), "embeddings")
    facts = ProjectFacts(
        projection_id=projection.projection_id,
        recipe=recipe,
        fitted_in=fit.fitted_in,
        fitted_for=fit.fitted_for,
        new_since=fit.new_since,
        fit_regions=projection.n_slices,
        fit_views=projection.n_views,
        dims=dict(projection.dims),
        visual_weights=dict(projection.weights),
        likeness_calibration=asdict(projection.calibration),
        explained_variance=dict(projection.explained_variance),
    )
    if fit.fitted_in == run.run_id:
        how = f"fitted on {projection.n_slices} primary regions and {projection.n_views} views, {why}"
    else:
        how = f"of run {fit.fitted_in}, {fit.new_since} of its {fit.fitted_for} regions new since"
    return Summary(facts, {"embeddings": n_regions}, (f"projection {how}; {n_regions} regions embedded",))


def _recipe(night: Night) -> str:
    """16 hex digits that change whenever a fit on the same catalogue would give another projection."""
    settings = night.config.project.model_dump(exclude={"refit_growth"})
    model_id = night.run.facts(EmbedFacts).model_id
    text = json.dumps([model_id, settings, fit_recipe(), NUISANCE_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _last_fit(night: Night, primary: DataFrame, recipe: str) -> tuple[_Fit | None, str]:
    """The last night's projection, when it was made in the same way and the catalogue has not outgrown it, or why there is none.

    Embeddings of one projection can be compared from night to night; those of two cannot.
    """
    last = night.last_run
    if last is None:
        return None, "because there is no earlier one"
    then = last.facts_if_done(ProjectFacts)
    if then is None or then.recipe != recipe:
        return None, f"because that of run {last.run_id} is of another model or was fitted with other settings"
    known = read_table(night.spark, last, "embeddings").select("detection_id")
    new_since = then.new_since + primary.join(known, "detection_id", "left_anti").count()
    if new_since > night.config.project.refit_growth * then.fitted_for:
        return None, (
            f"because {new_since} regions came in since one was fitted for {then.fitted_for} (project.refit_growth)"
        )
    try:
        projection = Projection.from_bytes(files.read_bytes(last.path(PROJECTION)))
    except (StoreError, OSError) as error:
        _logger.warning("the projection of run %s cannot be taken over, another is fitted: %s", last.run_id, error)
        return None, f"because that of run {last.run_id} cannot be read"
    return _Fit(projection, then.fitted_in, then.fitted_for, new_since), ""


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("project")
