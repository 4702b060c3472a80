"""A page that shows a photo is no copy of the photo's crop; a photo's own copies and margins stay copies."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from prodseek.spark.duplicates.scenes import beside_scenes

PHOTO = "image_id string, width_px int, height_px int"
PAIR = "image_id_a string, image_id_b string, verdict string, decision string, confidence float, " + ", ".join(
    f"{edge}_{side}_px float" for side in "ab" for edge in ("x1", "y1", "x2", "y2")
)
WHOLE, PLACE, MIDDLE = (0.0, 0.0, 100.0, 100.0), (10.0, 10.0, 40.0, 40.0), (15.0, 15.0, 85.0, 85.0)


@pytest.mark.parametrize("photo", ["photo", "a photo"])
def test_a_page_is_no_copy_of_a_crop_of_what_it_shows(spark: SparkSession, photo: str) -> None:
    rows = [
        ("crop", photo, "cropped", "copy", 0.99, WHOLE, MIDDLE),
        ("crop", "page", "cropped", "copy", 0.99, WHOLE, PLACE),
        ("page", photo, "embedded", "variant", 0.97, PLACE, WHOLE),
        # Its own copy, a margin, and a photo that was not put into anything.
        ("page", "page-small", "resized", "copy", 0.99, WHOLE, WHOLE),
        ("margin", photo, "padded", "copy", 0.99, MIDDLE, WHOLE),
        ("other", "other-small", "resized", "copy", 0.99, WHOLE, WHOLE),
    ]
    photos = spark.createDataFrame([(name, 100, 100) for name in {name for row in rows for name in row[:2]}], PHOTO)
    in_order = [
        (a, b, *said, *of_a, *of_b) if a < b else (b, a, *said, *of_b, *of_a) for a, b, *said, of_a, of_b in rows
    ]
    found = beside_scenes(spark.createDataFrame(in_order, PAIR), photos).collect()
    assert len(found) == len(rows)
    assert {(row["image_id_a"], row["image_id_b"]) for row in found if row["decision"] == "look"} == {("crop", "page")}
