"""Which of several copies to keep, and why: what two photos differ in, criteria in an order, and words for people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.verdicts import Verdict


class Criterion(StrEnum):
    """What makes a photo the one to keep: the closed list of `duplicates.representative`."""

    DETAIL = "detail"
    NOTHING_ADDED = "nothing_added"
    IN_COLOUR = "in_colour"
    WHOLE = "whole"
    NOT_TURNED = "not_turned"
    LEAST_COMPRESSED = "least_compressed"
    OLDEST = "oldest"


RULE = tuple(Criterion)

# From here on, more pixels explain more detail.
_LARGER = 1.1
_ROTATIONS = (Orientation.ROTATE_90, Orientation.ROTATE_180, Orientation.ROTATE_270)
_INVERSE = {Orientation.ROTATE_90: Orientation.ROTATE_270, Orientation.ROTATE_270: Orientation.ROTATE_90}
_ADDED_WORDS = {Verdict.PADDED: "less margin round it", Verdict.OVERLAID: "no text or badge on it"}
_WORDS = {
    Criterion.IN_COLOUR: "in colour",
    Criterion.WHOLE: "shows more of the picture",
    Criterion.LEAST_COMPRESSED: "fewer traces of saving and editing",
}
# What the kept photo is among all of its copies.
BEST_WORDS = {
    Criterion.DETAIL: "the most detail",
    Criterion.NOTHING_ADDED: "nothing added",
    Criterion.IN_COLOUR: "in colour",
    Criterion.WHOLE: "shows the most of the picture",
    Criterion.NOT_TURNED: "turned as most of them are",
    Criterion.LEAST_COMPRESSED: "the fewest traces of saving and editing",
    Criterion.OLDEST: "the oldest",
}


@dataclass(frozen=True, order=True)
class Facts:
    """What a photo is beside a copy of it, the other. All 0 if they are equal.

    finer, cleaner: log2 of how much more detail of what both show, and of the odds that it is the original; above 0 this photo
    is the better. added: 1 if text, a badge, a border or a margin is on this photo alone, -1 if on the other alone. grey: 1 if
    this photo alone has lost its colours, -1 if the other. shows_more: log2 of the area that it shows, divided by the other's.
    orientation: how the other is turned to look like this one. shared_px: the longer side of what both show, in pixels of this
    photo and of the other; 0 if not known.
    """

    finer: float = 0.0
    cleaner: float = 0.0
    added: int = 0
    grey: int = 0
    shows_more: float = 0.0
    orientation: Orientation = Orientation.IDENTITY
    shared_px: tuple[float, float] = (0.0, 0.0)

    def of_the_other(self) -> Facts:
        """The same, seen from the other photo."""
        return Facts(
            finer=-self.finer,
            cleaner=-self.cleaner,
            added=-self.added,
            grey=-self.grey,
            shows_more=-self.shows_more,
            orientation=_INVERSE.get(self.orientation, self.orientation),
            shared_px=(self.shared_px[1], self.shared_px[0]),
        )


EQUAL = Facts()

# What two photos are measured by, more being better, and how far equal photos may lie apart, because measuring is not exact.
_SCORES: dict[Criterion, Callable[[Facts], float]] = {
    Criterion.DETAIL: lambda facts: facts.finer,
    Criterion.NOTHING_ADDED: lambda facts: -facts.added,
    Criterion.IN_COLOUR: lambda facts: -facts.grey,
    Criterion.WHOLE: lambda facts: facts.shows_more,
    Criterion.LEAST_COMPRESSED: lambda facts: facts.cleaner,
}
# Odds of two to one that a photo is the original are too few.
_TIES = {Criterion.DETAIL: 0.15, Criterion.WHOLE: 0.07, Criterion.LEAST_COMPRESSED: 1.0}
# Among more photos than this, one seems better by chance alone.
_FEW = 16


def best(
    facts: Mapping[str, Facts], among: Iterable[str], ages: Mapping[str, str], rule: Sequence[str] = RULE
) -> list[str]:
    """The photos among some of a group that no criterion puts behind another, sorted; one or more.

    facts: each photo of the group beside the same one of them. among: those to choose from. ages: text that sorts by time, of
    those of which it is known. rule: names of Criterion, the weightiest first. Each leaves those that are as good as the best,
    but for a small tolerance, which is larger among many.
    """
    doubt = math.log(max(len(facts), _FEW), _FEW)
    turned = Counter(one.orientation for one in facts.values())
    place_of_age = {age: place for place, age in enumerate(sorted(set(ages.values())))}
    left = sorted(among)
    for criterion in map(Criterion, rule):
        if criterion == Criterion.OLDEST:
            scores: dict[str, float] = {
                key: -place_of_age[ages[key]] if key in ages else -len(place_of_age) for key in left
            }
        elif criterion == Criterion.NOT_TURNED:
            scores = {key: turned[facts[key].orientation] for key in left}
        else:
            scores = {key: _SCORES[criterion](facts[key]) for key in left}
        least = max(scores.values()) - doubt * _TIES.get(criterion, 0.0)
        left = [key for key in left if scores[key] >= least]
    return left


def advantages(
    kept: Facts,
    verdict: Verdict,
    ages: tuple[str | None, str | None] = (None, None),
    is_turned_as_most: bool = False,
    rule: Sequence[str] = RULE,
) -> dict[Criterion, str]:
    """Why a photo is kept rather than a copy of it, in the order of the rule: criterion -> words for people.

    kept: the kept photo beside the other. verdict: on the two. ages: of the kept photo and of the other. is_turned_as_most:
    whether more of the copies are turned as the kept photo is than as the other is.
    """
    age, age_of_other = ages
    found: dict[Criterion, str] = {}
    for criterion in map(Criterion, rule):
        if criterion == Criterion.OLDEST:
            if age is not None and (age_of_other is None or age < age_of_other):
                found[criterion] = f"older: {age}, here {age_of_other or 'not known'}"
        elif criterion == Criterion.NOT_TURNED:
            if is_turned_as_most and kept.orientation != Orientation.IDENTITY:
                what = "upright" if kept.orientation in _ROTATIONS else "not mirrored"
                found[criterion] = f"{what}, as most of them are"
        elif _SCORES[criterion](kept) > _TIES.get(criterion, 0.0):
            found[criterion] = _words(criterion, kept, verdict)
    return found


def _words(criterion: Criterion, kept: Facts, verdict: Verdict) -> str:
    if criterion == Criterion.DETAIL:
        of_kept_px, of_other_px = kept.shared_px
        if of_kept_px > _LARGER * of_other_px > 0:
            return f"larger: {of_kept_px:,.0f} px of the shared part, {of_other_px:,.0f} here"
        return "finer detail: this one was enlarged or blurred"
    if criterion == Criterion.NOTHING_ADDED:
        return _ADDED_WORDS.get(verdict, "nothing added to it")
    if criterion == Criterion.LEAST_COMPRESSED and verdict == Verdict.IDENTICAL_PIXELS:
        return "a JPEG with equal pixels, from which this file was saved"
    return _WORDS[criterion]
