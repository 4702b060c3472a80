"""A night whose photos lie in a folder, with made-up tables of the stages before duplicates: one region a photo, its frame."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from prodseek.photos.decode import content_id, decode_image
from prodseek.photos.hashes import pdq_hash, pixel_hash
from prodseek.runs.columns import FACETS
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import Run, Store, Summary
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue
from prodseek.spark.tables import spark_schema, write_table


def planted_night(
    spark: SparkSession,
    photos: Path,
    root: Path,
    make_config: Callable[..., Any],
    n_partitions: int,
    *settings: str,
    read_from: Path | None = None,
) -> Night:
    """read_from: where the night finds its photos; `photos` if it is None."""
    run: Run = Store.at(str(root)).run("20260101T000000Z-00000000")
    paths = sorted(photos.iterdir())
    run.write_summary(Summary(IngestFacts(input_rows=len(paths), base_uri=str(read_from or photos))))
    images, detections, embeddings = [], [], []
    for number, path in enumerate(paths):
        data = path.read_bytes()
        image = decode_image(data)
        size = {"width_px": image.width_px, "height_px": image.height_px, "n_bytes": len(data)}
        hashes = {"pdq_hash": pdq_hash(image.pixels)[0], "pixel_hash": pixel_hash(image.pixels)}
        colour = {"colour_profile": image.colour_profile.value}
        image_id = content_id(data)
        named = {
            "image_id": image_id,
            "product_id": path.stem,
            "uri": path.name,
            "format": image.format,
            "attributes": {},
        }
        images.append({**named, **size, **hashes, **colour})
        box = {"x1_px": 0.0, "y1_px": 0.0, "x2_px": float(image.width_px), "y2_px": float(image.height_px)}
        region = {"detection_id": number, "image_id": image_id, "kind": "frame", "area_fraction": 1.0}
        detections.append({**region, **box, "is_primary": True, "model_id": "model", "slice": b""})
        facets = {facet: [1.0] for facet in FACETS}
        embeddings.append(
            {"detection_id": number, **facets, "hubness": 0.0, "is_scene": True, "is_room": False, "projection_id": "p"}
        )
    neighbours: list[dict[str, object]] = []
    for table, rows in (
        ("images", images),
        ("detections", detections),
        ("embeddings", embeddings),
        ("neighbours", neighbours),
    ):
        frame = spark.createDataFrame(rows, spark_schema(table))  # type: ignore[type-var]
        write_table(frame.repartition(n_partitions), run, table)
    suit_catalogue(spark, 10**6 if n_partitions == 8 else 1)
    spark.conf.set("spark.sql.shuffle.partitions", str(n_partitions))
    return Night.of(spark, make_config(photos, root, *settings), run)
