"""A catalogue's size without Spark, and what some of its photos cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import Config, load_config
from prodseek.errors import CatalogueError, ConfigError
from prodseek.photos.decode import ImageLimits
from prodseek.planning.measure import _sampled, list_catalogue, measure_photos
from prodseek.vision.configured import detector_settings


def test_rows_are_counted_in_every_kind_of_catalogue(tmp_path: Path, make_jpeg) -> None:  # type: ignore[no-untyped-def]
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(make_jpeg())
    (tmp_path / "m.csv").write_text("product_id,uri\np,a.jpg\nq,\nr,b.jpg\n")
    pq.write_table(pa.table({"uri": ["a.jpg", None, "b.jpg"], "product_id": ["p"] * 3}), tmp_path / "m.parquet")
    for catalog, n_uris in ((tmp_path, 3), (tmp_path / "m.csv", 2), (tmp_path / "m.parquet", 2)):
        listing = list_catalogue(load_config(catalog=str(catalog)))
        assert (listing.n_rows, len(listing.uris)) == (3, n_uris), catalog
    for name in ("m.csv", "m.parquet"):
        with pytest.raises(CatalogueError, match="has no column 'photo'"):
            list_catalogue(load_config(settings=["catalog.uri_column=photo"], catalog=str(tmp_path / name)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogueError, match="names no photo"):
        list_catalogue(load_config(catalog=str(tmp_path / "empty")))
    with pytest.raises(ConfigError, match=r"catalog\.uri: missing"):
        list_catalogue(load_config())


def test_photos_that_a_manifest_holds_are_sampled(tmp_path: Path, make_jpeg) -> None:  # type: ignore[no-untyped-def]
    photos = [{"bytes": make_jpeg((60 + n, 48))} for n in range(4)]
    pq.write_table(pa.table({"product_id": list("abcde"), "image": [*photos, None]}), tmp_path / "m.parquet")

    def config(*settings: str) -> Config:
        return load_config(settings=settings, catalog=str(tmp_path / "m.parquet"), root=str(tmp_path / "root"))

    held = config("catalog.bytes_column=image.bytes", "catalog.uri_column=null")
    listing = list_catalogue(held)
    assert (listing.n_rows, listing.uris) == (5, ())
    with _sampled(held, listing, 3) as (source, names):
        assert {source.read(name) for name in names} < {photo["bytes"] for photo in photos} and len(names) == 3
    assert not (tmp_path / "root").exists()
    with pytest.raises(CatalogueError, match="no column 'photo'"):
        list_catalogue(config("catalog.bytes_column=photo"))


def test_photos_are_measured(sample_folder: Path, tiny_weights: Path) -> None:
    photos = PhotoSource(str(sample_folder), (), ImageLimits())
    settings = detector_settings(load_config())
    uris = ["images/bad-empty.jpg", "images/absent.jpg", *(f"images/beanbag-{n}.jpg" for n in (1, 2))]
    found = measure_photos(settings, photos, uris, (160, 256), 1, 60.0)
    assert found is not None
    assert (found.n_photos, found.n_unreadable) == (2, 2) and found.reject_share == 0.5
    assert found.regions >= 1 and found.slice_bytes == 3970
    assert all(value > 0 for value in asdict(found).values() if isinstance(value, float))
    assert measure_photos(settings, photos, uris[:2], (160, 256), 1, 60.0) is None
