"""The colour of an object, and its name."""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.photos.colour import cie94_of_textiles, rgb_to_lab

Rgb = tuple[int, int, int]

# The sixteen basic colours of HTML 4.01 (section 6.5), and greys, browns and pastels of CSS Color 4 (section 6.1) in which
# furniture, food and clothes come, by their everyday names.
COLOUR_NAMES: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "dark grey": (64, 64, 64),
    "grey": (128, 128, 128),
    "light grey": (192, 192, 192),
    "white": (245, 245, 245),
    "red": (220, 20, 30),
    "dark red": (128, 10, 20),
    "orange": (255, 140, 0),
    "yellow": (255, 215, 0),
    "light green": (144, 238, 144),
    "green": (40, 140, 50),
    "dark green": (0, 70, 20),
    "olive": (128, 128, 0),
    "turquoise": (64, 200, 200),
    "light blue": (150, 190, 230),
    "blue": (40, 80, 200),
    "navy": (10, 10, 90),
    "purple": (128, 0, 128),
    "pink": (255, 160, 190),
    "beige": (235, 220, 190),
    "tan": (205, 170, 125),
    "brown": (139, 85, 40),
    "dark brown": (75, 45, 25),
}
# The same in the languages of other catalogues, as in titles. Words that name things as well (rose, viola) are left out.
_COLOURS_ELSEWHERE = {
    "white": "weiß weiss blanc blanche blancs blanches bianco bianca bianchi bianche blanco blanca blancos blancas wit witte",
    "black": "schwarz noir noire noirs noires nero nera neri nere negro negra negros negras zwart zwarte",
    "grey": "gray grau gris grise grises grigio grigia grigi grigie grijs grijze",
    "red": "rot rouge rouges rosso rossa rossi rosse rojo roja rojos rojas rood rode",
    "orange": "arancione arancioni naranja oranje",
    "yellow": "gelb jaune jaunes giallo gialla gialli gialle amarillo amarilla geel gele",
    "green": "grün gruen vert verte verts vertes verde verdi verdes groen groene",
    "turquoise": "türkis tuerkis turchese turquesa",
    "blue": "blau bleu bleue bleus bleues blu azul azules blauw blauwe",
    "purple": "lila violett violet violette morado morada paars paarse",
    "pink": "rosa roze",
    "brown": "braun marron marrone marroni marrón brun brune bruin bruine",
}
_ENGLISH = {word: name for name, words in _COLOURS_ELSEWHERE.items() for word in words.split()}
_LETTERS = re.compile(r"[^\W\d_]+")
_GERMAN_ENDINGS = ("er", "es", "em", "en", "e")
# How far a colour that is named may be from the one that is seen: hue in degrees, for warm ones and others; chroma below which a
# colour has no hue to compare, and of one that has been named; lightness of CIELAB, 0 to 100, and below which all are dark.
_SAME_HUE, _SAME_COOL_HUE, _COOL_HUES = 25.0, 45.0, (110.0, 340.0)
_PALE_CHROMA, _VIVID_CHROMA, _NOT_PALE_CHROMA, _SAME_LIGHT, _ALL_DARK = 10.0, 25.0, 35.0, 40.0, 30.0
# Chroma, of CIELAB: below it a pixel is a grey, which is told by its lightness. Others are gathered by hue in cells this wide.
_GREY_CHROMA, _CELL, _SAME_SURFACE = 12.0, 14.0, 16.0
_GREY_STEP = 25.0
# A thing is called by its colour and not by its grey parts, so colours count this much more.
_COLOUR_COUNTS = 1.5
# Shadows, and skin or bare wood, are left out if at least this share of the object is left.
_LEFT_OF_SHADOWS, _LEFT_OF_SKIN = 0.35, 0.25
# A ground is white from this lightness on. On others, chosen on cut-outs of magento on grounds of their own and of other colours.
_WHITE, _LEAST_FILLED, _MANY_SHADOWS = 90.0, 0.3, 0.2
# A colour is the object's if at least this share of it has it; where no ground is seen, of the middle of the box.
_MOST_OF_OBJECT, _MOST_OF_MIDDLE = 0.5, 0.7
_LEAST_PIXELS = 24

# Lightness below and above which a colour is dark or light, of 0..100.
_DARK, _LIGHT = 40, 70


def object_colour(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Rgb | None:
    """The colour that most of an object has, 0..255 each; None if it has no one colour, or is too small to tell.

    pixels: (H, W, 3) uint8 RGB of the photo, some 200 px large. mask: (H, W) bool, True on the object. On a ground that is not
    white, what has the ground's colour may be shadow or object: then a colour is only told if it is the same either way.
    """
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # the outline mixes with the ground
    mask = _unless_little(inside, mask, _LEFT_OF_SHADOWS)
    lab = rgb_to_lab(pixels.astype(np.float64))
    ground = _ground(lab)
    whole, shadow = mask, _shadow(lab, ground)
    mask = _unless_little(mask & ~shadow, mask, _LEFT_OF_SHADOWS)
    mask = _unless_little(mask & ~_skin(lab), mask, _LEFT_OF_SKIN)
    colour = _main_colour(pixels[mask], lab[mask], _MOST_OF_OBJECT)
    if colour is None or _is_white(ground):
        return colour
    if _filled(whole) < _LEAST_FILLED:
        return None  # the ground's colour runs through it
    if (whole & shadow).sum() <= _MANY_SHADOWS * whole.sum():
        return colour
    with_shadows = _main_colour(pixels[whole], lab[whole], _MOST_OF_OBJECT)
    return colour if with_shadows and _family(with_shadows) == _family(colour) else None


def middle_colour(pixels: NDArray[np.uint8]) -> Rgb | None:
    """The colour of nearly all of a box's middle, as `object_colour`, for a box that fills its photo. pixels: (H, W, 3) uint8."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : height - height // 4, width // 4 : width - width // 4].reshape(-1, 3)
    return _main_colour(middle, rgb_to_lab(middle.astype(np.float64)), _MOST_OF_MIDDLE)


def _main_colour(rgb: NDArray[np.uint8], lab: NDArray[np.float64], least_share: float) -> Rgb | None:
    """The brighter shades of the most frequent hue. rgb, lab: (N, 3)."""
    if len(rgb) < _LEAST_PIXELS:
        return None
    is_grey = np.hypot(lab[:, 1], lab[:, 2]) < _GREY_CHROMA
    hues = np.floor(lab[:, 1:] / _CELL).astype(int) + 32
    greys = -1 - (lab[:, 0] // _GREY_STEP).astype(int)
    cells, of_pixel, counts = np.unique(
        np.where(is_grey, greys, 64 * hues[:, 0] + hues[:, 1]), return_inverse=True, return_counts=True
    )
    most = int(np.where(cells < 0, counts, _COLOUR_COUNTS * counts).argmax())
    middle = lab[of_pixel == most].mean(axis=0)
    own = np.hypot(*(lab[:, 1:] - middle[1:]).T) < _SAME_SURFACE
    if cells[most] < 0:
        own &= np.abs(lab[:, 0] - middle[0]) < _GREY_STEP
    if own.mean() < least_share:
        return None
    lit = own & (lab[:, 0] >= np.percentile(lab[own, 0], 40))
    red, green, blue = np.rint(rgb[lit].mean(axis=0)).astype(int).tolist()
    return red, green, blue


def _unless_little(kept: NDArray[np.bool_], mask: NDArray[np.bool_], least_share: float) -> NDArray[np.bool_]:
    return kept if kept.sum() >= least_share * mask.sum() else mask


def _ground(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,), the colour of the photo's border. lab: (H, W, 3)."""
    edges = lab[:3], lab[-3:], lab[:, :3], lab[:, -3:]
    ground: NDArray[np.float64] = np.median(np.concatenate([edge.reshape(-1, 3) for edge in edges]), axis=0)
    return ground


def _is_white(ground: NDArray[np.float64]) -> bool:
    return bool(ground[0] > _WHITE and np.hypot(ground[1], ground[2]) < _GREY_CHROMA)


def _filled(mask: NDArray[np.bool_]) -> float:
    """The share of its box that a mask fills."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0
    return float(mask.sum() / ((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)))


def _family(rgb: Rgb) -> str:
    return colour_name(rgb).split()[-1]


def _shadow(lab: NDArray[np.float64], ground: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(H, W) bool, the hue of the ground, as light or darker. lab: (H, W, 3). ground: (3,)."""
    darker = ground[0] - lab[..., 0]
    has_its_hue = np.hypot(*(lab[..., 1:] - ground[1:]).transpose(2, 0, 1)) < 10
    return np.asarray(has_its_hue & (darker > -4) & (darker < 55))


def _skin(lab: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(H, W) bool, the hues of skin, which are those of bare wood. lab: (H, W, 3)."""
    chroma, hue = np.hypot(lab[..., 1], lab[..., 2]), np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    return np.asarray((hue > 30) & (hue < 75) & (chroma > 10) & (chroma < 42) & (lab[..., 0] > 25))


def colour_name(rgb: Rgb) -> str:
    """The nearest named colour by CIE94, as textiles are compared: hue counts more than light and shade. rgb: 0..255 each."""
    names = list(COLOUR_NAMES)
    palette = rgb_to_lab(np.array([COLOUR_NAMES[name] for name in names], np.float64))
    return names[int(cie94_of_textiles(palette, rgb_to_lab(np.array([rgb], np.float64))).argmin())]


def is_colour_word(text: str) -> bool:
    """Whether a text is nothing but a colour's name, or part of one, in any of some languages."""
    named = {word for name in COLOUR_NAMES for word in name.split()} | {"silver", "gold"}
    return all(word in named or english_colour(word) is not None for word in text.casefold().replace("-", " ").split())


def english_colour(word: str) -> str | None:
    """The name in COLOUR_NAMES of a colour that a catalogue calls so; None if it is none of these."""
    plain = word.casefold()
    if plain in COLOUR_NAMES:
        return plain
    stems = (plain.removesuffix(ending) for ending in _GERMAN_ENDINGS if plain.endswith(ending))
    return _ENGLISH.get(plain) or next((_ENGLISH[stem] for stem in stems if stem in _ENGLISH), None)


def only_colour(text: str) -> str | None:
    """The only colour in what a column of colours says, such as `Navy Blue` or `Weiß matt`; None if it names none, or several."""
    plain = " ".join(text.split()).casefold()
    if plain in COLOUR_NAMES:
        return plain
    found = {colour for word in _LETTERS.findall(plain) if (colour := english_colour(word)) is not None}
    if found == {"navy", "blue"}:
        return "navy"
    return found.pop() if len(found) == 1 else None


def may_look(name: str, rgb: Rgb) -> bool:
    """Whether a thing of a colour may look so in a photo, whatever light made of it: a white desk tan, but no white drill orange.

    name: in COLOUR_NAMES. rgb: what is seen, 0..255 each.
    """
    named, seen = rgb_to_lab(np.array([COLOUR_NAMES[name], rgb], np.float64))
    if named[0] < _ALL_DARK and seen[0] < _ALL_DARK:
        return True
    (named_chroma, named_hue), (seen_chroma, seen_hue) = map(_chroma_and_hue, (named, seen))
    if named_chroma < _VIVID_CHROMA:
        return seen_chroma < _NOT_PALE_CHROMA and abs(named[0] - seen[0]) < _SAME_LIGHT
    if seen_chroma < _PALE_CHROMA:
        return bool(seen[0] < _ALL_DARK)
    apart = abs((named_hue - seen_hue + 180) % 360 - 180)
    return apart < (_SAME_COOL_HUE if _COOL_HUES[0] < named_hue < _COOL_HUES[1] else _SAME_HUE)


def _chroma_and_hue(lab: NDArray[np.float64]) -> tuple[float, float]:
    return float(np.hypot(lab[1], lab[2])), float(np.degrees(np.arctan2(lab[2], lab[1])) % 360)


def tone_name(rgb: Rgb) -> str | None:
    """`dark` or `light` where a colour is clearly so, by its lightness in CIELAB. rgb: 0..255 each."""
    lightness = float(rgb_to_lab(np.array([rgb], np.float64))[0, 0])
    return "dark" if lightness < _DARK else "light" if lightness > _LIGHT else None
