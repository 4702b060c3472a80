"""Local features of a photo, and the codes by which photos that share some of them find each other."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# A photo is looked at with its longer side this long: enough for an object at half its size in a scene.
WORKING_SIDE_PX = 256
MAX_FEATURES = 500
# Half of the usual contrast: plain things have few details, and weak ones serve.
_LEAST_CONTRAST = 0.02
# Bits of a code in a catalogue of up to so many photos, with one more for each doubling, so that codes stay as rare;
# and how many of the bits nearest to changing are tried both ways when a photo asks for others.
_CODE_BITS = 28
_CODE_PHOTOS = 4096
_MAX_CODE_BITS = 60
PROBED_BITS = 4
# Raise it when the features or codes of a photo change: what was kept of earlier nights is then made again.
_FEATURES_VERSION = 1
_DESCRIPTOR_SHAPE = (4, 4, 8)  # rows and columns of cells, directions of gradients
_CODE_SEED = 0


@dataclass(frozen=True)
class LocalFeatures:
    """points_px: (N, 2) float32 x y, pixel centres at whole numbers; histograms: (N, 128) uint8, SIFT's own numbers."""

    points_px: NDArray[np.float32]
    histograms: NDArray[np.uint8]

    @cached_property
    def descriptors(self) -> NDArray[np.float32]:
        """(N, 128) float32, unit length: RootSIFT."""
        values = self.histograms.astype(np.float32)
        return np.asarray(np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-6)), np.float32)

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Points and histograms; 136 bytes a feature."""
        return self.points_px.tobytes(), self.histograms.tobytes()

    @classmethod
    def from_bytes(cls, points: bytes, histograms: bytes) -> LocalFeatures:
        """What `to_bytes` gave. Raises ValueError for anything else."""
        found = cls(
            np.frombuffer(points, np.float32).reshape(-1, 2), np.frombuffer(histograms, np.uint8).reshape(-1, 128)
        )
        if len(found.points_px) != len(found.histograms):
            raise ValueError(f"{len(found.points_px)} points of local features have {len(found.histograms)} histograms")
        return found


def extract_features(pixels: NDArray[np.uint8]) -> LocalFeatures:
    """SIFT of the strongest keypoints, at most MAX_FEATURES.

    pixels: (H, W, 3) uint8 RGB at working size. Sources: Lowe, "Distinctive Image Features from Scale-Invariant
    Keypoints", 2004; Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval",
    2012, section 3.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    keypoints, found = _sift().detectAndCompute(grey, None)
    if found is None:
        return LocalFeatures(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8))
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32)[:MAX_FEATURES]
    return LocalFeatures(points, found[:MAX_FEATURES].astype(np.uint8))


def mirrored_descriptors(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the descriptors would be in the mirrored photo: rows of cells and directions change places.

    descriptors: (N, 128) float32.
    """
    cells = descriptors.reshape(-1, *_DESCRIPTOR_SHAPE)
    directions = -np.arange(_DESCRIPTOR_SHAPE[2]) % _DESCRIPTOR_SHAPE[2]
    return np.ascontiguousarray(cells[:, ::-1, :, directions].reshape(len(descriptors), -1))


@dataclass(frozen=True)
class FeatureCodes:
    """Codes that alike descriptors share. codes: (N,) int64; nearest_bits: (N, PROBED_BITS) uint8, those nearest to changing."""

    codes: NDArray[np.int64]
    nearest_bits: NDArray[np.uint8]

    @property
    def asked(self) -> NDArray[np.int64]:
        """(N, 2 ** PROBED_BITS) int64: what a photo asks others for, its codes with the nearest bits either way."""
        asked = np.empty((len(self.codes), 2**PROBED_BITS), np.int64)
        asked[:, 0] = self.codes
        for place, bit in enumerate(self.nearest_bits.T.astype(np.int64)):
            n = 2**place
            asked[:, n : 2 * n] = asked[:, :n] ^ (np.int64(1) << bit)[:, None]
        return asked

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Codes and nearest bits; 12 bytes a feature."""
        return self.codes.astype("<i8").tobytes(), self.nearest_bits.tobytes()

    @classmethod
    def from_bytes(cls, codes: bytes, nearest_bits: bytes) -> FeatureCodes:
        """What `to_bytes` gave."""
        return cls(np.frombuffer(codes, "<i8"), np.frombuffer(nearest_bits, np.uint8).reshape(-1, PROBED_BITS))


def code_bits(n_photos: int) -> int:
    """Bits of a code in a catalogue of n_photos: more photos need longer codes for a code to stay as rare."""
    return min(_MAX_CODE_BITS, _CODE_BITS + max(0, math.ceil(math.log2(max(1, n_photos) / _CODE_PHOTOS))))


def feature_codes(descriptors: NDArray[np.float32], n_bits: int) -> FeatureCodes:
    """Codes of descriptors, (N, 128) float32.

    A bit says on which side of a random plane a descriptor lies; whoever asks also tries the other side of the planes
    that it lies nearest to. Sources: Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002; Lv et
    al., "Multi-Probe LSH", 2007.
    """
    distance = descriptors @ _planes()[:, :n_bits]
    codes = (distance > 0) @ (np.int64(1) << np.arange(n_bits, dtype=np.int64))
    nearest = np.argsort(np.abs(distance), axis=1, kind="stable")[:, :PROBED_BITS]
    return FeatureCodes(codes, nearest.astype(np.uint8))


def features_recipe() -> str:
    """16 hex digits that change whenever a photo would get other local features."""
    settings = (_FEATURES_VERSION, cv2.__version__, WORKING_SIDE_PX, MAX_FEATURES, _LEAST_CONTRAST)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def codes_recipe(n_bits: int) -> str:
    """Likewise for its codes of n_bits."""
    settings = (features_recipe(), _CODE_SEED, PROBED_BITS, n_bits)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


@cache
def _sift() -> Any:
    # One thread a task: Spark counts the cores.
    cv2.setNumThreads(1)
    # Without the precise upscale points lie a quarter of a pixel off.
    return cv2.SIFT.create(MAX_FEATURES, contrastThreshold=_LEAST_CONTRAST, enable_precise_upscale=True)


@cache
def _planes() -> NDArray[np.float32]:
    """(128, _MAX_CODE_BITS); descriptors have no negative values, so planes through the middle of them sum to nothing."""
    planes = np.random.default_rng(_CODE_SEED).normal(size=(128, _MAX_CODE_BITS))
    return np.asarray(planes - planes.mean(axis=0), np.float32)
