"""What prodseek says about a pair of files: measured once, and judged by any model."""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

from prodseek.duplicates import verdicts
from prodseek.duplicates.decision import DecisionModel, feature_values
from prodseek.duplicates.hashes import MAX_HAMMING, best_orientation, hashes_from_hex
from prodseek.duplicates.keeping import Facts, best
from prodseek.duplicates.pair_facts import facts_of
from prodseek.duplicates.proof import DETAILED_SIDE_PX, prove
from prodseek.duplicates.verdicts import Evidence, Judgement, PhotoFacts
from prodseek.duplicates.verification import View, compare_views, view
from prodseek.photos.decode import DecodedImage, content_id, decode_image, pixel_hash
from prodseek.photos.hashes import pdq_hash
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


def measure(data_a: bytes, data_b: bytes) -> Measurement:
    """As a night does, but that every pair is a candidate."""
    photos = [decode_image(data, max_side_px=DETAILED_SIDE_PX) for data in (data_a, data_b)]
    facts_a, facts_b = (_facts(data, photo) for data, photo in zip((data_a, data_b), photos, strict=True))
    hashes = hashes_from_hex([pdq_hash(photo.pixels)[0] for photo in photos])
    orientation, hamming = best_orientation(*hashes)
    turned = orientation if hamming <= MAX_HAMMING else None
    views: list[View] = [view(photo.pixels) for photo in photos]
    comparison = compare_views(views[0], views[1], turned)
    proof = None
    if comparison is not None and verdicts.has_hope(comparison):
        proof = prove(photos[0].pixels, photos[1].pixels, comparison)
    return Measurement(Evidence(hamming, comparison, proof), facts_a, facts_b)


def _facts(data: bytes, photo: DecodedImage) -> PhotoFacts:
    return PhotoFacts(content_id(data), pixel_hash(photo.pixels), photo.width_px, photo.height_px, len(data))


def judged(measurement: Measurement, model: DecisionModel) -> Judgement | None:
    """The verdict, as if the model were the shipped one."""
    with patch.object(verdicts, "shipped_model", return_value=model):
        return verdicts.judge(measurement.evidence, measurement.facts_a, measurement.facts_b)


def kept_side(measurement: Measurement, judgement: Judgement) -> str:
    """Which of the two a group of them would keep: "a", "b", or "either"."""
    evidence = measurement.evidence
    row = {"evidence": evidence.to_dict(), "verdict": judgement.verdict}
    sizes = []
    for side, facts, box in (("a", measurement.facts_a, evidence.box_a), ("b", measurement.facts_b, evidence.box_b)):
        size = (facts.width_px, facts.height_px)
        sizes.append(size)
        row |= {f"{edge}_{side}_px": part * px for edge, part, px in zip(BOX_EDGES, box, size * 2, strict=True)}
    left = best({"a": Facts(), "b": facts_of(row, *sizes)}, ("a", "b"), {})
    return left[0] if len(left) == 1 else "either"
