import dataclasses
import json
from pathlib import Path

import pytest

import prodseek.duplicates.verdicts as verdicts_module
from prodseek.duplicates.difference import Difference
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.verdicts import MERGING, Evidence, PhotoFacts, Verdict, judge
from prodseek.duplicates.verification import WHOLE, Comparison
from prodseek.runs.tables import table_schema

A = PhotoFacts("a" * 64, "1" * 64, 400, 300, 30_000)
B = PhotoFacts("b" * 64, "2" * 64, 400, 300, 20_000)
SAME = Difference(
    structural_similarity=0.99,
    matching_fraction=1.0,
    matched_similarity=0.99,
    outside_similarity=0.99,
    outside_structure=1.0,
    mean_abs_difference=0.5,
    differing_fraction=0.0,
    differing_thick=0.0,
    differing_box=None,
    overlaid_side=None,
    one_sided_fraction=0.0,
    one_sided_on_ground=None,
    gain=1.0,
    offset=0.0,
    ciede2000=0.4,
    ciede2000_toned=0.4,
    object_light_difference=0.5,
    background_ciede2000=0.1,
    chroma_a=30.0,
    chroma_b=30.0,
    contrast=50.0,
    structured_fraction=0.5,
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
PART = (0.1, 0.1, 0.9, 0.9)


def copy_with(**changes):
    of_difference = {name: value for name, value in changes.items() if name in vars(SAME)}
    of_comparison = {name: value for name, value in changes.items() if name in vars(COPY)}
    assert len(of_difference) + len(of_comparison) == len(changes)
    return dataclasses.replace(COPY, **of_comparison, difference=dataclasses.replace(SAME, **of_difference))


def verdict(facts_a=A, facts_b=B, **changes):
    judgement = judge(Evidence(4, copy_with(**changes)), facts_a, facts_b)
    return judgement and judgement.verdict


def test_the_list_is_that_of_the_table():
    schemas = Path(verdicts_module.__file__).parents[3] / "schemas"
    fields = json.loads((schemas / "near_duplicates.json").read_text())["fields"]
    allowed = next(field["metadata"]["allowed"] for field in fields if field["name"] == "verdict")
    assert [verdict.value for verdict in Verdict] == allowed


def test_variants_and_other_photos_never_merge():
    assert {Verdict.RECOLOURED, Verdict.EMBEDDED, Verdict.SAME_OBJECT}.isdisjoint(MERGING)
    assert len(MERGING) == 10


def test_equal_hashes_need_no_pixels():
    assert judge(Evidence(), A, A).verdict == Verdict.IDENTICAL_BYTES
    same_pixels = dataclasses.replace(B, pixel_hash=A.pixel_hash)
    assert judge(Evidence(), A, same_pixels) == judge(Evidence(), same_pixels, A)
    assert judge(Evidence(), A, same_pixels).verdict == Verdict.IDENTICAL_PIXELS


def test_without_pixels_nothing_is_claimed():
    assert judge(Evidence(0), A, B) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Verdict.RE_ENCODED),
        ({"facts_b": dataclasses.replace(B, width_px=200, height_px=150)}, Verdict.RESIZED),
        ({"orientation": Orientation.MIRROR}, Verdict.MIRRORED),
        ({"orientation": Orientation.TRANSVERSE}, Verdict.MIRRORED),
        ({"orientation": Orientation.ROTATE_270}, Verdict.ROTATED),
        ({"gain": 0.7}, Verdict.TONED),
        ({"sharper": -1.2}, Verdict.TONED),
        ({"chroma_b": 0.5, "ciede2000": 14.0, "ciede2000_toned": 14.0}, Verdict.TONED),
        (
            {"chroma_b": 0.5, "ciede2000": 14.0, "ciede2000_toned": 14.0, "object_light_difference": 9.0},
            Verdict.RECOLOURED,
        ),
        ({"ciede2000": 12.0, "ciede2000_toned": 12.0}, Verdict.RECOLOURED),
        ({"gain": 0.8, "ciede2000": 12.0, "background_ciede2000": 0.1}, Verdict.RECOLOURED),
        ({"gain": 0.8, "ciede2000": 12.0, "background_ciede2000": 11.0}, Verdict.TONED),
        ({"box_a": PART, "surrounding_contrast": 30.0}, Verdict.CROPPED),
        ({"box_b": PART, "surrounding_contrast": 0.5, "seam": 9.0}, Verdict.PADDED),
        ({"box_b": PART, "surrounding_contrast": 30.0, "seam": 3.0}, Verdict.EMBEDDED),
        ({"one_sided_fraction": 0.01}, Verdict.OVERLAID),
        ({"one_sided_fraction": 0.01, "gain": 0.7}, Verdict.TONED),
        ({"differing_fraction": 0.01, "differing_box": (0.7, 0.0, 1.0, 0.2)}, Verdict.OVERLAID),
        ({"differing_fraction": 0.01, "differing_box": (0.2, 0.4, 0.8, 0.6)}, Verdict.OVERLAID),
        (
            {"differing_fraction": 0.01, "differing_box": (0.2, 0.4, 0.8, 0.6), "one_sided_on_ground": 0.3},
            Verdict.OVERLAID,
        ),
        ({"structural_similarity": 0.4, "matching_fraction": 0.3, "area_b": 0.2, "match_area": 0.1}, Verdict.EMBEDDED),
        ({"structural_similarity": 0.4, "matching_fraction": 0.3}, Verdict.SAME_OBJECT),
        ({"structural_similarity": 0.4, "matching_fraction": 0.3, "n_matches": 5}, None),
        ({"structural_similarity": 0.4, "matching_fraction": 0.3, "matched_similarity": 0.5}, None),
        (
            {"box_a": (0.0, 0.0, 0.6, 1.0), "area_a": 0.6, "box_b": (0.4, 0.0, 1.0, 1.0), "area_b": 0.6},
            Verdict.SAME_OBJECT,
        ),
        # A tilted frame's boxes are whole: letters are looked for only where both show the same.
        (
            {"differing_fraction": 0.05, "differing_box": (0.0, 0.1, 0.7, 0.7), "area_a": 0.87, "area_b": 0.86},
            Verdict.SAME_OBJECT,
        ),
        # Two shots from nearly the same place overlap, but neither lies in the other.
        ({"box_a": PART, "area_a": 0.96, "area_b": 0.89, "structural_similarity": 0.86}, Verdict.SAME_OBJECT),
        ({"box_a": PART, "area_a": 0.96, "area_b": 1.0, "structural_similarity": 0.86}, Verdict.PADDED),
        # An object in a scene lies in it; two photos that share an edge of the same wallpaper do not.
        (
            {"structural_similarity": 0.4, "matching_fraction": 0.3, "area_a": 0.13, "area_b": 0.12, "n_matches": 9},
            None,
        ),
        ({"contrast": 1.0}, None),
        ({"structured_fraction": 0.001}, None),
    ],
)
def test_evidence_decides(changes, expected):
    assert verdict(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"differing_thick": 0.5, "differing_box": (0.3, 0.4, 0.7, 0.8)},
        {"differing_box": (0.3, 0.4, 0.5, 0.6)},
        {"differing_box": (0.1, 0.1, 0.9, 0.9), "one_sided_on_ground": 0.0},
        {"gain": 0.1},
        {"gain": -1.0},
    ],
)
def test_another_thing_or_other_handles_are_no_copy(changes):
    unlike = {"structural_similarity": 0.8, "matching_fraction": 0.8, "differing_fraction": 0.05}
    assert verdict(**unlike | changes) not in MERGING


def test_the_evidence_is_plain_values():
    values = Evidence(4, COPY, 2.5).to_dict()
    assert values["structural_similarity"] == 0.99 and values["box_a"] == WHOLE
    assert values["transform"] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] and values["verification_ms"] == 2.5
    evidence = next(c for c in table_schema("near_duplicates").arrow if c.name == "evidence")
    names = {field.name for field in evidence.type}
    assert names <= set(values) | {"cosine_visual", "cosine_colour", "cosine_texture", "cosine_shape"}
