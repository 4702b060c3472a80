"""Nothing that a night leaves behind is a pickle, which runs code when it is read; told by its instructions, not by its name."""

from __future__ import annotations

import ast
import io
import pickle
import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from prodseek.runs.store import Run

REPO = Path(__file__).parents[2]
PICKLING = {
    "pickle",
    "cPickle",
    "_pickle",
    "joblib",
    "cloudpickle",
    "dill",
    "shelve",
    "marshal",
    "jsonpickle",
    "pickletools",
}
# The reader of .pt files needs the exception's name; it loads by torch's unpickler of listed classes alone.
GUARDED = "lib/prodseek/vision/torch_file.py"


def is_pickle(data: bytes) -> bool:
    """Whether these bytes are the instructions of a pickle up to its end, or an archive or array that holds one."""
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(is_pickle(archive.read(name)) for name in archive.namelist())
    if data.startswith(b"\x93NUMPY"):
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return bool(reader(stream)[2].hasobject)
    if data[:1] == b"x":
        try:
            return is_pickle(zlib.decompress(data))
        except zlib.error:
            return False
    try:
        pickletools.dis(data, io.StringIO())  # follows the stack as well: a dot alone is an end, but of nothing
        # One value and the end: numbers look like that by chance, and nothing runs.
        return sum(1 for _ in pickletools.genops(data)) > 2
    except Exception:  # whatever comes of instructions that are none
        return False


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_recognised(protocol: int) -> None:
    for value in ({"a": [1, 2.5, None]}, np.ones(3), Path("x"), b"bytes"):
        data = pickle.dumps(value, protocol)
        assert is_pickle(data) and is_pickle(zlib.compress(data))
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(1)}, buffer, pickle_protocol=max(2, protocol))
    assert is_pickle(buffer.getvalue())
    buffer = io.BytesIO()
    np.savez(buffer, values=np.array([None, {}], object))
    assert is_pickle(buffer.getvalue())
    for data in (b"", b"{}", b"PAR1\x15\x04", b"20260101T000000Z-00000000\n"):
        assert not is_pickle(data)


def test_no_file_of_a_night_is_a_pickle(night: Run) -> None:
    paths = [path for path in Path(night.root).rglob("*") if path.is_file()]
    assert {"LATEST", "MANIFEST.json", "projection.npz", "trained.faiss", "embed.json"} <= {path.name for path in paths}
    assert [path for path in paths if is_pickle(path.read_bytes())] == []
    n_values = 0
    for path in paths:
        for value in _binary_values(path) if path.suffix == ".parquet" else ():
            assert not is_pickle(value), path
            n_values += 1
    assert n_values > 1000  # slices, thumbnails


def _binary_values(path: Path) -> Iterator[bytes]:
    file = pq.ParquetFile(path)
    columns = [field.name for field in file.schema_arrow if pa.types.is_binary(field.type)]
    for column in file.read(columns=columns).columns if columns else ():
        yield from (value for value in column.to_pylist() if value)


def test_no_code_writes_or_reads_pickles() -> None:
    for path in (found for room in ("lib", "jobs") for found in (REPO / room).rglob("*.py")):
        _check_source(str(path.relative_to(REPO)), ast.parse(path.read_text(encoding="utf-8")))


def _check_source(name: str, tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = (
                {alias.name.partition(".")[0] for alias in node.names}
                if isinstance(node, ast.Import)
                else {node.module}
            )
            assert name == GUARDED or not PICKLING & modules, f"{name}:{node.lineno}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            where = f"{name}:{node.lineno}: {called}"
            if called in ("torch.load", "torch.serialization.load"):
                assert name == GUARDED and options["weights_only"] == "True", where
            if called in ("np.load", "np.save", "np.savez", "np.savez_compressed"):
                assert options.get("allow_pickle") == "False", where
            assert called != "torch.save" and not called.endswith(("read_pickle", "to_pickle", ".saveAsPickleFile")), (
                where
            )
            assert options.get("allow_pickle", "False") == "False", where
