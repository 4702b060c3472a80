"""Our ResNet-50 against torchvision's own, taken apart by its feature extractor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torchvision.models import resnet50
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms import Normalize

from prodseek.vision.resnet import load
from prodseek.vision.weights import PinnedFile


def test_the_maps_of_its_layers(resnet_weights: Callable[[], PinnedFile]) -> None:
    weights = resnet_weights()
    theirs = resnet50(weights=None)
    theirs.load_state_dict(torch.load(weights.path, weights_only=True))
    extract = create_feature_extractor(theirs.eval(), {"layer2": "stride8", "layer3": "stride16", "layer4": "stride32"})
    batch = torch.rand((2, 3, 96, 160), generator=torch.Generator().manual_seed(5))

    with torch.inference_mode():
        wanted = extract(Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(batch))
        network = load("resnet50", weights)
        found = network(batch)

    assert found.boxes.shape == (2, 0, 4) and found.scores.shape == (2, 0, 0)
    assert list(found.maps) == [feature_map.name for feature_map in network.feature_maps]
    for feature_map in network.feature_maps:
        values = found.maps[feature_map.name]
        shape = (2, feature_map.channels, 96 // feature_map.stride, 160 // feature_map.stride)
        assert values.shape == shape and values.dtype == torch.float32 and values.std() > 0.1
        torch.testing.assert_close(values, wanted[feature_map.name], atol=1e-5, rtol=1e-5)
