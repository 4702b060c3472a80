import pytest

from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.keeping import Facts
from prodseek.duplicates.pair_facts import facts_of
from prodseek.duplicates.verdicts import Verdict

LARGE, SMALL = (1000, 800), (500, 400)
MEASURED = ("finer", "cleaner", "added_side", "grey_side", "orientation")


def row(verdict, box_a=(0, 0, *LARGE), box_b=(0, 0, *SMALL), **evidence):
    boxes = {
        f"{edge}_{side}_px": float(value)
        for side, box in (("a", box_a), ("b", box_b))
        for edge, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)
    }
    evidence = dict.fromkeys(MEASURED) | evidence
    return {"verdict": verdict.value, "evidence": evidence, **boxes}


def test_what_was_measured_is_taken_as_it_is():
    measured = row(Verdict.TONED, finer=-0.5, cleaner=1.5, added_side="b", grey_side="a", orientation="rotate_90")
    assert facts_of(measured, LARGE, SMALL) == Facts(-0.5, 1.5, 1, -1, 0.0, Orientation.ROTATE_90, (500.0, 1000.0))


def test_without_a_measurement_the_pixels_of_the_shared_part_tell():
    assert facts_of(row(Verdict.RESIZED), LARGE, SMALL).finer == -1.0
    assert facts_of(row(Verdict.RESIZED, finer=0.0), LARGE, SMALL).finer == 0.0
    same = row(Verdict.IDENTICAL_PIXELS, box_b=(0, 0, *LARGE))
    assert facts_of(same, LARGE, LARGE).finer == 0.0


@pytest.mark.parametrize(
    ("formats", "likelier"),
    [(("PNG", "JPEG"), 1), (("MPO", "TIFF"), -1), (("JPEG", "JPEG"), 0), (("PNG", "WEBP"), 0)],
    ids=["a JPEG beside its PNG", "a TIFF beside its JPEG", "two JPEGs", "no JPEG"],
)
def test_of_equal_pixels_the_jpeg_is_the_original(formats, likelier):
    same = row(Verdict.IDENTICAL_PIXELS, box_b=(0, 0, *LARGE))
    facts = facts_of(same, LARGE, LARGE, formats)
    assert facts == Facts(cleaner=10.0 * likelier, shared_px=(1000.0, 1000.0))
    alike = row(Verdict.RE_ENCODED, box_b=(0, 0, *LARGE), cleaner=-0.5)
    assert facts_of(alike, LARGE, LARGE, formats).cleaner == -0.5, "what is not equal was measured"


def test_a_crop_shows_less_and_its_pixels_are_those_of_the_shared_part():
    crop = row(Verdict.CROPPED, box_a=(0, 0, 500, 400))
    assert facts_of(crop, LARGE, SMALL) == Facts(shows_more=-2.0, shared_px=(500.0, 500.0))


@pytest.mark.parametrize(("added_side", "added"), [("b", 1), (None, 0)])
def test_a_margin_shows_no_more_whether_it_was_added_or_cut_off_the_other(added_side, added):
    padded = row(Verdict.PADDED, box_a=(0, 0, *SMALL), box_b=(250, 200, 750, 600), added_side=added_side)
    assert facts_of(padded, SMALL, LARGE) == Facts(added=added, shared_px=(500.0, 500.0))


def test_an_edge_cut_by_a_pixel_shows_no_less():
    cut = row(Verdict.RE_ENCODED, box_a=(1, 1, 999, 799), box_b=(0, 0, 998, 798))
    assert facts_of(cut, LARGE, (998, 798)).shows_more == 0.0
