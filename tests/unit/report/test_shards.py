"""Data files: scripts that hand over a JSON value."""

import json
import math
import re

import pytest

from prodseek.report.shards import script, shard_name


def handed_over(made: bytes) -> tuple[str, object]:
    found = re.fullmatch(r'prodseek\.receive\(("[^"]*"),(.*)\);\n', made.decode(), re.S)
    assert found
    return json.loads(found[1]), json.loads(found[2])


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"a": [1, 0.25, -1, None, True], "b": {"c": ["沙发 👟", "כורסה"]}},
        'quote " backslash \\ slash / newline \n tab \t',
        "</script><script>alert(1)</script><!--",
        "\u2028 and \u2029",
    ],
)
def test_the_value_comes_back(value: object) -> None:
    made = script("objects-0003", value)
    assert handed_over(made) == ("objects-0003", value)
    assert made == script("objects-0003", value)
    assert made.count(b"\n") == 1


def test_text_that_a_file_cannot_hold_becomes_a_mark() -> None:
    mark = "\N{REPLACEMENT CHARACTER}"
    made = script("x", {"file\udcff": ["a\x00b", ("\x1b", "\ud800")]})
    assert handed_over(made)[1] == {f"file{mark}": [f"a{mark}b", [mark, mark]]}


def test_numbers_that_json_does_not_have_are_refused() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            script("x", [value])


def test_names_of_shards_sort_as_their_numbers() -> None:
    assert shard_name("objects", 3) == "objects-0003"
    assert shard_name("photos", 12345) == "photos-12345"
