"""What a batch of searches wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prodseek.runs.store import MANIFEST
from prodseek.storage import files


@dataclass(frozen=True)
class BatchSummary:
    """facts: what the batch's MANIFEST.json says beside its tables; rows: table -> rows written; line: for a person."""

    facts: Mapping[str, Any]
    rows: Mapping[str, int]
    line: str

    def write(self, out: str) -> None:
        """Mark the batch in the folder `out` as done."""
        values = {**self.facts, "tables": dict(self.rows)}
        files.write_bytes(files.join(out, MANIFEST), (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
