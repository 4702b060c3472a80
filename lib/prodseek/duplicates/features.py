"""Local features of a photo, and their codes, by which photos with the same features find each other."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.content import WHOLE, Box, content_box
from prodseek.duplicates.prints import prints_recipe
from prodseek.photos.decode import PIXELS_VERSION

# The longer side of a photo when photos are compared. Points of local features are in pixels of this size.
WORKING_SIDE_PX = 256
MAX_FEATURES = 500
# A scene is looked at closer, because a photo that was pasted into it is a part of it only.
FEATURES_SIDE_PX = 384
_MAX_SCENE_FEATURES = 800
# A product on a plain ground is looked at from farther away too, as it would be seen in a scene.
_FAR_SIDE_PX = 128
_MAX_FAR_FEATURES = 250
# Half of the usual threshold, because plain objects have few details, and weak details help too.
_LEAST_CONTRAST = 0.02
# Bits of a code in a catalogue of up to _CODE_PHOTOS photos. Each doubling adds a bit, so that codes stay equally rare.
_CODE_BITS = 28
_CODE_PHOTOS = 4096
_MAX_CODE_BITS = 54
# How many bits, those nearest to flipping, are tried both ways when a photo asks for codes (multi-probe).
PROBED_BITS = 4
# Raise it when the features or codes of a photo change: what earlier nights cached is then computed again.
_FEATURES_VERSION = 2
_DESCRIPTOR_SHAPE = (4, 4, 8)  # rows and columns of cells, directions of gradients
# A pose is an angle, in sixteenths of a turn, and a size, in half octaves.
_POSE_BITS = 8
_SIZE_BITS = 4
RELATIVE_POSE_BITS = 7
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
        return rootsift(self.histograms)

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


class PhotoFeatures(NamedTuple):
    """What is extracted from a photo.

    local: the features that photos are laid over each other by. descriptors: (N, 128) float32, RootSIFT, of these and others,
    by which photos find each other. poses: (N,) uint8, angle and size of each.
    """

    local: LocalFeatures
    descriptors: NDArray[np.float32]
    poses: NDArray[np.uint8]


def photo_features(pixels: NDArray[np.uint8]) -> PhotoFeatures:
    """SIFT features of the strongest keypoints of a photo.

    A photo without plain margin is taken for a scene, and looked at closer. pixels: (H, W, 3) uint8 RGB, best at
    FEATURES_SIDE_PX; larger photos are shrunk. Sources: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints",
    2004; Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", 2012, section 3.
    """
    working = shrunk(pixels, WORKING_SIDE_PX)
    box = content_box(working)
    if box == WHOLE:
        points, histograms, poses = _keypoints(shrunk(pixels, FEATURES_SIDE_PX), working, _MAX_SCENE_FEATURES)
        local = LocalFeatures(points, histograms, box)
        return PhotoFeatures(local, local.descriptors, poses)
    points, histograms, poses = _keypoints(working, working, MAX_FEATURES)
    _, far, far_poses = _keypoints(shrunk(working, _FAR_SIDE_PX), working, _MAX_FAR_FEATURES)
    local = LocalFeatures(points, histograms, box)
    return PhotoFeatures(local, np.concatenate([local.descriptors, rootsift(far)]), np.concatenate([poses, far_poses]))


def extract_features(pixels: NDArray[np.uint8]) -> LocalFeatures:
    """The features that photos are laid over each other by; see `photo_features`."""
    return photo_features(pixels).local


def shrunk(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """A photo with at most side_px on its longer side. pixels: (H, W, 3) uint8 RGB of any size."""
    scale = side_px / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def rootsift(histograms: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 128) float32, unit length, of SIFT's own values, (N, 128)."""
    values = histograms.astype(np.float32)
    return np.asarray(np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-6)), np.float32)


def _keypoints(
    pixels: NDArray[np.uint8], working: NDArray[np.uint8], n_most: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Points in pixels of the working size, (N, 2), histograms, (N, 128), and poses, (N,), of the strongest keypoints."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    keypoints, found = _sift(n_most).detectAndCompute(grey, None)
    if found is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8), np.zeros(0, np.uint8)
    # OpenCV keeps more than n_most where several are equally strong.
    kept = keypoints[:n_most]
    step = np.array(working.shape[1::-1], np.float32) / np.array(pixels.shape[1::-1], np.float32)
    points = (np.array([keypoint.pt for keypoint in kept], np.float32) + 0.5) * step - 0.5
    size = np.array([keypoint.size for keypoint in kept]) * step.max()
    sixteenth = np.array([keypoint.angle for keypoint in kept]) // 22.5 % 16
    half_octave = np.clip(np.rint(2 * np.log2(np.maximum(size, 1))), 0, 2**_SIZE_BITS - 1)
    poses = (sixteenth * 2**_SIZE_BITS + half_octave).astype(np.uint8)
    return points.astype(np.float32), found[:n_most].astype(np.uint8), poses


def relative_poses(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How a is turned and larger than b: eighths of a turn and whole octaves, as numbers below 2 ** RELATIVE_POSE_BITS."""
    a_, b_ = a.astype(np.int64), b.astype(np.int64)
    turned = ((a_ >> _SIZE_BITS) - (b_ >> _SIZE_BITS)) % 16 // 2
    sizes = 2**_SIZE_BITS
    larger = (a_ % sizes - b_ % sizes + sizes) // 2
    return np.asarray(turned * sizes + larger, np.int64)


def mirrored_descriptors(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The descriptors that the mirrored photo would have: cells and directions are permuted. descriptors: (N, 128) float32."""
    cells = descriptors.reshape(-1, *_DESCRIPTOR_SHAPE)
    directions = -np.arange(_DESCRIPTOR_SHAPE[2]) % _DESCRIPTOR_SHAPE[2]
    return np.ascontiguousarray(cells[:, ::-1, :, directions].reshape(len(descriptors), -1))


@dataclass(frozen=True)
class FeatureCodes:
    """Codes of descriptors; similar descriptors share them.

    codes: (N,) int64. nearest_bits: (N, PROBED_BITS) uint8, the bits of each code that are nearest to flipping. poses: (N,)
    uint8, of the features.
    """

    codes: NDArray[np.int64]
    nearest_bits: NDArray[np.uint8]
    poses: NDArray[np.uint8]

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
        """Codes with their poses, and nearest bits; 12 bytes for each feature."""
        return with_poses(self.codes, self.poses).astype("<i8").tobytes(), self.nearest_bits.tobytes()

    @classmethod
    def from_bytes(cls, codes: bytes, nearest_bits: bytes) -> FeatureCodes:
        """The inverse of `to_bytes`."""
        bare, poses = without_poses(np.frombuffer(codes, "<i8"))
        return cls(bare, np.frombuffer(nearest_bits, np.uint8).reshape(-1, PROBED_BITS), poses)


def with_poses(codes: NDArray[np.int64], poses: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Codes and poses in one number each, which is shorter to move. codes, poses: (N,)."""
    return np.asarray(codes << _POSE_BITS | poses, np.int64)


def without_poses(packed: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Codes and poses: the inverse of `with_poses`."""
    return packed >> _POSE_BITS, (packed & (2**_POSE_BITS - 1)).astype(np.uint8)


def code_bits(n_photos: int) -> int:
    """The number of bits of a code in a catalogue of n_photos: more photos need longer codes to keep them equally rare."""
    return min(_MAX_CODE_BITS, _CODE_BITS + max(0, math.ceil(math.log2(max(1, n_photos) / _CODE_PHOTOS))))


def feature_codes(features: PhotoFeatures, n_bits: int) -> FeatureCodes:
    """The codes of a photo's descriptors, by locality-sensitive hashing.

    A bit says on which side of a random plane a descriptor is. A photo that asks for codes also tries the other side of the
    nearest planes (multi-probe). Sources: Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002; Lv et
    al., "Multi-Probe LSH", 2007.
    """
    distance = features.descriptors @ _planes()[:, :n_bits]
    codes = (distance > 0) @ (np.int64(1) << np.arange(n_bits, dtype=np.int64))
    nearest = np.argsort(np.abs(distance), axis=1, kind="stable")[:, :PROBED_BITS]
    return FeatureCodes(codes, nearest.astype(np.uint8), features.poses)


def features_recipe() -> str:
    """16 hex digits that change whenever the local features of a photo would change."""
    sides_px, n_most = (WORKING_SIDE_PX, FEATURES_SIDE_PX), (MAX_FEATURES, _MAX_SCENE_FEATURES, _MAX_FAR_FEATURES)
    settings = (_FEATURES_VERSION, PIXELS_VERSION, cv2.__version__, sides_px, n_most, _LEAST_CONTRAST)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def codes_recipe(n_bits: int) -> str:
    """16 hex digits that change whenever the codes of n_bits or the prints of a photo would change."""
    settings = (features_recipe(), prints_recipe(), _CODE_SEED, PROBED_BITS, _POSE_BITS, n_bits)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


@cache
def _sift(n_most: int) -> Any:
    # One thread, because Spark runs one task for each core.
    cv2.setNumThreads(1)
    # Without the precise upscale, points are off by a quarter of a pixel.
    return cv2.SIFT.create(n_most, contrastThreshold=_LEAST_CONTRAST, enable_precise_upscale=True)


@cache
def _planes() -> NDArray[np.float32]:
    """Random planes, (128, _MAX_CODE_BITS). Each sums to 0, to pass through the middle of the non-negative descriptors."""
    planes = np.random.default_rng(_CODE_SEED).normal(size=(128, _MAX_CODE_BITS))
    return np.asarray(planes - planes.mean(axis=0), np.float32)
