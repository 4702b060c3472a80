from pathlib import Path

import pytest

from prodseek.errors import CatalogueError
from prodseek.evaluation.labels import has_column, in_order, matched, read_labels, read_pairs


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


def test_a_missing_file_is_named_and_a_spreadsheet_of_another_dialect_read(tmp_path):
    with pytest.raises(CatalogueError, match=r"there is no file '.*nowhere\.csv'"):
        read_labels(str(tmp_path / "nowhere.csv"), "uri", "label")
    (tmp_path / "excel.csv").write_bytes("sep=;\r\nURI; Label\r\na.jpg;Stühle\r\n".encode("cp1252"))
    assert read_labels(str(tmp_path / "excel.csv"), "uri", "label") == {"a.jpg": "Stühle"}
    assert has_column(str(tmp_path / "excel.csv"), "uri") and not has_column(str(tmp_path / "excel.csv"), "photo")
    (tmp_path / "open.csv").write_text('uri,label\na.jpg,"chairs\n')
    with pytest.raises(CatalogueError, match=r"row 1 does not close the quote of its value 2; correct it"):
        read_labels(str(tmp_path / "open.csv"), "uri", "label")


def test_labels_of_no_photo_of_the_run_are_refused_with_an_example_of_each():
    assert matched({"a": "x", "b": "y"}, ["b", "c"], "labels.csv") == {"b": "y"}
    with pytest.raises(CatalogueError, match=r"none of its 1 photos.*'images/a.jpg'.*'a.jpg'"):
        matched({"images/a.jpg": "x"}, ["a.jpg"], "labels.csv")
