import numpy as np
import pytest

from prodseek.embedding.evaluation import ranking
from prodseek.evaluation.labels import LabelledPairs
from prodseek.evaluation.measures import group_scores, pair_scores, retrieval_scores, scores_by_label


def test_groups_that_are_the_labels_are_perfect_and_one_group_says_nothing():
    labels = list("aabbcc")
    perfect = group_scores(["1", "1", "2", "2", "3", "3"], labels)
    assert (perfect.n_groups, perfect.noise) == (3, 0)
    assert perfect.ami == pytest.approx(1) and perfect.homogeneity == pytest.approx(1)
    assert group_scores(["1"] * 6, labels).ami == pytest.approx(0)


def test_photos_in_no_group_count_as_one_group_in_ami_and_not_in_homogeneity():
    scores = group_scores(["1", "1", None, None, None, None], list("aabbcc"))
    assert scores.noise == pytest.approx(4 / 6) and scores.homogeneity == 1
    assert 0 < scores.ami < 1


def test_pairs_count_in_both_directions():
    truth = LabelledPairs({("a", "b"): "cropped", ("a", "c"): "", ("d", "e"): "toned"})
    scores = pair_scores({("a", "b"): "cropped", ("d", "e"): "padded", ("a", "e"): "toned", ("b", "c"): "toned"}, truth)
    assert scores.precision == pytest.approx(2 / 4)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.verdict_right == pytest.approx(1 / 2)
    assert pair_scores({}, LabelledPairs({})).verdict_right is None


def test_means_leave_out_photos_that_have_nothing_to_find():
    angles = np.deg2rad([0, 1, 2, 50])
    found = ranking(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32), list("aaab"), [1])
    scores = retrieval_scores(found)
    assert scores["P@1"] == pytest.approx(3 / 4)
    assert scores["mAP"] == pytest.approx(1) and scores["recall@1"] == pytest.approx(1 / 2)
    by_label = scores_by_label(found, list("aaab"))
    assert by_label["a"] == {"photos": 3, "P@1": 1, "recall@1": 0.5, "mAP": 1}
    assert by_label["b"] == {"photos": 1, "P@1": 0, "recall@1": 0, "mAP": 0}
