"""ResNet-50 from torchvision: a network that detects nothing and only gives feature maps.

Source: He et al., "Deep Residual Learning for Image Recognition", 2015.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchvision.models import resnet50

from prodseek.errors import WeightsError
from prodseek.vision.network import FeatureMap, NetworkDescription, NetworkOutput
from prodseek.vision.torch_file import check_finite, load_torch
from prodseek.vision.weights import PinnedFile

# The ends of the stages with these strides: layer2, layer3 and layer4.
_FEATURE_MAPS = (FeatureMap("stride8", 8, 512), FeatureMap("stride16", 16, 1024), FeatureMap("stride32", 32, 2048))
# Of ImageNet, RGB in 0..1; torchvision's weights were trained with these.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class ResNet(nn.Module):
    """ResNet-50 without its classifier; follows `network.Network` with A = 0 and C = 0."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, model: Any) -> None:
        """model: torchvision's ResNet-50."""
        super().__init__()
        self.name = "resnet50"
        self.class_names: tuple[str, ...] = ()
        self.feature_maps = _FEATURE_MAPS
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).reshape(1, 3, 1, 1))
        self.stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool, model.layer1)
        self.layer2, self.layer3, self.layer4 = model.layer2, model.layer3, model.layer4

    def forward(self, batch: torch.Tensor) -> NetworkOutput:
        """(B, 3, H, W) RGB in 0..1 -> NetworkOutput (see `network.Network`)."""
        stride8 = self.layer2(self.stem((batch - self.mean) / self.deviation))
        stride16 = self.layer3(stride8)
        stride32 = self.layer4(stride16)
        n_images = len(batch)
        return NetworkOutput(
            torch.zeros((n_images, 0, 4), device=batch.device),
            torch.zeros((n_images, 0, 0), device=batch.device),
            {"stride8": stride8.float(), "stride16": stride16.float(), "stride32": stride32.float()},
        )


def describe(network: str, weights: PinnedFile) -> NetworkDescription:
    """The description of ResNet-50. The weights file is not read."""
    return NetworkDescription(network, (), _FEATURE_MAPS, 32, "torchvision resnet50: layer2, layer3, layer4")


def load(network: str, weights: PinnedFile) -> ResNet:
    """ResNet-50 with the weights of a torchvision state_dict (.pth), for any number of classes.

    Raises WeightsError if the file does not have its SHA-256, or if a key is missing or not used.
    """
    state = load_torch(weights, weights.read())
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(
            f"weights file {weights.path} holds no state_dict of torchvision's resnet50 (names and tensors)"
        )
    check_finite(weights, state)
    model = resnet50(weights=None, num_classes=_n_classes(state))
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        faults = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        raise WeightsError(f"weights file {weights.path} does not fit resnet50: {faults[:400]}") from error
    return ResNet(model).eval()


def _n_classes(state: dict[str, Any]) -> int:
    # The classifier is not used, and it may have been trained on other classes than the thousand of ImageNet.
    bias = state.get("fc.bias")
    return len(bias) if bias is not None and bias.ndim == 1 and len(bias) else 1000
