"""Stage gates: measures what decides whether the night is published, in itself and against the last night.

Limits can be changed without measuring again: the figures are the stage's facts, and `prodseek.runs.breaches.judge` holds them
against the limits.
"""

from __future__ import annotations

from prodseek.runs.breaches import write_breaches
from prodseek.runs.facts import ClusterFacts, GatesFacts
from prodseek.runs.gates import written
from prodseek.runs.store import Summary
from prodseek.spark.gates.since_last_night import (
    comparable_run,
    drift,
    group_churn,
    have_one_projection,
    missing_share,
)
from prodseek.spark.gates.tonight import odd_norm_share, regions_per_image, reject_share
from prodseek.spark.night import Night


def run(night: Night) -> Summary[GatesFacts]:
    """Measure all figures, whether or not a gate is set for them, and write the breaches for the report."""
    figures = [reject_share(night), *regions_per_image(night), odd_norm_share(night)]
    last_run, not_compared = comparable_run(night)
    if last_run is not None:
        figures.append(missing_share(night, last_run))
        if have_one_projection(night.run, last_run):
            figures.append(drift(night, last_run))
        else:
            not_compared.append("embeddings, because the projection is another one")
        if night.run.facts(ClusterFacts).visual.carried_on:
            figures.append(group_churn(night, last_run))
        else:
            not_compared.append("groups, because they were fitted anew")
    breaches = write_breaches(night.run, figures, night.config.gates.model_dump())
    facts = GatesFacts(
        before=None if last_run is None else last_run.run_id,
        figures=tuple(figures),
        not_compared=tuple(not_compared),
    )
    compared = "" if last_run is None else f", against run {last_run.run_id}"
    values = (f"{figure.gate.partition('_')[2]} {written(figure.gate, figure.value)}" for figure in figures)
    lines = (
        f"{len(figures)} figures{compared}; {len(breaches)} beyond the limits",
        ", ".join(dict.fromkeys(values)),  # two limits may be set for one figure
        *(f"not compared: {what}" for what in not_compared),
    )
    return Summary(facts, lines=lines)


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("gates")
