"""Rows of delimited text: as the csv module has them where they are well made, each by itself where they are not."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prodseek.catalogue.delimited import MAX_CELL_CHARS, Split, split_lines


def split(text: str, n_columns: int, delimiter: str = ",", quote: str = '"', is_last: bool = True) -> Split:
    return split_lines(io.StringIO(text, newline="").readlines(), delimiter, quote, n_columns, is_last)


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('p,a.jpg,"24" monitor"', ["p", "a.jpg", '24" monitor']),
        ('p,a.jpg,"24" monitor, black"', ["p", "a.jpg", '24" monitor, black']),
        ('p,a.jpg,"24\\" monitor, black"', ["p", "a.jpg", '24" monitor, black']),
        ('p,a.jpg,"of 24\\", black"', ["p", "a.jpg", 'of 24", black']),
        ('p,a.jpg,24" monitor', ["p", "a.jpg", '24" monitor']),
        ('p,"a".jpg,x', ["p", '"a".jpg', "x"]),
        ('p,a.jpg,"C:\\"', ["p", "a.jpg", "C:\\"]),
        ('p,a.jpg,C:\\new\\"x"', ["p", "a.jpg", 'C:\\new\\"x"']),
        ('p,a.jpg,"two ""words"""', ["p", "a.jpg", 'two "words"']),
        ('p, "a.jpg", "one, two"', ["p", "a.jpg", "one, two"]),
        ('p,  "a.jpg", 24" x', ["p", "a.jpg", '24" x']),
        ('p,"a, ""b""",x', ["p", 'a, "b"', "x"]),
        ('p,a.jpg, "24" x', ["p", "a.jpg", ' "24" x']),
        ('p, "open, x', ["p", ' "open', " x"]),
        ("p,a.jpg,one\\, two", ["p", "a.jpg", "one, two"]),
        ("p,a\\,b.jpg,\\\\\\,x", ["p", "a,b.jpg", "\\\\,x"]),
        ("p,C:\\,x", ["p", "C:\\", "x"]),
        ("p,a.jpg,x,", ["p", "a.jpg", "x"]),
        ("p,a.jpg,x, ,", ["p", "a.jpg", "x"]),
    ],
)
def test_a_line_is_read_as_a_person_reads_it(line: str, cells: list[str]) -> None:
    for end in ("\n", "\r\n", ""):
        found = split(f"{line}{end}", 3)
        assert found.rows == [cells] and not found.faults


@pytest.mark.parametrize("bad", ['p1,a.jpg,"open', 'p1,a.jpg,"open, and more', 'p1,"a.jpg,x', 'p1,a.jpg,"x"y,"z'])
def test_a_quote_that_is_not_closed_is_the_fault_of_its_row_alone(bad: str) -> None:
    found = split(f'p0,z.jpg,x\n{bad}\np2,b.jpg,"fine"\np3,c.jpg,"two\nlines"\n', 3)
    good = ["p0", "z.jpg", "x"], ["p2", "b.jpg", "fine"], ["p3", "c.jpg", "two\nlines"]
    assert [found.rows[0], *found.rows[2:]] == list(good) and len(found.rows) == 4
    assert list(found.faults) == [1] and "does not close the quote" in found.faults[1]


def test_a_row_that_may_go_on_is_left_for_later() -> None:
    text = 'p1,a.jpg,x\np2,b.jpg,"one\n'
    assert split(text, 3, is_last=False) == Split([["p1", "a.jpg", "x"]], {}, 1)
    assert split(f'{text}two"\n', 3, is_last=False).rows[1] == ["p2", "b.jpg", "one\ntwo"]
    assert split(text, 3).rows[1] == ["p2", "b.jpg", '"one']


def test_a_cell_of_any_length_that_a_person_may_write() -> None:
    assert split(f'p,"{"x" * 200_000}"\n', 2).rows == [["p", "x" * 200_000]]
    found = split(f"p,{'x' * (MAX_CELL_CHARS + 1)}\nq,b\n", 2)
    assert found.rows[1] == ["q", "b"]


def test_without_quotes_a_quote_is_a_character_like_others() -> None:
    assert split('p,"a\nq,b"\n', 2, quote="").rows == [["p", '"a'], ["q", 'b"']]
    assert split("p;'a;b'\n", 2, delimiter=";", quote="'").rows == [["p", "a;b"]]


def test_names_may_have_blanks_before_their_quotes() -> None:
    assert split('"product_id", "uri", "a, b"\n', 0).rows == [["product_id", "uri", "a, b"]]


_CELLS = st.lists(st.text(st.sampled_from("ab ,;\"\n\r\\'x"), max_size=8), min_size=3, max_size=3)


@example([[" ", ", ", " ,"]])
@given(st.lists(_CELLS, max_size=6))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    found = split(text.getvalue(), 3)
    assert found.rows == rows and not found.faults


@given(st.text(st.sampled_from('ab,"\n\\'), max_size=60))
def test_good_rows_behind_any_text_are_found(text: str) -> None:
    """Whatever stands before, a row that no quote can belong to comes out as it is."""
    found = split(f"{text}\n" + "p,a.jpg,x\n" * 3, 3)
    assert found.rows[-1] == ["p", "a.jpg", "x"] or '"' in text
    assert found.n_lines == len(io.StringIO(f"{text}\n" + "p,a.jpg,x\n" * 3, newline="").readlines())
