"""What kind of copy one photo is of another, and how sure that is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from prodseek.duplicates.difference import Box
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.verification import WHOLE, Comparison


class Verdict(StrEnum):
    """The closed list of `near_duplicates.verdict`."""

    IDENTICAL_BYTES = "identical_bytes"
    IDENTICAL_PIXELS = "identical_pixels"
    RE_ENCODED = "re_encoded"
    RESIZED = "resized"
    CROPPED = "cropped"
    PADDED = "padded"
    MIRRORED = "mirrored"
    ROTATED = "rotated"
    TONED = "toned"
    OVERLAID = "overlaid"
    RECOLOURED = "recoloured"
    EMBEDDED = "embedded"
    SAME_OBJECT = "same_object"


# The rest are variants or other photos: reported, never merged.
MERGING = frozenset(Verdict) - {Verdict.RECOLOURED, Verdict.EMBEDDED, Verdict.SAME_OBJECT}

# Measured on 24 photos x 17 transforms and on pairs of unlike products: copies have a structural similarity of .90
# and more (.97 outside of a badge), unlike products at most .75.
_COPY_SIMILARITY = 0.86
# A part found by search may fit by luck: more is asked of it.
_PART_SIMILARITY = 0.93
_COPY_MATCHING_FRACTION = 0.90
# Compression and resizing leave hardly a pixel without its like; other handles on the same cupboard do.
_COPY_DIFFERING_FRACTION = 0.0006
_PART_DIFFERING_FRACTION = 0.008
_OVERLAID_OUTSIDE_SIMILARITY = 0.95
_OVERLAID_OUTSIDE_STRUCTURE = 0.6
_BADGE_AREA = 0.12
_BADGE_CORNER = 0.3
# Letters make a line, or are spread thinly over much of the photo; a thing put into the picture does neither. Where
# the ground is plain, letters run onto it; other handles on the same cupboard do not.
_WATERMARK_FILL = 0.25
_WATERMARK_LINE = 1.5
_SPREAD_AREA = 0.3
_SPREAD_FILL = 0.12
_WATERMARK_ON_GROUND = 0.1
_WATERMARK_MATCHING_FRACTION = 0.86
# Less contrast, or structure on less of the photo, proves nothing.
_LEAST_CONTRAST = 4.0
_LEAST_STRUCTURED_FRACTION = 0.02
_GAIN_RANGE = (0.45, 2.2)
# CIEDE2000, averaged over the object: above it, the thing itself has another colour.
_OTHER_COLOUR = 6.0
_SAME_BACKGROUND = 2.0
# From here on no lighting explains the colour; light and dark may then be distributed otherwise, too.
_CLEARLY_OTHER_COLOUR = 10.0
_VARIANT_SIMILARITY = 0.85
_VARIANT_MATCHING_FRACTION = 0.8
_GREY_CHROMA = 5.0
_GREY_LIGHT_DIFFERENCE = 2.5
_TONED_GAIN = 0.08
_TONED_OFFSET = 12.0
_WHOLE_AREA = 0.97
_SAME_SIZE = 0.02
_PLAIN_SURROUNDING = 6.0


@dataclass(frozen=True)
class PhotoFacts:
    """What is known of a photo without looking at it. Sizes after EXIF orientation."""

    image_id: str
    pixel_hash: str
    width_px: int
    height_px: int
    n_bytes: int


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on; None where it was not measured. The fields are those of Comparison and Difference."""

    pdq_hamming: int | None = None
    orientation: str = Orientation.IDENTITY.value
    cosine_visual: float | None = None
    cosine_colour: float | None = None
    cosine_texture: float | None = None
    cosine_shape: float | None = None
    box_a: Box = WHOLE
    box_b: Box = WHOLE
    correlation: float | None = None
    surrounding_contrast: float | None = None
    structural_similarity: float | None = None
    matching_fraction: float | None = None
    outside_similarity: float | None = None
    outside_structure: float | None = None
    mean_abs_difference: float | None = None
    differing_fraction: float | None = None
    differing_box: Box | None = None
    overlaid_side: str | None = None
    differing_on_ground: float | None = None
    gain: float | None = None
    offset: float | None = None
    blur_px: float | None = None
    ciede2000: float | None = None
    ciede2000_toned: float | None = None
    object_light_difference: float | None = None
    background_ciede2000: float | None = None
    chroma_a: float | None = None
    chroma_b: float | None = None
    contrast: float | None = None
    structured_fraction: float | None = None

    @staticmethod
    def of(
        comparison: Comparison | None,
        pdq_hamming: int | None = None,
        cosine_visual: float | None = None,
        cosine_colour: float | None = None,
        cosine_texture: float | None = None,
        cosine_shape: float | None = None,
    ) -> Evidence:
        """The evidence of a pair; comparison None where equal hashes made one needless."""
        if comparison is None:
            measured = Evidence(pdq_hamming=pdq_hamming)
        else:
            measured = Evidence(
                pdq_hamming=pdq_hamming,
                orientation=comparison.orientation.value,
                box_a=comparison.box_a,
                box_b=comparison.box_b,
                correlation=comparison.correlation,
                surrounding_contrast=comparison.surrounding_contrast,
                **vars(comparison.difference),
            )
        return replace(
            measured,
            cosine_visual=cosine_visual,
            cosine_colour=cosine_colour,
            cosine_texture=cosine_texture,
            cosine_shape=cosine_shape,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name; boxes are tuples of four fractions, or None."""
        return asdict(self)


@dataclass(frozen=True)
class Judgement:
    """confidence: 0 to 1."""

    verdict: Verdict
    confidence: float


def judge(evidence: Evidence, facts_a: PhotoFacts, facts_b: PhotoFacts) -> Judgement | None:
    """The verdict on two photos, or None if neither was made from the other.

    The confidence grows with the structural similarity of what is shared (for overlaid photos: of what lies outside
    the overlay) from .5 at the least a copy must have to 1 at 1, less where little of the photo has any structure.
    """
    if facts_a.image_id == facts_b.image_id:
        return Judgement(Verdict.IDENTICAL_BYTES, 1.0)
    if facts_a.pixel_hash == facts_b.pixel_hash:
        return Judgement(Verdict.IDENTICAL_PIXELS, 1.0)
    if evidence.structural_similarity is None or not _is_judgeable(evidence):
        return None
    if _is_whole_copy(evidence):
        likeness, least = evidence.structural_similarity, _least_similarity(evidence)
        verdict = _kind(evidence, facts_a, facts_b)
    elif _is_overlaid(evidence):
        likeness, least = _known(evidence.outside_similarity), _OVERLAID_OUTSIDE_SIMILARITY
        verdict = Verdict.RECOLOURED if _is_recoloured(evidence) else Verdict.OVERLAID
    elif _is_variant(evidence):
        likeness, least = evidence.structural_similarity, _VARIANT_SIMILARITY
        verdict = Verdict.RECOLOURED
    else:
        return None
    enough = min(1.0, _known(evidence.structured_fraction) / (5 * _LEAST_STRUCTURED_FRACTION))
    margin = min(1.0, max(0.0, (likeness - least) / (1 - least)))
    return Judgement(verdict, 0.5 + 0.5 * margin * enough)


def _is_judgeable(evidence: Evidence) -> bool:
    return (
        _known(evidence.contrast) >= _LEAST_CONTRAST
        and _known(evidence.structured_fraction) >= _LEAST_STRUCTURED_FRACTION
        and _GAIN_RANGE[0] <= _known(evidence.gain) <= _GAIN_RANGE[1]
    )


def _is_whole_copy(evidence: Evidence) -> bool:
    most_differing = _PART_DIFFERING_FRACTION if _shares_part(evidence) else _COPY_DIFFERING_FRACTION
    return (
        _known(evidence.structural_similarity) >= _least_similarity(evidence)
        and _known(evidence.matching_fraction) >= _COPY_MATCHING_FRACTION
        and _known(evidence.differing_fraction) <= most_differing
        and (_shares_part(evidence) or not _is_overlaid(evidence))
    )


def _least_similarity(evidence: Evidence) -> float:
    return _PART_SIMILARITY if _shares_part(evidence) else _COPY_SIMILARITY


def _shares_part(evidence: Evidence) -> bool:
    return min(_area(evidence.box_a), _area(evidence.box_b)) < _WHOLE_AREA


def _is_variant(evidence: Evidence) -> bool:
    return (
        _known(evidence.structural_similarity) >= _VARIANT_SIMILARITY
        and _known(evidence.matching_fraction) >= _VARIANT_MATCHING_FRACTION
        and _known(evidence.ciede2000_toned) > _CLEARLY_OTHER_COLOUR
        and not _is_greyed(evidence)
    )


def _is_overlaid(evidence: Evidence) -> bool:
    """Something lies on one of two otherwise equal photos: a badge in a corner, or letters across it. Not another
    product in the same room.
    """
    box = evidence.differing_box
    if box is None:
        return False
    from_side = [min(middle, 1 - middle) for middle in ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)]
    is_badge = _area(box) <= _BADGE_AREA and max(from_side) <= _BADGE_CORNER
    return (
        (is_badge or _has_letters(evidence, box))
        and _known(evidence.outside_similarity) >= _OVERLAID_OUTSIDE_SIMILARITY
        and _known(evidence.outside_structure) >= _OVERLAID_OUTSIDE_STRUCTURE
    )


def _has_letters(evidence: Evidence, box: Box) -> bool:
    fill = _known(evidence.differing_fraction) / _area(box)
    is_line = box[2] - box[0] >= _WATERMARK_LINE * (box[3] - box[1]) and fill <= _WATERMARK_FILL
    is_spread = _area(box) >= _SPREAD_AREA and fill <= _SPREAD_FILL
    on_ground = evidence.differing_on_ground is None or evidence.differing_on_ground >= _WATERMARK_ON_GROUND
    return (is_line or is_spread) and on_ground and _known(evidence.matching_fraction) >= _WATERMARK_MATCHING_FRACTION


def _kind(evidence: Evidence, facts_a: PhotoFacts, facts_b: PhotoFacts) -> Verdict:
    if _is_recoloured(evidence):
        return Verdict.RECOLOURED
    if _shares_part(evidence):
        is_plain = _known(evidence.surrounding_contrast) < _PLAIN_SURROUNDING
        return Verdict.PADDED if is_plain else Verdict.CROPPED
    if evidence.orientation in (Orientation.ROTATE_90, Orientation.ROTATE_180, Orientation.ROTATE_270):
        return Verdict.ROTATED
    if evidence.orientation != Orientation.IDENTITY:
        return Verdict.MIRRORED
    if (
        abs(_known(evidence.gain) - 1) > _TONED_GAIN
        or abs(_known(evidence.offset)) > _TONED_OFFSET
        or _known(evidence.blur_px) != 0
        or _is_greyed(evidence)
    ):
        return Verdict.TONED
    width_ratio = facts_a.width_px / facts_b.width_px
    height_ratio = facts_a.height_px / facts_b.height_px
    if abs(width_ratio - 1) > _SAME_SIZE or abs(height_ratio - 1) > _SAME_SIZE:
        return Verdict.RESIZED
    return Verdict.RE_ENCODED


def _is_recoloured(evidence: Evidence) -> bool:
    """The thing has another colour. A change of tone moves the background too; a product's other colour does not."""
    if _is_greyed(evidence):
        return False
    if _known(evidence.ciede2000_toned) > _OTHER_COLOUR:
        return True
    return _known(evidence.ciede2000) > _OTHER_COLOUR and _known(evidence.background_ciede2000) < _SAME_BACKGROUND


def _is_greyed(evidence: Evidence) -> bool:
    """One photo is the other without its colours: grey all over, and just as light."""
    chromas = sorted((_known(evidence.chroma_a), _known(evidence.chroma_b)))
    return (
        chromas[0] < _GREY_CHROMA
        and chromas[1] - chromas[0] > _GREY_CHROMA
        and _known(evidence.object_light_difference) < _GREY_LIGHT_DIFFERENCE
    )


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _known(value: float | None) -> float:
    """A measurement that every comparison holds."""
    if value is None:
        raise ValueError("the evidence of a compared pair must hold every measurement; make it with Evidence.of")
    return value
