"""Feeds of every kind, without Spark: each row is understood or has a fault, however the file is cut, or a CatalogueError."""

from __future__ import annotations

import atexit
import gzip
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import mutated
from hypothesis import strategies as st
from text_blocks import whole_blocks

from prodseek.catalogue import text_rows
from prodseek.catalogue.manifest_reading import Manifest, read_manifest
from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.parquet_table import read_share, shares_of
from prodseek.catalogue.photo_rows import Role, RowRules
from prodseek.catalogue.shaped_rows import SHAPE, shaped, shaped_parquet
from prodseek.catalogue.text_rows import read_block
from prodseek.config import load_config
from prodseek.errors import CatalogueError

_CSV = (
    b'product_id,uri,title,category\np1,a.jpg,Chair,"two\nlines"\np2,"b, c.jpg","24"" x",NULL\n'
    b'sku;Image;Title\n1;a.jpg;"open\n2;b.jpg;x;\n'
)
_JSON = b'{"product_id": 1, "uri": ["a.jpg", "b.jpg"], "n": {"a": 1e400}}\n{"product_id": "x", "uri": null}\n'
_TOKENS = (
    b'"', b'""', b'\\"', b",", b";", b"\t", b"|", b"\r", b"\n", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"'", b"sep=;\n",
    b"uri", b"URI", b"product_id", b"NaN", b"\xe4", b"{", b"}", b"[", b"]", b'"uri":', b"\\ud800", b"1" * 400, b"[" * 3000,
    b"image_link", b"additional_image_link", b"Handle", b"Image Src", b"Variant Image", b"^",
    b', "', b"\\,", b"\\", b"[{", b"}]", b"},\n", b"\xe2\x80\x8b", b"//cdn.x/a.jpg", b"<?xml", b"SKU", b"Images", b"ID", b"https://x/a,b",
    b"a" * 140_000, b"," * 5000, b'"\n' * 500,
)  # fmt: skip
_SETTINGS = (
    (), ("catalog.product_id_column=null",), ("catalog.csv_delimiter=;",), ("catalog.csv_quote=''",),
    ("catalog.encoding=utf-16",), ("catalog.encoding=shift_jis",), ("catalog.uri_column=n.a",), ("catalog.columns.title=uri",),
    ("catalog.csv_header=[product_id, uri, t]",), ("catalog.more_uri_columns=[title]",), ("catalog.uri_separators=[',', 'p']",),
)  # fmt: skip
_LOG = "t/_delta_log/00000000000000000000.json"
# Small, so that seams fall anywhere.
_CUTS = {"BLOCK_BYTES": 97, "_PIECE_BYTES": 41, "_SEAM_BYTES": 60}


class Case(NamedTuple):
    """Files of a catalogue by name; the first is the catalogue, or its folder is where there are several."""

    files: tuple[tuple[str, bytes], ...]
    settings: tuple[str, ...] = ()


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="prodseek-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _packed(data: bytes, kind: str) -> bytes:
    if kind == "gzip":
        return gzip.compress(data, 1)
    if kind == "zstd":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        return bytes(sink.getvalue())
    return data if kind == "plain" else data.decode("latin-1").encode(kind, "replace")


def _parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, row_group_size=2)
    return buffer.getvalue()


def cases() -> st.SearchStrategy[Case]:
    kinds = st.sampled_from(("plain", "plain", "gzip", "zstd", "utf-16", "utf-16-be", "cp1252"))
    names = st.sampled_from(("m.csv", "m.tsv", "m", "m.csv.gz", "m.jsonl", "m.json"))
    texts = st.builds(_packed, mutated([_CSV, _JSON, _CSV.replace(b",", b";")], _TOKENS), kinds)
    broken = mutated([gzip.compress(_CSV), _packed(_CSV, "zstd")], (b"\x1f\x8b", b"\0"))
    text = st.builds(
        lambda name, data, settings: Case(((name, data),), settings), names, st.one_of(texts, texts, broken),
        st.sampled_from(_SETTINGS),
    )  # fmt: skip
    held = _parquet(
        product_id=[1.0, None, 2e9], uri=[["a.jpg"], [], None], at=pa.array([1, 2, None], pa.timestamp("ns"))
    )
    plain = _parquet(product_id=["p", "q", "r"], uri=["a.jpg", None, "c.jpg"], thumb=[b"x", b"y", None])
    raw = _parquet(
        product_id=pa.array([b"p\xff", None, b"\0"]), uri=pa.array([[b"a", None], [b"b\xff"], None]).cast(pa.list_(pa.binary())),
        title=pa.array([b"\xff", b"x", b"y"]).view(pa.string()), f=pa.array([1e30, None, float("nan")]),
    )  # fmt: skip
    add = {"add": {"path": "a.parquet", "partitionValues": {"day": "1"}}}
    log = "\n".join(
        map(json.dumps, ({"metaData": {"configuration": {}}}, add, {"remove": {"path": "b.parquet"}}))
    ).encode()
    logs = mutated([log], (b"a.parquet", b"b.parquet", b"null", b"{", b"}", b"deletionVector", b"..", b"%2F"))
    folder = st.builds(
        lambda one, other, entry, delta: Case((("t/a.parquet", one), ("t/b.parquet", other), *((_LOG, entry),) * delta)),
        st.one_of(st.just(plain), mutated([plain, held, raw], (b"PAR1",))), st.sampled_from((plain, held, raw)),
        logs, st.booleans(),
    )  # fmt: skip
    parts = st.builds(
        lambda kind, one, other: Case(((f"t/a.{kind}", one), (f"t/b.{kind}", other))),
        st.sampled_from(("csv", "csv.gz", "json")), st.one_of(texts, broken), texts,
    )  # fmt: skip
    return st.one_of(text, text, folder, parts)


@contextmanager
def _cut(cuts: dict[str, int]) -> Iterator[None]:
    before = {name: getattr(text_rows, name) for name in cuts}
    try:
        for name, value in cuts.items():
            setattr(text_rows, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(text_rows, name, value)


def check(case: Case) -> None:
    place = _folder() / "case"
    shutil.rmtree(place, ignore_errors=True)
    for name, data in case.files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    catalogue = place / case.files[0][0]
    try:
        source = find_catalogue(str(catalogue if len(case.files) == 1 else catalogue.parent))
        if source.kind == "folder":
            return
        manifest = read_manifest(source, load_config(settings=case.settings).catalog)
        config = load_config(settings=case.settings).catalog
        rules = RowRules.of(manifest.columns, config, source.base_uri)
        if not manifest.texts:
            for share in (share for task in shares_of(manifest.parts) for share in task):
                for first_row, batch in read_share(share, manifest.schema):
                    assert batch.schema == manifest.schema
                    shape, places = shaped_parquet(batch, rules, share.part.uri, first_row)
                    shape.validate(full=True)
                    assert set(places) == set(range(batch.num_rows)) or manifest.columns.has_other_rows
            return
        rows = _rows(manifest, rules)
        with _cut(_CUTS):
            again = _rows(manifest, rules)
    except CatalogueError as error:
        assert len(str(error)) < 5000, len(str(error))
        return
    assert rows == again, "the same rows however the file is cut"
    for row in rows:
        assert row["fault"] is None or len(row["fault"]) < 300
        assert row["uri"] is None or row["uri"].strip()
        assert row["product_id"] is None or "\0" not in row["product_id"]
        if row["role"] == Role.NO_PHOTO:
            assert row["uri"] is None and row["fault"] is None
            continue
        assert row["fault"] or (row["uri"] and (row["product_id"] or manifest.columns.product_id is None))


def _rows(manifest: Manifest, rules: RowRules) -> list[dict[str, Any]]:
    """Every row, in the blocks that a night would read, whose rows are numbered without a gap."""
    found: list[dict[str, Any]] = []
    for table in manifest.texts:
        number = 1
        for block in whole_blocks(table):
            for some in read_block(table, block):
                assert some.first_row == number
                number += len(some.rows)
                for batch in shaped(some, table, rules):
                    assert batch.schema.names == SHAPE.names
                    batch.validate(full=True)
                    found += batch.to_pylist()
    return found
