from __future__ import annotations

from importlib.resources import files

import pytest

from prodseek.runs.class_words import class_words


@pytest.mark.parametrize(
    ("class_name", "words"),
    [
        ("tvmonitor", "TV"),
        ("pottedplant", "potted plant"),
        ("aeroplane", "airplane"),
        ("diningtable", "dining table"),
        ("chair", "chair"),
        ("side_board", "side board"),
        (None, ""),
    ],
)
def test_classes_in_plain_english(class_name: str | None, words: str) -> None:
    assert class_words(class_name) == words


def test_every_class_of_the_shipped_networks_has_its_own_words() -> None:
    names = files("prodseek.vision").joinpath("cfg/coco.names").read_text(encoding="utf-8").split("\n")
    shipped = [name for name in names if name]
    assert len(shipped) == 80
    assert len({class_words(name) for name in shipped}) == len(shipped)
