"""What a search keeps in memory for each region: its box, its image and its products, but no slices or embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prodseek.runs.columns import BOX_PX
from prodseek.runs.store import Run, read_columns
from prodseek.search.prompts import Box


@dataclass(frozen=True)
class Regions:
    """The regions of a run, 35 bytes each, and the names of its photos.

    ids: (N,) int64, ascending. images: (N,) int32, number of each region's image. boxes_px: (N, 4) float32 x1 y1 x2 y2.
    is_primary, is_scene, is_room: (N,) bool, see `view_kinds`. hubness: (N,) float32, see `confidence`. image_ids: (M,)
    image_id by number. photos: R rows, product_id and uri, sorted by image, product_id, uri. starts:
    (M + 1,) int32, the rows of image i in photos are starts[i] to starts[i + 1] - 1. products: (R,) int32, number of each
    row's product. originals: (M,) int32, equal for images that are copies of each other.
    """

    ids: NDArray[np.int64]
    images: NDArray[np.int32]
    boxes_px: NDArray[np.float32]
    is_primary: NDArray[np.bool_]
    is_scene: NDArray[np.bool_]
    is_room: NDArray[np.bool_]
    hubness: NDArray[np.float32]
    image_ids: pa.Array
    starts: NDArray[np.int32]
    photos: pa.Table
    products: NDArray[np.int32]
    originals: NDArray[np.int32]

    @classmethod
    def read(cls, run: Run) -> Regions:
        """Read the few columns that are needed from `detections`, `images` and `duplicate_groups`."""
        order = [(name, "ascending") for name in ("image_id", "product_id", "uri")]
        photos = read_columns(run, "images", [name for name, _ in order]).sort_by(order)
        image_ids = pc.unique(photos.column("image_id"))
        of_row = _numbers(photos.column("image_id"), image_ids)
        starts = np.searchsorted(of_row, np.arange(len(image_ids) + 1)).astype(np.int32)
        names = photos.column("product_id").combine_chunks()
        detections = read_columns(run, "detections", ["detection_id", "image_id", "is_primary", *BOX_PX]).sort_by(
            "detection_id"
        )
        embedded = read_columns(run, "embeddings", ["detection_id", "is_scene", "is_room", "hubness"]).sort_by(
            "detection_id"
        )
        copies = read_columns(run, "duplicate_groups", ["image_id", "group_id"])
        originals = np.arange(len(image_ids), dtype=np.int32)
        groups = _numbers(copies.column("group_id"), pc.unique(copies.column("group_id")))
        originals[_numbers(copies.column("image_id"), image_ids)] = len(image_ids) + groups
        return cls(
            detections.column("detection_id").to_numpy(),
            _numbers(detections.column("image_id"), image_ids),
            np.stack([detections.column(edge).to_numpy() for edge in BOX_PX], axis=1),
            detections.column("is_primary").to_numpy(),
            embedded.column("is_scene").to_numpy(),
            embedded.column("is_room").to_numpy(),
            embedded.column("hubness").to_numpy(),
            image_ids,
            starts,
            photos.select(["product_id", "uri"]),
            _numbers(names, pc.unique(names)),
            originals,
        )

    @cached_property
    def least_hubness(self) -> float:
        """The smallest hubness of all regions."""
        return float(self.hubness.min(initial=np.inf))

    def place(self, detection_id: int) -> int | None:
        """The row of a region; None if the run does not have it."""
        found = int(np.searchsorted(self.ids, detection_id))
        return found if found < len(self.ids) and self.ids[found] == detection_id else None

    def image_number(self, image_id: str) -> int | None:
        """The number of an image; None if the run does not have it."""
        found: int = pc.index(self.image_ids, image_id).as_py()
        return None if found < 0 else found

    def image_named(self, uri: str) -> str | None:
        """The image_id of the photo that the catalogue names `uri`; None if there is none."""
        row = pc.index(self.photos.column("uri"), uri).as_py()
        if row < 0:
            return None
        image_id: str = self.image_ids[int(np.searchsorted(self.starts, row, side="right")) - 1].as_py()
        return image_id

    def rows_of(self, image: int) -> range:
        """The rows of an image in `photos`: several if several products have a photo with the same bytes."""
        return range(int(self.starts[image]), int(self.starts[image + 1]))

    def products_of(self, image: int) -> set[int]:
        """The numbers of the products that show an image."""
        return set(self.products[self.rows_of(image)].tolist())

    def shows(self, image: int | None, box_px: Box) -> bool:
        """Whether a box in an image holds what the image is a photo of, not something else in it; of an unknown image it may.

        Two boxes hold the same where they share half of what they cover together, as Everingham et al. say, "The Pascal Visual
        Object Classes (VOC) Challenge", 2010, section 4.2.
        """
        if image is None:
            return True
        of_image = self.boxes_px[(self.images == image) & self.is_primary]
        shared = np.minimum(of_image[:, 2:], box_px[2:]) - np.maximum(of_image[:, :2], box_px[:2])
        both = np.maximum(shared, 0).prod(axis=1)
        areas = (of_image[:, 2:] - of_image[:, :2]).prod(axis=1)
        own_area = (box_px[2] - box_px[0]) * (box_px[3] - box_px[1])
        return not len(of_image) or bool((2 * both >= areas + own_area - both).any())

    def box_px(self, place: int) -> Box:
        """The box of a region, x1 y1 x2 y2, source pixels."""
        x1, y1, x2, y2 = self.boxes_px[place].tolist()
        return (x1, y1, x2, y2)


def _numbers(values: pa.ChunkedArray | pa.Array, names: pa.Array) -> NDArray[np.int32]:
    """The index of each value in `names`, (N,) int32."""
    found: NDArray[np.int32] = pc.index_in(values, value_set=names).to_numpy(zero_copy_only=False).astype(np.int32)
    return found
