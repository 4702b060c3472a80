"""Delimiter, encoding, quotes and header are found in the first bytes of a manifest."""

from __future__ import annotations

import codecs

import pytest

from prodseek.catalogue.dialect import HEAD_BYTES, MAX_COLUMNS, Dialect, find_dialect
from prodseek.catalogue.encodings import find_encoding
from prodseek.errors import CatalogueError


def n_known(header: object) -> int:
    return sum(name.strip().lower() in ("product_id", "uri") for name in header)  # type: ignore[attr-defined]


def found(head: bytes, **given: str) -> tuple[Dialect, list[str]]:
    return find_dialect(
        head, (), given.get("encoding"), given.get("delimiter"), given.get("quote"), n_known
    )  # fmt: skip


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"product_id,uri,title\np,a.jpg,x\n", "commas, UTF-8, 3 columns"),
        (b"product_id;uri;title\np;a.jpg;x, y\n", "semicolons, UTF-8, 3 columns"),
        (b"product_id\turi\ttitle\np\ta.jpg\tx, y; z\n", "tabs, UTF-8, 3 columns"),
        (b"product_id|uri\np|a.jpg\n", "bars, UTF-8, 2 columns"),
        (b"sep=;\r\nproduct_id;uri\r\np;a.jpg\r\n", "semicolons, UTF-8, 2 columns"),
        (b'"sep=;"\r\nproduct_id;uri\r\np;a.jpg\r\n', "semicolons, UTF-8, 2 columns"),
        (b"product_id^uri\np^a.jpg\n", "'^', UTF-8, 2 columns"),
        (b"product_id\x01uri\np\x01a.jpg\n", "'\\x01', UTF-8, 2 columns"),
        (b"Stock of 1 May\n\nproduct_id;uri\np;a.jpg\n", "semicolons, UTF-8, 2 columns"),
        (b"sep=\tproduct_id\turi", "tabs, UTF-8, 3 columns"),
        (b"a;b;c\n1,5;2;x\n1,5;3;y\n", "semicolons, UTF-8, 3 columns"),
        (b"'product_id','uri'\n'p','a,b.jpg'\n", "commas, UTF-8, quotes ', 2 columns"),
        (b"uri\na.jpg\n", "commas, UTF-8, 1 columns"),
        (b"product_id,uri", "commas, UTF-8, 2 columns"),
        (codecs.BOM_UTF8 + b"product_id,uri\n", "commas, UTF-8, 2 columns"),
        ("product_id;uri\np;Stühle.jpg\n".encode("utf-16"), "semicolons, UTF-16, 2 columns"),
        ("product_id,uri\np,a.jpg\n".encode("utf-16-le"), "commas, UTF-16, 2 columns"),
        ("product_id,uri\np,a.jpg\n".encode("utf-16-be"), "commas, UTF-16, 2 columns"),
        ("product_id,uri\np,Stühle – 24.jpg\n".encode("cp1252"), "commas, Windows-1252 (Latin-1), 2 columns"),
        ("product_id,uri\np,Stühle.jpg\n".encode(), "commas, UTF-8, 2 columns"),
        (b"product_id,uri,x\np,a\0b.jpg,\0\n", "commas, UTF-8, 3 columns"),
    ],
)
def test_the_dialect_is_said_in_a_few_words(head: bytes, told: str) -> None:
    dialect, header = found(head)
    assert dialect.describe(len(header), is_json=False) == told
    text = head[dialect.start_bytes :].decode(dialect.encoding)
    assert "uri" not in text and "product_id" not in text, "the rows begin behind the header"


def test_what_is_said_wins() -> None:
    head = "product_id,uri\np,žába.jpg\n".encode("cp1250")
    assert found(head, encoding="cp1250")[0].encoding == "cp1250"
    dialect, header = found(b"a;b,c\n", delimiter=";", quote="")
    assert header == ["a", "b,c"] and dialect.describe(2, is_json=False) == "semicolons, UTF-8, no quotes, 2 columns"
    dialect, _ = found("uri,größe\na.jpg,1\n".encode("cp1252"), encoding="utf-8")
    assert dialect.start_bytes == 10, "what cannot be decoded is as long as it is"
    assert find_encoding("ä".encode("utf-16"), "utf-16")[:2] == ("utf-16-le", 2)
    assert find_encoding("ä".encode("utf-8-sig"), "utf-8")[:2] == ("utf-8", 3)
    with pytest.raises(CatalogueError, match="'klingon' is no encoding of text; name one such as"):
        find_encoding(b"", "klingon")


def test_what_is_no_table_is_refused_with_its_beginning() -> None:
    with pytest.raises(CatalogueError, match=r"longer than 1,048,576 bytes.*begins 'xxx"):
        found(b"x" * HEAD_BYTES)
    with pytest.raises(CatalogueError, match=r"has 5,001 columns, more than 4,096; it begins 'c,c,"):
        found(b",".join([b"c"] * 5001))
    assert MAX_COLUMNS == 4096


def test_a_text_without_a_header_is_told_what_its_columns_are_called() -> None:
    data = b"p1;a.jpg;Chair\np2;b.jpg;Table, round\n"
    dialect, header = find_dialect(data, (), None, None, None, n_known, ["product_id", "uri", "title"])
    assert header == ["product_id", "uri", "title"] and dialect.delimiter == ";" and dialect.start_bytes == 0
    dialect, _ = find_dialect(b"\xef\xbb\xbfsep=^\n" + data, (), None, None, None, n_known, ["a"])
    assert dialect.delimiter == "^" and dialect.start_bytes == 9


@pytest.mark.parametrize(
    ("lines", "n_above"),
    [
        ([b"Template\t1\t", b"Product ID\tURI\tTitle", b"product_id\turi\ttitle"], 2),
        ([b"Uri\tProduct_ID", b"product_id\turi"], 1),
        ([b"product_id\turi", b"product_id\t1.jpg"], 0),
        ([b'uri\t"product_id\tin', b'the shop"\tproduct_id\turi'], 0),
    ],
    ids=["behind a title", "first", "a product of that name", "a name with a line break"],
)
def test_names_for_programs_stand_below_those_for_people(lines: list[bytes], n_above: int) -> None:
    dialect, header = found(b"\n".join([*lines, b"p\ta.jpg\tx\n"]))
    assert dialect.n_above == n_above
    if n_above:
        assert header[:2] == ["product_id", "uri"]
