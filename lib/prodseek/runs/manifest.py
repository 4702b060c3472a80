"""A finished run's MANIFEST.json: everything that a reader needs to trust the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from prodseek.errors import DamagedError
from prodseek.runs.facts import StageFacts

Facts = TypeVar("Facts", bound=StageFacts)


def first_fault(error: ValidationError) -> str:
    """What pydantic found first, in one line."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))[:100]}: {fault['msg']}"


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """Rows of the catalogue, and what became of them: images + rejects = input_rows."""

    input_rows: int
    images: int
    rejects: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """finished: ISO 8601 with a time zone. tables: table -> rows. seconds: stage -> wall time.

    stages: stage -> its facts as JSON, see `facts`; config: every setting. What an older version did not write has its
    default; None where a reader has to know that it is not there.
    """

    run_id: str
    fingerprint: str = ""
    finished: str | None = None
    prodseek_version: str | None = None
    schema_versions: dict[str, int] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    reconciliation: Reconciliation | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights_sha256: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    accepted_breaches: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Manifest:
        """Raises pydantic's ValidationError for values of other types."""
        return _MANIFEST.validate_python(dict(values))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def facts(self, kind: type[Facts]) -> Facts:
        """What a stage left. Raises DamagedError where that is missing or of other types."""
        found = self.facts_if_there(kind)
        if found is None:
            raise DamagedError(
                f"the manifest of run {self.run_id} says nothing of stage {kind.stage}: another version of prodseek wrote "
                "it. Run the night again with this one"
            )
        return found

    def facts_if_there(self, kind: type[Facts]) -> Facts | None:
        """What a stage left; None where it left nothing. Raises DamagedError for values of other types."""
        values = self.stages.get(kind.stage)
        if values is None:
            return None
        try:
            return kind.from_json(values)
        except ValidationError as error:
            raise DamagedError(
                f"the manifest of run {self.run_id} is damaged: stages.{kind.stage}.{first_fault(error)}; the command that "
                "made the run writes it again"
            ) from error


_MANIFEST = TypeAdapter(Manifest)
