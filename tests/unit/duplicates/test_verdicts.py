import dataclasses
import json
from pathlib import Path

import pytest

import prodseek.duplicates.verdicts as verdicts_module
from prodseek.duplicates.verdicts import MERGING, Evidence, PhotoFacts, Verdict, judge

A = PhotoFacts("a" * 64, "1" * 64, 400, 300, 30_000)
B = PhotoFacts("b" * 64, "2" * 64, 400, 300, 20_000)
COPY = Evidence(
    pdq_hamming=4,
    correlation=1.0,
    surrounding_contrast=0.0,
    structural_similarity=0.99,
    matching_fraction=1.0,
    outside_similarity=0.99,
    outside_structure=1.0,
    mean_abs_difference=0.5,
    differing_fraction=0.0,
    gain=1.0,
    offset=0.0,
    blur_px=0.0,
    ciede2000=0.4,
    ciede2000_toned=0.4,
    object_light_difference=0.5,
    background_ciede2000=0.1,
    chroma_a=30.0,
    chroma_b=30.0,
    contrast=50.0,
    structured_fraction=0.5,
)


def verdict(facts_a=A, facts_b=B, **changes):
    judgement = judge(dataclasses.replace(COPY, **changes), facts_a, facts_b)
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
    assert judge(Evidence(pdq_hamming=0), A, B) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Verdict.RE_ENCODED),
        ({"facts_b": dataclasses.replace(B, width_px=200, height_px=150)}, Verdict.RESIZED),
        ({"orientation": "mirror"}, Verdict.MIRRORED),
        ({"orientation": "transverse"}, Verdict.MIRRORED),
        ({"orientation": "rotate_270"}, Verdict.ROTATED),
        ({"gain": 0.7}, Verdict.TONED),
        ({"blur_px": -1.2}, Verdict.TONED),
        ({"chroma_b": 0.5, "ciede2000": 14.0, "ciede2000_toned": 14.0}, Verdict.TONED),
        (
            {"chroma_b": 0.5, "ciede2000": 14.0, "ciede2000_toned": 14.0, "object_light_difference": 9.0},
            Verdict.RECOLOURED,
        ),
        ({"ciede2000": 12.0, "ciede2000_toned": 12.0}, Verdict.RECOLOURED),
        ({"gain": 0.8, "ciede2000": 12.0, "background_ciede2000": 0.1}, Verdict.RECOLOURED),
        ({"gain": 0.8, "ciede2000": 12.0, "background_ciede2000": 11.0}, Verdict.TONED),
        ({"box_a": (0.1, 0.1, 0.9, 0.9), "surrounding_contrast": 30.0}, Verdict.CROPPED),
        ({"box_b": (0.1, 0.1, 0.9, 0.9), "surrounding_contrast": 0.5}, Verdict.PADDED),
        ({"differing_fraction": 0.01, "differing_box": (0.7, 0.0, 1.0, 0.2)}, Verdict.OVERLAID),
        ({"differing_fraction": 0.01, "differing_box": (0.2, 0.4, 0.8, 0.6)}, Verdict.OVERLAID),
        (
            {"differing_fraction": 0.01, "differing_box": (0.2, 0.4, 0.8, 0.6), "differing_on_ground": 0.3},
            Verdict.OVERLAID,
        ),
        ({"structural_similarity": 0.7}, None),
        ({"contrast": 1.0}, None),
        ({"structured_fraction": 0.001}, None),
        ({"gain": 0.1}, None),
        ({"gain": -1.0}, None),
    ],
)
def test_evidence_decides(changes, expected):
    assert verdict(**changes) == expected


def test_another_thing_in_the_middle_is_no_overlay():
    changes = {"structural_similarity": 0.8, "matching_fraction": 0.8, "differing_fraction": 0.05}
    assert verdict(**changes, differing_box=(0.3, 0.4, 0.7, 0.8)) is None


def test_confidence_grows_with_likeness_and_with_structure():
    def confidence(**changes):
        return judge(dataclasses.replace(COPY, **changes), A, B).confidence

    by_likeness = [confidence(structural_similarity=value) for value in (0.87, 0.9, 0.95, 1.0)]
    assert by_likeness == sorted(by_likeness) and by_likeness[0] < by_likeness[-1] == 1.0
    by_structure = [confidence(structured_fraction=value) for value in (0.03, 0.06, 0.2)]
    assert by_structure == sorted(by_structure) and by_structure[0] < by_structure[-1]


def test_the_evidence_is_plain_values():
    values = COPY.to_dict()
    assert values["structural_similarity"] == 0.99 and values["box_a"] == (0.0, 0.0, 1.0, 1.0)
    assert set(values) == {field.name for field in dataclasses.fields(Evidence)}
