"""The plain ground around a product, and whether a change of it can be seen."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.photos.colour import ciede2000

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

LEAST_CIEDE2000 = 8.0  # median over what differs
LEAST_DIFFERING_PX = 16
_SEEN_CIEDE2000 = 6.0
_SEEN_CIELAB = 10.0
_LEAST_CHANGE = 0.5  # share of a part's pixels that visibly change
_BORDER_SHARE = 0.85
_NEAR = 6.0  # CIELAB, Euclidean
_PRODUCT_SHARE = (0.03, 0.92)


def product_mask(pixels: Pixels) -> Mask | None:
    """The product on a plain ground, by filling the ground from the border; None if the ground is not plain.

    pixels: (H, W, 3) uint8 RGB. Returns (H, W) bool, True on the product.
    """
    lab = to_lab(np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.8), np.uint8))
    border = np.concatenate(
        [lab[:2].reshape(-1, 3), lab[-2:].reshape(-1, 3), lab[:, :2].reshape(-1, 3), lab[:, -2:].reshape(-1, 3)]
    )
    colour = np.median(border, axis=0)
    if (np.linalg.norm(border - colour, axis=1) < _NEAR).mean() < _BORDER_SHARE:
        return None
    near = (np.linalg.norm(lab - colour, axis=2) < _NEAR).astype(np.uint8)
    _, labels = cv2.connectedComponents(near, connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    product = ~np.isin(labels, np.unique(edge[edge > 0]))
    product = cv2.morphologyEx(product.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return product if _PRODUCT_SHARE[0] < product.mean() < _PRODUCT_SHARE[1] else None


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
    """Whether at least half of the pixels in a part visibly change, and their median change is large enough."""
    n = int(where.sum())
    if n < LEAST_DIFFERING_PX:
        return False
    rows = np.flatnonzero(where)[:: max(1, n // 4000)]
    lab = [to_lab(one.reshape(-1, 1, 3)[rows])[:, 0].astype(np.float64) for one in (a, b)]
    difference = ciede2000(lab[0], lab[1])
    return bool(np.median(difference) >= LEAST_CIEDE2000 and (difference > _SEEN_CIEDE2000).mean() >= _LEAST_CHANGE)
