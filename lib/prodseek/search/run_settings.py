"""The settings that a finished run was made with, for what is to be computed as it was then."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from prodseek.config import Config
from prodseek.errors import StoreError, WeightsError
from prodseek.runs.facts import EmbedFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import DetectorSettings, model_id


def config_of(run: Run, manifest: Manifest) -> Config:
    """The configuration of a finished run. Raises StoreError if this version does not know its settings."""
    try:
        return Config.model_validate(manifest.config)
    except ValidationError as error:
        raise StoreError(
            f"run {run.run_id} was made by prodseek {manifest.prodseek_version}, whose settings this version does "
            "not know; run the night again with this version"
        ) from error


def settings_of(run: Run, manifest: Manifest) -> DetectorSettings:
    """The settings of the detector that made a finished run, adapted to this machine. Raises WeightsError and StoreError."""
    made_by = manifest.facts(EmbedFacts).model_id
    config = config_of(run, manifest)
    weights = config.network.weights
    try:
        settings = detector_settings(config)
    except WeightsError as error:
        raise WeightsError(
            f"run {run.run_id} was made by {made_by}, and its weights could neither be found nor fetched; put "
            f"{weights.file_name} with SHA-256 {weights.sha256} at {weights.folder / weights.file_name}, or search by "
            "a region of the catalogue, which needs no network"
        ) from error
    if model_id(settings) != made_by:
        raise StoreError(
            f"run {run.run_id} was made by {made_by}, and this version of prodseek computes {model_id(settings)}, which "
            "cannot be compared with it; run the night again with this version"
        )
    precision = "auto" if settings.precision == "fp16" else settings.precision
    return replace(settings, torch_threads=0, device="auto", precision=precision)
