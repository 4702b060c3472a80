"""The plain grounds of two photos, and what of them was replaced."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planes import Mask, Plane, blurred, luma, most_of_channels
from prodseek.photos.colour import ciede2000, rgb_to_lab

# A ground is plain if this share of the border has its colour, within so many levels of each channel; below a banner less has.
_PLAIN_BORDER, _PLAIN_BESIDE_BANNER, _GROUND_WITHIN = 0.7, 0.5, 12
# CIEDE2000 from which on a ground was replaced.
OTHER_GROUND = 2.0
# What was replaced with the ground has changed as the ground has, but for this share of the change.
_CHANGED_ALIKE = 0.5
# What is as pale as the ground differs from it by this much, in any channel; an encoder leaves less.
_PALE_LEVELS = 5.0
# A shadow is darker than the ground, all channels in proportion, and has no edge: its light changes by no more than this from
# pixel to pixel. Where it is as pale as the ground it changes by less, because the edge of a pale thing is as faint.
_SHADE_LIGHT, _SHADE_HUE, _SHADE_SLOPE, _PALE_SHADE_SLOPE = 0.35, 0.08, 5.0, 4.0
_CONTACT_PX = 3
# Levels by which the ground itself differs from its colour.
_EVEN_LEVELS = 2.5


@dataclass(frozen=True)
class Grounds:
    """The grounds of two photos.

    plain: whether both are plain. ground, either: (H, W) bool, where both show theirs, and where one of them does; empty unless
    both are plain. Ground hangs together with the border. Where it was replaced, it is also what lies within the product, as
    between an arm and a body, and was replaced by the same colour; and shade, (H, W) bool, the shadows on it, because who
    replaces a ground cuts them off or moves them with it. colour_a, colour_b: (3,) float32 RGB.
    """

    plain: bool
    ground: Mask
    either: Mask
    shade: Mask
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
        is_pale = self.ground & ~self.shade & (most_of_channels(np.abs(from_ground)) > _PALE_LEVELS)
        apart = ((self.either & ~self.ground & inside) | is_pale) & ~self._contact(inside)
        thick = cv2.erode(apart.astype(np.uint8), np.ones((3, 3), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(thick, connectivity=8)
        return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0))

    def shaded(self, inside: Mask) -> Mask:
        """Shadows, and where things meet them, without gaps of a few pixels."""
        dark = (self.shade | self._contact(inside)).astype(np.uint8)
        return np.asarray(cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0, np.bool_)

    def _contact(self, inside: Mask) -> Mask:
        """Where a thing that both show meets a shadow, which has an edge there too."""
        around = np.ones((2 * _CONTACT_PX + 1,) * 2, np.uint8)
        near_thing, near_shade = (
            cv2.dilate(mask.astype(np.uint8), around) > 0 for mask in (inside & ~self.either, self.shade)
        )
        return np.asarray(near_thing & near_shade, np.bool_)


def grounds_of(a: Plane, b: Plane, inside: Mask) -> Grounds:
    """The plain grounds of two photos that are laid over each other. a, b: (H, W, 3) float32 RGB."""
    one, other = _ground(a, inside), _ground(b, inside)
    change = colour_difference(one.colour, other.colour)
    least, most = sorted((one.border_share, other.border_share))
    plain = least > _PLAIN_BORDER or (most > _PLAIN_BORDER and least > _PLAIN_BESIDE_BANNER and change <= OTHER_GROUND)
    ground_a, ground_b, shade = one.outer.copy(), other.outer.copy(), np.zeros_like(inside)
    if plain and change > OTHER_GROUND:
        # Where only one shows a shadow, and the other neither a shadow nor ground, both are compared as things.
        shade_a, shade_b = _shade(a, one), _shade(b, other)
        shade = shade_a | shade_b
        enclosed = replaced_ground(a, b, one.colour, other.colour)
        ground_a |= enclosed | (shade_a & (other.outer | shade_b))
        ground_b |= enclosed | (shade_b & (one.outer | shade_a))
    usable = inside & plain
    return Grounds(plain, ground_a & ground_b & usable, (ground_a | ground_b) & usable, shade, one.colour, other.colour)


def colour_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """CIEDE2000 between two colours, (3,) float32 RGB."""
    return float(ciede2000(rgb_to_lab(a), rgb_to_lab(b)))


def replaced_ground(a: Plane, b: Plane, colour_a: NDArray[np.float32], colour_b: NDArray[np.float32]) -> Mask:
    """Where two photos show their grounds and differ as these do; white letters that stay white are none, on whatever ground.

    a, b: (H, W, 3) float32 RGB. colour_a, colour_b: (3,) float32 RGB of the grounds. Returns (H, W) bool.
    """
    soft_a, soft_b = blurred(a, 1.0), blurred(b, 1.0)
    change = colour_b - colour_a
    has_changed = most_of_channels(np.abs(soft_b - soft_a - change)) < _CHANGED_ALIKE * float(np.abs(change).max())
    return np.asarray(has_changed & _alike(soft_a, colour_a) & _alike(soft_b, colour_b), np.bool_)


def _alike(soft: Plane, colour: NDArray[np.float32]) -> Mask:
    return np.asarray(most_of_channels(np.abs(soft - colour)) <= _GROUND_WITHIN, np.bool_)


@dataclass(frozen=True)
class _Ground:
    """Of one photo: what has its border's colour, (3,) float32 RGB; what of that hangs together with the border; and the share
    of the border that has it.
    """

    colour: NDArray[np.float32]
    alike: Mask
    outer: Mask
    border_share: float


def _ground(pixels: Plane, inside: Mask) -> _Ground:
    soft = blurred(pixels, 1.0)
    inner = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    border = inside & (inner == 0)
    colour = np.asarray(np.median(soft[border], axis=0), np.float32)
    alike = inside & _alike(soft, colour)
    n_parts, labels = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    at_border = np.bincount(labels[border], minlength=n_parts) > 0
    at_border[0] = False
    return _Ground(colour, alike, at_border[labels], float(alike[border].mean()))


def _shade(pixels: Plane, ground: _Ground) -> Mask:
    """Shadows that hang together with the ground, faint ones too; what has an edge towards it is a thing."""
    soft = blurred(pixels, 1.0)
    share = soft / np.maximum(ground.colour, 1)
    light = luma(soft)
    slope = cv2.morphologyEx(light, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    is_shade = (share.min(axis=2) > _SHADE_LIGHT) & (share.max(axis=2) < 1) & (np.ptp(share, axis=2) < _SHADE_HUE)
    # A faint thing is as pale as a faint shadow, but its edge is sharper.
    is_soft = slope < np.where(ground.alike, _PALE_SHADE_SLOPE, _SHADE_SLOPE)
    even = ground.outer & (most_of_channels(np.abs(soft - ground.colour)) < _EVEN_LEVELS)
    n_parts, labels = cv2.connectedComponents(((is_shade & is_soft) | even).astype(np.uint8), connectivity=4)
    reached = np.bincount(labels[even], minlength=n_parts) > 0
    reached[0] = False
    return np.asarray(reached[labels] & ~even, np.bool_)
