"""RoIAlign by matrix products, against torchvision's."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import roi_align

from prodseek.vision.box_pooling import align_boxes

STRIDE = 32


def boxes(n: int, seed: int) -> torch.Tensor:
    """Large ones, ones far below a cell, and ones over the edge."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(n, 4, generator=generator) * 500 - 40
    made = torch.cat((torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])), 1)
    made[0] = torch.tensor((0.0, 0.0, 416.0, 288.0))
    made[1] = torch.tensor((100.0, 50.0, 101.0, 51.0))
    made[2] = torch.tensor((415.0, 287.0, 416.0, 288.0))
    return made


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("side", "samples"), [(1, 0), (3, 2), (8, 1), (2, 0), (1, 5)])
def test_it_is_torchvisions(side: int, samples: int, memory_format: torch.memory_format) -> None:
    values = torch.randn(3, 20, 9, 13, generator=torch.Generator().manual_seed(0)).to(memory_format=memory_format)
    of_images = [boxes(7, 1), torch.empty(0, 4), boxes(4, 2)]

    found = align_boxes(values, of_images, STRIDE, side, samples)

    expected = roi_align(values, of_images, side, 1 / STRIDE, samples or -1, aligned=True)
    torch.testing.assert_close(found, expected.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-4)


def test_no_boxes() -> None:
    assert align_boxes(torch.rand(1, 4, 3, 3), [torch.empty(0, 4)], STRIDE, 3, 0).shape == (0, 9, 4)
