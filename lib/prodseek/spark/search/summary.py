"""What a batch of searches wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BatchSummary:
    """facts: what the batch's MANIFEST.json says beside its tables; rows: table -> rows written; line: for a person."""

    facts: Mapping[str, Any]
    rows: Mapping[str, int]
    line: str
