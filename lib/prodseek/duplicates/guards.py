"""What must be proved before two photos are called copies, whatever a model thinks of them.

A model learns what pairs it was shown have in common. These rules hold for pairs that nobody thought of: where the evidence
allows another product too, a person looks. Values are those of `Proof`, by name, all of them in `decision.FEATURES`; one that is
NaN proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

# Cells of a 24th of the frame's longer side that must agree: flat areas prove nothing.
_LEAST_CELLS = 8
# In a thumbnail no button, hallmark or seam can be seen, so it may be of another product.
_LEAST_SIDE_PX = 250.0
# Grey levels: with more noise than a JPEG of quality 5 has, differences hide in it.
_MOST_NOISE = 6.0
# CIEDE2000 that may be left of a small area, and how much more for each grey level of noise.
_COLOUR_LEFT, _COLOUR_LEFT_BY_NOISE = 3.5, 1.5
# log2(1 + S) of a faint spot, see `LeftOver`: some pixels beside a letter that an encoder left. Of 2,965 planted negatives none
# that this alone keeps apart has less than 4.5.
_FAINT_SPOT = 3.3
# Grey levels of noise in texture, and at edges that both have, at half of the fine size: there encoders leave next to none, but
# a fine pattern on a plain cloth does.
_MOST_TEXTURE_NOISE, _MOST_SHARED_NOISE = 1.4, 2.5
# Grey levels of a wave that stands out of what is left: a weave that one has alone, however fine it is; and of one in chroma,
# where encoders leave none: of 167 copies of magento and clothing the most is 0.18.
_MOST_WAVE, _MOST_HUE_WAVE = 0.75, 0.25
# Grey levels of texture in chroma that one has alone. Edges bleed in a JPEG: a planted one of the sample, 512 px, has 0.69, and
# of 419 other planted copies 2 have more than this.
_MOST_CHROMA_ALONE = 0.75
# CIEDE2000
_SAME_GROUND, _OTHER_TONE = 2.0, 2.5
_OTHER_TONE_ON_GROUND, _MOVED = 2.0, 0.6
# By so much a tone moved nine in ten of the colours: where much is lost of a texture, their mean says less.
_ALL_MOVED = 0.45
_CURVE_MOVES, _CURVE_STAYS, _PRODUCT_MOVED = 5.0, 2.0, 1.5
_SAME_GROUND_UNDER_OUTLINE, _OTHER_GROUND_UNDER_OUTLINE, _SAME_OUTLINE = 1.0, 12.0, 0.01
# Pixels of the coarse frame.
_LEAST_PART_PX = 4.0
# A cut through a thing crosses some of its edges.
_ALL_CONTENT, _LEAST_CROSSING, _MANY_CROSSING = 0.97, 0.02, 0.1
# Pixels of an outline, at 480 px: the letters of a caption and a pale cup have hundreds, a margin none.
_MOST_IN_MARGIN_PX = 40.0
# Share of what lies beyond the cut that has one colour, as a margin has.
_PLAIN = 0.9
# log2 of the step at the edge of the cut, divided by the steps beside it.
_GOES_ON, _MAY_GO_ON = 0.58, 1.0
# Correlation from which on what lies beyond the cut is what lies within it, once more.
_SAME_AGAIN = 0.8
# CIELAB: chroma of a grey photo, because grey things in a photo in colour have more; of the other photo; and the light that
# differs between them.
_GREY_CHROMA, _COLOURED_CHROMA, _GREY_LIGHT_CHANGE, _GREY_HUES = 1.5, 5.0, 2.5, 0.1
# Of a photo without any colour.
_NO_CHROMA = 0.5

Values = Mapping[str, float]


class Doubt(StrEnum):
    """The closed list of `evidence.doubt`: what keeps two photos that look alike from being proved copies."""

    HIDDEN = "hidden"
    MARGIN = "margin"
    PLAIN = "plain"
    DIFFERENT = "different"
    TONE = "tone"
    PATTERN = "pattern"
    OUTLINE = "outline"
    MORE = "more"
    SMALL = "small"
    FAINT = "faint"


def is_proved(values: Values) -> bool:
    """Whether one photo shows all that the other does, and what differs is explained and could not be another product."""
    return doubt_of(values) is None


def doubt_of(values: Values) -> Doubt | None:
    """What forbids to take two photos for copies; of several doubts the gravest. None if they are proved."""
    # What a margin hides may never have been there.
    if values["margin_hides"] > 0:
        return Doubt.HIDDEN
    if not values["n_cells"] * values["cells_matching"] >= _LEAST_CELLS:
        return Doubt.PLAIN
    if any(values[f"strength_{level}"] > 0 for level in range(4)):
        return Doubt.DIFFERENT
    # Of another tone nothing was compared more closely.
    if may_be_other_tone(values):
        return Doubt.TONE
    # A mix of colours that takes a pattern away moves the colours.
    if may_be_next_shade(values):
        return Doubt.PATTERN if _shows_pattern(values) else Doubt.TONE
    if _differs(values):
        return Doubt.DIFFERENT
    if _has_pattern(values):
        return Doubt.PATTERN
    # Within the margins nothing differs, but one print may be sold in two frames, and one label lies on cards in many colours.
    if values["margins_differ"] > 0:
        return Doubt.MARGIN if is_explained(values) else Doubt.FAINT
    if may_be_other_outline(values):
        return Doubt.OUTLINE
    is_all_shown = values["inner_content"] >= _ALL_CONTENT and values["inner_thing_px"] <= _MOST_IN_MARGIN_PX
    if not is_all_shown or may_be_one_of_a_set(values):
        return Doubt.MORE
    if not values["fine_side_px"] >= _LEAST_SIDE_PX:
        return Doubt.SMALL
    return None if is_explained(values) else Doubt.FAINT


def is_explained(values: Values) -> bool:
    """Whether nothing is left that encoding, resampling, blur and tone do not explain, at any size."""
    return (
        not (_differs(values) or _has_pattern(values))
        and values["fine_faint"] <= _FAINT_SPOT
        and values["fine_texture"] <= _MOST_TEXTURE_NOISE
        and values["fine_shared"] <= _MOST_SHARED_NOISE
        and values["flat_noise"] <= _MOST_NOISE
        and values["fine_flat_noise"] <= _MOST_NOISE
        and values["colour_left_most"] <= _COLOUR_LEFT + _COLOUR_LEFT_BY_NOISE * values["flat_noise"]
    )


def _has_pattern(values: Values) -> bool:
    """Whether one may have a weave, stripes or spots alone, in light or in colour; also where that was not measured."""
    was_measured = not any(math.isnan(values[name]) for name in ("fine_wave", "hue_wave", "chroma_alone"))
    return not was_measured or _shows_pattern(values)


def _shows_pattern(values: Values) -> bool:
    """Whether it was seen that one has a weave, stripes or spots alone. A photo without its colours has lost such in chroma."""
    has_lost_chroma = values["chroma_alone"] > _MOST_CHROMA_ALONE and not is_greyed(values)
    return has_lost_chroma or values["fine_wave"] > _MOST_WAVE or values["hue_wave"] > _MOST_HUE_WAVE


def _differs(values: Values) -> bool:
    """Whether a connected area stands out of the noise, at any size."""
    coarse = [values[f"strength_{level}"] for level in range(4)]
    # Small photos have no coarse levels. A pair whose fine size was not compared is not proved.
    measured = [value for value in coarse if not math.isnan(value)]
    fine = [values[name] for name in ("fine_strength_0", "fine_strength_1", "hue_strength_0")]
    # The edges of a product on a replaced ground are compared less closely, so within it nothing may differ even faintly.
    if values["ground_missed"] > _SAME_GROUND_UNDER_OUTLINE and values["faint"] > 0:
        return True
    return not measured or max(measured) != 0 or any(value != 0 for value in fine)


def may_be_other_tone(values: Values) -> bool:
    """Whether the product, or a part of it, may have another colour: one that a change of tone explains as well.

    Nothing in two photos tells a cloth in another shade from a brighter photo of it.
    """
    if is_greyed(values):
        return False
    has_moved = _moved(values) > _MOVED
    # What makes a white ground grey moves the lightest parts of the product, and hardly the rest.
    is_ground_s = values["plain"] > 0 and values["ground_change"] >= _SAME_GROUND and not has_moved
    if not values["curve_most"] <= (_CURVE_MOVES if is_ground_s else _OTHER_TONE):
        return True
    return _ground_stays(values) and (values["curve_most"] > _OTHER_TONE_ON_GROUND or has_moved)


def may_be_next_shade(values: Values) -> bool:
    """Whether a tone has moved all colours by a step in which tiles, cloths and paints are sold. No encoder does that.

    Not asked before the fine size is compared: what that says is worth knowing of a brighter photo too.
    """
    has_moved = _moved(values) > _MOVED or values["curve_least"] > _ALL_MOVED
    return has_moved and not is_greyed(values)


def moves_product_alone(values: Values) -> bool:
    """Whether the tone of the product, or of a part of it, has changed, and that of the rest has not."""
    if values["curve_most"] > _CURVE_MOVES and values["curve_least"] < _CURVE_STAYS:
        return True
    return _ground_stays(values) and (_moved(values) > _PRODUCT_MOVED or values["curve_most"] > _CURVE_MOVES)


def _moved(values: Values) -> float:
    """How far a tone has moved the product's colours, CIEDE2000; what an encoder loses is explained by no tone."""
    return values["tone_change"] - values["colour_left"]


def _ground_stays(values: Values) -> bool:
    return values["plain"] > 0 and values["ground_change"] < _SAME_GROUND


def is_greyed(values: Values) -> bool:
    """Whether one photo is the other without its colours: several hues are gone at once, and it is just as light."""
    return (
        values["chroma_low"] < _GREY_CHROMA
        and values["chroma_high"] - values["chroma_low"] > _COLOURED_CHROMA
        and values["light_change"] < _GREY_LIGHT_CHANGE
        and values["hue_spread"] > _GREY_HUES
    )


def may_be_greyed(values: Values) -> bool:
    """Whether one photo has no colour at all and the light of the other: greyed, or its one colour was taken from the product."""
    return (
        values["chroma_low"] < _NO_CHROMA
        and values["chroma_high"] - values["chroma_low"] > _COLOURED_CHROMA
        and values["light_change"] < _GREY_LIGHT_CHANGE
    )


def may_be_other_outline(values: Values) -> bool:
    """Whether the ground was replaced, and the product covers another part of it than before: it has another cap, or no legs."""
    if not values["ground_missed"] > _SAME_GROUND_UNDER_OUTLINE:
        return False
    # Beside a ground that is much darker, a thin part in another shade cannot be told from its edge.
    if values["ground_missed"] > _OTHER_GROUND_UNDER_OUTLINE:
        return True
    return values["outline_change"] > _SAME_OUTLINE or values["outline_part_px"] > _LEAST_PART_PX


def may_be_one_of_a_set(values: Values) -> bool:
    """Whether one photo shows more than the other, and not as a picture goes on beyond a cut: other things, or bars."""
    # A photo that fills its frame has an edge of its own beside a margin.
    thing_px = values["outer_thing_px" if values["plain"] > 0 else "outer_alone_px"]
    is_margin = values["outer_content"] >= _ALL_CONTENT and thing_px <= _MOST_IN_MARGIN_PX
    if is_margin or math.isnan(values["outer_crossing"]):
        return False
    has_thing_in_margin = values["outer_plain"] >= _PLAIN and values["outer_alone_px"] > _MOST_IN_MARGIN_PX
    if has_thing_in_margin or values["outer_repeats"] > _SAME_AGAIN:
        return True
    seam, crossing = values["outer_seam"], values["outer_crossing"]
    return not ((crossing >= _LEAST_CROSSING and seam < _GOES_ON) or (crossing >= _MANY_CROSSING and seam < _MAY_GO_ON))
