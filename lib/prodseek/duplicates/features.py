"""Local features of a photo, and their codes, by which photos with the same features find each other."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.content import WHOLE, Box, content_box

# The longer side of a photo when features are extracted: enough for an object at half its size in a scene.
WORKING_SIDE_PX = 256
MAX_FEATURES = 500
# Half of the usual threshold, because plain objects have few details, and weak details help too.
_LEAST_CONTRAST = 0.02
# Bits of a code in a catalogue of up to _CODE_PHOTOS photos. Each doubling adds a bit, so that codes stay equally rare.
_CODE_BITS = 28
_CODE_PHOTOS = 4096
_MAX_CODE_BITS = 60
# How many bits, those nearest to flipping, are tried both ways when a photo asks for codes (multi-probe).
PROBED_BITS = 4
# Raise it when the features or codes of a photo change: what earlier nights cached is then computed again.
_FEATURES_VERSION = 2
_DESCRIPTOR_SHAPE = (4, 4, 8)  # rows and columns of cells, directions of gradients
_CODE_SEED = 0


@dataclass(frozen=True)
class LocalFeatures:
    """The local features of a photo.

    points_px: (N, 2) float32 x y, pixel centres at whole numbers. histograms: (N, 128) uint8, SIFT's own values. content_box:
    the photo without its plain margins, x1 y1 x2 y2 in fractions of its sides.
    """

    points_px: NDArray[np.float32]
    histograms: NDArray[np.uint8]
    content_box: Box = WHOLE

    @cached_property
    def descriptors(self) -> NDArray[np.float32]:
        """(N, 128) float32, unit length: RootSIFT."""
        values = self.histograms.astype(np.float32)
        return np.asarray(np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-6)), np.float32)

    def to_bytes(self) -> tuple[bytes, bytes, bytes]:
        """Points, histograms and content box; 136 bytes for each feature, and 16."""
        return self.points_px.tobytes(), self.histograms.tobytes(), np.array(self.content_box, "<f4").tobytes()

    @classmethod
    def from_bytes(cls, points: bytes, histograms: bytes, content_box: bytes) -> LocalFeatures:
        """The inverse of `to_bytes`. Raises ValueError for anything else."""
        x1, y1, x2, y2 = np.frombuffer(content_box, "<f4").tolist()
        found = cls(
            np.frombuffer(points, np.float32).reshape(-1, 2),
            np.frombuffer(histograms, np.uint8).reshape(-1, 128),
            (x1, y1, x2, y2),
        )
        if len(found.points_px) != len(found.histograms):
            raise ValueError(f"{len(found.points_px)} points of local features have {len(found.histograms)} histograms")
        return found


def extract_features(pixels: NDArray[np.uint8]) -> LocalFeatures:
    """SIFT features of the strongest keypoints, at most MAX_FEATURES.

    pixels: (H, W, 3) uint8 RGB at working size. Sources: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints",
    2004; Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", 2012, section 3.
    """
    grey, box = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), content_box(pixels)
    keypoints, found = _sift().detectAndCompute(grey, None)
    if found is None:
        return LocalFeatures(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8), box)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32)[:MAX_FEATURES]
    return LocalFeatures(points, found[:MAX_FEATURES].astype(np.uint8), box)


def mirrored_descriptors(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The descriptors that the mirrored photo would have: cells and directions are permuted. descriptors: (N, 128) float32."""
    cells = descriptors.reshape(-1, *_DESCRIPTOR_SHAPE)
    directions = -np.arange(_DESCRIPTOR_SHAPE[2]) % _DESCRIPTOR_SHAPE[2]
    return np.ascontiguousarray(cells[:, ::-1, :, directions].reshape(len(descriptors), -1))


@dataclass(frozen=True)
class FeatureCodes:
    """Codes of descriptors; similar descriptors share them.

    codes: (N,) int64. nearest_bits: (N, PROBED_BITS) uint8, the bits of each code that are nearest to flipping.
    """

    codes: NDArray[np.int64]
    nearest_bits: NDArray[np.uint8]

    @property
    def asked(self) -> NDArray[np.int64]:
        """The codes that a photo asks for, (N, 2 ** PROBED_BITS) int64: its own, with all values of the nearest bits."""
        asked = np.empty((len(self.codes), 2**PROBED_BITS), np.int64)
        asked[:, 0] = self.codes
        for place, bit in enumerate(self.nearest_bits.T.astype(np.int64)):
            n = 2**place
            asked[:, n : 2 * n] = asked[:, :n] ^ (np.int64(1) << bit)[:, None]
        return asked

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Codes and nearest bits; 12 bytes for each feature."""
        return self.codes.astype("<i8").tobytes(), self.nearest_bits.tobytes()

    @classmethod
    def from_bytes(cls, codes: bytes, nearest_bits: bytes) -> FeatureCodes:
        """The inverse of `to_bytes`."""
        return cls(np.frombuffer(codes, "<i8"), np.frombuffer(nearest_bits, np.uint8).reshape(-1, PROBED_BITS))


def code_bits(n_photos: int) -> int:
    """The number of bits of a code in a catalogue of n_photos: more photos need longer codes to keep them equally rare."""
    return min(_MAX_CODE_BITS, _CODE_BITS + max(0, math.ceil(math.log2(max(1, n_photos) / _CODE_PHOTOS))))


def feature_codes(descriptors: NDArray[np.float32], n_bits: int) -> FeatureCodes:
    """The codes of descriptors, (N, 128) float32, by locality-sensitive hashing.

    A bit says on which side of a random plane a descriptor is. A photo that asks for codes also tries the other side of the
    nearest planes (multi-probe). Sources: Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002; Lv et
    al., "Multi-Probe LSH", 2007.
    """
    distance = descriptors @ _planes()[:, :n_bits]
    codes = (distance > 0) @ (np.int64(1) << np.arange(n_bits, dtype=np.int64))
    nearest = np.argsort(np.abs(distance), axis=1, kind="stable")[:, :PROBED_BITS]
    return FeatureCodes(codes, nearest.astype(np.uint8))


def features_recipe() -> str:
    """16 hex digits that change whenever the local features of a photo would change."""
    settings = (_FEATURES_VERSION, cv2.__version__, WORKING_SIDE_PX, MAX_FEATURES, _LEAST_CONTRAST)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def codes_recipe(n_bits: int) -> str:
    """16 hex digits that change whenever the codes of n_bits of a photo would change."""
    settings = (features_recipe(), _CODE_SEED, PROBED_BITS, n_bits)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


@cache
def _sift() -> Any:
    # One thread, because Spark runs one task for each core.
    cv2.setNumThreads(1)
    # Without the precise upscale, points are off by a quarter of a pixel.
    return cv2.SIFT.create(MAX_FEATURES, contrastThreshold=_LEAST_CONTRAST, enable_precise_upscale=True)


@cache
def _planes() -> NDArray[np.float32]:
    """Random planes, (128, _MAX_CODE_BITS). Each sums to 0, to pass through the middle of the non-negative descriptors."""
    planes = np.random.default_rng(_CODE_SEED).normal(size=(128, _MAX_CODE_BITS))
    return np.asarray(planes - planes.mean(axis=0), np.float32)
