"""How the tone of a product changed between two photos, and whether what changed it changed the ground too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.difference import LUMA
from prodseek.duplicates.explained import Mask, Plane, blurred
from prodseek.photos.colour import ciede2000, rgb_to_lab

# A ground is plain if this share of the border has its colour, within so many levels of each channel.
_PLAIN_BORDER, _GROUND_WITHIN = 0.7, 12
# What is as pale as the ground differs from it by this much, in any channel; an encoder leaves less.
_PALE_LEVELS = 5.0
_COLOUR_CELL_PX = 8
_LEAST_CHROMA = 8.0


@dataclass(frozen=True)
class Grounds:
    """The grounds of two photos.

    plain: whether both are plain. ground, either: (H, W) bool, where both show theirs, and where one of them does; empty unless
    both are plain. colour_a, colour_b: (3,) float32 RGB.
    """

    plain: bool
    ground: Mask
    either: Mask
    colour_a: NDArray[np.float32]
    colour_b: NDArray[np.float32]

    @property
    def change(self) -> float:
        """CIEDE2000 between the two grounds; NaN if one is not plain."""
        return colour_difference(self.colour_a, self.colour_b) if self.plain else math.nan

    def outline_change(self, inside: Mask) -> float:
        """Share of the products that lies where only one of the photos shows its ground, but for thin edges; NaN if not plain."""
        if not self.plain:
            return math.nan
        apart = cv2.erode((self.either & ~self.ground).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        return float(apart.sum() / max(1, (inside & ~self.ground).sum()))

    def outline_part_px(self, a: Plane, b: Plane, inside: Mask) -> float:
        """Pixels of the largest part that only one of the photos shows on its ground, but for thin edges; NaN if not plain.

        A pale part is taken for ground, but differs from it: a, b: (H, W, 3) float32 RGB.
        """
        if not self.plain:
            return math.nan
        from_ground = (blurred(a, 0.8) - self.colour_a) - (blurred(b, 0.8) - self.colour_b)
        is_pale = self.ground & (np.abs(from_ground).max(axis=2) > _PALE_LEVELS)
        apart = (self.either & ~self.ground & inside) | is_pale
        apart = cv2.erode(apart.astype(np.uint8), np.ones((3, 3), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=8)
        return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0))


def grounds_of(a: Plane, b: Plane, inside: Mask) -> Grounds:
    """The plain grounds of two photos that are laid over each other. a, b: (H, W, 3) float32 RGB."""
    (ground_a, plain_a, colour_a), (ground_b, plain_b, colour_b) = (_ground(plane, inside) for plane in (a, b))
    plain = min(plain_a, plain_b) > _PLAIN_BORDER
    both = ground_a & ground_b & inside & plain
    return Grounds(plain, both, (ground_a | ground_b) & inside & plain, colour_a, colour_b)


def tone_of(
    source: Plane,
    expected: Plane,
    target: Plane,
    product: Mask,
    toned: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    grounds: tuple[NDArray[np.float32], ...] | None,
) -> dict[str, float]:
    """How far the product's colours have moved, and how much of that a change of tone explains: numbers of `Proof`.

    source, expected, target: (H, W, 3) float32 RGB: one photo, what it should look like in the other, and the other. product:
    (H, W) bool. toned: what the tone alone makes of colours, (..., 3) float32 RGB. grounds: colours of the plain ground, expected
    and found; None if there is none.
    """
    inside = _averaged_mask(product)
    before, after, explained = (rgb_to_lab(_averaged(plane))[inside] for plane in (source, target, expected))
    # Blur moves the colours of small things too, but is no change of tone.
    curve = ciede2000(before, rgb_to_lab(toned(_averaged(source)))[inside])
    moved, left = ciede2000(before, after), ciede2000(explained, after)
    chroma_before, chroma_after = (np.hypot(lab[:, 1], lab[:, 2]) for lab in (before, after))
    weight = np.where(chroma_before > _LEAST_CHROMA, chroma_before, 0)
    hues = np.exp(1j * np.arctan2(before[:, 2], before[:, 1]))
    one_hue = abs(complex((hues * weight).sum())) / float(weight.sum()) if weight.any() else 1.0
    missed = math.nan if grounds is None else colour_difference(*grounds)
    chromas = sorted(float(np.percentile(chroma, 95)) for chroma in (chroma_before, chroma_after))
    return {
        "ground_missed": missed,
        "tone_change": float(moved.mean()),
        "tone_change_90": float(np.percentile(moved, 90)),
        "curve_least": float(np.percentile(curve, 10)),
        "curve_most": float(np.percentile(curve, 99)),
        "light_change": _light_change(source, target, inside, before, after),
        "colour_left": float(left.mean()),
        "colour_left_95": float(np.percentile(left, 95)),
        "colour_left_most": float(np.percentile(left, 99.5)),
        "chroma_low": chromas[0],
        "chroma_high": chromas[1],
        "hue_spread": 1 - one_hue,
        "hue_change": _hue_change(before, after),
    }


def _light_change(
    source: Plane, target: Plane, inside: Mask, before: NDArray[np.float64], after: NDArray[np.float64]
) -> float:
    """The mean change of light, 0 to 100: of L* or of luma, whichever is less, because either may be kept without colours."""
    luma = [(_averaged(plane) @ LUMA)[inside] for plane in (source, target)]
    of_luma = float(np.abs(luma[1] - luma[0]).mean()) * 100 / 255
    return min(of_luma, float(np.abs(before[:, 0] - after[:, 0]).mean()))


def _hue_change(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """The median change of hue in degrees, where both are coloured; 0 if nothing is. before, after: (N, 3) CIELAB."""
    chromas = [np.hypot(lab[:, 1], lab[:, 2]) for lab in (before, after)]
    coloured = np.minimum(*chromas) > _LEAST_CHROMA
    if not coloured.any():
        return 0.0
    hues = [np.degrees(np.arctan2(lab[coloured, 2], lab[coloured, 1])) for lab in (before, after)]
    return float(np.median(np.abs((hues[1] - hues[0] + 180) % 360 - 180)))


def colour_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """CIEDE2000 between two colours, (3,) float32 RGB."""
    return float(ciede2000(rgb_to_lab(a), rgb_to_lab(b)))


def _ground(pixels: Plane, inside: Mask) -> tuple[Mask, float, NDArray[np.float32]]:
    """What hangs together with the border and has its colour, the share of the border that has it, and the colour."""
    soft = blurred(pixels, 1.0)
    inner = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    border = inside & (inner == 0)
    colour = np.median(soft[border], axis=0)
    like = inside & (np.abs(soft - colour).max(axis=2) <= _GROUND_WITHIN)
    n_parts, labels = cv2.connectedComponents(like.astype(np.uint8), connectivity=4)
    at_border = np.bincount(labels[border], minlength=n_parts) > 0
    at_border[0] = False
    share = float((np.abs(soft[border] - colour).max(axis=1) <= _GROUND_WITHIN).mean())
    return at_border[labels], share, np.asarray(colour, np.float32)


def _averaged(plane: Plane) -> NDArray[np.float32]:
    size = tuple(max(4, side // _COLOUR_CELL_PX) for side in plane.shape[1::-1])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _averaged_mask(mask: Mask) -> Mask:
    inside = _averaged(mask.astype(np.float32)) > 0.9
    return inside if inside.any() else np.ones_like(inside)
