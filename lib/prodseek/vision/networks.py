"""All networks: how each is described and loaded. Imports torch only for a network that needs it."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from prodseek.vision.darknet_cfg import SHIPPED_NETWORKS, read_description
from prodseek.vision.network import FeatureMap, Network, NetworkDescription
from prodseek.vision.weights import PinnedFile

# All networks but Darknet's: name in the configuration -> the module that provides it.
_MODULES = {
    "resnet50": "prodseek.vision.resnet",
    "ultralytics": "prodseek.vision.ultralytics_network",
}
NETWORKS = (*SHIPPED_NETWORKS, *_MODULES)


class _NetworkModule(Protocol):
    """The functions that the module of a network provides."""

    def describe(self, network: str, weights: PinnedFile) -> NetworkDescription: ...

    def load(self, network: str, weights: PinnedFile) -> Network: ...


def describe_network(network: str, weights: PinnedFile) -> NetworkDescription:
    """Describe a network. network: a name in `NETWORKS`, or the path of a Darknet .cfg file.

    The weights are read only for `ultralytics`, whose file holds the description. Raises WeightsError, and ConfigError if an
    optional package is missing.
    """
    if network in _MODULES:
        return _module(network).describe(network, weights)
    found = read_description(network)
    maps = tuple(FeatureMap(f"stride{s}", s, found.layers[index].channels) for s, index in sorted(found.taps.items()))
    return NetworkDescription(found.name, found.class_names, maps, found.max_stride, found.text)


def load_network(network: str, weights: PinnedFile) -> Network:
    """Load a network with its weights: in evaluation mode, on the CPU, float32. Arguments and errors as `describe_network`."""
    if network in _MODULES:
        return _module(network).load(network, weights)
    from prodseek.vision.darknet import load_darknet

    weights.check()
    return load_darknet(read_description(network), weights.path)


def _module(network: str) -> _NetworkModule:
    return cast(_NetworkModule, import_module(_MODULES[network]))
