"""What a person sees of a feed: how it was read, said once, before the night starts; or why it was refused, and what to type."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
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
    command = f"prodseek check {tmp_path}/m.csv --root {tmp_path}/root"
    assert done.stderr.splitlines()[-1] == f"what is in it, and what to set: {command}"
    (tmp_path / "m.csv").write_bytes(b"PK\x03\x04 a workbook xl/workbook.xml")
    done = prodseek("run", "--catalog", tmp_path / "m.csv", "--root", tmp_path / "root")
    assert done.returncode == 2 and "save it as `CSV UTF-8`" in done.stderr


@pytest.mark.parametrize("name", ["m.csv.gz", "m.parquet"], ids=["gzip", "parquet"])
def test_a_manifest_that_is_damaged_within_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """Once, in words: no task is tried again, and none prints a trace."""
    ids, uris = [f"p{n}" for n in range(60_000)], [f"{random.Random(n).random()}.jpg" for n in range(60_000)]
    if name == "m.parquet":
        pq.write_table(pa.table({"product_id": ids, "uri": uris}), tmp_path / name, row_group_size=10_000)
        data = bytearray((tmp_path / name).read_bytes())
        at = len(data) * 5 // 8
        data[at : at + 4000] = random.Random(0).randbytes(4000)
        expected = f"{tmp_path}/m.parquet is damaged or gone; write it again: behind row "
    else:
        data = bytearray(gzip.compress("\n".join(["product_id,uri", *map("{},{}".format, ids, uris)]).encode()))
        del data[-3000:]
        expected = f"the manifest '{tmp_path}/m.csv.gz' cannot be read to its end: Truncated compressed stream, after "
    (tmp_path / name).write_bytes(data)
    for command in (("run", "--root", tmp_path / "root", "--catalog"), ("check",)):
        done = prodseek(*command, tmp_path / name)
        assert done.returncode == 2
        said = done.stderr.splitlines()[-1]
        assert (
            said.startswith(f"prodseek: {expected}")
            and "products that are missing would look as if they were gone" in said
        )
        assert done.stderr.count(expected) == 1 and "Traceback" not in done.stderr and " WARN " not in done.stderr
    assert not list(tmp_path.glob("root/runs/*"))
