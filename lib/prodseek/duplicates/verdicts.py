"""Verdicts: what kind of copy one photo is of another, and what to do about it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from prodseek.duplicates import origin
from prodseek.duplicates.better import Better
from prodseek.duplicates.decision import feature_values, model_json, shipped_model
from prodseek.duplicates.difference import Box, Difference
from prodseek.duplicates.features import features_recipe
from prodseek.duplicates.geometry import LEAST_MATCHES
from prodseek.duplicates.grounds import OTHER_GROUND
from prodseek.duplicates.guards import Doubt, doubt_of, is_greyed, is_proved, may_be_greyed, moves_product_alone
from prodseek.duplicates.hashes import ROTATIONS, Orientation
from prodseek.duplicates.overlap import Outside
from prodseek.duplicates.proof import Proof
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
    OTHER_GROUND = "other_ground"
    OVERLAID = "overlaid"
    RECOLOURED = "recoloured"
    PART_DIFFERS = "part_differs"
    EMBEDDED = "embedded"
    SAME_OBJECT = "same_object"


class Decision(StrEnum):
    """The closed list of `near_duplicates.decision`: what to do about a pair."""

    COPY = "copy"
    LOOK = "look"
    VARIANT = "variant"


# Verdicts that a copy can have. The others are variants or other photos, which are reported but never merged.
MERGING = frozenset(Verdict) - {Verdict.RECOLOURED, Verdict.PART_DIFFERS, Verdict.EMBEDDED, Verdict.SAME_OBJECT}

# Raise it when two photos may get another verdict than before, because of a change here or in the modules that measure them.
# Cached verdicts of earlier nights are then computed again. The model is recognised by its content.
VERDICTS_VERSION = 26

# The bounds below only name what the model has decided. They were chosen on the sample catalogue.
# From this share on, both show the same.
SAME_FRAME = 0.97
# A margin has one colour. Bars of a screenshot have not, but the photo between them takes the whole width or height.
_PLAIN_MARGIN = 0.9
_BETWEEN_BARS = 0.95
# log2 of the step at the edge of a pasted part, divided by the steps beside it. The edge of a crop is no step.
_SEAM, _SURE_SEAM = 0.58, 1.0
# Share of such an edge across which something goes on.
_GOES_ON = 0.03
# Correlation of both sides of a cut, below which the picture does not go on.
_CONTINUES = 0.35
# Degrees that a photo was turned, beside quarter turns.
_TILTED = 0.7
_MARK = 0.0012
_ONE_SIDED = 0.2
_TONED_GAIN = 0.08
_TONED_OFFSET = 12.0
_TONED_SHARPER = 0.6
_SAME_SIZE = 0.02
# CIEDE2000 of the product: above this it has another colour.
_OTHER_COLOUR = 6.0
_OTHER_TONE = 3.0
# Degrees of hue, and the share of its chroma, from which on a product has another colour, not another light.
_OTHER_HUE, _HALF = 12.0, 0.5
# Photos in which less than this share of the cells with structure agree are not the same shot.
_SAME_SHOT = 0.6
# Doubts of pairs in which nothing was seen to differ but a margin, or traces that an encoder may have left.
_UNSEEN = (None, Doubt.MARGIN, Doubt.FAINT)
# Photos that share only an object: minimum similarity where the verified matches are.
_OBJECT_SIMILARITY = 0.65
_OBJECT_MATCH_AREA = 0.015
_OBJECT_MATCH_SHARE = 0.3
_MOSTLY_SHARED = 0.8
# An object in a scene: its whole photo fills less than this share of the scene.
_SCENE_SHARE = 0.5
# Of a thing that was cut out the surroundings differ: of the cells with structure less than this share agrees.
_CUT_OUT_MATCHING = 0.3
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
    nothing suggests that the two photos show the same. proof: None if the comparison left no hope of a copy. better: None if
    they are no copies. verification_ms: time of both, milliseconds.
    """

    pdq_hamming: int | None = None
    comparison: Comparison | None = None
    proof: Proof | None = None
    better: Better | None = None
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
        if self.proof is not None:
            values |= {
                "unexplained_fraction": self.proof.mark,
                "tone_change": self.proof.tone_change,
                "doubt": doubt_of(self.proof.values()),
            }
        if self.better is not None:
            values |= vars(self.better)
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
    settings = (VERDICTS_VERSION, features_recipe(), model_json(), origin.model_json(), max_pdq_hamming)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def judge(evidence: Evidence, facts_a: PhotoFacts, facts_b: PhotoFacts) -> Judgement | None:
    """The verdict on two photos; None if they share nothing."""
    if facts_a.image_id == facts_b.image_id:
        return Judgement(Verdict.IDENTICAL_BYTES, Decision.COPY, 1.0)
    if facts_a.pixel_hash == facts_b.pixel_hash:
        return Judgement(Verdict.IDENTICAL_PIXELS, Decision.COPY, 1.0)
    comparison, proof = evidence.comparison, evidence.proof
    if comparison is None:
        return None
    confidence = 0.0
    if proof is not None:
        model = shipped_model()
        confidence = model.confidence(feature_values(comparison, proof, evidence.pdq_hamming))
        values = proof.values()
        is_same_shot = (
            proof.cells_matching >= _SAME_SHOT and max(proof.overlap.a.area, proof.overlap.b.area) >= _MOSTLY_SHARED
        )
        # Where nothing was seen to differ, nobody can say that it is a variant, however unlikely a copy is.
        if confidence >= model.look_confidence or (is_same_shot and doubt_of(values) in _UNSEEN):
            is_marked = proof.mark > _MARK and abs(proof.mark_one_sided) > _ONE_SIDED
            verdict = _kind(comparison, proof, facts_a, facts_b)
            if not is_marked and _has_other_hue(proof, values):
                verdict = Verdict.RECOLOURED
            return Judgement(verdict, _decision(verdict, confidence, values), confidence)
        if is_same_shot:
            recoloured = _is_recoloured(proof, values, comparison.difference)
            return Judgement(Verdict.RECOLOURED if recoloured else Verdict.PART_DIFFERS, Decision.VARIANT, confidence)
    shared = _shared_object(comparison)
    return None if shared is None else Judgement(shared, Decision.VARIANT, confidence)


def margin_side(proof: Proof) -> str | None:
    """The photo that shows no more than a plain margin, or bars, beyond what both show; None if neither does."""
    wider = _wider_side(proof)
    return wider if wider is not None and _is_margin(getattr(proof.overlap, wider)) else None


def _decision(verdict: Verdict, confidence: float, values: Mapping[str, float]) -> Decision:
    """A copy is what the model is sure of and what is proved."""
    if verdict not in MERGING:
        return Decision.VARIANT
    is_sure = shipped_model().is_sure(confidence, values["fine_side_px"])
    return Decision.COPY if is_sure and is_proved(values) else Decision.LOOK


def _kind(comparison: Comparison, proof: Proof, facts_a: PhotoFacts, facts_b: PhotoFacts) -> Verdict:
    if proof.margins_differ > 0:
        return Verdict.OTHER_GROUND
    wider = _wider_side(proof)
    outside: Outside | None = None if wider is None else getattr(proof.overlap, wider)
    # Round a thing that was cut out another scene lies, in its box too.
    is_cut_out = outside is not None and outside.area < _SCENE_SHARE and proof.cells_matching < _CUT_OUT_MATCHING
    if proof.overlap.tilt > _TILTED:
        # The corners of a photo that was turned a little are as if it had been pasted, but they are small.
        is_pasted = outside is not None and outside.area < _SCENE_SHARE and _is_pasted(outside)
        return Verdict.EMBEDDED if is_cut_out or is_pasted else Verdict.ROTATED
    if outside is not None:
        if _is_margin(outside):
            return Verdict.PADDED
        return Verdict.EMBEDDED if is_cut_out or _is_pasted(outside) else Verdict.CROPPED
    if proof.mark > _MARK:
        return Verdict.OVERLAID
    if comparison.orientation in ROTATIONS:
        return Verdict.ROTATED
    if comparison.orientation != Orientation.IDENTITY:
        return Verdict.MIRRORED
    # Of a ground that changes as the product does, the whole photo is toned.
    if proof.ground_change > OTHER_GROUND and proof.ground_missed > OTHER_GROUND:
        return Verdict.OTHER_GROUND
    if _is_toned(comparison, proof):
        return Verdict.TONED
    width_ratio = facts_a.width_px / facts_b.width_px
    height_ratio = facts_a.height_px / facts_b.height_px
    if abs(width_ratio - 1) > _SAME_SIZE or abs(height_ratio - 1) > _SAME_SIZE:
        return Verdict.RESIZED
    return Verdict.RE_ENCODED


def _is_pasted(outside: Outside) -> bool:
    return (
        outside.seam > _SURE_SEAM
        or (outside.seam > _SEAM and outside.crossing < _GOES_ON)
        or outside.continues < _CONTINUES
    )


def _wider_side(proof: Proof) -> str | None:
    """The photo that shows more than both share; None if both show the same."""
    a, b = proof.overlap.a, proof.overlap.b
    if min(a.area, b.area) >= SAME_FRAME:
        return None
    return "a" if a.area < b.area else "b"


def _is_margin(outside: Outside) -> bool:
    """Whether what lies outside is a plain margin, or bars above and below or at the sides."""
    is_plain = math.isnan(outside.plain) or outside.plain >= _PLAIN_MARGIN
    return is_plain or (outside.spans >= _BETWEEN_BARS and outside.seam > _SEAM)


def _is_toned(comparison: Comparison, proof: Proof) -> bool:
    difference = comparison.difference
    return (
        abs(difference.gain - 1) > _TONED_GAIN
        or abs(difference.offset) > _TONED_OFFSET
        or abs(comparison.sharper) > _TONED_SHARPER
        or abs(proof.sharper) > _TONED_SHARPER
        or proof.tone_change - proof.colour_left > _OTHER_TONE
    )


def _has_other_hue(proof: Proof, values: Mapping[str, float]) -> bool:
    """Whether a change of tone explains what differs, but of the product alone or of a part of it, and of its hue."""
    changes_hue = proof.hue_change > _OTHER_HUE or proof.chroma_low < _HALF * proof.chroma_high
    is_coloured = not (is_greyed(values) or may_be_greyed(values))
    return is_coloured and moves_product_alone(values) and values["curve_most"] > _OTHER_COLOUR and changes_hue


def _is_recoloured(proof: Proof, values: Mapping[str, float], difference: Difference) -> bool:
    """Whether the object has another colour, which a change of tone explains or not."""
    if is_greyed(values):
        return False
    return _has_other_hue(proof, values) or difference.ciede2000_toned > _OTHER_COLOUR


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
    if smaller < _SCENE_SHARE and larger >= _MOSTLY_SHARED and comparison.match_share >= _OBJECT_MATCH_SHARE:
        return Verdict.EMBEDDED
    if (
        comparison.n_matches >= _SAME_OBJECT_MATCHES
        and comparison.match_share >= _SAME_OBJECT_MATCH_SHARE
        and comparison.match_area >= _SAME_OBJECT_MATCH_AREA
    ):
        return Verdict.SAME_OBJECT
    return None
