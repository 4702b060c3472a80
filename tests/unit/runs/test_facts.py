"""What stages leave in the manifest: the same JSON as ever, older manifests are read, and a cache cannot be forgotten."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from prodseek.errors import DamagedError
from prodseek.runs.facts import (
    CACHE_KINDS,
    FACTS,
    STAGES,
    CacheFolder,
    ClusterFacts,
    DuplicatesFacts,
    EmbedFacts,
    GatesFacts,
    GroupedFacet,
    IndexedFacet,
    IndexFacts,
    IngestFacts,
    ReportFacts,
    StageFacts,
    StageName,
)
from prodseek.runs.gates import Figure
from prodseek.runs.manifest import Manifest, Reconciliation
from prodseek.upkeep.survey import caches_of

FOLDERS = {kind: CacheFolder(kind, f"made={kind}") for kind in CACHE_KINDS}
FEATURES, VERDICTS, LOOKS = (FOLDERS[kind] for kind in ("local_features", "pair_verdicts", "looks"))

# As version 0.1.0 wrote them.
OLD: dict[str, dict[str, Any]] = {
    "ingest": {"input_rows": 3, "catalog": "/c.csv", "base_uri": "/", "decoder": {"pillow": "1"}, "failed_tasks": 0},
    "embed": {"model_id": "tiny", "slice_layout": {"gem8": 128}, "embedded_images": 2, "rejected": {"empty": 1}},
    "project": {"projection_id": "p", "recipe": "r", "fitted_in": "run", "fitted_for": 3, "new_since": 1},
    "index": {"recall": 0.99, "how": "trained", "facets": {"visual": {"recall": 0.99, "how": "trained"}}},
    "neighbours": {"recall": 0.98, "recipe": {"k": 16}, "carried_on_from": None},
    "duplicates": {"groups": 3, "caches": [["local_features", "recipe=1"], ["pair_verdicts", "recipe=2,schema=1"]]},
    "cluster": {
        "groups": 9,
        "how": "fitted",
        "facets": {"visual": {"groups": 9, "how": "fitted"}, "colour": {"groups": 4}},
        "caches": [["looks", "version=1,side_px=96"]],
    },
    "gates": {"before": None, "figures": [{"gate": "g", "value": 0.5, "sentence": "s", "examples": ["e"]}]},
    "report": {"shown_images": 5, "first_page_bytes": 100},
}


def test_every_stage_has_a_class() -> None:
    assert tuple(FACTS) == STAGES == tuple(OLD)


@pytest.mark.parametrize("stage", STAGES)
def test_what_an_older_version_wrote_is_read_and_written_again(stage: str) -> None:
    facts = FACTS[stage].from_json(OLD[stage])
    written = json.loads(json.dumps(facts.to_json()))
    for name, value in OLD[stage].items():
        if name == "facets":
            for facet, values in value.items():
                assert {key: written[name][facet][key] for key in values} == values
        elif name != "failed_tasks":
            assert written[name] == value
    assert FACTS[stage].from_json(written) == facts


def test_attributes_are_those_of_the_json() -> None:
    assert IndexFacts.from_json(OLD["index"]).likeness == IndexedFacet(recall=0.99, how="trained")
    assert IndexFacts.from_json({"recall": 0.9}).likeness.recall == 0.9, "before there were several facets"
    assert ClusterFacts.from_json(OLD["cluster"]).facets["colour"] == GroupedFacet(groups=4)
    assert ClusterFacts.from_json({"groups": 4}).visual.groups == 4
    assert GatesFacts.from_json(OLD["gates"]).figures == (Figure("g", 0.5, "s", ("e",)),)
    assert DuplicatesFacts.from_json(OLD["duplicates"]).verdicts_cache.key == "recipe=2,schema=1"


def test_a_stage_that_does_not_say_what_it_caches_leaves_nothing() -> None:
    """The type checker says so too, of the class or of the call."""

    @dataclass(frozen=True, kw_only=True)
    class Forgetful(StageFacts):
        stage: ClassVar[StageName] = "embed"

    with pytest.raises(TypeError, match="abstract"):
        Forgetful()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="verdicts_cache"):
        DuplicatesFacts(features_cache=FEATURES)  # type: ignore[call-arg]


def test_gc_sees_every_kind_of_cache_that_stages_declare() -> None:
    facts: tuple[StageFacts, ...] = (
        IngestFacts(input_rows=1),
        EmbedFacts(model_id="tiny"),
        DuplicatesFacts(features_cache=FEATURES, verdicts_cache=VERDICTS),
        ClusterFacts(looks_cache=LOOKS),
        ReportFacts(thumbnails_cache=FOLDERS["thumbnails"]),
    )
    manifest = Manifest(run_id="r", stages={one.stage: one.to_json() for one in facts})
    found = caches_of(Manifest.from_json(manifest.to_json()))
    assert found == (CacheFolder("detections", "model=tiny"), FEATURES, VERDICTS, LOOKS, FOLDERS["thumbnails"])
    assert {folder.kind for folder in found} == set(CACHE_KINDS)


def test_gc_sees_the_caches_of_an_older_manifest() -> None:
    sizes = {"report": {"region_px": 160, "photo_px": 256}}
    found = caches_of(Manifest(run_id="r", stages=OLD, config=sizes))
    assert {folder.kind for folder in found if folder.key} == set(CACHE_KINDS)
    assert CacheFolder("thumbnails", "region_px=160,photo_px=256") in found


@pytest.mark.parametrize(
    ("stage", "values"),
    [
        ("ingest", {}),
        ("ingest", {"input_rows": "many"}),
        ("embed", {"embedded_images": 3}),
        ("index", {"facets": ["visual"]}),
        ("gates", {"figures": [{"gate": "g"}]}),
    ],
)
def test_values_of_other_types_are_refused_and_named(stage: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FACTS[stage].from_json(values)
    with pytest.raises(DamagedError, match=rf"the manifest of run r is damaged: stages\.{stage}\."):
        Manifest(run_id="r", stages={stage: values}).facts(FACTS[stage])


def test_a_manifest_is_the_same_after_it_was_written() -> None:
    rows = Reconciliation(input_rows=3, images=2, rejects=1)
    manifest = Manifest(run_id="r", finished="2026-01-01T00:00:00+00:00", reconciliation=rows, stages=OLD)
    assert Manifest.from_json(manifest.to_json()) == manifest
    with pytest.raises(DamagedError, match="says nothing of stage embed: another version of prodseek wrote it"):
        Manifest(run_id="r").facts(EmbedFacts)
