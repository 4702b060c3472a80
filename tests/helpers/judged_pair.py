"""A pair of files, judged as a night judges a candidate, without Spark."""

from __future__ import annotations

from prodseek.duplicates.better import Better
from prodseek.duplicates.measuring import evidence_of_files, facts_of_file, photos_of_files, with_better
from prodseek.duplicates.proof import DETAILED_SIDE_PX
from prodseek.duplicates.verdicts import Judgement, judge


def judged_pair(data_a: bytes, data_b: bytes) -> tuple[Judgement | None, Better | None]:
    """The verdict by the shipped model, and which of the two is better."""
    photos = photos_of_files(data_a, data_b, DETAILED_SIDE_PX)
    evidence = with_better(evidence_of_files(data_a, data_b), photos)
    return judge(evidence, facts_of_file(data_a), facts_of_file(data_b)), evidence.better
