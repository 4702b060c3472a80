"""The log of a Delta table: which of the Parquet files in its folder count."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from prodseek.errors import CatalogueError
from prodseek.storage import files

DELTA_LOG = "_delta_log"
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d+\.\d+)?\.parquet")
_DAMAGED = (OSError, pa.ArrowException, UnicodeDecodeError)


def logged_files(uri: str, names: Sequence[str]) -> dict[str, tuple[tuple[str, str | None], ...]]:
    """The files that the log of a Delta table counts in, by path in its folder, with the values of its partitions.

    names: of the files of its log. As Delta's protocol has it: the newest checkpoint, then every commit behind it. Raises
    CatalogueError for a log that is damaged, or that hides rows of files, which takes a reader of Delta.
    """
    checkpoints = [(found[1], name) for name in names if (found := _CHECKPOINT.fullmatch(name))]
    newest = max((version for version, _ in checkpoints), default="")
    actions: list[dict[str, Any]] = []
    try:
        for _, name in (one for one in checkpoints if one[0] == newest):
            file_system, path = files.locate(files.join(uri, DELTA_LOG, name))
            with file_system.open_input_file(path) as handle:
                actions += pq.read_table(handle, columns=["add", "metaData"]).to_pylist(maps_as_pydicts="lossy")
        for name in names:
            if re.fullmatch(r"\d{20}\.json", name) and name[:20] > newest:
                text = files.read_bytes(files.join(uri, DELTA_LOG, name)).decode()
                actions += [json.loads(line) for line in text.splitlines() if line.strip()]
        live: dict[str, tuple[tuple[str, str | None], ...]] = {}
        for action in actions:
            add, remove, meta = action.get("add"), action.get("remove"), action.get("metaData") or {}
            if (meta.get("configuration") or {}).get("delta.columnMapping.mode", "none") != "none":
                raise CatalogueError(f"the Delta table {uri!r} maps its columns' names; export it as plain Parquet")
            if add and add.get("deletionVector"):
                raise CatalogueError(
                    f"the Delta table {uri!r} has deletion vectors: run REORG TABLE ... APPLY (PURGE), or export it as plain "
                    "Parquet"
                )
            if add:
                live[unquote(add["path"])] = tuple((add.get("partitionValues") or {}).items())
            if remove:
                live.pop(unquote(remove["path"]), None)
    except (*_DAMAGED, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CatalogueError(f"the log of the Delta table {uri!r} cannot be read: {error}") from error
    return live
