"""Read Darknet's .cfg files: the layers of a network, their sizes, and which are tapped. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from prodseek.errors import WeightsError

SHIPPED_NETWORKS = ("yolov3-tiny", "yolov3", "yolov3-spp")
TAPPED_STRIDES = (8, 16, 32)
N_BOX_VALUES = 5  # tx ty tw th objectness

_KNOWN_OPTIONS = {
    "convolutional": {"batch_normalize", "filters", "size", "stride", "pad", "activation"},
    "maxpool": {"size", "stride"},
    "route": {"layers"},
    "shortcut": {"from", "activation"},
    "upsample": {"stride"},
}

# Allowed ranges of numbers, so that a description cannot ask for absurd amounts of memory, or for maps that do not fit.
_RANGES = {
    "channels": (3, 3),  # RGB
    "filters": (1, 65536),
    "classes": (1, 65536),
    "num": (1, 100),
    "size": (1, 100),
    "stride": (1, 32),
    "pad": (0, 1),
    "batch_normalize": (0, 1),
}


@dataclass(frozen=True)
class Section:
    """One `[kind]` of a .cfg and its `key=value` options."""

    kind: str
    options: dict[str, str]
    line: int

    def integer(self, key: str, default: int | None = None) -> int:
        """Option `key` as one whole number within its range."""
        values = self.integers(key, None if default is None else (default,))
        low, high = _RANGES.get(key, (values[0], values[0]))
        if len(values) > 1 or not low <= values[0] <= high:
            expected = f"a whole number from {low} to {high}" if key in _RANGES else "one whole number"
            raise self.fault(f"{key}={self.options.get(key, default)} is not {expected}")
        return values[0]

    def integers(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Option `key` as whole numbers separated by commas."""
        if key not in self.options:
            if default is None:
                raise self.fault(f"{key} is missing")
            return default
        try:
            return tuple(int(value) for value in self.options[key].split(","))
        except ValueError:
            raise self.fault(f"{key}={self.options[key]} is not a whole number or a list of them") from None

    def fault(self, what: str) -> WeightsError:
        """The error for a fault in this section, with its line in the .cfg."""
        return WeightsError(f"network description: [{self.kind:.40}] at line {self.line}: {what:.200}")


@dataclass(frozen=True)
class Layer:
    """A section with the sizes of its input and output. sources: indices of the layers that it reads, -1 for the input."""

    section: Section
    sources: tuple[int, ...]
    in_channels: int
    channels: int
    stride: int


@dataclass(frozen=True)
class Description:
    """A network as its .cfg describes it. taps: tapped stride -> layer index."""

    name: str
    text: str
    class_names: tuple[str, ...]
    layers: tuple[Layer, ...]
    taps: dict[int, int]

    @property
    def max_stride(self) -> int:
        """The input's sides must be multiples of this many pixels."""
        return max(layer.stride for layer in self.layers)


def read_description(network: str) -> Description:
    """The description of a shipped network by its name, or of a .cfg file by its path.

    Class names are read from `<stem>.names` beside the .cfg file, one in each line; without that file they are class_0,
    class_1, ... Raises WeightsError.
    """
    if network in SHIPPED_NETWORKS:
        folder = resources.files("prodseek.vision") / "cfg"
        text = (folder / f"{network}.cfg").read_text(encoding="utf-8")
        names: list[str] | None = (folder / "coco.names").read_text(encoding="utf-8").split("\n")
        name = network
    else:
        path = Path(network)
        if not path.is_file():
            raise WeightsError(
                f"network {network!r} is neither {', '.join(SHIPPED_NETWORKS)} nor the path of a .cfg file"
            )
        text, name = _read_text(path), path.stem
        names_path = path.with_suffix(".names")
        names = _read_text(names_path).split("\n") if names_path.is_file() else None
    return describe(text, name, None if names is None else [line.strip() for line in names if line.strip()])


def describe(text: str, name: str, class_names: list[str] | None = None) -> Description:
    """Check the text of a .cfg file, and compute the channels and stride of each layer. Raises WeightsError."""
    sections = parse_cfg(text)
    if not sections or sections[0].kind not in ("net", "network"):
        raise WeightsError(f"network description {name}: it must begin with [net]")
    layers: list[Layer] = []
    for section in sections[1:]:
        layers.append(_layer(section, layers, sections[0].integer("channels", 3)))
    heads = [layer for layer in layers if layer.section.kind == "yolo"]
    if not heads:
        raise WeightsError(f"network description {name}: it has no [yolo] layer, so it would detect nothing")
    n_classes = {head.section.integer("classes") for head in heads}
    if len(n_classes) > 1:
        raise WeightsError(f"network description {name}: its [yolo] layers disagree on classes: {sorted(n_classes)}")
    count = n_classes.pop()
    names = class_names if class_names is not None else [f"class_{index}" for index in range(count)]
    if len(names) != count:
        raise WeightsError(f"network description {name}: classes={count}, but {len(names)} class names are given")
    return Description(name, text, tuple(names), tuple(layers), _taps(layers, name))


def parse_cfg(text: str) -> list[Section]:
    """Split a .cfg into its sections. Raises WeightsError for a line that is not a section, an option or a comment."""
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            sections.append(Section(line[1:-1].strip(), {}, number))
            continue
        key, equals, value = line.partition("=")
        if not equals or not sections:
            raise WeightsError(f"network description: line {number} is not `[section]` or `key=value`: {line!r:.200}")
        sections[-1].options[key.strip()] = value.strip()
    return sections


def _layer(section: Section, layers: list[Layer], input_channels: int) -> Layer:
    index = len(layers)
    before = layers[-1] if layers else None
    channels, stride = (before.channels, before.stride) if before else (input_channels, 1)
    sources: tuple[int, ...] = (index - 1,)
    known = _KNOWN_OPTIONS.get(section.kind)
    if known is not None and not known.issuperset(section.options):
        raise section.fault(f"{', '.join(sorted(set(section.options) - known))} is not supported")
    in_channels = channels
    if section.kind == "convolutional":
        if section.options.get("activation") not in ("leaky", "linear"):
            raise section.fault(f"activation={section.options.get('activation')} is not leaky or linear")
        channels, stride = section.integer("filters"), stride * section.integer("stride", 1)
        size, padded, _ = section.integer("size"), section.integer("pad", 0), section.integer("batch_normalize", 0)
        if size % 2 == 0 or (size > 1 and not padded):
            raise section.fault("the map would not keep its size; an odd size and pad=1 are needed")
    elif section.kind == "maxpool":
        section.integer("size", 2)
        stride *= section.integer("stride", 1)
    elif section.kind == "upsample":
        factor = section.integer("stride", 2)
        if stride % factor:
            raise section.fault(f"stride={factor} does not divide the map's stride {stride}")
        stride //= factor
    elif section.kind == "route":
        sources = tuple(_resolve(section, value, layers) for value in section.integers("layers"))
        stride = layers[sources[0]].stride
        if any(layers[source].stride != stride for source in sources):
            raise section.fault("the routed layers have different strides")
        in_channels = channels = sum(layers[source].channels for source in sources)
    elif section.kind == "shortcut":
        other = _resolve(section, section.integer("from"), layers)
        sources = (index - 1, other)
        if (layers[other].channels, layers[other].stride) != (channels, stride):
            raise section.fault(f"layer {other} has another shape than the previous layer")
        if section.options.get("activation", "linear") != "linear":
            raise section.fault(f"activation={section.options['activation']} is not linear")
    elif section.kind == "yolo":
        _check_head(section, channels)
    else:
        raise section.fault("this kind of layer is not supported")
    return Layer(section, sources, in_channels, channels, stride)


def _resolve(section: Section, value: int, layers: list[Layer]) -> int:
    """A layer's index: Darknet counts negative numbers from this layer, others from the first."""
    index = len(layers) + value if value < 0 else value
    if not 0 <= index < len(layers):
        raise section.fault(f"there is no layer {value} before layer {len(layers)}")
    return index


def _check_head(section: Section, channels: int) -> None:
    mask, anchors = section.integers("mask"), section.integers("anchors")
    if len(anchors) != 2 * section.integer("num") or not all(0 <= m < len(anchors) // 2 for m in mask):
        raise section.fault("mask, anchors and num do not fit each other")
    expected = len(mask) * (N_BOX_VALUES + section.integer("classes"))
    if channels != expected:
        raise section.fault(f"it reads {expected} channels, but the previous layer has {channels}")


def _taps(layers: list[Layer], name: str) -> dict[int, int]:
    """For each tapped stride, the end of the backbone's stage: the last of its widest layers before the first head.

    These are residual sums if the backbone has any, else convolutions.
    """
    first_head = next(index for index, layer in enumerate(layers) if layer.section.kind == "yolo")
    kind = "shortcut" if any(layer.section.kind == "shortcut" for layer in layers) else "convolutional"
    taps: dict[int, int] = {}
    for stride in TAPPED_STRIDES:
        stage = [
            index
            for index, layer in enumerate(layers[:first_head])
            if layer.section.kind == kind and layer.stride == stride
        ]
        if not stage:
            raise WeightsError(f"network description {name}: no {kind} layer of stride {stride} to take features from")
        taps[stride] = max(stage, key=lambda index: (layers[index].channels, index))
    return taps


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} cannot be read as text: {error}") from error
