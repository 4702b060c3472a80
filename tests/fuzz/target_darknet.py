"""Darknet's .cfg and .weights: a network that runs, or a WeightsError; never the memory of a network that is not there."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from fuzzing import mutated
from hypothesis import strategies as st

from prodseek.errors import WeightsError
from prodseek.vision.darknet import load_darknet, n_weights
from prodseek.vision.darknet_cfg import SHIPPED_NETWORKS, describe, read_description

MAX_VALUES = 200_000
_NUMBERS = (
    "0", "1", "2", "3", "4", "5", "7", "8", "16", "-1", "-2", "-3", "18", "255", "65536", "1000000000",
    "99999999999999999999", "", "x", "1.5", "1e3", "nan", "1,2", "-1,-2", "0,1", "٣", "1_0", "9" * 5000,
    "10,14, 23,27, 37,58", "leaky", "linear",
)  # fmt: skip
_LINES = (
    "[convolutional]", "[maxpool]", "[route]", "[shortcut]", "[upsample]", "[yolo]", "[net]", "[dropout]", "[]", "[",
    "filters=18", "filters=4", "size=1", "size=3", "stride=2", "pad=1", "batch_normalize=1", "activation=leaky",
    "activation=linear", "layers=-2", "from=-3", "mask=0,1,2", "classes=1", "num=3", "anchors=1,2,3,4,5,6",
    "channels=3", "=", "x", "#", ";", "a=b=c", "\x00",
)  # fmt: skip
_HEAD = "[convolutional]\nfilters=12\nsize=1\nactivation=linear\n[yolo]\nmask=0,1\nanchors=1,2, 3,4\nclasses=1\nnum=2\n"


def small_network(is_residual: bool) -> str:
    """A description with every kind of layer and two heads."""
    text = "[net]\nchannels=3\n"
    for stride, n_filters in ((8, 4), (2, 4), (2, 6)):
        text += f"[convolutional]\nbatch_normalize=1\nfilters={n_filters}\nsize=3\nstride={stride}\npad=1\nactivation=leaky\n"
        if is_residual:
            text += f"[convolutional]\nfilters={n_filters}\nsize=1\nactivation=leaky\n[shortcut]\nfrom=-2\nactivation=linear\n"
        else:
            text += "[maxpool]\nsize=2\nstride=1\n"
    return text + f"{_HEAD}[route]\nlayers=-3\n[upsample]\nstride=2\n[route]\nlayers=-1,3\n{_HEAD}"


class Case(NamedTuple):
    """A description, and the bytes of its weights: None for as many as it takes."""

    text: str
    weights: bytes | None


@cache
def _seeds() -> tuple[str, ...]:
    return (small_network(False), small_network(True), read_description(SHIPPED_NETWORKS[0]).text)


def _edited(text: str, edits: list[tuple[str, int, int]]) -> str:
    lines = text.split("\n")
    for kind, position, value in edits:
        at = position % len(lines)
        if kind == "value":
            lines[at] = f"{lines[at].partition('=')[0]}={_NUMBERS[value % len(_NUMBERS)]}"
        elif kind == "line":
            lines.insert(at, _LINES[value % len(_LINES)])
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "swap":
            other = value % len(lines)
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "repeat":
            lines[at:at] = lines[at : at + 1 + value % 9] * (1 + value % 5)
    return "\n".join(lines)


def cases() -> st.SearchStrategy[Case]:
    number = st.integers(0, 2**16)
    edits = st.lists(
        st.tuples(st.sampled_from(("value", "value", "line", "drop", "swap", "repeat")), number, number), max_size=6
    )
    texts = st.builds(_edited, st.sampled_from(_seeds()), edits)
    header = np.array([0, 2, 0, 0, 0], "<i4").tobytes()
    small = np.random.default_rng(2).normal(0, 0.1, 900).astype("<f4").tobytes()
    weights = st.one_of(st.none(), st.none(), st.none(), mutated([header + small, b"\x01" + header[1:] + small]))
    return st.builds(Case, texts, weights)


def check(case: Case) -> None:
    try:
        description = describe(case.text, "made-up")
    except WeightsError as error:
        assert len(str(error)) < 1000, "an error to read is not that long"
        return
    size = sum(n_weights(layer) for layer in description.layers)
    assert len(description.class_names) < 100_000
    data = case.weights
    if data is None:
        if size > MAX_VALUES:
            return
        values = np.random.default_rng(3).normal(0, 0.1, size).astype("<f4")
        data = np.array([0, 2, 0, 0, 0], "<i4").tobytes() + values.tobytes()
    with tempfile.NamedTemporaryFile(suffix=".weights") as file:
        Path(file.name).write_bytes(data)
        try:
            network = load_darknet(description, Path(file.name))
        except WeightsError as error:
            assert len(str(error)) < 1000
            return
    side = description.max_stride * 2
    if side > 256:
        return
    with torch.inference_mode():
        output = network(torch.zeros(1, 3, side, side))
    assert output.boxes.shape[1] == output.scores.shape[1]
    assert output.scores.shape[2] == len(description.class_names)
    for map_ in network.feature_maps:
        assert output.maps[map_.name].shape == (1, map_.channels, side // map_.stride, side // map_.stride)
