"""A pair of files, judged as a night judges a candidate, without Spark."""

from __future__ import annotations

from prodseek.duplicates.better import Better, which_is_better
from prodseek.duplicates.features import shrunk
from prodseek.duplicates.hashes import MAX_HAMMING, best_orientation
from prodseek.duplicates.proof import COARSE_PHOTO_PX, DETAILED_SIDE_PX, Photos
from prodseek.duplicates.trimmed import prove_or_trim
from prodseek.duplicates.verdicts import Evidence, Judgement, PhotoFacts, judge, margin_side
from prodseek.duplicates.verification import compare_views, has_hope, view
from prodseek.photos.decode import DecodedImage, content_id, decode_image, pixel_hash
from prodseek.photos.hashes import pdq_hashes


def judged_pair(data_a: bytes, data_b: bytes) -> tuple[Judgement | None, Better | None]:
    """The verdict by the shipped model, and which of the two is better."""
    whole = [decode_image(data) for data in (data_a, data_b)]
    orientation, hamming = best_orientation(*pdq_hashes([photo.pixels for photo in whole])[0])
    views = [view(photo.pixels) for photo in whole]
    comparison = compare_views(views[0], views[1], orientation if hamming <= MAX_HAMMING else None)
    proof = better = None
    if comparison is not None and has_hope(comparison):

        def detailed() -> Photos:
            return _decoded(data_a, DETAILED_SIDE_PX), _decoded(data_b, DETAILED_SIDE_PX)

        a, b = _decoded(data_a, COARSE_PHOTO_PX), _decoded(data_b, COARSE_PHOTO_PX)
        proof = prove_or_trim(a, b, comparison, detailed)
        if proof is not None:
            better = which_is_better(*detailed(), comparison, proof, margin_side(proof))
    facts = [_facts(data, photo) for data, photo in zip((data_a, data_b), whole, strict=True)]
    return judge(Evidence(hamming, comparison, proof, better), facts[0], facts[1]), better


def _decoded(data: bytes, side_px: int):  # type: ignore[no-untyped-def]
    return shrunk(decode_image(data, enough_side_px=side_px).pixels, side_px)


def _facts(data: bytes, photo: DecodedImage) -> PhotoFacts:
    return PhotoFacts(
        content_id(data), pixel_hash(photo.pixels, photo.alpha), photo.width_px, photo.height_px, len(data)
    )
