"""What lossy encoders leave in a pair of photos: its noise by cells of the frame, and where more of it is to be expected."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planes import Mask, Plane

_CELLS_A_SIDE, _LEAST_IN_CELL = 12, 8
# JPEG of this quality shows where encoders lose detail; how much they lost here, the pair itself says. Grey levels below which
# nothing is lost, and so many times what is lost as a rule is tolerated.
_LOSSY_QUALITY, _BLOCK_PX = 40, 8
_LEAST_LOSS, _LOSS_TOLERATED, _MOST_LOSS = 0.5, 3.0, 1.5
_LEAST_CELLS = 8


def typical(values: Plane, where: Mask, otherwise: float) -> float:
    """The median over cells of the frame of the median of a cell's values, so that one place does not decide."""
    medians = _medians(values, where)
    return float(np.median(medians)) if len(medians) else otherwise


def _medians(values: Plane, where: Mask) -> NDArray[np.float32]:
    """The median of the values of each cell of the frame that has enough of them, (C,)."""
    cell = max(4, min(where.shape) // _CELLS_A_SIDE)
    rows, columns = (side // cell for side in where.shape)
    # Of a large cell some pixels tell as much.
    y, x = np.divmod(np.arange(0, cell * cell, max(1, cell // 8) if cell > 16 else 1), cell)
    chosen, used = (
        plane[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)[:, y, :, x].reshape(len(y), -1).T
        for plane in (values, where)
    )
    cells = np.where(used, chosen, np.nan)
    n_chosen = np.isfinite(cells).sum(axis=1)
    is_used = n_chosen > _LEAST_IN_CELL
    # What np.nanmedian does, in half the time: NaN is sorted last.
    in_order, middle = np.sort(cells[is_used], axis=1), n_chosen[is_used, None]
    low, high = (np.take_along_axis(in_order, place, axis=1)[:, 0] for place in ((middle - 1) // 2, middle // 2))
    return np.asarray((low + high) / 2, np.float32)


def losses_of(lights: list[Plane], level: int) -> Plane:
    """What JPEG loses of two luminances, at a level of the pyramid: the mean over a block, (H, W) float32.

    Of the one that loses more. lights: (H, W) float32, 0 to 255, at the finest level.
    """
    lost = []
    for light in lights:
        exact = np.clip(light, 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", exact, [cv2.IMWRITE_JPEG_QUALITY, _LOSSY_QUALITY])[1]
        error = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.float32) - exact
        for _ in range(level):
            error = np.asarray(cv2.pyrDown(error), np.float32)
        lost.append(cv2.boxFilter(np.abs(error), -1, (_BLOCK_PX, _BLOCK_PX)))
    return np.asarray(np.maximum(*lost), np.float32)


def tolerated_loss(residual: Plane, losses: Plane, shared: Mask) -> Plane:
    """What a lossy encoder may leave where it loses detail, (H, W) float32, given what it left of detail that both photos have.

    So a pattern that one of them has alone does not explain itself. residual, losses: (H, W) float32. shared: (H, W) bool.
    """
    loses = shared & (losses > _LEAST_LOSS)
    found = cv2.boxFilter(residual, -1, (_BLOCK_PX, _BLOCK_PX)) / np.maximum(losses, _LEAST_LOSS)
    medians = _medians(np.asarray(found, np.float32), loses)
    lost = min(float(np.median(medians)), _MOST_LOSS) if len(medians) >= _LEAST_CELLS else 0.0
    return np.asarray(_LOSS_TOLERATED * lost * losses, np.float32)
