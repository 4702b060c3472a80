"""Everything that a verdict on two photos is judged from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

from prodseek.duplicates.better import which_is_better
from prodseek.duplicates.features import FEATURES_SIDE_PX, WORKING_SIDE_PX, LocalFeatures, extract_features, shrunk
from prodseek.duplicates.geometry import align
from prodseek.duplicates.hashes import MAX_HAMMING, Orientation, best_orientation
from prodseek.duplicates.proof import COARSE_PHOTO_PX, DETAILED_SIDE_PX, Photos
from prodseek.duplicates.trimmed import prove_or_trim
from prodseek.duplicates.verdicts import Evidence, PhotoFacts, margin_side
from prodseek.duplicates.verification import View, has_hope, measure_aligned, worth_measuring
from prodseek.photos.decode import content_id, decode_image
from prodseek.photos.hashes import pdq_hashes, pixel_hash


def evidence_of(
    a: LocalFeatures,
    b: LocalFeatures,
    nearest: tuple[Orientation, int],
    max_pdq_hamming: int,
    coarse: Callable[[], Photos | None],
    detailed: Callable[[], Photos | None],
) -> Evidence | None:
    """What is measured on two photos; None where one of them is to be compared and can no longer be read.

    nearest: how a is turned where the two hashes are nearest, and in how many bits of 256 they differ; above max_pdq_hamming
    that says nothing. coarse, detailed: read both, at most COARSE_PHOTO_PX and DETAILED_SIDE_PX large, if they are needed.
    """
    orientation, hamming = nearest
    turned = orientation if hamming <= max_pdq_hamming else None
    found = align(a, b)
    if not worth_measuring(a, b, found, turned):
        return Evidence(hamming)
    photos = coarse()
    if photos is None:
        return None
    views = [View(shrunk(pixels, WORKING_SIDE_PX), features) for pixels, features in zip(photos, (a, b), strict=True)]
    comparison = measure_aligned(views[0], views[1], found, turned)
    if comparison is None or not has_hope(comparison):
        return Evidence(hamming, comparison)
    contents = a.content_box, b.content_box
    proof = prove_or_trim(*photos, contents, comparison, detailed)
    if proof is not None and proof.margins_differ > 0:
        # What both show lies within their margins.
        comparison = replace(comparison, box_a=contents[0], box_b=contents[1])
    return Evidence(hamming, comparison, proof)


def with_better(evidence: Evidence, photos: Photos) -> Evidence:
    """The evidence, and which of two copies is the better photo, where they were compared. photos: at most DETAILED_SIDE_PX."""
    if evidence.comparison is None or evidence.proof is None:
        return evidence
    side = margin_side(evidence.proof)
    return replace(evidence, better=which_is_better(*photos, evidence.comparison, evidence.proof, side))


def evidence_of_files(data_a: bytes, data_b: bytes) -> Evidence:
    """As a night measures it, if the two are a candidate pair. Raises ImageRejected for what is no photo."""
    files = data_a, data_b
    hashes, _ = pdq_hashes([decode_image(data).pixels for data in files])
    a, b = (extract_features(decode_image(data, max_side_px=FEATURES_SIDE_PX).pixels) for data in files)
    # Photos in memory can always be read.
    return cast(
        Evidence,
        evidence_of(
            a,
            b,
            best_orientation(*hashes),
            MAX_HAMMING,
            partial(photos_of_files, data_a, data_b, COARSE_PHOTO_PX),
            partial(photos_of_files, data_a, data_b, DETAILED_SIDE_PX),
        ),
    )


def photos_of_files(data_a: bytes, data_b: bytes, side_px: int) -> Photos:
    """Both photos, at most side_px large; (H, W, 3) uint8 RGB. Raises ImageRejected."""
    a, b = (shrunk(decode_image(data, enough_side_px=side_px).pixels, side_px) for data in (data_a, data_b))
    return a, b


def facts_of_file(data: bytes) -> PhotoFacts:
    """What `images` says of a file. Raises ImageRejected."""
    photo = decode_image(data)
    return PhotoFacts(
        content_id(data),
        pixel_hash(photo.pixels, photo.alpha, photo.moving_id),
        photo.width_px,
        photo.height_px,
        len(data),
    )
