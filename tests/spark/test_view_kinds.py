"""What a photo shows besides a region, by Spark's queries: a plain ground, things of several classes."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from prodseek.spark.embedding.view_kinds import SHOWN, rooms_of, with_surroundings

ROOM = [("detection", "sofa", 0.9), ("detection", "chair", 0.3), ("frame", None, None)]
PHOTOS = {
    "room": ROOM,
    "chairs": [("detection", "chair", 0.9), ("detection", "chair", 0.8), ("frame", None, None)],
    "doubtful": [("detection", "sofa", 0.9), ("detection", "chair", 0.29), ("frame", None, None)],
    "fabric": [("frame", None, None)],
    "set on white": [*ROOM, ("foreground", None, None)],
}


@pytest.mark.parametrize("partitions", [1, 8])
def test_whole_photos_with_things_of_several_classes_are_rooms(spark: SparkSession, partitions: int) -> None:
    rows = [
        (100 * place + number, image_id, kind, name, score, 0.99 if kind == "frame" else 0.4)
        for place, (image_id, regions) in enumerate(PHOTOS.items())
        for number, (kind, name, score) in enumerate(regions)
    ]
    schema = "detection_id long, image_id string, kind string, class_name string, score float, area_fraction float"
    detections = spark.createDataFrame(rows, schema).repartition(partitions)
    told = with_surroundings(detections, detections).select("image_id", "kind", *SHOWN).toArrow()
    rooms = [row for row, is_room in zip(told.to_pylist(), rooms_of(told), strict=True) if is_room]
    assert told.num_rows == len(rows)
    assert [(row["image_id"], row["kind"]) for row in rooms] == [("room", "frame")]
