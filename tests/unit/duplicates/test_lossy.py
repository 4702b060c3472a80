import numpy as np
import pytest
from made_photos import jpeg, pixels
from PIL import Image

from prodseek.duplicates.lossy import losses_of, tolerated_loss, typical
from prodseek.duplicates.planes import LUMA

SIDE_PX = 400
HALF = np.arange(SIDE_PX)[:, None] < SIDE_PX // 2
EVERYWHERE = np.ones((SIDE_PX, SIDE_PX), np.bool_)


def light(image):
    return np.asarray(pixels(image).astype(np.float32) @ LUMA, np.float32)


def knitted(levels):
    """A cloth of so many grey levels in its upper half, and of none below."""
    knit = np.random.default_rng(3).normal(0, levels, (SIDE_PX, SIDE_PX))
    return Image.fromarray(np.clip(128 + np.where(HALF, knit, 0), 0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("level", [0, 1])
def test_detail_is_lost_where_there_is_some(level):
    cloth = light(knitted(10))
    losses = losses_of([cloth, np.full_like(cloth, 128)], level)
    half = len(losses) // 2
    assert losses[: half - 8].min() > 0.5 and losses[half + 8 :].max() < 0.5


@pytest.mark.parametrize("quality", [40, 75])
def test_what_an_encoder_left_is_tolerated_where_it_loses_detail(quality):
    cloth, encoded = light(knitted(10)), light(jpeg(knitted(10), quality))
    residual = np.abs(encoded - cloth)
    tolerated = tolerated_loss(residual, losses_of([cloth, encoded], 0), EVERYWHERE)
    assert tolerated[:190].mean() > residual[:190].mean() and tolerated[210:].max() < 1


def test_where_nothing_was_lost_nothing_is_tolerated():
    cloth = light(knitted(10))
    assert tolerated_loss(np.zeros_like(cloth), losses_of([cloth, cloth], 0), EVERYWHERE).max() == 0


def test_a_pattern_that_one_photo_has_alone_does_not_explain_itself():
    cloth, plain = light(knitted(10)), np.full((SIDE_PX, SIDE_PX), 128, np.float32)
    in_both = np.zeros_like(EVERYWHERE)
    assert tolerated_loss(np.abs(cloth - plain), losses_of([cloth, plain], 0), in_both).max() == 0


def test_one_place_does_not_decide_what_is_typical():
    values = np.ones((SIDE_PX, SIDE_PX), np.float32)
    values[:120, :120] = 90
    assert typical(values, EVERYWHERE, 0.0) == 1 and typical(values, ~EVERYWHERE, 7.0) == 7
