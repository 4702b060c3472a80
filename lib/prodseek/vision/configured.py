"""From the configuration to a detector's settings, the same for jobs and for search. Does not import torch."""

from __future__ import annotations

from prodseek.config import Config
from prodseek.vision.settings import DetectorSettings
from prodseek.vision.weights import obtain_weights


def detector_settings(config: Config) -> DetectorSettings:
    """The settings of the configured detector. Its weights are fetched if they are not there yet. Raises WeightsError."""
    weights = config.network.weights
    path = obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)
    return DetectorSettings(
        weights_path=path,
        weights_sha256=weights.sha256,
        network=config.network.name,
        input_px=config.network.input_px,
        batch_size=config.embed.batch_size,
        score_threshold=config.embed.score_threshold,
        nms_iou_threshold=config.embed.nms_iou_threshold,
        max_detections=config.embed.max_detections,
        torch_threads=config.embed.torch_threads,
        device=config.embed.device,
        precision=config.embed.precision,
    )
