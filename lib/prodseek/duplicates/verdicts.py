"""Verdicts: what kind of copy one photo is of another, judged from the two photos laid over each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from prodseek.duplicates.confidence import confidence_of, model_json
from prodseek.duplicates.difference import Box, Difference
from prodseek.duplicates.features import features_recipe
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.verification import LEAST_MATCHES, WHOLE, Comparison


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


class Decision(StrEnum):
    """The closed list of `near_duplicates.decision`: what to do about a pair."""

    COPY = "copy"
    LOOK = "look"
    VARIANT = "variant"


# Verdicts of copies. The other three are variants or other photos, which are reported but never merged.
MERGING = frozenset(Verdict) - {Verdict.RECOLOURED, Verdict.EMBEDDED, Verdict.SAME_OBJECT}

# Raise it when two photos may get another verdict than before, because of a change here or in the modules that measure them.
# Cached verdicts of earlier nights are then computed again. The confidence model is recognised by its content.
VERDICTS_VERSION = 2

# The thresholds below were chosen on the sample catalogue, and on the development half of the photos of
# tests/bench/bench_copy_detection.py.
# With less contrast, or with structure on less of the photo, nothing can be proved.
_LEAST_CONTRAST = 4.0
_LEAST_STRUCTURED_FRACTION = 0.02
_GAIN_RANGE = (0.3, 3.3)
# Copies have a structural similarity of at least .92, other photos of at most .70.
_COPY_SIMILARITY = 0.90
_COPY_MATCHING = 0.90
# Minimum share of a copy that both photos show: of one photo or the other. Photos that overlap less would form chains.
_COPY_SHARED = 0.8
# After compression and resizing almost every pixel still has a match; with other handles on the same cupboard it does not.
_COPY_DIFFERING = 0.0006
# From this share on, one photo is inside the other: true for a crop, but not for another shot from nearly the same place.
_NESTED = 0.98
# More tolerant, because the surroundings bleed into the edges of a shared part, and the transform is not quite exact.
_PART_SIMILARITY = 0.80
_PART_MATCHING = 0.75
_PART_DIFFERING = 0.03
# Compression adds structure to at most a thousandth of a photo.
_OVERLAID_ONE_SIDED_FRACTION = 0.0015
_OVERLAID_OUTSIDE_SIMILARITY = 0.95
_OVERLAID_OUTSIDE_STRUCTURE = 0.6
_BADGE_AREA = 0.12
_BADGE_CORNER = 0.3
# Letters are thin, cover little, and leave most of the photo unchanged. On a plain ground they extend beyond the object, but
# other handles on the same cupboard do not.
_LETTERS_THICK = 0.1
_LETTERS_FRACTION = 0.12
_LETTERS_FILL = 0.2
_LETTERS_ON_GROUND = 0.1
_LETTERS_SIMILARITY = 0.7
_LETTERS_MATCHES = 12
_LETTERS_MATCH_SHARE = 0.8
# CIEDE2000, averaged over the object: above this the object has another colour.
_OTHER_COLOUR = 6.0
_SAME_BACKGROUND = 2.0
# If the background stays the same, above this the object itself is lighter or darker.
_OTHER_LIGHT = 11.0
# Above this no lighting can explain the colour, so the distribution of light and dark may differ too.
_CLEARLY_OTHER_COLOUR = 10.0
_VARIANT_SIMILARITY = 0.65
_GREY_CHROMA = 5.0
_GREY_LIGHT_DIFFERENCE = 2.5
_TONED_GAIN = 0.08
_TONED_OFFSET = 12.0
_TONED_SHARPER = 0.6
_SAME_SIZE = 0.02
_PLAIN_SURROUNDING = 6.0
# The step at the edge of a pasted part, divided by the steps beside it. The edge of a crop is no step in the larger photo.
_SEAM = 1.5
# Photos that share only an object: minimum similarity where the verified matches are.
_OBJECT_SIMILARITY = 0.8
_OBJECT_MATCH_AREA = 0.02
# An object in a scene: its whole photo fills less than this share of the scene.
_SCENE_SHARE = 0.5
_SAME_OBJECT_MATCHES = 16
_SAME_OBJECT_MATCH_SHARE = 0.5
_SAME_OBJECT_MATCH_AREA = 0.1


@dataclass(frozen=True)
class PhotoFacts:
    """What is known about a photo without decoding it. Sizes after EXIF orientation."""

    image_id: str
    pixel_hash: str
    width_px: int
    height_px: int
    n_bytes: int


@dataclass(frozen=True)
class Evidence:
    """The measurements that a verdict is based on; None if not measured.

    pdq_hamming: bits of 256, in the best of eight orientations. comparison: None if equal hashes made it unnecessary, or if
    nothing suggests that the two photos show the same. verification_ms: time of the comparison, milliseconds.
    """

    pdq_hamming: int | None = None
    comparison: Comparison | None = None
    verification_ms: float | None = None

    @property
    def box_a(self) -> Box:
        return self.comparison.box_a if self.comparison else WHOLE

    @property
    def box_b(self) -> Box:
        return self.comparison.box_b if self.comparison else WHOLE

    def to_dict(self) -> dict[str, Any]:
        """Plain values by their names in `near_duplicates.evidence`, and some more."""
        values: dict[str, Any] = {
            "pdq_hamming": self.pdq_hamming,
            "orientation": Orientation.IDENTITY.value,
            "verification_ms": self.verification_ms,
        }
        if self.comparison is not None:
            values |= vars(self.comparison) | vars(self.comparison.difference)
            values["orientation"] = self.comparison.orientation.value
            values["transform"] = list(self.comparison.matrix)
        return values


@dataclass(frozen=True)
class Judgement:
    """A verdict. confidence: calibrated probability that one photo was made from the other, 0 to 1."""

    verdict: Verdict
    decision: Decision
    confidence: float


def verdicts_recipe(max_pdq_hamming: int) -> str:
    """16 hex digits that change whenever two photos might get another verdict.

    max_pdq_hamming: how many bits of two hashes may differ for them to tell how one photo was turned.
    """
    settings = (VERDICTS_VERSION, features_recipe(), model_json(), max_pdq_hamming)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def judge(evidence: Evidence, facts_a: PhotoFacts, facts_b: PhotoFacts) -> Judgement | None:
    """The verdict on two photos; None if they share nothing."""
    if facts_a.image_id == facts_b.image_id:
        return Judgement(Verdict.IDENTICAL_BYTES, Decision.COPY, 1.0)
    if facts_a.pixel_hash == facts_b.pixel_hash:
        return Judgement(Verdict.IDENTICAL_PIXELS, Decision.COPY, 1.0)
    comparison = evidence.comparison
    if comparison is None:
        return None
    verdict = _verdict(comparison, facts_a, facts_b)
    if verdict is None:
        return None
    decision = Decision.COPY if verdict in MERGING else Decision.VARIANT
    return Judgement(verdict, decision, confidence_of(comparison, evidence.pdq_hamming))


def _verdict(comparison: Comparison, facts_a: PhotoFacts, facts_b: PhotoFacts) -> Verdict | None:
    difference = comparison.difference
    if difference.contrast < _LEAST_CONTRAST or difference.structured_fraction < _LEAST_STRUCTURED_FRACTION:
        return None
    if _GAIN_RANGE[0] <= difference.gain <= _GAIN_RANGE[1]:
        if _is_copy(comparison):
            return _kind(comparison, facts_a, facts_b)
        if _has_badge(difference) or _has_letters(comparison):
            return Verdict.RECOLOURED if _is_recoloured(difference) else Verdict.OVERLAID
    if _is_variant(comparison):
        return Verdict.RECOLOURED
    return _shared_object(comparison)


def _is_copy(comparison: Comparison) -> bool:
    difference = comparison.difference
    if max(comparison.area_a, comparison.area_b) < _COPY_SHARED:
        return False
    if _shares_part(comparison) and max(comparison.area_a, comparison.area_b) >= _NESTED:
        least_similarity, least_matching, most_differing = _PART_SIMILARITY, _PART_MATCHING, _PART_DIFFERING
    else:
        least_similarity, least_matching, most_differing = _COPY_SIMILARITY, _COPY_MATCHING, _COPY_DIFFERING
    return (
        difference.structural_similarity >= least_similarity
        and difference.matching_fraction >= least_matching
        and difference.differing_fraction <= most_differing
    )


def _shares_part(comparison: Comparison) -> bool:
    """Whether one photo shows more than the other. The boxes of a tilted frame are whole, but their content is not."""
    whole = comparison.box_a == comparison.box_b == WHOLE and min(comparison.area_a, comparison.area_b) >= _NESTED
    return not whole


def _kind(comparison: Comparison, facts_a: PhotoFacts, facts_b: PhotoFacts) -> Verdict:
    difference = comparison.difference
    if _is_recoloured(difference):
        return Verdict.RECOLOURED
    if _shares_part(comparison):
        if comparison.surrounding_contrast < _PLAIN_SURROUNDING:
            return Verdict.PADDED
        return Verdict.EMBEDDED if comparison.seam > _SEAM else Verdict.CROPPED
    is_toned = _is_toned(comparison)
    if not is_toned and difference.one_sided_fraction > _OVERLAID_ONE_SIDED_FRACTION:
        return Verdict.OVERLAID
    if comparison.orientation in (Orientation.ROTATE_90, Orientation.ROTATE_180, Orientation.ROTATE_270):
        return Verdict.ROTATED
    if comparison.orientation != Orientation.IDENTITY:
        return Verdict.MIRRORED
    if is_toned:
        return Verdict.TONED
    width_ratio = facts_a.width_px / facts_b.width_px
    height_ratio = facts_a.height_px / facts_b.height_px
    if abs(width_ratio - 1) > _SAME_SIZE or abs(height_ratio - 1) > _SAME_SIZE:
        return Verdict.RESIZED
    return Verdict.RE_ENCODED


def _is_toned(comparison: Comparison) -> bool:
    difference = comparison.difference
    return (
        abs(difference.gain - 1) > _TONED_GAIN
        or abs(difference.offset) > _TONED_OFFSET
        or abs(comparison.sharper) > _TONED_SHARPER
        or _is_greyed(difference)
    )


def _has_badge(difference: Difference) -> bool:
    """Whether one of two otherwise equal photos has a badge in a corner."""
    box = difference.differing_box
    if box is None:
        return False
    from_side = [min(middle, 1 - middle) for middle in ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)]
    return (
        (box[2] - box[0]) * (box[3] - box[1]) <= _BADGE_AREA
        and max(from_side) <= _BADGE_CORNER
        and difference.outside_similarity >= _OVERLAID_OUTSIDE_SIMILARITY
        and difference.outside_structure >= _OVERLAID_OUTSIDE_STRUCTURE
    )


def _has_letters(comparison: Comparison) -> bool:
    """Whether thin strokes cross one of two otherwise equal photos. Another product in the same room does not count."""
    difference = comparison.difference
    on_ground, box = difference.one_sided_on_ground, difference.differing_box
    area = 1.0 if box is None else (box[2] - box[0]) * (box[3] - box[1])
    return (
        not _shares_part(comparison)
        and difference.differing_fraction <= _LETTERS_FILL * area
        and difference.differing_thick <= _LETTERS_THICK
        and difference.differing_fraction <= _LETTERS_FRACTION
        and (on_ground is None or on_ground >= _LETTERS_ON_GROUND)
        and difference.structural_similarity >= _LETTERS_SIMILARITY
        and comparison.n_matches >= _LETTERS_MATCHES
        and comparison.match_share >= _LETTERS_MATCH_SHARE
    )


def _is_variant(comparison: Comparison) -> bool:
    difference = comparison.difference
    return (
        not _shares_part(comparison)
        and max(difference.structural_similarity, difference.matched_similarity) >= _VARIANT_SIMILARITY
        and difference.ciede2000_toned > _CLEARLY_OTHER_COLOUR
        and not _is_greyed(difference)
    )


def _is_recoloured(difference: Difference) -> bool:
    """Whether the object has another colour. A change of tone also changes the background; another product colour does not."""
    if _is_greyed(difference):
        return False
    if difference.ciede2000_toned > _OTHER_COLOUR:
        return True
    return difference.ciede2000 > _OTHER_LIGHT and difference.background_ciede2000 < _SAME_BACKGROUND


def _is_greyed(difference: Difference) -> bool:
    """Whether one photo is the other without its colours: all grey, and just as light."""
    chromas = sorted((difference.chroma_a, difference.chroma_b))
    return (
        chromas[0] < _GREY_CHROMA
        and chromas[1] - chromas[0] > _GREY_CHROMA
        and difference.object_light_difference < _GREY_LIGHT_DIFFERENCE
    )


def _shared_object(comparison: Comparison) -> Verdict | None:
    """The verdict if the frames differ but something in them is the same; else None."""
    difference = comparison.difference
    if (
        comparison.n_matches < LEAST_MATCHES
        or difference.matched_similarity < _OBJECT_SIMILARITY
        or comparison.match_area < _OBJECT_MATCH_AREA
    ):
        return None
    smaller, larger = sorted((comparison.area_a, comparison.area_b))
    if smaller < _SCENE_SHARE and larger >= _COPY_SHARED:
        return Verdict.EMBEDDED
    if (
        comparison.n_matches >= _SAME_OBJECT_MATCHES
        and comparison.match_share >= _SAME_OBJECT_MATCH_SHARE
        and comparison.match_area >= _SAME_OBJECT_MATCH_AREA
    ):
        return Verdict.SAME_OBJECT
    return None
