"""What a person sees of a feed: how it was read, said once, before the night starts; or why it was refused, and what to type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from commands import prodseek


def test_how_a_manifest_is_read_is_said_once(tmp_path: Path, make_jpeg: Callable[..., bytes]) -> None:
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    (tmp_path / "m.csv").write_bytes('Product ID;URI;Kategorie;\np;a.jpg;Stühle;\nq;"b.jpg;Tische;\n'.encode("utf-16"))
    settings = ("--set", "catalog.columns={category: Kategorie}", "--set", "gates.max_reject_share=null")
    done = prodseek("run", "ingest", "--catalog", tmp_path / "m.csv", "--root", tmp_path / "root", *settings)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == f"{tmp_path}/m.csv: semicolons, UTF-16, 4 columns"
    assert lines[1].startswith(
        "columns found: product_id = 'Product ID', uri = 'URI', category = 'Kategorie'; not found: title"
    )
    assert lines[2] == "passed over: '' (has no name)"
    assert done.stderr.count("semicolons") == 1 and "WARNING" not in done.stderr and "incubator" not in done.stderr
    assert "2 rows in, 1 images, 1 rejected" in done.stderr


def test_a_night_that_is_refused_says_what_was_read_and_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("sku;Bild\n1;a.jpg\n")
    done = prodseek("run", "--catalog", tmp_path / "m.csv", "--root", tmp_path / "root")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "read as semicolons, UTF-8, 2 columns, with the first line 'sku;Bild', has no column 'uri'" in done.stderr
    assert "--set catalog.product_id_column=... (null: every photo is its own product)" in done.stderr
    assert "`prodseek check` shows what is in them" in done.stderr
    (tmp_path / "m.csv").write_bytes(b"PK\x03\x04 a workbook")
    done = prodseek("run", "--catalog", tmp_path / "m.csv", "--root", tmp_path / "root")
    assert done.returncode == 2 and "save it as `CSV UTF-8`" in done.stderr
