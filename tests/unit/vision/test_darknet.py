"""Reading Darknet's descriptions and weights: every byte counted, every fault named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from prodseek.errors import WeightsError
from prodseek.vision.darknet import DarknetNetwork, _max_pool, load_darknet, n_weights, read_weights
from prodseek.vision.darknet_cfg import SHIPPED_NETWORKS, describe, parse_cfg, read_description

HEAD = "[convolutional]\nfilters=7\nsize=1\nstride=1\npad=1\nactivation=linear\n"
YOLO = "[yolo]\nmask=0\nanchors=10,20\nclasses=2\nnum=1\n"


def small_cfg(body: str = "") -> str:
    """A network of strides 2, 4, ..., 32 with one head."""
    stage = "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    return "[net]\nchannels=3\n" + stage * 5 + body + HEAD + YOLO


def header(major: int, minor: int) -> bytes:
    n_seen_bytes = 8 if major * 10 + minor >= 2 else 4
    return np.array([major, minor, 0], "<i4").tobytes() + bytes(n_seen_bytes)


def test_the_shipped_networks_have_the_published_number_of_weights() -> None:
    # The published files are this long, less a header of 20 bytes, in values of 4.
    published_bytes = {"yolov3-tiny": 35434956, "yolov3": 248007048, "yolov3-spp": 252209544}
    for name in SHIPPED_NETWORKS:
        description = read_description(name)
        assert 20 + 4 * sum(n_weights(layer) for layer in description.layers) == published_bytes[name]
        assert len(description.class_names) == 80
        assert sorted(description.taps) == [8, 16, 32]


def test_taps_are_the_ends_of_the_backbones_stages() -> None:
    assert read_description("yolov3-tiny").taps == {8: 6, 16: 8, 32: 12}
    assert read_description("yolov3").taps == {8: 36, 16: 61, 32: 74}
    assert read_description("yolov3-spp").taps == {8: 36, 16: 61, 32: 74}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must begin with"),
        ("[convolutional]\n", "must begin with"),
        ("filters=3\n", "line 1"),
        ("[net]\nnonsense\n", "line 2"),
        ("[net]\n" + HEAD, "no \\[yolo\\]"),
        ("[net]\n[lstm]\n", "is not supported"),
        ("[net]\n[convolutional]\nfilters=x\nactivation=leaky\n", "filters=x"),
        ("[net]\n[convolutional]\nsize=3\nactivation=leaky\n", "filters is missing"),
        ("[net]\n[convolutional]\nfilters=3\nactivation=mish\n", "mish"),
        ("[net]\n[convolutional]\nfilters=3\ngroups=2\nactivation=leaky\n", "groups"),
        ("[net]\n" + HEAD + "[route]\nlayers=-5\n", "no layer -5"),
        ("[net]\n" + HEAD + "[shortcut]\nfrom=3\n", "no layer 3"),
        (small_cfg("[upsample]\nstride=3\n"), "does not divide"),
        (small_cfg("[route]\nlayers=0,1\n"), "different strides"),
        (small_cfg("[shortcut]\nfrom=0\n"), "another shape"),
        (small_cfg().replace("filters=7", "filters=8"), "reads 7 channels"),
        (small_cfg().replace("anchors=10,20", "anchors=10"), "do not fit"),
        ("[net]\n" + HEAD + YOLO, "stride 8"),
    ],
)
def test_a_bad_description_is_refused(text: str, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        describe(text, "bad")


def test_comments_blank_lines_and_spaces_are_allowed() -> None:
    sections = parse_cfg("# a\n\n; b\n[ net ]\n  width = 32 \n")

    assert [(section.kind, section.options) for section in sections] == [("net", {"width": "32"})]


def test_a_network_that_is_neither_shipped_nor_a_file() -> None:
    with pytest.raises(WeightsError, match=r"yolov9.*yolov3-tiny, yolov3, yolov3-spp"):
        read_description("yolov9")


def test_a_description_file_and_its_class_names(tmp_path: Path) -> None:
    path = tmp_path / "own.cfg"
    path.write_text(small_cfg(), encoding="utf-8")
    assert read_description(str(path)).class_names == ("class_0", "class_1")

    path.with_suffix(".names").write_text("chair\nlamp\n\n", encoding="utf-8")
    description = read_description(str(path))
    assert (description.name, description.class_names) == ("own", ("chair", "lamp"))

    path.with_suffix(".names").write_text("chair\n", encoding="utf-8")
    with pytest.raises(WeightsError, match="classes=2, but 1"):
        read_description(str(path))


@pytest.mark.parametrize("version", [(0, 1), (0, 2), (0, 5), (1, 0)])
def test_both_headers_are_read(version: tuple[int, int], tmp_path: Path) -> None:
    values = np.arange(10, dtype="<f4")
    path = tmp_path / "net.weights"
    path.write_bytes(header(*version) + values.tobytes())

    np.testing.assert_array_equal(read_weights(path), values)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "too short"),
        (b"\x00" * 12, "too short"),
        (b"<!DOCTYPE html><html>not weights</html>", "not Darknet's"),
        (header(0, 2) + b"abc", "truncated"),
    ],
)
def test_a_file_that_is_not_weights(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.weights"
    path.write_bytes(data)

    with pytest.raises(WeightsError, match=said):
        read_weights(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(tmp_path / "absent")


@pytest.mark.parametrize(("change", "said"), [(-1, "truncated"), (1, "of another network")])
def test_every_value_must_be_used(change: int, said: str) -> None:
    description = describe(small_cfg(), "small")
    expected = sum(n_weights(layer) for layer in description.layers)

    with pytest.raises(WeightsError, match=f"takes {expected} values.*holds {expected + change}.*{said}"):
        DarknetNetwork(description, np.zeros(expected + change, np.float32))


def test_truncated_and_lengthened_real_weights(tiny_weights: Path, tmp_path: Path) -> None:
    data = tiny_weights.read_bytes()
    path = tmp_path / "net.weights"
    for changed in (data[:-4], data + b"\x00" * 4):
        path.write_bytes(changed)
        with pytest.raises(WeightsError, match="do not fit yolov3-tiny"):
            load_darknet(read_description("yolov3-tiny"), path)


def test_weights_that_are_not_finite_are_refused() -> None:
    description = describe(small_cfg(), "small")
    values = np.zeros(sum(n_weights(layer) for layer in description.layers), np.float32)
    values[7] = np.nan

    with pytest.raises(WeightsError, match="not finite"):
        DarknetNetwork(description, values)


def test_the_output_follows_the_protocol() -> None:
    description = describe(small_cfg(), "small")
    values = np.random.default_rng(0).normal(0, 0.3, sum(n_weights(layer) for layer in description.layers))
    network = DarknetNetwork(description, np.abs(values).astype(np.float32)).eval()
    with torch.inference_mode():
        output = network(torch.rand(2, 3, 64, 96))

    assert output.boxes.shape == (2, 6, 4)
    assert output.scores.shape == (2, 6, 2)
    for feature_map in network.feature_maps:
        expected = (2, feature_map.channels, 64 // feature_map.stride, 96 // feature_map.stride)
        assert output.maps[feature_map.name].shape == expected


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_pooling_before_the_activation_changes_nothing(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, precision: torch.dtype
) -> None:
    network = load_darknet(read_description("yolov3-tiny"), tiny_weights).to(precision)
    batch = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(3)).to(precision)
    # Not 6 and 8: their values are given out.
    assert network._activated_pooled == {0, 2, 4, 10}
    with torch.inference_mode():
        reordered = network(batch)
        monkeypatch.setattr(network, "_activated_pooled", frozenset())
        plain = network(batch)

    assert torch.equal(reordered.boxes, plain.boxes) and torch.equal(reordered.scores, plain.scores)
    for name, values in plain.maps.items():
        assert torch.equal(reordered.maps[name], values)


@pytest.mark.parametrize("sides", [(8, 12), (7, 9), (8, 9), (1, 2)])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_max_pooling_by_two_is_torchs(sides: tuple[int, int], memory_format: torch.memory_format) -> None:
    values = torch.randn(2, 5, *sides, generator=torch.Generator().manual_seed(1)).to(memory_format=memory_format)

    assert torch.equal(_max_pool(values, 2, 2), torch.nn.functional.max_pool2d(values, 2, 2, ceil_mode=True))
