"""Checkpoints of networks that are made for tests, once a session: random weights, under which something is found."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def ultralytics_checkpoint(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Make a detector of ultralytics' own description, with random weights that score, and save it as it does.

    Called with a description's name, such as `yolov3u`; gives a `PinnedFile`. fused: saved folded, with the head that
    does without NMS where there is one.
    """
    from prodseek.vision.ultralytics_network import import_ultralytics
    from prodseek.vision.weights import PinnedFile, file_sha256

    made: dict[tuple[str, bool], PinnedFile] = {}

    def make(name: str, fused: bool = False) -> PinnedFile:
        if (name, fused) not in made:
            import_ultralytics()
            from ultralytics import YOLO

            path = tmp_path_factory.mktemp("ultralytics") / f"{name}.pt"
            model = YOLO(f"{name}.yaml")
            give_weights(model.model)
            if fused:
                model.model.end2end = True
                model.model.fuse(verbose=False)
            model.save(path)
            made[name, fused] = PinnedFile(path, file_sha256(path))
        return made[name, fused]

    return make


@pytest.fixture(scope="session")
def resnet_weights(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Random weights of torchvision's ResNet-50, saved as it saves them: called without arguments, a `PinnedFile`."""
    from prodseek.vision.weights import PinnedFile, file_sha256

    made: list[PinnedFile] = []

    def make() -> PinnedFile:
        if not made:
            import torch
            from torchvision.models import resnet50

            with torch.random.fork_rng():
                torch.manual_seed(3)
                state = resnet50(weights=None).state_dict()
                for key, values in state.items():
                    if key.endswith(("running_mean", "bias")):
                        values.normal_(0, 0.1)
                    elif key.endswith("running_var"):
                        values.uniform_(1.0, 2.0)
            path = tmp_path_factory.mktemp("resnet") / "resnet50.pth"
            torch.save(state, path)
            made.append(PinnedFile(path, file_sha256(path)))
        return made[0]

    return make


def give_weights(model) -> None:  # type: ignore[no-untyped-def]
    """Random weights under which values keep their range through all layers and some tens of boxes of a photo score."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.ndim == 4:
            parameter.data = torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    photos = torch.cat(  # tiles of every size: flat areas and edges in full contrast
        [
            nn.functional.interpolate(torch.rand((1, 3, tiles, tiles), generator=generator), (128, 128))
            for tiles in (2, 3, 6, 12, 24, 48)
        ]
    )
    head = model.model[-1]
    with torch.no_grad():
        model.train()(photos)
        for norm in norms:  # a channel that lay still here is not to drown out all others on another photo
            norm.running_var.clamp_(min=float(norm.running_var.mean()))
            norm.momentum = 0.03
        raw = model.eval()(photos)[1]
        branches = ("one2many", "one2one") if "one2one" in raw else ("one2many",)
        for branch in branches:
            values, layers = raw.get(branch, raw), getattr(head, branch)
            for box, score in zip(layers["box_head"], layers["cls_head"], strict=True):
                box[-1].weight *= 2 / values["boxes"].std()
                box[-1].bias.fill_(5.0)  # cells, where a distance is one number
                score[-1].weight /= values["scores"].std()
                score[-1].bias.zero_()
        raw = model(photos)[1]
        for branch in branches:
            logits = raw.get(branch, raw)["scores"]
            for score in getattr(head, branch)["cls_head"]:
                score[-1].bias -= logits.flatten().topk(100).values[-1]
    model.names = {index: f"thing {index}" for index in range(head.nc)}
