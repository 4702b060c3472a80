import dataclasses
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import prodseek.duplicates.verdicts as verdicts_module
from prodseek.duplicates.better import Better
from prodseek.duplicates.decision import FEATURES
from prodseek.duplicates.difference import Difference
from prodseek.duplicates.guards import Doubt
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.overlap import Outside, Overlap
from prodseek.duplicates.proof import Proof
from prodseek.duplicates.verdicts import (
    MERGING,
    Decision,
    Evidence,
    PhotoFacts,
    Verdict,
    judge,
    margin_side,
    verdicts_recipe,
)
from prodseek.duplicates.verification import WHOLE, Comparison, has_hope
from prodseek.report.wording import DOUBTS, VERDICTS
from prodseek.runs.columns import FACETS
from prodseek.runs.tables import table_schema

NAN = math.nan
A = PhotoFacts("a" * 64, "1" * 64, 400, 300, 30_000)
B = PhotoFacts("b" * 64, "2" * 64, 400, 300, 20_000)
SAME = Difference(
    structural_similarity=0.99,
    matching_fraction=1.0,
    matched_similarity=0.99,
    mean_abs_difference=0.5,
    differing_fraction=0.0,
    gain=1.0,
    offset=0.0,
    ciede2000=0.4,
    ciede2000_toned=0.4,
)
COPY = Comparison(
    orientation=Orientation.IDENTITY,
    matrix=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    box_a=WHOLE,
    box_b=WHOLE,
    area_a=1.0,
    area_b=1.0,
    n_matches=40,
    match_share=0.9,
    match_area=0.5,
    surrounding_contrast=0.0,
    seam=1.0,
    sharper=0.0,
    difference=SAME,
)
outside_of = partial(Outside, thing_px=0.0, alone_px=0.0)
ALL = outside_of(
    area=1.0, content=1.0, plain=NAN, crossing=NAN, seam=NAN, continues=NAN, inner_edge=0.0, spans=1.0, repeats=0.0
)
MARGIN = outside_of(
    area=0.6, content=1.0, plain=1.0, crossing=0.0, seam=0.0, continues=NAN, inner_edge=1.0, spans=0.8, repeats=0.0
)
BARS = outside_of(
    area=0.7, content=0.9, plain=0.3, crossing=0.1, seam=1.5, continues=0.5, inner_edge=0.6, spans=1.0, repeats=0.0
)
MORE = outside_of(
    area=0.5, content=0.5, plain=0.2, crossing=0.4, seam=0.1, continues=0.9, inner_edge=1.0, spans=0.7, repeats=0.0
)
SCENE = outside_of(
    area=0.2, content=0.3, plain=0.2, crossing=0.1, seam=1.5, continues=0.1, inner_edge=1.0, spans=0.4, repeats=0.0
)
WHOLE_OVERLAP = Overlap(stretch=0.0, tilt=0.0, mirrored=0.0, scale=0.0, a=ALL, b=ALL)
# Nothing is left, nothing changed its tone.
PROVED = Proof(
    **{field.name: 0.0 for field in dataclasses.fields(Proof) if field.name != "overlap"}
    | {field.name: NAN for field in dataclasses.fields(Proof) if field.name.startswith("mark_")}
    | {"n_cells": 200.0, "cells_matching": 1.0, "matching": 1.0, "matching_beside": 1.0, "plain": 1.0}
    | {"followed_share": 0.9, "chroma_low": 30.0, "chroma_high": 30.0, "fine_side_px": 600.0},
    overlap=WHOLE_OVERLAP,
)
BADGE = {
    "strength_0": 9.0,
    "mark": 0.02,
    "mark_one_sided": 0.95,
    "mark_on_ground": 1.0,
    "mark_ink_beneath": 1.0,
    "mark_crosses": 0.0,
    "mark_correlation": 0.0,
}
# A change of tone explains it, of a product whose ground stays as it was.
TONED = {"tone_change": 15.0, "curve_most": 20.0, "curve_least": 10.0, "ground_change": 0.0}
GREYED = TONED | {"chroma_low": 0.5, "hue_spread": 0.5, "light_change": 0.5}
GREYED_OF_ONE_HUE = GREYED | {"hue_spread": 0.01, "chroma_low": 0.0, "light_change": 0.05}
RECOLOURED = TONED | {"hue_change": 60.0}
NEW_GROUND = {"ground_change": 6.0, "ground_missed": 6.0}


@dataclasses.dataclass(frozen=True)
class FakeModel:
    """A model that is as sure as a test wants it."""

    sure: float
    look_confidence: float = 0.3

    def is_sure(self, confidence, _):
        return confidence >= 0.9

    def confidence(self, values):
        assert len(values) == len(FEATURES)
        return self.sure


@pytest.fixture
def judged(monkeypatch):
    """The judgement on two photos, by changes of the comparison, its difference, the proof and its overlap."""

    def judgement(sure=1.0, facts_a=A, facts_b=B, **changes):
        monkeypatch.setattr(verdicts_module, "shipped_model", lambda: FakeModel(sure))
        return judge(Evidence(4, compared(**changes), proved(**changes)), facts_a, facts_b)

    return judgement


def compared(**changes):
    of_difference = {name: value for name, value in changes.items() if name in vars(SAME)}
    # Both the comparison and the proof have a number of this name.
    of_comparison = {name: value for name, value in changes.items() if name in vars(COPY)}
    return dataclasses.replace(COPY, **of_comparison, difference=dataclasses.replace(SAME, **of_difference))


def proved(**changes):
    own = {name: value for name, value in changes.items() if name in vars(PROVED)}
    sides = {name: changes[name] for name in ("a", "b", "tilt") if name in changes}
    known = set(own) | set(sides) | set(vars(SAME)) | set(vars(COPY))
    assert set(changes) <= known
    return dataclasses.replace(PROVED, **own, overlap=dataclasses.replace(WHOLE_OVERLAP, **sides))


def test_the_list_is_that_of_the_table():
    schemas = Path(verdicts_module.__file__).parents[3] / "schemas"
    fields = json.loads((schemas / "near_duplicates.json").read_text())["fields"]
    allowed = {field["name"]: field["metadata"].get("allowed") for field in fields}
    assert [verdict.value for verdict in Verdict] == allowed["verdict"]
    assert [decision.value for decision in Decision] == allowed["decision"]
    (evidence,) = (field["type"]["fields"] for field in fields if field["name"] == "evidence")
    assert [field["metadata"]["allowed"] for field in evidence if field["name"] == "doubt"] == [list(Doubt)]


def test_the_report_has_words_for_each_verdict():
    assert {verdict.value for verdict in Verdict} == set(VERDICTS)
    assert {doubt.value for doubt in Doubt} == set(DOUBTS)


def test_variants_and_other_photos_never_merge():
    assert {Verdict.RECOLOURED, Verdict.PART_DIFFERS, Verdict.EMBEDDED, Verdict.SAME_OBJECT}.isdisjoint(MERGING)
    assert len(MERGING) == 11


def test_equal_hashes_need_no_pixels():
    of_bytes = judge(Evidence(), A, A)
    assert (of_bytes.verdict, of_bytes.decision, of_bytes.confidence) == (Verdict.IDENTICAL_BYTES, Decision.COPY, 1)
    same_pixels = dataclasses.replace(B, pixel_hash=A.pixel_hash)
    assert judge(Evidence(), A, same_pixels) == judge(Evidence(), same_pixels, A)
    assert judge(Evidence(), A, same_pixels).verdict == Verdict.IDENTICAL_PIXELS
    assert judge(Evidence(), A, same_pixels).decision == Decision.COPY


def test_without_pixels_nothing_is_claimed():
    assert judge(Evidence(0), A, B) is None


KINDS = {
    "nothing": ({}, Verdict.RE_ENCODED),
    "another size": ({"facts_b": dataclasses.replace(B, width_px=200, height_px=150)}, Verdict.RESIZED),
    "a size like it": ({"facts_b": dataclasses.replace(B, width_px=401, height_px=301)}, Verdict.RE_ENCODED),
    "mirrored": ({"orientation": Orientation.MIRROR}, Verdict.MIRRORED),
    "mirrored and turned": ({"orientation": Orientation.TRANSVERSE}, Verdict.MIRRORED),
    "turned": ({"orientation": Orientation.ROTATE_270}, Verdict.ROTATED),
    "darker": ({"gain": 0.7}, Verdict.TONED),
    "lighter": ({"offset": 30.0}, Verdict.TONED),
    "blurred": ({"sharper": -1.2}, Verdict.TONED),
    "another tone": ({"tone_change": 5.0, "ground_change": 5.0}, Verdict.TONED),
    "another tone and size": (
        {"gain": 0.7, "facts_b": dataclasses.replace(B, width_px=200, height_px=150)},
        Verdict.TONED,
    ),
    "grey": (GREYED, Verdict.TONED),
    "one hue": (GREYED | {"hue_spread": 0.01}, Verdict.RECOLOURED),
    "one hue, and no colour at all": (GREYED_OF_ONE_HUE, Verdict.TONED),
    "no colour at all in another light": (GREYED_OF_ONE_HUE | {"light_change": 5.0}, Verdict.RECOLOURED),
    "another colour": (RECOLOURED, Verdict.RECOLOURED),
    "another colour of a part": (RECOLOURED | {"curve_least": 0.5, "ground_change": 9.0}, Verdict.RECOLOURED),
    "less colour": (TONED | {"chroma_low": 10.0}, Verdict.RECOLOURED),
    "another light": (TONED, Verdict.TONED),
    "another ground": (NEW_GROUND, Verdict.OTHER_GROUND),
    "another ground, and mirrored": (NEW_GROUND | {"orientation": Orientation.MIRROR}, Verdict.MIRRORED),
    "another ground, and a badge": (NEW_GROUND | BADGE, Verdict.OVERLAID),
    "another ground, and a margin": (NEW_GROUND | {"b": MARGIN}, Verdict.PADDED),
    "another light on all of it": (TONED | {"ground_change": 8.0, "ground_missed": 0.5}, Verdict.TONED),
    "a badge of another hue": (RECOLOURED | BADGE, Verdict.OVERLAID),
    "another colour, and the ground too": (RECOLOURED | {"ground_change": 12.0}, Verdict.TONED),
    "another colour without a ground": (RECOLOURED | {"plain": 0.0, "ground_change": NAN}, Verdict.TONED),
    "a crop": ({"b": MORE}, Verdict.CROPPED),
    "a crop the other way": ({"a": MORE}, Verdict.CROPPED),
    "a margin": ({"b": MARGIN}, Verdict.PADDED),
    "bars": ({"b": BARS}, Verdict.PADDED),
    "a margin and a badge": ({"b": MARGIN, "mark": 0.02}, Verdict.PADDED),
    "a paste": ({"b": SCENE}, Verdict.EMBEDDED),
    "a badge": (BADGE, Verdict.OVERLAID),
    "a speck": ({"mark": 0.0005}, Verdict.RE_ENCODED),
}


@pytest.mark.parametrize("name", KINDS)
def test_evidence_decides_what_kind_of_copy_it_is(judged, name):
    changes, expected = KINDS[name]
    assert judged(**changes).verdict == expected


@pytest.mark.parametrize(("sure", "decision"), [(0.95, "copy"), (0.9, "copy"), (0.89, "look"), (0.3, "look")])
def test_a_copy_is_what_the_model_is_sure_of(judged, sure, decision):
    judgement = judged(sure)
    assert (judgement.decision, judgement.confidence) == (decision, sure)


def test_what_the_model_calls_no_copy_is_none(judged):
    judgement = judged(0.29, strength_3=4.0)
    assert judgement.verdict not in MERGING and judgement.decision == Decision.VARIANT


@pytest.mark.parametrize("changes", [{}, {"fine_faint": 5.0}, {"margins_differ": 1.0}], ids=["none", "faint", "margin"])
def test_what_nothing_was_seen_to_differ_in_is_no_variant(judged, changes):
    judgement = judged(0.01, **changes)
    assert judgement.verdict in MERGING and (judgement.decision, judgement.confidence) == (Decision.LOOK, 0.01)
    # Of other shots nobody asks.
    assert judged(0.01, cells_matching=0.3, **changes).verdict == Verdict.SAME_OBJECT


GUARDED = {
    "a product of one hue without its colour": GREYED_OF_ONE_HUE,
    "too few cells": {"n_cells": 2.0},
    "left at a coarse level": {"strength_3": 4.0},
    "left at the fine size": {"fine_strength_0": 4.0},
    "not compared at the fine size": {"fine_strength_0": NAN, "fine_strength_1": NAN},
    "noise": {"flat_noise": 40.0},
    "a badge on the ground": BADGE,
    "letters on the product": BADGE | {"mark_on_ground": 0.1, "mark_ink_beneath": 0.3},
    "another tone on the same ground": {"tone_change": 5.0},
    "another tone of everything": {"tone_change": 5.0, "curve_most": 6.0, "ground_change": 5.0},
    "another part on another ground": {"outline_part_px": 30.0, "ground_missed": 3.0},
    "a thumbnail": {"fine_side_px": 200.0},
    "another outline on another ground": {"outline_change": 0.2, "ground_missed": 9.0},
    "one of a set": {"b": dataclasses.replace(MARGIN, content=0.5)},
}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.ROTATED),
        ({"b": dataclasses.replace(MORE, area=0.8)}, Verdict.ROTATED),
        ({"b": SCENE}, Verdict.EMBEDDED),
        ({"b": dataclasses.replace(MORE, area=0.2), "cells_matching": 0.05}, Verdict.EMBEDDED),
        ({"b": dataclasses.replace(MORE, area=0.3)}, Verdict.ROTATED),
    ],
    ids=["the whole", "most of it", "pasted into a scene", "cut out into a scene", "a turned crop"],
)
def test_what_is_turned_a_little_may_lie_in_a_scene(judged, changes, verdict):
    assert judged(tilt=2.0, **changes).verdict == verdict


@pytest.mark.parametrize("name", GUARDED)
def test_what_is_not_proved_is_for_a_person_however_sure_the_model_is(judged, name):
    judgement = judged(**GUARDED[name])
    assert judgement.verdict in MERGING and judgement.decision == Decision.LOOK


PASSING = {
    "nothing": {},
    "grey": GREYED,
    "a crop through things": {"b": MORE},
    "a margin": {"b": MARGIN},
    "another ground": NEW_GROUND,
    "small photos": {"strength_2": NAN, "strength_3": NAN},
}


@pytest.mark.parametrize("name", PASSING)
def test_what_is_proved_is_a_copy(judged, name):
    assert judged(**PASSING[name]).decision == Decision.COPY


@pytest.mark.parametrize("name", ["another colour", "another colour of a part", "less colour", "one hue", "a paste"])
def test_variants_are_kept_apart_however_sure_the_model_is(judged, name):
    judgement = judged(1.0, **KINDS[name][0])
    assert judgement.verdict not in MERGING and judgement.decision == Decision.VARIANT


def test_a_copy_always_has_a_proof_and_a_verdict_that_merges(judged):
    rng = np.random.default_rng(0)
    changes = [changes for changes, _ in KINDS.values()] + list(GUARDED.values()) + list(PASSING.values())
    n_copies = 0
    for _ in range(1500):
        chosen = [changes[row] for row in rng.integers(len(changes), size=2)]
        judgement = judged(float(rng.choice([0.1, 0.5, 1.0])), **chosen[0] | chosen[1])
        if judgement.decision == Decision.COPY:
            n_copies += 1
            assert judgement.verdict in MERGING and judgement.confidence >= 0.9
        elif judgement.verdict not in MERGING:
            assert judgement.decision == Decision.VARIANT
    assert n_copies > 50


@pytest.mark.parametrize("name", KINDS)
def test_without_a_proof_nothing_is_a_copy(name):
    changes, _ = KINDS[name]
    facts = {side: changes[side] for side in ("facts_a", "facts_b") if side in changes}
    of_comparison = {key: value for key, value in changes.items() if key in vars(COPY) or key in vars(SAME)}
    judgement = judge(Evidence(0, compared(**of_comparison), None), facts.get("facts_a", A), facts.get("facts_b", B))
    assert judgement is None or judgement.decision == Decision.VARIANT
    assert judgement is None or (judgement.verdict not in MERGING and judgement.confidence == 0)


def test_the_same_shot_of_which_a_part_differs_is_a_variant(judged):
    part = {"strength_3": 4.0}
    judgement = judged(0.01, **part)
    assert (judgement.verdict, judgement.decision) == (Verdict.PART_DIFFERS, Decision.VARIANT)
    assert judged(0.01, **RECOLOURED).verdict == Verdict.RECOLOURED
    # Other shots are not.
    assert judged(0.01, cells_matching=0.3, **part).verdict == Verdict.SAME_OBJECT
    little = dataclasses.replace(MORE, area=0.4)
    assert judged(0.01, a=little, b=little, **part).verdict == Verdict.SAME_OBJECT
    assert judged(0.01, a=little, b=ALL, **part).verdict == Verdict.PART_DIFFERS


APART = {
    "something in common": ({}, Verdict.SAME_OBJECT),
    "an object in a scene": ({"area_b": 0.2, "match_area": 0.1, "n_matches": 9}, Verdict.EMBEDDED),
    "too few matches": ({"n_matches": 5}, None),
    "matches that look different": ({"matched_similarity": 0.5}, None),
    "matches in one place": ({"match_area": 0.01}, None),
    "few matches": ({"n_matches": 9}, None),
    "few of the matches agree": ({"match_share": 0.2}, None),
    # Two photos that share an edge of the same wallpaper do not lie in each other.
    "two that share an edge": ({"area_a": 0.13, "area_b": 0.12, "n_matches": 9}, None),
}


@pytest.mark.parametrize("name", APART)
def test_photos_that_share_only_an_object(judged, name):
    changes, expected = APART[name]
    judgement = judged(0.01, cells_matching=0.1, **changes)
    assert (judgement and judgement.verdict) == expected
    assert judgement is None or judgement.decision == Decision.VARIANT
    without_proof = judge(Evidence(0, compared(**changes), None), A, B)
    assert (without_proof and without_proof.verdict) == expected


@pytest.mark.parametrize(
    ("changes", "side"),
    [
        ({}, None),
        ({"b": MARGIN}, "b"),
        ({"a": MARGIN}, "a"),
        ({"b": BARS}, "b"),
        ({"b": MORE}, None),
        ({"b": SCENE}, None),
    ],
    ids=["nothing", "a margin on b", "a margin on a", "bars on b", "more on b", "b is a scene"],
)
def test_the_photo_that_has_a_margin_is_named(changes, side):
    assert margin_side(proved(**changes)) == side


def test_only_photos_that_may_be_copies_are_proved():
    assert has_hope(COPY)
    assert has_hope(compared(n_matches=0)) and has_hope(compared(matching_fraction=0.1))
    # Without a match, what was laid over each other by hashes or margins may still agree on the product alone.
    assert has_hope(compared(n_matches=0, matching_fraction=0.1, matched_similarity=0.6))
    assert not has_hope(compared(n_matches=0, matching_fraction=0.1, matched_similarity=0.2))
    assert not has_hope(compared(n_matches=3, matching_fraction=0.1))


def test_the_recipe_follows_the_model_and_the_setting(monkeypatch):
    recipe = verdicts_recipe(60)
    assert len(recipe) == 16 and int(recipe, 16) and verdicts_recipe(60) == recipe
    assert verdicts_recipe(61) != recipe
    monkeypatch.setattr(verdicts_module, "model_json", lambda: "{}")
    assert verdicts_recipe(60) != recipe


def test_the_evidence_is_plain_values():
    better = Better(finer=-1.0, cleaner=0.5, added_side="b", grey_side=None)
    values = Evidence(4, COPY, proved(**BADGE), better, 2.5).to_dict()
    assert values["structural_similarity"] == 0.99 and values["box_a"] == WHOLE
    assert values["transform"] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] and values["verification_ms"] == 2.5
    assert values["unexplained_fraction"] == 0.02 and values["finer"] == -1
    assert values["added_side"] == "b" and values["grey_side"] is None
    evidence = next(c for c in table_schema("near_duplicates").arrow if c.name == "evidence")
    names = {field.name for field in evidence.type}
    assert names <= set(values) | {f"cosine_{facet}" for facet in FACETS}


def test_evidence_that_was_not_measured_is_left_out():
    without_better = Evidence(4, COPY, PROVED).to_dict()
    assert "tone_change" in without_better and "finer" not in without_better
    assert "unexplained_fraction" not in Evidence(4, COPY).to_dict()
    assert Evidence().to_dict()["orientation"] == "identity" and Evidence().box_a == Evidence().box_b == WHOLE
    assert Evidence(0, compared(box_a=(0.1, 0.1, 0.9, 0.9))).box_a == (0.1, 0.1, 0.9, 0.9)
