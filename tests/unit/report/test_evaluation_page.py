import re

from prodseek.report.evaluation_page import render_evaluation

SCORES = {"P@1": 0.9, "P@10": 0.5, "recall@1": 0.1, "recall@10": 0.4, "mAP": 0.45}
EVALUATION = {
    "run_id": "20260101T000000Z-00000000",
    "labels": {"file": "<b>&.csv", "labelled": 9, "in_run": 9, "photos": 9, "labels": 2, "queries": 9},
    "retrieval": {"visual": SCORES, "slice": SCORES},
    "by_label": {"<script>alert(1)</script>": {"photos": 4.0, **SCORES}, "hard": {"photos": 5.0, **SCORES, "mAP": 0.1}},
    "groups": {"fine": {"n_groups": 3, "ami": 0.5, "homogeneity": 0.9, "noise": 0.1}},
    "duplicates": {
        "groups": 2,
        "groups_with_two_labels": 1,
        "pairs": {"n_labelled": 4, "n_published": 5, "precision": 0.8, "recall": 1.0, "verdict_right": None},
    },
    "place_in_vectors": {"visual": -0.01},
    "index": {"recall": 0.99, "recall_k": 10, "recall_target": 0.95},
}


def test_everything_is_escaped_and_the_hardest_label_is_first():
    page = render_evaluation(EVALUATION, None, None).decode()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "&lt;b&gt;&amp;.csv" in page
    assert page.index(">hard<") < page.index("&lt;script&gt;alert")
    assert "This is the first" in page


def test_changes_are_shown_the_largest_first():
    changes = {"retrieval visual P@1": (0.8, 0.9), "groups fine ami": (0.9, 0.5)}
    page = render_evaluation(EVALUATION, changes, "earlier").decode()
    assert page.index("groups fine ami") < page.index("retrieval visual P@1")
    assert "-0.400" in page and "+0.100" in page
    assert "Every figure is what it was" in render_evaluation(EVALUATION, {}, "earlier").decode()


def test_the_page_needs_nothing_beside_it():
    page = render_evaluation(EVALUATION, {}, "earlier").decode()
    assert not re.search(r"https?://|<script|<link|<img", page)


def test_an_evaluation_without_pairs_places_or_index_is_shown():
    duplicates = {"groups": 0, "groups_with_two_labels": 0}
    page = render_evaluation({**EVALUATION, "duplicates": duplicates, "place_in_vectors": {}, "index": {}}, None, None)
    assert b"labelled pairs found" not in page and b"recall of the index" not in page


def test_columns_and_photos_in_another_categorys_group_are_shown():
    column = {"photos": 9, "values": 2, "purity": {"fine": 0.75, "coarse": 0.5}, "by_chance": 0.25}
    odd = {"uri": "<i>a.jpg", "product_id": "p1", "group": "red sofa", "odd_category": "sofa", "membership": 0.5}
    odd |= {"filed_category": "<u>lamp", "odd_neighbours": 7, "asked_neighbours": 8}
    evaluation = {
        **EVALUATION,
        "columns": {"<b>colour": column},
        "odd_category": {"n_photos": 21, "firmest": [odd] * 21},
    }
    page = render_evaluation(evaluation, None, None).decode()
    assert "&lt;b&gt;colour" in page and "0.750" in page and "21 photos" in page
    assert page.count("&lt;i&gt;a.jpg") == 20 and "column odd_category" in page
    assert page.count("&lt;u&gt;lamp") == 20 and page.count("7 of 8") == 20
    assert "Like another category" not in render_evaluation(EVALUATION, None, None).decode()
