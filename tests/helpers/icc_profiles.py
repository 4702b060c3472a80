"""Colour profiles as photos carry them, written byte by byte: ICC.1:2001-04 (version 2.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np

# x, y of red, green and blue. Sources: SMPTE RP 431-2, Adobe RGB (1998), ISO 22028-2.
PRIMARIES = {
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "display_p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "adobe_rgb": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "prophoto_rgb": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
    "other_rgb": ((0.700, 0.295), (0.20, 0.75), (0.14, 0.05)),
}
D50, D65 = (0.3457, 0.3585), (0.3127, 0.3290)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_PCS_WHITE = np.array([0.9642, 1.0, 0.8249])


def srgb_curve(value: float) -> float:
    """IEC 61966-2-1: light of an encoded value, both 0 to 1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def rgb_profile(name: str) -> bytes:
    """A display's profile of three primaries and one curve: that of sRGB, or a gamma of 2.2 or 1.8."""
    curves = {"adobe_rgb": lambda v: v**2.19921875, "prophoto_rgb": lambda v: v**1.8}
    white = D50 if name == "prophoto_rgb" else D65
    columns = _colorants(PRIMARIES[name], white)
    curve = _curve(curves.get(name, srgb_curve))
    tags = {f"{c}XYZ": _xyz(columns[:, n]) for n, c in enumerate("rgb")} | {f"{c}TRC": curve for c in "rgb"}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags, name)


def grey_profile(gamma: float) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", {"kTRC": _curve(lambda v: v**gamma)}, f"grey {gamma}")


def printed(amounts: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB, 0 to 1, of inks on the press of `cmyk_profile`. amounts: (N, 4) cyan, magenta, yellow, black, 0 to 1."""
    light = _light(amounts)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def _light(amounts: np.ndarray) -> np.ndarray:
    inks = np.array([[0.55, 0.18, 0.05], [0.12, 0.65, 0.38], [0.04, 0.12, 0.72], [0.93, 0.93, 0.92]])
    return np.prod(1 - amounts[:, :, None] * inks[None], axis=1)


def cmyk_profile() -> bytes:
    """A press whose inks are not those of a screen: cyan is duller, black is not quite black."""
    grid = np.linspace(0, 1, 5)
    amounts = np.stack(np.meshgrid(grid, grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 4)
    lab = _lab(_light(amounts) @ _colorants(PRIMARIES["srgb"], D65).T)
    table = np.clip(np.rint(np.stack([lab[:, 0] / 100 * 255, lab[:, 1] + 128, lab[:, 2] + 128], 1)), 0, 255)
    identity = struct.pack(">9i", *(int(65536 * v) for v in np.eye(3).ravel()))
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 5, 0)) + identity + ramp * 4 + table.astype(np.uint8).tobytes() + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {"A2B0": lut}, "a press")


def _colorants(primaries: Sequence[tuple[float, float]], white: tuple[float, float]) -> np.ndarray:
    """(3, 3): X, Y, Z of red, green and blue, adapted to D50 (Bradford)."""
    full = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    lit = full * np.linalg.solve(full, _white(white))
    scale = np.diag((_BRADFORD @ _PCS_WHITE) / (_BRADFORD @ _white(white)))
    return np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ lit


def _white(xy: tuple[float, float]) -> np.ndarray:
    return np.array([xy[0] / xy[1], 1.0, (1 - xy[0] - xy[1]) / xy[1]])


def _lab(xyz: np.ndarray) -> np.ndarray:
    t = np.clip(xyz / _PCS_WHITE, 0, None)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * v) for v in values))


def _curve(light: Callable[[float], float], n: int = 1024) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(f">I{n}H", n, *(round(65535 * light(i / (n - 1))) for i in range(n)))


def _profile(device: bytes, space: bytes, pcs: bytes, tags: dict[str, bytes], name: str) -> bytes:
    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {"desc": described, "wtpt": _xyz(_PCS_WHITE), "cprt": b"text\0\0\0\0none\0", **tags}
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag.encode() + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", at + len(body), b"none", 0x02400000, device, space, pcs) + bytes(12) + b"acsp"
    header = (header + bytes(28) + struct.pack(">3i", *(round(65536 * v) for v in _PCS_WHITE))).ljust(128, b"\0")
    return header + table + body
