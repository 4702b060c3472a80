"""The report's data files: scripts that pass a JSON value to the page."""

from __future__ import annotations

import json
from typing import Any

from prodseek.report.wording import printable


def script(name: str, value: Any) -> bytes:
    """The script that passes `value` to the page under `name`, as UTF-8.

    Characters that HTML cannot hold become visible marks. Equal values give equal bytes.
    """
    return f"prodseek.receive({_json(name)},{_json(value)});\n".encode()


def shard_name(kind: str, number: int) -> str:
    """The name of a shard, such as "objects-0003"."""
    return f"{kind}-{number:04d}"


def _json(value: Any) -> str:
    # `printable` after encoding, when control characters are ASCII escapes already, but lone surrogates are not.
    return printable(json.dumps(_clean(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
