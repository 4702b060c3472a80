from pathlib import Path

import pytest

from prodseek.errors import CatalogueError
from prodseek.evaluation.labels import in_order, matched, read_labels, read_pairs


def written(folder: Path, text: str) -> str:
    path = folder / "labels é.csv"
    path.write_text(text, encoding="utf-8-sig")
    return str(path)


def test_labels_are_read_and_empty_ones_left_out(tmp_path):
    uri = written(tmp_path, 'uri,label\n"a, b.jpg",Apfel\nc.jpg,\n')
    assert read_labels(uri, "uri", "label") == {"a, b.jpg": "Apfel"}


def test_pairs_are_in_order_and_may_have_a_verdict(tmp_path):
    uri = written(tmp_path, "uri_a,uri_b,verdict\nb,a,cropped\nc,d,\n")
    assert read_pairs(uri).verdicts == {("a", "b"): "cropped", ("c", "d"): ""}
    assert in_order("b", "a") == ("a", "b")
    assert read_pairs(written(tmp_path, "uri_a,uri_b\na,b\n")).verdicts == {("a", "b"): ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo,label\na,b\n", "no column uri; it has photo, label"),
        ("", "no column uri, label; it has none"),
        ("uri,label\na,\n", "no row has a label"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message):
    with pytest.raises(CatalogueError, match=message):
        read_labels(written(tmp_path, text), "uri", "label")


def test_a_missing_file_and_one_that_is_no_text_are_named(tmp_path):
    with pytest.raises(CatalogueError, match=r"nowhere\.csv cannot be read"):
        read_labels(str(tmp_path / "nowhere.csv"), "uri", "label")
    (tmp_path / "bytes.csv").write_bytes(b"uri,label\n\xff\xfe,a\n")
    with pytest.raises(CatalogueError, match="UTF-8"):
        read_labels(str(tmp_path / "bytes.csv"), "uri", "label")


def test_labels_of_no_photo_of_the_run_are_refused_with_an_example_of_each():
    assert matched({"a": "x", "b": "y"}, ["b", "c"], "labels.csv") == {"b": "y"}
    with pytest.raises(CatalogueError, match=r"none of its 1 photos.*'images/a.jpg'.*'a.jpg'"):
        matched({"images/a.jpg": "x"}, ["a.jpg"], "labels.csv")
