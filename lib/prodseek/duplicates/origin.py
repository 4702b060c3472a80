"""Which of two photos that show the same looks like the original of the other: logistic models, fitted by train_origin.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from itertools import combinations_with_replacement
from typing import Any

from pydantic import TypeAdapter

from prodseek.duplicates.traces import Octave, Trace, Traces

MODEL_FILE = "origin.json"
# log2 of a miss, at which half of the photos are no longer just the other, encoded; and how sharply that ends.
_ENCODED_WITHIN = 0.35
# Both photos miss by more than this where neither is the other, just encoded.
_EDITED, _EDITED_WIDTH = 0.9, 0.15
# Differences that are spread so evenly are noise.
_EVEN, _EVEN_WIDTH = 0.74, 0.03
_LEAST_NOISE = 0.15
_NONE_CLOSER = 0.3
# A smaller loss of detail is none.
LEAST_LOSS = 0.3
_LEAST_GAIN = 0.05
_MOST = 2.0
# log2 of how many more colours a photo has; less says nothing, because encoders mix colours too.
_FEW_COLOURS = 1.5
# Sharpening strengthens two octaves alike, and both photos go on saying the same.
_ALIKE, _AGREEING = 0.4, 0.85


@dataclass(frozen=True)
class Signs:
    """What speaks for b as the original, each number above 0 if it does, and of the opposite sign for the photos swapped.

    closer: a is nearer to what its encoder makes of b than the other way round. encoded: the same, if only one lies on an
    encoder's steps. kept_steps: b lies on such steps and a does not, and encoding alone does not explain it. exactness: how much
    more exactly b lies on them, if both do and neither is closer. noise_added: log2 of a's noise divided by b's, if the quieter
    lies on steps that do not explain it. smoothed: -log2, if it lies on none; even: log2, if so, where the difference is even.
    blocks: as in Traces. colours: log2 of how many more colours b has. sharpened:
    how much a was.
    """

    closer: float = 0.0
    encoded: float = 0.0
    kept_steps: float = 0.0
    exactness: float = 0.0
    noise_added: float = 0.0
    smoothed: float = 0.0
    even: float = 0.0
    blocks: float = 0.0
    colours: float = 0.0
    sharpened: float = 0.0


SIGNS = tuple(field.name for field in fields(Signs))
# What tells whether the softer of two photos was blurred. By octaves, log2: how much more it lost of the finest than of the
# second, and of that than of the third, and the share of the first two; then how far both say the same in the finest, log2 of the
# other's noise divided by its own, and how evenly they differ. Products of two, because noise and sharpening have other shares.
LOSSES = ("finest", "fine", "share", "agreement", "noise", "evenness")
LOSS_TERMS = (*LOSSES, *(f"{one} * {other}" for one, other in combinations_with_replacement(LOSSES, 2)))


@dataclass(frozen=True)
class OriginModel:
    """origin: weight of each of SIGNS. blurred: weight of each of LOSS_TERMS; bias: added to them. recipe: how it was trained."""

    origin: Mapping[str, float]
    blurred: Mapping[str, float]
    bias: float
    recipe: dict[str, Any]

    def log_odds(self, signs: Signs) -> float:
        """Log-odds that b is the original of a; below 0: a of b."""
        return float(sum(self.origin[name] * getattr(signs, name) for name in SIGNS))

    def finer(self, traces: Traces) -> float:
        """log2 of b's detail divided by a's, if the softer of the two was blurred; else 0."""
        loss = loss_of(traces)
        return loss if abs(loss) > LEAST_LOSS and self.is_blurred(loss_terms(traces)) else 0.0

    def is_blurred(self, terms: Sequence[float]) -> bool:
        """Whether the softer of two photos was blurred. terms: in the order of LOSS_TERMS."""
        return self.bias + sum(self.blurred[name] * term for name, term in zip(LOSS_TERMS, terms, strict=True)) > 0


def signs_of(traces: Traces, colours: float) -> Signs:
    """What speaks for b as the original of a. colours: as in Signs."""
    a, b = traces.a, traces.b
    on_a, on_b = (not math.isnan(trace.missed) for trace in (a, b))
    at_detail = 1 - _rising(traces.evenness, _EVEN, _EVEN_WIDTH)
    likely_a, likely_b = (at_detail * _just_encoded(trace) for trace in (a, b))
    least = min((abs(trace.missed) for trace in (a, b) if not math.isnan(trace.missed)), default=math.inf)
    edited = max(1 - at_detail, 1.0 if math.isinf(least) else _rising(least, _EDITED, _EDITED_WIDTH))
    noise = _noise(traces)
    quieter_on_steps = on_b if noise > 0 else on_a
    both, one = on_a and on_b, on_a != on_b
    closer = _off(b) - _off(a) if both else 0.0
    return Signs(
        closer=closer,
        encoded=likely_a - likely_b if one else 0.0,
        # Noise that was added and encoded lies on steps too.
        kept_steps=(
            on_b * (1 - likely_b) * (1.0 if noise > 0 else at_detail)
            - on_a * (1 - likely_a) * (1.0 if noise < 0 else at_detail)
            if one
            else 0.0
        ),
        exactness=b.exactness - a.exactness if both and abs(closer) < _NONE_CLOSER else 0.0,
        noise_added=edited * noise if quieter_on_steps else 0.0,
        smoothed=0.0 if quieter_on_steps else -edited * noise,
        even=0.0 if quieter_on_steps else edited * noise * traces.evenness,
        blocks=max(-_MOST, min(traces.blocks, _MOST)),
        colours=math.copysign(min(max(abs(colours) - _FEW_COLOURS, 0), _MOST), colours),
        sharpened=_sharpened(traces.octaves),
    )


def loss_of(traces: Traces) -> float:
    """log2 of b's detail divided by a's, in the second octave, because the finest is full of noise."""
    return traces.octaves[1].gain


def loss_terms(traces: Traces) -> list[float]:
    """The numbers in LOSS_TERMS."""
    sign = math.copysign(1, loss_of(traces))
    finest, fine, coarse = (max(sign * octave.gain, 0.0) for octave in traces.octaves)
    noise = -sign * _noise(traces)
    losses = (
        finest - fine,
        fine - coarse,
        fine / (finest + _LEAST_GAIN),
        traces.octaves[0].agreement,
        noise,
        traces.evenness,
    )
    return [*losses, *(one * other for one, other in combinations_with_replacement(losses, 2))]


def model_json() -> str:
    """The text of the shipped model."""
    return files("prodseek.duplicates").joinpath(MODEL_FILE).read_text(encoding="utf-8")


def model_from_json(text: str) -> OriginModel:
    """Read a model. Raises ValueError if the text is not a model of SIGNS and LOSS_TERMS."""
    model = TypeAdapter(OriginModel).validate_json(text)
    unlike = sorted({*model.origin} ^ {*SIGNS} | {*model.blurred} ^ {*LOSS_TERMS})
    if unlike:
        raise ValueError(f"{MODEL_FILE}: trained on other measurements ({', '.join(unlike)}); train again")
    return model


@cache
def shipped_model() -> OriginModel:
    """The model that comes with prodseek."""
    return model_from_json(model_json())


def _noise(traces: Traces) -> float:
    return math.log2((traces.a.noise + _LEAST_NOISE) / (traces.b.noise + _LEAST_NOISE))


def _just_encoded(trace: Trace) -> float:
    """0 to 1: whether a photo is just the other, encoded."""
    return 0.0 if math.isnan(trace.missed) else math.exp(-((trace.missed / _ENCODED_WITHIN) ** 2))


def _off(trace: Trace) -> float:
    return math.log(min(abs(trace.missed), 1) + 0.1)


def _rising(value: float, middle: float, width: float) -> float:
    return 0.5 * (1 + math.tanh((value - middle) / (2 * width)))


def _sharpened(octaves: tuple[Octave, ...]) -> float:
    finest, fine = octaves[0].gain, octaves[1].gain
    alike = max(0.0, 1 - abs(finest - fine) / _ALIKE)
    agreeing = max(0.0, (octaves[0].agreement - _AGREEING) / (1 - _AGREEING))
    return -fine * alike * agreeing
