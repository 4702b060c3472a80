"""What a photo shows besides a region, by Spark's queries: a plain ground, things of several classes."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from prodseek.spark.embedding.view_kinds import SHOWN, rooms_of, with_surroundings

FRAME = ("frame", None, None, 1.0, True)
PART_OF_SET = (("detection", "sofa", 0.9, 0.4, False), ("detection", "chair", 0.3, 0.3, False))
# kind, class, score, share of the photo, whether it stands for the photo
PHOTOS = {
    "room": (*PART_OF_SET, FRAME),
    "two chairs": (("detection", "chair", 0.9, 0.2, False), ("detection", "chair", 0.8, 0.1, False), FRAME),
    "doubtful": (("detection", "sofa", 0.9, 0.4, False), ("detection", "chair", 0.29, 0.1, False), FRAME),
    "fabric": (FRAME,),
    "set on white": (*PART_OF_SET, ("foreground", None, None, 0.5, True), ("frame", None, None, 1.0, False)),
    "crate of pears": (("detection", "apple", 0.9, 0.1, False), ("detection", "orange", 0.9, 0.1, False), FRAME),
    "hall with a chair": (("detection", "chair", 0.5, 0.03, False), FRAME),
    "room by its chair": (("detection", "chair", 0.9, 0.16, True), ("frame", None, None, 1.0, False)),
    "chair before a wall": (("detection", "chair", 0.9, 0.2, True), ("frame", None, None, 1.0, False)),
    "sofa with a plant": (
        ("detection", "sofa", 0.9, 0.36, True),
        ("detection", "pottedplant", 0.9, 0.02, False),
        ("frame", None, None, 1.0, False),
    ),
    "somebody with a bag": (("detection", "person", 0.9, 0.5, True), ("detection", "handbag", 0.9, 0.05, False)),
    "vases": (("detection", "vase", 0.95, 0.04, False), ("detection", "vase", 0.6, 0.01, False), FRAME),
}


@pytest.mark.parametrize("partitions", [1, 8])
def test_photos_that_show_a_room_and_no_product(spark: SparkSession, partitions: int) -> None:
    rows = [
        (100 * place + number, image_id, *region)
        for place, (image_id, regions) in enumerate(PHOTOS.items())
        for number, region in enumerate(regions)
    ]
    schema = (
        "detection_id long, image_id string, kind string, class_name string, score float, area_fraction float, "
        "is_primary boolean"
    )
    detections = spark.createDataFrame(rows, schema).repartition(partitions)
    told = with_surroundings(detections, detections).select("image_id", "kind", *SHOWN).toArrow()
    rooms = {
        (row["image_id"], row["kind"]) for row, is_room in zip(told.to_pylist(), rooms_of(told), strict=True) if is_room
    }
    assert told.num_rows == len(rows)
    assert rooms == {
        ("room", "frame"),
        ("hall with a chair", "frame"),
        ("room by its chair", "detection"),
        ("room by its chair", "frame"),
        ("sofa with a plant", "frame"),  # its sofa stands for the photo, and is none
    }
