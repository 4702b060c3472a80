"""Scores of groups, duplicates and vectors, measured with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, homogeneity_score

from prodseek.embedding.evaluation import Ranking
from prodseek.evaluation.labels import LabelledPairs, Pair


@dataclass(frozen=True)
class GroupScores:
    """Scores of groups.

    ami: adjusted mutual information of groups and labels over all photos; photos in no group count as one group. homogeneity:
    of the photos in groups; 1 if no group has two labels. noise: share of photos in no group, 0..1.
    """

    n_groups: int
    ami: float
    homogeneity: float
    noise: float


@dataclass(frozen=True)
class PairScores:
    """Scores of duplicate pairs.

    precision: share of published pairs with two labelled photos that people know as copies. recall: share of the copies that
    people know that were published. verdict_right: share of right verdicts, of the found pairs whose label has a verdict; None
    if none has.
    """

    n_labelled: int
    n_published: int
    precision: float
    recall: float
    verdict_right: float | None


def group_scores(groups: Sequence[str | None], labels: Sequence[str]) -> GroupScores:
    """Score groups. groups: the group of each photo, None for no group. labels: the label of each photo.

    Sources: Vinh, Epps and Bailey, "Information Theoretic Measures for Clusterings Comparison", 2010; Rosenberg and Hirschberg,
    "V-Measure", 2007.
    """
    in_one = [(group, label) for group, label in zip(groups, labels, strict=True) if group is not None]
    names = [group or "" for group in groups]
    return GroupScores(
        n_groups=len({group for group, _ in in_one}),
        ami=float(adjusted_mutual_info_score(labels, names)),
        homogeneity=float(homogeneity_score([label for _, label in in_one], [group for group, _ in in_one])),
        noise=1 - len(in_one) / max(1, len(names)),
    )


def pair_scores(published: Mapping[Pair, str], truth: LabelledPairs) -> PairScores:
    """Score duplicate pairs. published: pair -> verdict, for pairs whose photos are both labelled."""
    found = [pair for pair in truth.verdicts if pair in published]
    judged = [pair for pair in found if truth.verdicts[pair]]
    right = sum(published[pair] == truth.verdicts[pair] for pair in judged)
    return PairScores(
        n_labelled=len(truth.verdicts),
        n_published=len(published),
        precision=len(found) / len(published) if published else 1.0,
        recall=len(found) / len(truth.verdicts) if truth.verdicts else 1.0,
        verdict_right=right / len(judged) if judged else None,
    )


def retrieval_scores(found: Ranking) -> dict[str, float]:
    """The mean scores of a ranking, by their names in the evaluation."""
    means = {f"P@{k}": float(values.mean()) for k, values in found.precision.items()}
    means |= {f"recall@{k}": _mean(values) for k, values in found.recall.items()}
    return {**means, "mAP": _mean(found.average_precision)}


def scores_by_label(found: Ranking, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Label -> number of its query photos, and their `retrieval_scores`; in the order of the labels."""
    asked = np.asarray(labels)[found.rows]
    scores = {}
    for label in sorted(set(asked.tolist())):
        own = asked == label
        part = Ranking(
            found.rows[own],
            found.n_alike[own],
            {k: values[own] for k, values in found.precision.items()},
            {k: values[own] for k, values in found.recall.items()},
            found.average_precision[own],
        )
        scores[label] = {"photos": float(own.sum()), **retrieval_scores(part)}
    return scores


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The mean of the finite values; 0 if there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0
