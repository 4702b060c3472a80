"""Boxes that people get wrong: one sentence each, with the value and what to do."""

from __future__ import annotations

import pytest

from prodseek.errors import PromptError
from prodseek.runs.tables import table_schema
from prodseek.search.prompts import PromptFault, check_box, parse_box

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("box", "reason", "says"),
    [
        ((10, 20, 10, 40), "box_empty", "10,20,10,40 has no width; draw it round something"),
        ((10, 20, 30, 20), "box_empty", "has no height"),
        ((0, 0, 0, 0), "box_empty", "has no width"),
        ((639.5, 20, 900, 40), "box_empty", "covers less than a pixel of the photo, which is 640 x 480 px"),
        ((300, 20, 100, 40), "box_inverted", r"perhaps 100,20,300,40\), not x,y,width,height"),
        ((10, 40, 30, 20), "box_inverted", "ends before it begins"),
        ((0.25, 0.5, 0.5, 1), "box_normalised", "on this photo of 640 x 480 px that is 160,240,320,480"),
        ((0, 0, 1, 1), "box_normalised", "boxes are in pixels"),
        ((700, 20, 900, 40), "box_outside", "lies outside the photo, which is 640 x 480 px after turning it upright"),
        ((-20, 20, 0, 40), "box_outside", "give pixels of the photo at its full size"),
        ((10, NAN, 30, 40), "box_not_finite", "10,nan,30,40 is not four numbers"),
        ((10, 20, INFINITE, 40), "box_not_finite", "is not four numbers"),
        ((10, 20, 30), "invalid_prompt", "the box 10,20,30 is not four numbers in pixels of the upright photo"),
    ],
)
def test_a_bad_box_is_told_in_one_sentence(box: tuple[float, ...], reason: str, says: str) -> None:
    with pytest.raises(PromptError, match=says) as raised:
        check_box(box, 640, 480)

    assert raised.value.reason == reason and raised.value.exit_code == 2
    assert "\n" not in str(raised.value)


def test_a_box_over_the_edge_is_cut_to_the_photo() -> None:
    assert check_box((-5, 20.5, 700, 480), 640, 480) == (0.0, 20.5, 640.0, 480.0)
    assert check_box((10, 20, 30, 40), 640, 480) == (10.0, 20.0, 30.0, 40.0)
    assert check_box((0.4, 0.4, 1.5, 1.9), 640, 480) == (0.4, 0.4, 1.5, 1.9)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4"])
def test_text_that_is_no_box(text: str) -> None:
    with pytest.raises(PromptError, match=r"is not four numbers in pixels of the upright photo, x1,y1,x2,y2"):
        parse_box(text)


def test_text_that_is_a_box() -> None:
    assert parse_box("1, 2.5,3,-4") == (1.0, 2.5, 3.0, -4.0)


def test_every_fault_may_be_the_reason_of_a_rejected_prompt() -> None:
    (reason,) = (column for column in table_schema("rejected_prompts").columns if column.name == "reason")
    assert set(PromptFault) < set(reason.allowed)
