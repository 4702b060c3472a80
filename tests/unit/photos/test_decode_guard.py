"""A child process decodes photos that may end it: those are named, and the next photo is decoded all the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.photos.decode_guard import DecodeGuard

HOSTILE_DECODER = Path(__file__).parents[2] / "data" / "hostile_decoder.py"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shutil.copy(HOSTILE_DECODER, tmp_path / "sitecustomize.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield


def refusal(guard: DecodeGuard, data: bytes) -> str:
    with pytest.raises(ImageRejected) as rejected:
        guard.check(data)
    return str(rejected.value)


def test_photos_that_end_the_decoder_are_rejected_and_others_are_not(hostile: None, make_jpeg) -> None:  # type: ignore[no-untyped-def]
    with DecodeGuard(ImageLimits(max_pixels=1_000_000), None, seconds=2.0) as guard:
        guard.check(make_jpeg())
        for what, told in (
            (b"POISON crashes", "crashed: the decoder was ended by SIGSEGV"),
            (b"POISON exits", "crashed: the decoder was ended by itself with exit code 3"),
            (b"POISON hangs", "crashed: the decoder did not end in 2 s"),
        ):
            assert refusal(guard, what) == told
            guard.check(make_jpeg())
        # What the decoder survives is what it says it is, and costs no new process.
        child = guard._child
        assert refusal(guard, b"POISON takes 4 GiB") == "too_many_pixels: not enough memory to decode it"
        assert (
            refusal(guard, b"POISON prints")
            == "not_an_image: no known image format, it begins with the bytes 50 4f 49 53 4f 4e 20 70"
        )
        assert refusal(guard, make_jpeg()[:300]).startswith("truncated: ")
        assert refusal(guard, b"") == "empty: 0 bytes"
        guard.check(make_jpeg((1000, 1000)))
        assert guard._child is child
    assert child is not None and child.poll() is not None


def test_a_reduced_decode_is_tried_as_it_will_be_done(make_jpeg) -> None:  # type: ignore[no-untyped-def]
    with DecodeGuard(ImageLimits(), 416, seconds=20.0) as guard:
        guard.check(make_jpeg((2000, 1500)))
        assert refusal(guard, b"<html>").startswith("not_an_image: ")
