"""Proof: lay two photos over each other at full detail, explain what an encoder or an editor does, and measure what is left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.chroma import chroma_alone
from prodseek.duplicates.detail import detail_and_noise
from prodseek.duplicates.explained import Explanation, Faint, LeftOver, left_over
from prodseek.duplicates.frames import in_fractions, in_pixels
from prodseek.duplicates.grounds import OTHER_GROUND, Grounds, colour_difference, grounds_of
from prodseek.duplicates.guards import may_be_other_tone
from prodseek.duplicates.overlap import Overlap, overlap_of
from prodseek.duplicates.planes import Mask, Plane, light_and_chroma, luma
from prodseek.duplicates.registration import Laid, compared_part, laid_over, refined
from prodseek.duplicates.replaced_ground import ground_and_edge, mixed_with_ground, weighed_px, without_ground
from prodseek.duplicates.tone import curve_of, tone_of
from prodseek.duplicates.unexplained import marks_of, shape_of, structure_of
from prodseek.duplicates.verification import Comparison
from prodseek.duplicates.waves import wave_left

# Letters of 6 px in 1,000 are still seen at the fine size. Colours and shapes are compared at the coarse one.
FINE_SIDE_PX = 1024
# Photos are decoded at these sizes: for the coarse comparison, and, where that leaves nothing to explain, for the fine one. An
# enlarged photo betrays itself only at its own size.
COARSE_PHOTO_PX, DETAILED_SIDE_PX = 480, 2048
Photos = tuple[NDArray[np.uint8], NDArray[np.uint8]]
_COARSE_SIDE_PX = 320
_COARSE_LEVELS, _FINE_LEVELS, _OUTLINE_LEVELS = (0, 1, 2, 3), (0, 1), (0, 1)
# Nine in ten of the copies of four catalogues that were laid over each other exactly leave less than this at every size.
_FAINT = (Faint(7.5, 0.65), Faint(2.5, 0.65), Faint(1.5, 0.65), Faint(1.0, 0.65))
_FAINT_FINE, _FAINT_HUE = (Faint(10.5, 0.65), Faint(3.5, 0.45)), (Faint(9.0, 0.65),)
_LEAST_PIXELS = 400
# CIEDE2000, 99th percentile of the product.
_HARDLY_MOVED = 1.5
# Where fewer cells agree at the coarse size, the fine one cannot make it a copy.
_LEAST_MATCHING = 0.3
_ALL_COMPARED = 0.99
# Pixels of the product for each of the ground, where a tone is fitted to both.
_PRODUCT_FOR_GROUND = 4
# How far a mix of colours is from none, where it may have taken a pattern away. Of three in four copies it is nearer.
_MIXES_COLOURS = 0.05
# Grey levels of noise that weigh as much as a frame that is not explained at all.
_NOISE_OF_ALL = 50.0


@dataclass(frozen=True)
class Proof:
    """What was measured on two photos that are laid over each other. NaN: not measured.

    followed_share, followed_error_px: share of the corners that are found again where the alignment says, and their median
    distance. left_*: share that is not explained, and the strongest connected area of it, at a level of the pyramid; fine_*:
    the same in luminance at the fine size, hue_*: in colour at half of it. faint, fine_faint: the strongest area at any
    level where faint differences count too, at the coarse and at the fine size. fine_texture, fine_shared: noise of texture,
    and of edges that both have, at half of the fine size; fine_wave: see `wave_left`, grey levels at the fine size;
    hue_wave: the same in chroma at half of it, where nothing else is left; chroma_alone: see there, at half of it too.
    flat_noise, edge_noise: see `LeftOver`; fine_* likewise. plain: 1 if both have a plain ground. ground_change: CIEDE2000
    between the two grounds; ground_missed: between the ground that the product's change of tone leads to and the one that is
    there. outline_change: see `Grounds`; outline_part_px: likewise, or what is left at outlines, by `weighed_px`, if that is
    more. tone_change, tone_change_90: mean and 90th percentile of the CIEDE2000 between the products' colours; curve_least,
    curve_most: 10th and 99th percentile of how far the fitted tone alone moves them; light_change: mean difference of L*.
    colour_left, colour_left_95, colour_left_most: the same after the tone is explained. chroma_low, chroma_high: 95th
    percentile of the chroma of the greyer and of the other photo. hue_change: median change of hue in degrees. hue_spread: 0
    if all colours have one hue, 1 if hues are spread. structured: share of pixels with structure; matching: share of those
    that agree. n_cells, cells_matching: cells with structure, and the share of them that agree. mark_*: of the area that is
    not explained: share of the frame, how one-sided (1: only b has edges there, -1: only a), correlation of the detail
    beneath, share on ground, its box's share of the frame, share that is thick, number of parts, the largest part's share,
    share of the frame's border; ink, ink_beneath: share of it that has one of two colours, in the photo with more edges
    there and in the other. matching_beside: share of structure that agrees elsewhere. sharper: log2 of b's detail divided by
    a's, noisier: log2 of b's noise divided by a's, both at the size of the smaller. margin_hides: share of one photo's
    content that the other's margin hides, if they were compared without that margin, else 0. margins_differ: 1 if they were
    compared without their margins, because these differ, else 0.
    """

    followed_share: float
    followed_error_px: float
    left_0: float
    left_1: float
    left_2: float
    left_3: float
    strength_0: float
    strength_1: float
    strength_2: float
    strength_3: float
    fine_left_0: float
    fine_left_1: float
    fine_strength_0: float
    fine_strength_1: float
    hue_left_0: float
    hue_strength_0: float
    fine_flat_noise: float
    fine_edge_noise: float
    faint: float
    fine_faint: float
    fine_texture: float
    fine_shared: float
    flat_noise: float
    edge_noise: float
    plain: float
    ground_share: float
    ground_change: float
    outline_change: float
    outline_part_px: float
    ground_missed: float
    tone_change: float
    tone_change_90: float
    curve_least: float
    curve_most: float
    light_change: float
    colour_left: float
    colour_left_95: float
    colour_left_most: float
    chroma_low: float
    chroma_high: float
    hue_spread: float
    hue_change: float
    structured: float
    matching: float
    n_cells: float
    cells_matching: float
    mark: float
    mark_one_sided: float
    mark_correlation: float
    mark_on_ground: float
    mark_box: float
    mark_thick: float
    mark_parts: float
    mark_largest: float
    mark_at_border: float
    mark_crosses: float
    mark_ink: float
    mark_ink_beneath: float
    matching_beside: float
    sharper: float
    noisier: float
    fine_side_px: float
    fine_wave: float
    hue_wave: float
    chroma_alone: float
    overlap: Overlap
    margin_hides: float = 0.0
    margins_differ: float = 0.0

    def values(self) -> dict[str, float]:
        """Every number by its name, those of the overlap too."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "overlap"}
        return own | self.overlap.values()


@dataclass(frozen=True)
class _Way:
    """One photo explained by the other. a_explains_b: which way. where, product: (H, W) bool, what is compared and fitted.

    ground: colours of the plain ground, expected and found; None if there is none. is_replaced: whether it was replaced, so that
    it is not compared.
    """

    a_explains_b: bool
    grounds: Grounds
    ground: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    is_replaced: bool
    explanation: Explanation
    predicted: Plane
    left: dict[int, LeftOver]
    where: Mask
    product: Mask

    @property
    def amount(self) -> float:
        # What is badly explained everywhere hides in the noise.
        return sum(level.fraction + level.flat_noise / _NOISE_OF_ALL for level in self.left.values())

    def ground_colours(self, explanation: Explanation) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What an explanation makes of one plain ground, whether or not that can be trusted, and the other ground."""
        before, after = (self.grounds.colour_a, self.grounds.colour_b)[:: 1 if self.a_explains_b else -1]
        return explanation.toned(before), after


def prove(
    a: NDArray[np.uint8], b: NDArray[np.uint8], comparison: Comparison, detailed: Callable[[], Photos | None]
) -> Proof | None:
    """Measure what is left between two photos; None where too little is shared to measure anything.

    a, b: (H, W, 3) uint8 RGB, at most COARSE_PHOTO_PX. comparison: how they lie over each other. detailed: reads both at up to
    DETAILED_SIDE_PX; it is called only where they may be proved copies.
    """
    laid = laid_over(a, b, in_pixels(comparison.matrix, a.shape[1::-1], b.shape[1::-1]), _COARSE_SIDE_PX)
    if laid is None:
        return None
    laid, followed_share, error_px = refined(a, laid, luma(laid.a), luma(laid.b))
    inside = compared_part(a, b, laid)
    if inside.sum() < _LEAST_PIXELS:
        return None
    grounds = grounds_of(laid.a, laid.b, inside)
    product = _product(inside, grounds)
    way = min((_way(laid, inside, product, grounds, forth) for forth in (True, False)), key=lambda way: way.amount)
    where = way.where
    source, target = (laid.a, laid.b) if way.a_explains_b else (laid.b, laid.a)
    mark = marks_of(way.left, inside.shape)
    structure = structure_of(way.predicted, target, where, mark)
    shape = shape_of(mark, way.predicted, target, grounds, int(where.sum()))
    if not way.a_explains_b:
        shape["mark_one_sided"] = -shape["mark_one_sided"]
    # At its edge a product mixes with a ground that was replaced.
    core = product & where
    toned = core if core.sum() >= _LEAST_PIXELS else product
    tone = tone_of(source, way.predicted, target, toned, way.explanation.toned, way.ground)
    tone |= {"plain": float(grounds.plain), "ground_change": grounds.change}
    fine = _nothing_fine()
    # Neither what is left nor another tone can be taken back by a closer look.
    if structure["cells_matching"] > _LEAST_MATCHING and not mark.any() and not may_be_other_tone(tone):
        photos = detailed()
        if photos is not None:
            fine |= _fine(*photos, in_fractions(laid.matrix, a.shape[1::-1], b.shape[1::-1]), way)
    outline_part_px = grounds.outline_part_px(laid.a, laid.b, inside)
    if way.is_replaced:
        mixed = mixed_with_ground(way.predicted, target, *way.ground_colours(way.explanation))
        left = left_over(mixed, target, inside & ~grounds.shaded(inside), _OUTLINE_LEVELS, _FAINT)
        at_outline = weighed_px({level: one.faint for level, one in left.items()}, 1.0)
        outline_part_px = max(outline_part_px, at_outline, fine.pop("outline_part_px", 0.0))
    return Proof(
        followed_share=followed_share,
        followed_error_px=error_px,
        ground_share=float(grounds.ground.mean()),
        outline_change=grounds.outline_change(inside),
        outline_part_px=outline_part_px,
        flat_noise=way.left[0].flat_noise if 0 in way.left else math.nan,
        edge_noise=way.left[0].edge_noise if 0 in way.left else math.nan,
        faint=_faint(way.left),
        **_levels(way.left, "", _COARSE_LEVELS),
        **tone,
        **structure,
        **shape,
        **fine,
        overlap=overlap_of(a, b, laid.matrix),
    )


def _product(inside: Mask, grounds: Grounds) -> Mask:
    """What a tone is fitted to: no tone makes a ground of a ribbon, so what only one of two photos on one ground shows is not."""
    has_one_ground = grounds.change <= OTHER_GROUND
    for ground in (grounds.either, grounds.ground) if has_one_ground else (grounds.ground,):
        product = inside & ~ground
        if product.sum() >= _LEAST_PIXELS:
            return product
    return inside


def _expected_ground(
    explanation: Explanation, source: Plane, product: Mask, grounds: Grounds, a_explains_b: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """The colour that the product's change of tone makes of the ground, and the colour that the ground has."""
    if not grounds.plain:
        return None
    before, after = (grounds.colour_a, grounds.colour_b)[:: 1 if a_explains_b else -1]
    # What a tone that hardly moves the product would make of other colours is a guess.
    hardly_moves = float(np.percentile(curve_of(source, product, explanation.toned), 99)) < _HARDLY_MOVED
    return before if hardly_moves else explanation.toned(before), after


def _way(laid: Laid, inside: Mask, product: Mask, grounds: Grounds, a_explains_b: bool) -> _Way:
    source, target = (laid.a, laid.b) if a_explains_b else (laid.b, laid.a)
    explanation = Explanation(source, target, product)
    predicted = explanation.predicted()
    ground = _expected_ground(explanation, source, product, grounds, a_explains_b)
    is_replaced = grounds.change > OTHER_GROUND and ground is not None and colour_difference(*ground) > OTHER_GROUND
    things = without_ground(inside, grounds) if is_replaced else inside
    where = things if things.sum() >= _LEAST_PIXELS else inside
    left = left_over(predicted, target, where, _COARSE_LEVELS, _FAINT)
    return _Way(a_explains_b, grounds, ground, is_replaced, explanation, predicted, left, where, product)


def _levels(left: dict[int, LeftOver], prefix: str, levels: tuple[int, ...]) -> dict[str, float]:
    named = {}
    for level in levels:
        found = left.get(level)
        named[f"{prefix}left_{level}"] = math.nan if found is None else found.fraction
        named[f"{prefix}strength_{level}"] = math.nan if found is None else found.strength
    return named


def _faint(left: dict[int, LeftOver]) -> float:
    return max((level.faint for level in left.values()), default=math.nan)


def _nothing_fine() -> dict[str, float]:
    names = [f"fine_{what}_{level}" for level in _FINE_LEVELS for what in ("left", "strength")]
    return dict.fromkeys(
        (
            *names,
            "hue_left_0",
            "hue_strength_0",
            "fine_flat_noise",
            "fine_edge_noise",
            "fine_faint",
            "fine_texture",
            "fine_shared",
            "sharper",
            "noisier",
            "fine_side_px",
            "fine_wave",
            "hue_wave",
            "chroma_alone",
        ),
        math.nan,
    )


def _with_some_ground(product: Mask, compared: Mask) -> Mask:
    """The product, and a quarter as many pixels beside it: all of a plain ground would outweigh it, and without any a curve
    runs away in tones that the product has not.
    """
    beside = np.flatnonzero(compared & ~product)
    fitted = product.copy()
    fitted.flat[beside[:: max(1, len(beside) * _PRODUCT_FOR_GROUND // max(1, int(product.sum())))]] = True
    return fitted


def _fine(a: NDArray[np.uint8], b: NDArray[np.uint8], fractions: tuple[float, ...], way: _Way) -> dict[str, float]:
    """What is left in luminance at the fine size, and which photo is sharper: numbers of `Proof`; none if nothing is left."""
    laid = laid_over(a, b, in_pixels(fractions, a.shape[1::-1], b.shape[1::-1]), FINE_SIDE_PX)
    if laid is None:
        return {}
    source, target = (laid.a, laid.b) if way.a_explains_b else (laid.b, laid.a)
    size = target.shape[1::-1]
    compared, product = (
        cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        for mask in (way.where, way.product)
    )
    predicted = Explanation(source, luma(target)[..., None], product & laid.inside, blurs_px=()).predicted()[..., 0]
    lights = (predicted, luma(laid.b)) if way.a_explains_b else (luma(laid.a), predicted)
    laid, _, _ = refined(a, laid, *lights)
    inside = compared_part(a, b, laid)
    compared &= inside
    if way.is_replaced:
        compared &= ~ground_and_edge(laid.a, laid.b, way.grounds)
    if (product & compared).sum() < _LEAST_PIXELS:
        return {}
    source, target = (laid.a, laid.b) if way.a_explains_b else (laid.b, laid.a)
    light = luma(target)[..., None]
    product &= compared
    explanation = Explanation(source, light, _with_some_ground(product, compared))
    predicted_light = explanation.predicted()
    left = left_over(predicted_light, light, compared, _FINE_LEVELS, _FAINT_FINE)
    half_source, half_target = (np.asarray(cv2.pyrDown(plane), np.float32) for plane in (source, target))
    half, half_product = (
        np.asarray(cv2.pyrDown(mask.astype(np.float32)) > _ALL_COMPARED, np.bool_) for mask in (compared, product)
    )
    explanation = Explanation(half_source, half_target, _with_some_ground(half_product, half))
    predicted_half = explanation.predicted()
    in_colour = left_over(predicted_half, half_target, half, (0,), _FAINT_HUE)
    hue_wave = math.nan
    # What stands out anyway needs no closer look.
    if not any(level.strength > 0 for level in (*left.values(), *in_colour.values())):
        residuals = [half_target - predicted_half]
        # A mix of colours takes a pattern of equal light away, but makes none.
        if explanation.mixing > _MIXES_COLOURS:
            back = Explanation(half_target, half_source, _with_some_ground(half_product, half))
            residuals.append(half_source - back.predicted())
        hue_wave = max(wave_left(plane, half) for one in residuals for plane in light_and_chroma(one)[1:])
    sharper, noisier = detail_and_noise(luma(laid.a), luma(laid.b), compared)
    outline = _fine_outline(source, target, inside, product, way) if way.is_replaced else {}
    return outline | {
        **_levels(left, "fine_", _FINE_LEVELS),
        **_levels(in_colour, "hue_", (0,)),
        "fine_flat_noise": left[0].flat_noise if 0 in left else math.nan,
        "fine_edge_noise": left[0].edge_noise if 0 in left else math.nan,
        "fine_faint": max(_faint(left), _faint(in_colour)),
        "fine_texture": left[1].texture_noise if 1 in left else math.nan,
        "fine_shared": left[1].shared_noise if 1 in left else math.nan,
        "sharper": sharper,
        "noisier": noisier,
        "fine_side_px": float(max(size)),
        "fine_wave": wave_left((light - predicted_light)[..., 0], compared),
        "hue_wave": hue_wave,
        "chroma_alone": chroma_alone(half_source, half_target, half),
    }


def _fine_outline(source: Plane, target: Plane, inside: Mask, product: Mask, way: _Way) -> dict[str, float]:
    """`outline_part_px` at the fine size, where faint differences count for nothing, because every edge of a JPEG has some."""
    size = target.shape[1::-1]
    shaded = way.grounds.shaded(np.ones_like(way.where)).astype(np.uint8)
    where = inside & (cv2.resize(shaded, size, interpolation=cv2.INTER_NEAREST) == 0)
    explanation = Explanation(source, target, product)
    mixed = mixed_with_ground(explanation.predicted(), target, *way.ground_colours(explanation))
    scale = max(size) / max(way.where.shape)
    left = left_over(mixed, target, where, _OUTLINE_LEVELS, _FAINT_FINE)
    return {"outline_part_px": weighed_px({level: one.strength for level, one in left.items()}, scale)}
