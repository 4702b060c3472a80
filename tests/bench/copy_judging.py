"""What prodseek says about a pair of files: measured once, and judged by any model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from prodseek.duplicates import verdicts
from prodseek.duplicates.decision import DecisionModel, feature_values
from prodseek.duplicates.keeping import Facts, best
from prodseek.duplicates.measuring import evidence_of_files, facts_of_file, photos_of_files, with_better
from prodseek.duplicates.pair_facts import facts_of
from prodseek.duplicates.proof import DETAILED_SIDE_PX
from prodseek.duplicates.verdicts import Evidence, Judgement, PhotoFacts
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
    evidence = evidence_of_files(data_a, data_b)
    if which_is_kept:
        evidence = with_better(evidence, photos_of_files(data_a, data_b, DETAILED_SIDE_PX))
    return Measurement(evidence, facts_of_file(data_a), facts_of_file(data_b))


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
