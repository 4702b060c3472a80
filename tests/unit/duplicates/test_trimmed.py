"""A photo that was cut and then given a margin: the margin hides what was cut off, and is no difference."""

import pytest
from made_photos import jpeg, packshot, pixels, scene
from PIL import Image, ImageDraw

from prodseek.duplicates.content import content_box
from prodseek.duplicates.guards import Doubt, doubt_of, is_proved
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.measuring import evidence_of_files, facts_of_file
from prodseek.duplicates.planting.files import jpeg as encoded
from prodseek.duplicates.proof import prove
from prodseek.duplicates.trimmed import prove_or_trim
from prodseek.duplicates.verdicts import Decision, judge
from prodseek.duplicates.verification import compare_views, view

SIZE = (420, 315)
WHITE = (255, 255, 255)


def cut_and_padded(image, box=(60, 45, 350, 270), margin_px=40, ground=WHITE):
    part = image.crop(box)
    canvas = Image.new("RGB", (part.width + 2 * margin_px, part.height + 2 * margin_px), ground)
    canvas.paste(part, (margin_px, margin_px))
    return canvas


def squared(image):
    part = image.crop((100, 0, 320, image.height))
    side = part.height + 30
    canvas = Image.new("RGB", (side, side), WHITE)
    canvas.paste(part, ((side - part.width) // 2, 15))
    return canvas


def one_more(image):
    canvas = Image.new("RGB", (2 * image.width, image.height), image.getpixel((2, 2)))
    canvas.paste(image, (0, 0))
    canvas.paste(image, (image.width, 0))
    return canvas


def both_proofs(a, b):
    a, b = pixels(a), pixels(b)
    comparison = compare_views(view(a), view(b), Orientation.IDENTITY)
    contents = content_box(a), content_box(b)
    return prove(a, b, comparison, lambda: (a, b)), prove_or_trim(a, b, contents, comparison, lambda: (a, b))


@pytest.mark.parametrize("edit", [cut_and_padded, squared], ids=["on all sides", "to a square"])
@pytest.mark.parametrize("swapped", [False, True], ids=["the cut one last", "the cut one first"])
def test_what_a_margin_hides_is_no_difference(edit, swapped):
    original = jpeg(scene(1, *SIZE), 95)
    pair = (original, jpeg(edit(original), 90))
    whole, trimmed = both_proofs(*(pair[::-1] if swapped else pair))
    assert whole.mark > 0.02 and whole.margin_hides == 0
    assert trimmed.mark == 0 and trimmed.cells_matching > 0.8
    assert 0.1 < trimmed.margin_hides < 0.7


def test_a_coloured_margin_hides_as_well():
    original = jpeg(scene(1, *SIZE), 95)
    _, trimmed = both_proofs(original, jpeg(cut_and_padded(original, ground=(30, 60, 160)), 90))
    assert trimmed.mark == 0 and trimmed.margin_hides > 0.1


def test_what_a_margin_hides_may_never_have_been_there_so_a_person_looks():
    original = jpeg(scene(1, *SIZE), 95)
    _, trimmed = both_proofs(original, jpeg(cut_and_padded(original), 92))
    assert not is_proved(trimmed.values())


@pytest.mark.parametrize("kind", [scene, packshot])
def test_a_margin_that_hides_nothing_is_left_alone(kind):
    original = jpeg(kind(1, *SIZE), 95)
    whole, trimmed = both_proofs(original, jpeg(cut_and_padded(original, (0, 0, *SIZE)), 90))
    assert repr(whole) == repr(trimmed) and trimmed.margin_hides == 0


def test_another_part_is_still_a_difference():
    original = jpeg(scene(1, *SIZE), 95)
    other = original.copy()
    other.paste(scene(9).crop((0, 0, 90, 70)), (170, 120))
    _, trimmed = both_proofs(original, jpeg(cut_and_padded(other), 90))
    assert trimmed.mark > 0.01


def test_one_of_two_is_no_cut():
    single = jpeg(packshot(3, *SIZE), 95)
    _, proof = both_proofs(single, jpeg(one_more(single), 90))
    assert proof is None or proof.margin_hides == 0


def test_a_ribbon_on_the_others_margin_was_not_cut_off():
    """Its corner lies on the margin of the photo without it, but it reaches into the content."""
    original = Image.new("RGB", SIZE, WHITE)
    original.paste(packshot(1, 300, 315), (60, 0))
    ribbon = original.copy()
    ImageDraw.Draw(ribbon).polygon([(300, 0), (SIZE[0], 0), (SIZE[0], 120)], fill=(30, 200, 90))
    whole, trimmed = both_proofs(jpeg(original, 95), jpeg(ribbon, 90))
    assert whole.mark > 0.02 and repr(whole) == repr(trimmed)


def on_canvas(image, colour, sides_px=(60, 40)):
    across_px, down_px = sides_px
    canvas = Image.new("RGB", (image.width + 2 * across_px, image.height + 2 * down_px), colour)
    canvas.paste(image, sides_px)
    return canvas


@pytest.mark.parametrize(
    "sides_px", [(60, 40), (60, 0), (0, 50)], ids=["on all sides", "left and right", "above and below"]
)
@pytest.mark.parametrize("kind", [scene, packshot])
def test_one_photo_on_canvases_in_two_colours_is_looked_at(kind, sides_px):
    original = kind(1, *SIZE)
    pair = [encoded(on_canvas(original, colour, sides_px), 92) for colour in ((240, 240, 240), (40, 90, 150))]
    judgement = judge(evidence_of_files(*pair), *map(facts_of_file, pair))
    # The same label may lie on cards in two colours.
    assert judgement.decision == Decision.LOOK and judgement.confidence > 0.9


def test_margins_in_two_colours_are_no_difference():
    original = scene(1, *SIZE)
    pair = [jpeg(on_canvas(original, colour, (60, 0)), 92) for colour in ((240, 240, 240), (40, 90, 150))]
    whole, trimmed = both_proofs(*pair)
    assert whole.mark > 0.01 and whole.margins_differ == 0
    assert trimmed.mark < 0.001 and trimmed.margins_differ == 1
    assert doubt_of(trimmed.values()) == Doubt.MARGIN


def test_what_both_show_lies_within_their_margins():
    original = scene(1, *SIZE)
    canvases = [((240, 240, 240), (60, 40)), ((40, 90, 150), (30, 20))]
    evidence = evidence_of_files(*(encoded(on_canvas(original, colour, sides_px), 92) for colour, sides_px in canvases))
    for box, (_, (across_px, down_px)) in zip((evidence.box_a, evidence.box_b), canvases, strict=True):
        across, down = across_px / (original.width + 2 * across_px), down_px / (original.height + 2 * down_px)
        assert box == pytest.approx((across, down, 1 - across, 1 - down), abs=0.01)


def test_two_photos_on_two_canvases_still_differ():
    original = scene(1, *SIZE)
    other = original.copy()
    other.paste(scene(9).crop((0, 0, 90, 70)), (170, 120))
    _, proof = both_proofs(jpeg(on_canvas(original, WHITE), 92), jpeg(on_canvas(other, (40, 90, 150)), 92))
    assert proof.mark > 0.01


def test_cards_in_two_colours_with_the_same_label_at_their_foot_are_compared_whole():
    cards = []
    for colour in ((190, 60, 50), (60, 80, 180)):
        card = Image.new("RGB", (300, 420), colour)
        card.paste(scene(1, 300, 140), (0, 280))
        cards.append(jpeg(card, 92))
    whole, proof = both_proofs(*cards)
    assert repr(whole) == repr(proof)
