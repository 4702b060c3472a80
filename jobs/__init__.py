"""The commands of spark-submit: the night, each of its stages, and many searches at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prodseek.runner.stages import Stage

    from . import cluster, duplicates, embed, gates, index, ingest, neighbours, project, report

    # A stage is imported by its name when it is its turn; here the type checker holds each against the protocol.
    _STAGES: tuple[Stage, ...] = (ingest, embed, project, index, neighbours, duplicates, cluster, gates, report)
