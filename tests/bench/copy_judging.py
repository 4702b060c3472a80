"""What prodseek says about a pair of files: measured once, and judged by any model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from prodseek.duplicates import verdicts
from prodseek.duplicates.better import which_is_better
from prodseek.duplicates.decision import DecisionModel, feature_values
from prodseek.duplicates.features import shrunk
from prodseek.duplicates.hashes import MAX_HAMMING, best_orientation
from prodseek.duplicates.keeping import Facts, best
from prodseek.duplicates.pair_facts import facts_of
from prodseek.duplicates.proof import COARSE_PHOTO_PX, DETAILED_SIDE_PX, Photos
from prodseek.duplicates.trimmed import prove_or_trim
from prodseek.duplicates.verdicts import Evidence, Judgement, PhotoFacts
from prodseek.duplicates.verification import compare_views, has_hope, view
from prodseek.photos.decode import DecodedImage, content_id, decode_image, pixel_hash
from prodseek.photos.hashes import pdq_hashes
from prodseek.runs.columns import BOX_EDGES


@dataclass(frozen=True)
class Measurement:
    """Everything that a verdict on two files is judged from."""

    evidence: Evidence
    facts_a: PhotoFacts
    facts_b: PhotoFacts

    @property
    def features(self) -> list[float] | None:
        """The model's input; None if the pair is decided without it."""
        evidence = self.evidence
        if evidence.comparison is None or evidence.proof is None:
            return None
        return feature_values(evidence.comparison, evidence.proof, evidence.pdq_hamming)


def measure(data_a: bytes, data_b: bytes, which_is_kept: bool) -> Measurement:
    """As a night does, but that every pair is a candidate. which_is_kept: also measure which of the two is the better."""
    whole = [decode_image(data) for data in (data_a, data_b)]
    facts_a, facts_b = (_facts(data, photo) for data, photo in zip((data_a, data_b), whole, strict=True))
    orientation, hamming = best_orientation(*pdq_hashes([photo.pixels for photo in whole])[0])

    def decoded(side_px: int) -> Photos:
        a, b = (decode_image(data, enough_side_px=side_px).pixels for data in (data_a, data_b))
        return shrunk(a, side_px), shrunk(b, side_px)

    a, b = decoded(COARSE_PHOTO_PX)
    comparison = compare_views(view(a), view(b), orientation if hamming <= MAX_HAMMING else None)
    evidence = Evidence(hamming, comparison)
    if comparison is not None and has_hope(comparison):
        proof = prove_or_trim(a, b, comparison, lambda: decoded(DETAILED_SIDE_PX))
        evidence = replace(evidence, proof=proof)
        if proof is not None and which_is_kept:
            side = verdicts.margin_side(proof)
            better = which_is_better(*decoded(DETAILED_SIDE_PX), comparison, proof, side)
            evidence = replace(evidence, better=better)
    return Measurement(evidence, facts_a, facts_b)


def _facts(data: bytes, photo: DecodedImage) -> PhotoFacts:
    return PhotoFacts(content_id(data), pixel_hash(photo.pixels), photo.width_px, photo.height_px, len(data))


def judged(measurement: Measurement, model: DecisionModel) -> Judgement | None:
    """The verdict, as if the model were the shipped one."""
    with patch.object(verdicts, "shipped_model", return_value=model):
        return verdicts.judge(measurement.evidence, measurement.facts_a, measurement.facts_b)


def kept_side(measurement: Measurement, judgement: Judgement) -> str:
    """Which of the two a group of them would keep: "a", "b", or "either"."""
    evidence = measurement.evidence
    unknown = dict.fromkeys(("finer", "cleaner", "added_side", "grey_side"))
    row: dict[str, Any] = {"evidence": unknown | evidence.to_dict(), "verdict": judgement.verdict}
    sizes = []
    for side, facts, box in (("a", measurement.facts_a, evidence.box_a), ("b", measurement.facts_b, evidence.box_b)):
        size = (facts.width_px, facts.height_px)
        sizes.append(size)
        row |= {f"{edge}_{side}_px": part * px for edge, part, px in zip(BOX_EDGES, box, size * 2, strict=True)}
    left = best({"a": Facts(), "b": facts_of(row, *sizes)}, ("a", "b"), {})
    return left[0] if len(left) == 1 else "either"
