"""Some photos of a finished run through its network again: are boxes and slices those that were stored?"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.photos.decode import DecodedImage, ImageRejected, content_id, decode_image
from prodseek.runs.columns import BOX_PX
from prodseek.runs.facts import IngestFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, read_columns
from prodseek.search.run_settings import config_of, settings_of

# What separates fp32 from bf16 is a third of this: 0.8 px and 1 - 6e-5 on the sample's photos.
_MAX_CORNER_PX = 2.0
_MIN_COSINE = 0.999
# A detection that just passed score_threshold may miss it in another precision.
_MIN_FOUND_AGAIN = 0.9


@dataclass(frozen=True)
class Comparison:
    """How stored regions compare with those of the network today.

    n_gone: photos of the sample that are no longer there or were replaced. n_alike: regions of n_regions with a region of the
    same kind and class within 2 px and with a cosine similarity of its slice of at least 0.999. unlike: photos of the others.
    """

    n_photos: int
    n_gone: int
    n_regions: int
    n_alike: int
    unlike: tuple[str, ...]

    @property
    def is_alike(self) -> bool:
        return self.n_alike >= _MIN_FOUND_AGAIN * self.n_regions

    def __str__(self) -> str:
        gone = f"; {self.n_gone} more are no longer there or were replaced" if self.n_gone else ""
        unlike = f"; others in {', '.join(self.unlike)}" if self.unlike else ""
        return f"{self.n_alike} of {self.n_regions} regions of {self.n_photos} photos found again{unlike}{gone}"


def compare_photos(run: Run, manifest: Manifest, n_photos: int) -> Comparison:
    """Embed photos of a run again, the same ones every time.

    Raises WeightsError, ConfigError or StoreError where the run's network is not at hand.
    """
    settings = settings_of(run, manifest)
    source = PhotoSource.of(config_of(run, manifest), manifest.facts(IngestFacts).base_uri, run.root)
    # torch takes seconds to import, and only this check needs it.
    from prodseek.vision.inference import load_detector

    detector = load_detector(settings)
    images = read_columns(run, "images", ["image_id", "uri"]).sort_by([("image_id", "ascending"), ("uri", "ascending")])
    chosen = sorted(random.Random(run.run_id).sample(range(images.num_rows), min(n_photos, images.num_rows)))
    uris = {images["image_id"][row].as_py(): images["uri"][row].as_py() for row in chosen}
    photos: list[tuple[str, DecodedImage]] = []
    for image_id, uri in uris.items():
        try:
            data = source.read(uri, image_id)
            if content_id(data) == image_id:
                photos.append((image_id, decode_image(data, source.limits, enough_side_px=detector.enough_side_px)))
        except ImageRejected:
            continue
    columns = ["image_id", "kind", "class_name", *BOX_PX, "slice"]
    there = pc.field("image_id").isin(pa.array([image_id for image_id, _ in photos], pa.string()))
    stored = read_columns(run, "detections", columns, there).to_pylist()
    found = {
        image.image_id: [
            ((region.kind, region.class_name), np.array(region.box), values)
            for region, values in zip(image.regions, image.slices, strict=True)
        ]
        for image in detector.embed(photos)
    }
    unlike = [row for row in stored if not any(_is_alike(row, *region) for region in found[row["image_id"]])]
    return Comparison(
        len(photos),
        len(uris) - len(photos),
        len(stored),
        len(stored) - len(unlike),
        tuple(sorted({uris[row["image_id"]] for row in unlike})),
    )


def _is_alike(
    row: dict[str, Any], what: tuple[str, str | None], box: NDArray[np.float64], values: NDArray[np.float16]
) -> bool:
    if (row["kind"], row["class_name"]) != what:
        return False
    if np.abs(np.array([row[edge] for edge in BOX_PX]) - box).max() > _MAX_CORNER_PX:
        return False
    one = np.frombuffer(row["slice"], "<f2").astype(np.float64)
    if one.shape != values.shape:
        return False
    other = values.astype(np.float64)
    return bool(one @ other >= _MIN_COSINE * np.linalg.norm(one) * np.linalg.norm(other))
