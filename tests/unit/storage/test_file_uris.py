"""Files by any way that people and programs write their URIs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import load_config
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import files


@pytest.mark.parametrize("scheme", ["", "file:", "file://", "FILE:", "FILE://", "File://localhost"])
def test_a_file_is_found_by_every_spelling_of_its_uri(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "a b.jpg").write_bytes(b"photo")
    (tmp_path / "m.csv").write_text("product_id,uri\n")
    path = str(tmp_path / "a b.jpg")
    uri = scheme + (path.replace(" ", "%20") if scheme else path)
    assert files.read_bytes(uri) == b"photo" and files.real(uri) == files.real(path) and files.storage_of(uri) == ""
    assert files.absolute(uri) == files.local_path(uri) == files.absolute(path)
    assert PhotoSource(str(tmp_path), (), ImageLimits()).read(uri) == b"photo"
    found = find_catalogue(f"{scheme}{tmp_path}/m.csv")
    assert found.uri == f"{tmp_path}/m.csv" and found.base_uri == str(tmp_path)
    roots = load_config(settings=[f"catalog.allowed_roots=['{scheme}{tmp_path}']"]).catalog.allowed_roots
    assert PhotoSource("/nowhere", roots, ImageLimits()).read(uri) == b"photo"


@pytest.mark.parametrize("name", ["#1.jpg", "q?v=1.jpg", "100%.jpg", "a b;c.jpg", "x.tar#y.jpg"])
@pytest.mark.parametrize("scheme", ["", "file:", "file://", "FILE://", "file://localhost"])
def test_signs_in_a_name_end_no_path(tmp_path: Path, name: str, scheme: str) -> None:
    (tmp_path / name).write_bytes(b"photo")
    photos = PhotoSource(str(tmp_path), (), ImageLimits())
    assert photos.read(f"{scheme}{tmp_path}/{name}") == photos.read(name) == b"photo"
    assert photos.stamp(name).n_bytes == 5
    if scheme:
        assert photos.read(f"{scheme}{tmp_path}/{quote(name)}") == b"photo"


@pytest.mark.parametrize("uri", ["file:/data/a.jpg", "file:///data/a.jpg", "FILE:/data/a.jpg", "FILE:///data/a.jpg"])
def test_spark_is_told_one_spelling(uri: str) -> None:
    assert files.spark_uri(uri) == "file:///data/a.jpg"


def test_a_slash_before_a_name_may_mean_the_catalogues_folder(tmp_path: Path) -> None:
    (tmp_path / "feed" / "m").mkdir(parents=True)
    (tmp_path / "feed" / "m" / "a.jpg").write_bytes(b"photo")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "feed" / "out").symlink_to(tmp_path)
    photos = PhotoSource(str(tmp_path / "feed"), (), ImageLimits())
    found = photos.read_near("/m/a.jpg")
    assert found.data == b"photo" and found.spelling is not None and photos.stamp("/m/a.jpg").n_bytes == 5
    for uri in ("/m/b.jpg", f"{tmp_path}/secret.jpg", "/../secret.jpg", "/out/secret.jpg"):
        with pytest.raises(ImageRejected, match="lies neither in the catalogue's folder"):
            photos.read(uri)
