"""Which photos an evaluation shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from prodseek.embedding.evaluation import ranking
from prodseek.evaluation.measures import scores_by_label
from prodseek.evaluation.pictures import BEST, HARDEST, TYPICAL, choose_targets
from prodseek.evaluation.run import Measured
from prodseek.evaluation.show import trends_of


def measured(labels: str, angles: list[float]) -> Measured:
    """Regions on a circle, at angles in degrees."""
    radians = np.radians(angles)
    vectors = np.stack((np.cos(radians), np.sin(radians)), axis=1).astype(np.float32)
    return Measured(pa.table({"label": list(labels)}), {"visual": vectors}, ranking(vectors, list(labels), [1]))


def chosen(one: Measured) -> list[tuple[str, int]]:
    return choose_targets(one, scores_by_label(one.found, one.regions.column("label").to_pylist()))


def test_the_best_a_middling_and_the_hardest_label_are_shown() -> None:
    # a lies together, b has one stray, c lies scattered among them; s is alone and cannot find anything.
    one = measured("aaabbbccs", [0, 1, 2, 100, 101, 280, 45, 200, 300])
    means = {label: scores["mAP"] for label, scores in scores_by_label(one.found, list("aaabbbccs")).items()}
    assert means["a"] > means["b"] > means["c"] > 0

    targets = chosen(one)

    assert [role for role, _ in targets] == [BEST, TYPICAL, HARDEST]
    assert ["aaabbbccs"[row] for _, row in targets] == ["a", "b", "c"]
    for _, row in targets:
        of_label = [other for other in range(9) if "aaabbbccs"[other] == "aaabbbccs"[row]]
        away = {other: abs(one.found.average_precision[other] - means["aaabbbccs"[row]]) for other in of_label}
        assert away[row] == min(away.values())


def test_few_labels_are_shown_once_each_and_none_that_cannot_find_anything() -> None:
    assert [role for role, _ in chosen(measured("aabb", [0, 1, 2, 3]))] == [BEST, HARDEST]
    assert [role for role, _ in chosen(measured("aas", [0, 1, 90]))] == [BEST]
    assert chosen(measured("xyz", [0, 1, 90])) == []


def test_trends_are_of_figures_that_another_run_has_too() -> None:
    first = {"run_id": "1", "retrieval": {"visual": {"P@1": 0.5, "gone": 1.0}}}
    second = {"run_id": "2", "retrieval": {"visual": {"P@1": 0.25}}, "index": {"recall": 0.9}}
    last = {"run_id": "3", "retrieval": {"visual": {"P@1": 0.75, "new": 0.1}}, "index": {"recall": 1.0}}

    found = {trend.name: trend.values for trend in trends_of([first, second, last])}

    assert found == {
        "retrieval visual P@1": (("1", 0.5), ("2", 0.25), ("3", 0.75)),
        "index recall": (("2", 0.9), ("3", 1.0)),
    }
    assert trends_of([last]) == []
