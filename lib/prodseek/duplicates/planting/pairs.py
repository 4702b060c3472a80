"""Pairs of photos whose truth is known: copies, and hard negatives as many as copies, made and real.

Both photos of a made negative are encoded anew, and sometimes resized or given a margin, each by itself; so are those of as many
copies. So nothing but the difference itself tells a negative from a copy.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prodseek.duplicates.planting.copies import ALTERATIONS, Worse, altered
from prodseek.duplicates.planting.disguises import both_disguised
from prodseek.duplicates.planting.files import encoded, opened
from prodseek.duplicates.planting.grounds import product_mask, to_lab
from prodseek.duplicates.planting.variants import VARIANTS, Variant
from prodseek.duplicates.verdicts import Verdict
from prodseek.photos.decode import content_id
from prodseek.photos.hashes import pixel_hash

VERSIONS = "two versions"  # family of copies that were both altered a little
REAL = "real"  # family of negatives that nobody made
_VERSIONS_SHARE = 0.35  # of the copies
_MATCHED_SHARE = 0.4  # of those, how many show what a made negative shows, on both photos
_LAYOUT_SIDE_PX = 8
_TRIES = 16
_TRIES_OF_A_KIND = 4
_SAME_GROUND = 2.0  # CIELAB

# Different files in public sets that show the very same photo, found by eye: first hex digits of both contents, ordered.
SAME_PHOTOS = frozenset(
    {
        ("108e328175fc", "5fe6733b5f8f"),  # Magento's sample: trousers in "black" and in "blue"
        ("3a2b042a1f94", "6224efe7636d"),
    }
)
_DIGITS = 12
# Share of the made negatives of which one photo is altered besides.
_ALTERED_SHARE = 0.5
_CHANGING_TONE = ("tone", "grey", "palette", "another ground")
_CUTTING = ("crop", "combined")


@dataclass(frozen=True)
class Photo:
    """A photo of a labelled catalogue, in its order. product: the label; equal for photos of one product."""

    data: bytes
    product: str
    catalogue: str


@dataclass(frozen=True)
class PlantedPair:
    """Two photos. is_copy: whether one was made from the other, or both from one. keep: "a" or "b", None if not known.

    kind, family: what was done; kinds of one family are left out of a fit together. verdict: the expected one of a copy, None
    if several are right. source: content id of the photo that both, or one of them, were made from. ambiguous: a copy whose tone
    changed, but not that of its plain ground, so that it could as well be the product in another colour.
    """

    data_a: bytes
    data_b: bytes
    is_copy: bool
    kind: str
    family: str
    catalogue: str
    source: str
    keep: str | None = None
    verdict: Verdict | None = None
    worse: Worse | None = None
    ambiguous: bool = False


def planted_pairs(
    photos: Sequence[Photo], n_pairs: int, seed: int, first: int = 0, combined_share: float = 0.0
) -> Iterator[PlantedPair]:
    """Made pairs, copies and negatives by turns, each kind as often as the others; equal seeds give equal pairs.

    photos: of one catalogue. first: number of the pair to begin with, because no pair depends on those before it.
    combined_share: of the copies, how many more are altered in two or three ways at once.
    """
    if len(photos) < 2:
        raise ValueError(f"{len(photos)} photos are too few to plant pairs: give two at least")
    for number in range(first, first + n_pairs):
        rng = np.random.default_rng([seed, number])
        for attempt in range(_TRIES):
            kind = number // 2 + attempt // _TRIES_OF_A_KIND
            if number % 2 == 1:
                pair = _negative(kind, photos, rng)
            elif combined_share > 0 and rng.random() < combined_share:
                pair = copy_of("combined", *_two(photos, rng), rng)
            else:
                pair = _copy(kind, photos, rng)
            if pair is not None:
                yield _swapped(pair) if rng.random() < 0.5 else pair
                break


def copy_of(kind: str, photo: Photo, scene: Photo, rng: np.random.Generator) -> PlantedPair | None:
    """The photo as `a`, and a copy of a kind in ALTERATIONS as `b`; None if the photo does not suit."""
    original = _original(photo.data, rng)
    copy = altered(kind, original, opened(scene.data), rng)
    if copy is None:
        return None
    return PlantedPair(
        original,
        copy.data,
        True,
        kind,
        copy.family,
        photo.catalogue,
        content_id(photo.data),
        "a" if copy.worse is not None else None,
        copy.verdict,
        copy.worse,
        copy.verdict == Verdict.TONED and copy.family in ("tone", "grey") and _ground_stays(original, copy.data),
    )


def negative_of(kind: str, photo: Photo, other: Photo, rng: np.random.Generator) -> PlantedPair | None:
    """Two photos that differ by a kind in VARIANTS, each disguised by itself; None if the photo does not suit."""
    variant = VARIANTS[kind]
    made = variant.make(np.asarray(opened(photo.data)), np.asarray(opened(other.data)), rng)
    if made is None:
        return None
    a, b = both_disguised(made, variant, rng)
    return PlantedPair(a, b, False, kind, variant.family, photo.catalogue, content_id(photo.data))


def versions_of(photo: Photo, other: Photo, rng: np.random.Generator) -> PlantedPair | None:
    """One photo, disguised twice; in some it was changed before as in a negative, the same on both."""
    pixels, kind = np.asarray(opened(photo.data)), VERSIONS
    variant = Variant(VERSIONS, lambda a, _, __: (a, a))
    if rng.random() < _MATCHED_SHARE:
        kind = str(rng.choice(list(VARIANTS)))
        variant = VARIANTS[kind]
        made = variant.make(pixels, np.asarray(opened(other.data)), rng)
        if made is None:
            return None
        pixels, kind = made[1], f"{VERSIONS}, {kind} on both"
    a, b = both_disguised((pixels, pixels), variant, rng)
    return PlantedPair(a, b, True, kind, VERSIONS, photo.catalogue, content_id(photo.data))


def real_negatives(photos: Sequence[Photo], n_nearest: int = 3) -> list[PlantedPair]:
    """Pairs of different photos that look alike: each photo's nearest of another product, and its next of the same product.

    Nearest by a layout of colours, Euclidean in CIELAB. Equal pixels and SAME_PHOTOS are left out. photos: of one catalogue,
    in its order, so that shots of one burst follow one another.
    """
    looks = [_look(photo.data) for photo in photos]
    layouts = np.stack([look.layout for look in looks])
    ids = [content_id(photo.data) for photo in photos]
    chosen: dict[tuple[int, int], str] = {}
    last: dict[str, int] = {}
    for row, photo in enumerate(photos):
        if photo.product in last:
            chosen[last[photo.product], row] = "next of the same product"
        last[photo.product] = row
        distance = np.linalg.norm(layouts - layouts[row], axis=1)
        for kind, same in (("nearest of another product", False), ("nearest of the same product", True)):
            allowed = np.array([(other.product == photo.product) == same for other in photos])
            allowed[row] = False
            rows = np.flatnonzero(allowed)
            for other in rows[np.argsort(distance[rows], kind="stable")[:n_nearest]].tolist():
                chosen.setdefault((min(row, other), max(row, other)), kind)
    pairs = []
    for (a, b), kind in sorted(chosen.items()):
        if not same_photo(ids[a], ids[b]) and looks[a].pixels != looks[b].pixels:
            one = photos[a]
            pairs.append(PlantedPair(one.data, photos[b].data, False, kind, REAL, one.catalogue, ids[a]))
    return pairs


def altered_negative(
    pair: PlantedPair, scene: Photo, rng: np.random.Generator, without: tuple[str, ...] = ()
) -> PlantedPair | None:
    """A pair of different photos, one of them altered as copies are, by any kind; None if the photo does not suit.

    In a catalogue with copies most pairs that are none have such an alteration between them too: the photo of a product in
    another colour has a badge. without: families of kinds that could take back, or cut off, what differs.
    """
    kinds = [kind for kind, one in ALTERATIONS.items() if one.family not in without]
    kind = str(rng.choice(kinds))
    copy = altered(kind, pair.data_b, opened(scene.data), rng)
    if copy is None:
        return None
    return replace(pair, data_b=copy.data, kind=f"{pair.kind}, {kind}")


def altered_negatives(
    pairs: Sequence[PlantedPair], photos: Sequence[Photo], rng: np.random.Generator, combined_share: float = 0.0
) -> list[PlantedPair]:
    """Each pair that suits once more, altered; `photos` are the scenes. combined_share: how many of them in several ways."""
    single = tuple(one.family for one in ALTERATIONS.values() if one.family != "combined")
    made = []
    for pair in pairs:
        scene = photos[int(rng.integers(len(photos)))]
        # Where no share is asked for nothing is drawn, so that a seed gives what it gave before.
        is_combined = combined_share > 0 and rng.random() < combined_share
        made.append(altered_negative(pair, scene, rng, single if is_combined else ()))
    return [pair for pair in made if pair is not None]


def same_photo(id_a: str, id_b: str) -> bool:
    """Whether two content ids are of one photo, by their bytes or by SAME_PHOTOS."""
    first, second = sorted((id_a[:_DIGITS], id_b[:_DIGITS]))
    return first == second or (first, second) in SAME_PHOTOS


def _copy(number: int, photos: Sequence[Photo], rng: np.random.Generator) -> PlantedPair | None:
    photo, other = _two(photos, rng)
    if rng.random() < _VERSIONS_SHARE:
        return versions_of(photo, other, rng)
    kinds = list(ALTERATIONS)
    return copy_of(kinds[number % len(kinds)], photo, other, rng)


def _negative(number: int, photos: Sequence[Photo], rng: np.random.Generator) -> PlantedPair | None:
    kinds = list(VARIANTS)
    kind = kinds[number % len(kinds)]
    photo, other = _two(photos, rng)
    pair = negative_of(kind, photo, other, rng)
    if pair is None or VARIANTS[kind].fine or rng.random() >= _ALTERED_SHARE:
        return pair
    return altered_negative(pair, other, rng, (*_CUTTING, *(_CHANGING_TONE if VARIANTS[kind].of_tone else ())))


def _two(photos: Sequence[Photo], rng: np.random.Generator) -> tuple[Photo, Photo]:
    """Two photos, of different products where there are any."""
    photo = photos[int(rng.integers(len(photos)))]
    for _ in range(_TRIES):
        other = photos[int(rng.integers(len(photos)))]
        if other.product != photo.product:
            break
    return photo, other


def _swapped(pair: PlantedPair) -> PlantedPair:
    keep = {"a": "b", "b": "a", None: None}[pair.keep]
    return replace(pair, data_a=pair.data_b, data_b=pair.data_a, keep=keep)


def _original(data: bytes, rng: np.random.Generator) -> bytes:
    """The file itself, or a good JPEG of it where it is larger than photos need to be here."""
    photo = opened(data)
    with Image.open(io.BytesIO(data)) as stored:
        fits = stored.size == photo.size
    return data if fits else encoded(photo, rng, ("JPEG", {"quality": int(rng.integers(90, 98))}))


def _ground_stays(a: bytes, b: bytes) -> bool:
    """Whether both have the same plain ground, although the tone of one was changed."""
    first, second = np.asarray(opened(a)), np.asarray(opened(b))
    mask = product_mask(first)
    if mask is None:
        return False
    grounds = [to_lab(np.median(one[~mask], axis=0).astype(np.uint8).reshape(1, 1, 3)) for one in (first, second)]
    return bool(np.linalg.norm(grounds[0] - grounds[1]) < _SAME_GROUND)


@dataclass(frozen=True)
class _Look:
    """layout: mean colours of a grid, CIELAB, float32. pixels: their hash."""

    layout: NDArray[np.float32]
    pixels: str


def _look(data: bytes) -> _Look:
    photo = opened(data)
    small = photo.resize((_LAYOUT_SIDE_PX, _LAYOUT_SIDE_PX), Image.Resampling.BOX)
    return _Look(to_lab(np.asarray(small)).ravel(), pixel_hash(np.asarray(photo)))
