"""The plain ground around a product, and whether a change of it can be seen."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.photos.colour import ciede2000

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

LEAST_CIEDE2000 = 10.0  # median over what differs
LEAST_DIFFERING_PX = 20
_SEEN_CIELAB = 10.0
_LEAST_CHANGE = 0.6  # share of a part's pixels that visibly change
_BORDER_SHARE = 0.85
_NEAR = 6.0  # CIELAB, Euclidean
# Ground that is enclosed, as between an arm and a body.
_HOLE_NEAR = 1.5
_HOLE_SHARE = 0.0005
# Shadows: darker than the ground, of about its hue, and smooth.
_SHADOW_DARKER = 55.0
_SHADOW_HUE = 6.0
_SHADOW_SLOPE = 3.0
_PRODUCT_SHARE = (0.03, 0.92)


def product_mask(pixels: Pixels, without_shadows: bool = False) -> Mask | None:
    """The product on a plain ground, by filling the ground from the border and in holes; None if the ground is not plain.

    pixels: (H, W, 3) uint8 RGB. without_shadows: take away shadows on the ground, and with them sometimes a smooth grey part of
    the product. Returns (H, W) bool, True on the product.
    """
    lab = to_lab(np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.8), np.uint8))
    border = np.concatenate(
        [lab[:2].reshape(-1, 3), lab[-2:].reshape(-1, 3), lab[:, :2].reshape(-1, 3), lab[:, -2:].reshape(-1, 3)]
    )
    colour = np.median(border, axis=0)
    if (np.linalg.norm(border - colour, axis=1) < _NEAR).mean() < _BORDER_SHARE:
        return None
    distance = np.linalg.norm(lab - colour, axis=2)
    n, labels = cv2.connectedComponents((distance < _NEAR).astype(np.uint8), connectivity=4)
    areas = np.bincount(labels.ravel(), minlength=n)
    closeness = np.bincount(labels.ravel(), distance.ravel(), minlength=n) / areas
    is_ground = (closeness < _HOLE_NEAR) & (areas > _HOLE_SHARE * labels.size)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_ground[edge] = True
    is_ground[0] = False
    product = ~is_ground[labels]
    if without_shadows:
        product &= ~_shadow(lab, colour, ~product)
    product = cv2.morphologyEx(product.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return product if _PRODUCT_SHARE[0] < product.mean() < _PRODUCT_SHARE[1] else None


def _shadow(lab: NDArray[np.float32], ground_colour: NDArray[np.float32], ground: Mask) -> Mask:
    """Dark smooth pixels of the ground's hue that hang together with the ground."""
    shift = lab - ground_colour
    slope = cv2.morphologyEx(lab[..., 0], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    alike = (shift[..., 0] > -_SHADOW_DARKER) & (np.hypot(shift[..., 1], shift[..., 2]) < _SHADOW_HUE)
    fill = (alike & (slope < _SHADOW_SLOPE)) | ground
    _, labels = cv2.connectedComponents(fill.astype(np.uint8), connectivity=4)
    reached = np.isin(labels, np.unique(labels[ground]))
    return np.asarray(reached & ~ground, np.bool_)


def to_lab(pixels: Pixels) -> NDArray[np.float32]:
    """CIELAB (D65) of (H, W, 3) uint8 RGB, float32; faster than `photos.colour`, and less exact."""
    return np.asarray(cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def to_rgb(lab: NDArray[np.float32]) -> Pixels:
    """(H, W, 3) uint8 RGB of CIELAB; what has no RGB is clipped."""
    return np.asarray(np.rint(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1) * 255), np.uint8)


def soft(mask: Mask, sigma_px: float = 1.0) -> NDArray[np.float32]:
    """The mask with a soft edge: (H, W, 1) float32, 0 to 1."""
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma_px)[..., None], np.float32)


def blended(under: Pixels, over: Pixels, mask: Mask, sigma_px: float = 1.0) -> Pixels:
    """`over` where the mask is, `under` elsewhere, with a soft edge. All (H, W, 3) uint8 but the mask, (H, W) bool."""
    weight = soft(mask, sigma_px)
    return np.asarray(np.rint(over * weight + under * (1 - weight)), np.uint8)


def changed(a: Pixels, b: Pixels) -> Mask:
    """Where two photos of one size visibly differ, by the distance in CIELAB: (H, W) bool."""
    return np.asarray(np.linalg.norm(to_lab(a) - to_lab(b), axis=2) > _SEEN_CIELAB, np.bool_)


def differs(a: Pixels, b: Pixels, where: Mask) -> bool:
    """Whether most pixels of a part visibly change, and their median change is large enough."""
    n = int(where.sum())
    if n < LEAST_DIFFERING_PX:
        return False
    rows = np.flatnonzero(where)[:: max(1, n // 4000)]
    lab = [to_lab(one.reshape(-1, 1, 3)[rows])[:, 0].astype(np.float64) for one in (a, b)]
    difference = ciede2000(lab[0], lab[1])
    far = np.linalg.norm(lab[0] - lab[1], axis=1) > _SEEN_CIELAB  # in dark parts CIEDE2000 alone says too much
    return bool(np.median(difference) >= LEAST_CIEDE2000 and far.mean() >= _LEAST_CHANGE)
