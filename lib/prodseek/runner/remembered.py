"""What a root knows of its catalogue: the settings that its last finished run read it with."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prodseek.config import CatalogConfig
from prodseek.errors import StoreError
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import Store
from prodseek.storage import files

# How patient a night is says nothing of the catalogue.
_NOT_OF_THE_CATALOGUE = ("uri", "read_attempts", "read_timeout_seconds", "http_timeout_seconds")


@dataclass(frozen=True)
class Remembered:
    """Settings of the section `catalog` that a run had, where they are not the defaults. uri: of its catalogue."""

    run_id: str
    settings: Mapping[str, Any]
    uri: str


def remembered(root: str, catalog: str | None, defaults: CatalogConfig) -> Remembered | None:
    """What the root's newest finished run read its catalogue with; None where it has none, or had another catalogue.

    catalog: the one that is named now, None for the run's own. One that lies beside the run's and has the same ending is its
    next delivery.
    """
    try:
        run = Store.at(root).latest()
        manifest = run.manifest()
        facts = manifest.facts_if_there(IngestFacts)
    except (StoreError, OSError):
        return None
    then = manifest.config.get("catalog")
    if facts is None or not facts.catalog or not isinstance(then, Mapping):
        return None
    if catalog is not None and not _is_delivery(files.absolute(catalog), facts.catalog):
        return None
    own = defaults.model_dump(mode="json")
    kept = {
        key: value
        for key, value in then.items()
        if key in own and value != own[key] and key not in _NOT_OF_THE_CATALOGUE
    }
    return Remembered(run.run_id, kept, facts.catalog)


def _is_delivery(now: str, then: str) -> bool:
    if now == then:
        return True
    ending = posixpath.splitext(now)[1]
    return bool(ending) and ending == posixpath.splitext(then)[1] and posixpath.dirname(now) == posixpath.dirname(then)
