"""What a root knows of its catalogue: the settings that its last run read it with, from its first stage on."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
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
    """What the root's newest finished run read its catalogue with, or else its newest that has read one.

    None where it has none, or had another catalogue. catalog: the one that is named now, None for the run's own. One that
    lies beside the run's and has the same ending is its next delivery.
    """
    own = defaults.model_dump(mode="json")
    for run_id, uri, then in _read_before(root):
        if catalog is None or _is_delivery(files.absolute(catalog), uri):
            kept = {
                key: value
                for key, value in then.items()
                if key in own and value != own[key] and key not in _NOT_OF_THE_CATALOGUE
            }
            return Remembered(run_id, kept, uri)
    return None


def _read_before(root: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Runs that have read a catalogue: id, the catalogue's URI and the settings of `catalog`; the published one first."""
    store = Store.at(root)
    try:
        run = store.latest()
        manifest = run.manifest()
        facts = manifest.facts_if_there(IngestFacts)
        then = manifest.config.get("catalog")
        if facts is not None and facts.catalog and isinstance(then, Mapping):
            yield run.run_id, facts.catalog, then
    except (StoreError, OSError):
        pass  # none was published yet
    try:
        for run in map(store.run, reversed(store.run_ids())):
            facts = run.facts_if_done(IngestFacts)
            if facts is not None and facts.catalog and facts.settings:
                yield run.run_id, facts.catalog, facts.settings
    except (StoreError, OSError):
        return


def _is_delivery(now: str, then: str) -> bool:
    if now == then:
        return True
    ending = posixpath.splitext(now)[1]
    return bool(ending) and ending == posixpath.splitext(then)[1] and posixpath.dirname(now) == posixpath.dirname(then)
