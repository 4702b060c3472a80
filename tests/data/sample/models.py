"""Sweet Home 3D furniture libraries (.sh3f): their properties, and OBJ/MTL models as plain arrays.

The OBJ files are read here and not by VTK's importer, which crashes on some of them.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

FURNITURE_DIR = Path("/usr/share/sweethome3d/furniture")


@dataclass
class Material:
    """What an MTL file says of one material; `texture` is an RGB or RGBA image or None."""

    diffuse: tuple[float, float, float] = (0.8, 0.8, 0.8)
    specular: float = 0.1
    shininess: float = 20.0
    opacity: float = 1.0
    texture: Image.Image | None = None


@dataclass
class Part:
    """Faces of one material: points (N, 3) cm, uv (N, 2) or None, normals (N, 3) or None, index lists."""

    material: Material
    points: np.ndarray
    uv: np.ndarray | None
    normals: np.ndarray | None
    faces: list[list[int]] = field(default_factory=list)


@dataclass
class Model:
    """A model stood on the floor: x right, y up, z towards the viewer, centred on x and z, size in cm."""

    parts: list[Part]
    size_cm: tuple[float, float, float]


@cache
def library(name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(FURNITURE_DIR / f"{name}.sh3f")


@cache
def properties(name: str) -> dict[str, str]:
    """The library's PluginFurnitureCatalog.properties, continuation lines joined."""
    text = library(name).read("PluginFurnitureCatalog.properties").decode("latin-1")
    pairs = (line.split("=", 1) for line in text.replace("\\\r\n", "").replace("\\\n", "").splitlines())
    return {p[0].strip(): p[1].strip() for p in pairs if len(p) == 2 and not p[0].startswith("#")}


def _parse_mtl(text: str, folder: str, archive: zipfile.ZipFile) -> dict[str, Material]:
    materials: dict[str, Material] = {}
    current = Material()
    names = {n.lower(): n for n in archive.namelist()}
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        key = words[0].lower()
        if key == "newmtl":
            current = materials.setdefault(line.split(None, 1)[1].strip(), Material())
        elif key == "kd":
            r, g, b = (float(w) for w in words[1:4])
            current.diffuse = (r, g, b)
        elif key == "ks":
            current.specular = max(float(w) for w in words[1:4])
        elif key == "ns":
            current.shininess = float(words[1])
        elif key == "d":
            current.opacity = float(words[-1])
        elif key == "map_kd":
            path = f"{folder}/{line.split(None, 1)[1].strip()}".replace("\\", "/").lower()
            if path in names:
                image = Image.open(io.BytesIO(archive.read(names[path])))
                mode = (
                    "RGBA"
                    if (image.mode in ("RGBA", "LA", "P") and "transparency" in image.info)
                    or image.mode in ("RGBA", "LA")
                    else "RGB"
                )
                image = image.convert(mode)
                image.thumbnail((1024, 1024))
                current.texture = image
    return materials


def load(library_name: str, number: int) -> Model:
    """Reads model `number` of a library, turned, scaled to its catalogue size and set on the floor."""
    archive, props = library(library_name), properties(library_name)
    path = props[f"model#{number}"].lstrip("/")
    folder = path.rsplit("/", 1)[0]
    lines = archive.read(path).decode("latin-1").replace("\\\n", " ").splitlines()

    v: list[tuple[float, ...]] = []
    vt: list[tuple[float, ...]] = []
    vn: list[tuple[float, ...]] = []
    materials: dict[str, Material] = {}
    faces: dict[str, list[list[tuple[int, int, int]]]] = {}
    current = ""
    for line in lines:
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == "v":
            v.append(tuple(map(float, words[1:4])))
        elif key == "vt":
            vt.append(tuple(map(float, words[1:3])))
        elif key == "vn":
            vn.append(tuple(map(float, words[1:4])))
        elif key == "usemtl":
            current = line.split(None, 1)[1].strip() if len(words) > 1 else ""
        elif key == "mtllib":
            for name in (line.split(None, 1)[1].strip(),):
                full = f"{folder}/{name}"
                if full in archive.namelist():
                    materials |= _parse_mtl(archive.read(full).decode("latin-1"), folder, archive)
        elif key == "f":
            corners = []
            for word in words[1:]:
                ref = [*word.split("/"), "", ""][:3]
                index = [int(r) if r else 0 for r in ref]
                for axis, pool in enumerate((v, vt, vn)):
                    index[axis] = (
                        index[axis] - 1
                        if index[axis] > 0
                        else (len(pool) + index[axis] if index[axis] < 0 else -1)
                    )
                corners.append((index[0], index[1], index[2]))
            if len(corners) > 2:
                faces.setdefault(current, []).append(corners)

    points = np.array(v, dtype=np.float64)
    turn = np.eye(3)
    if f"modelRotation#{number}" in props:
        turn = np.array(props[f"modelRotation#{number}"].split(), dtype=np.float64).reshape(3, 3)
    points = points @ turn.T
    used = sorted({c[0] for part in faces.values() for f in part for c in f})
    low, high = points[used].min(0), points[used].max(0)
    size = tuple(float(props[f"{k}#{number}"]) for k in ("width", "height", "depth"))
    scale = np.array(size) / np.maximum(high - low, 1e-9)
    points = (points - [(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2]) * scale
    uvs = np.array(vt, dtype=np.float64) if vt else None
    normals = (np.array(vn, dtype=np.float64) @ turn.T) / scale if vn else None

    parts = []
    for name, polygons in faces.items():
        index: dict[tuple[int, int, int], int] = {}
        lists = [[index.setdefault(c, len(index)) for c in polygon] for polygon in polygons]
        keys = np.array(list(index))
        part_normals = None
        if normals is not None and (keys[:, 2] >= 0).all():
            part_normals = normals[keys[:, 2]]
            part_normals /= np.maximum(np.linalg.norm(part_normals, axis=1, keepdims=True), 1e-9)
        part_uv = uvs[keys[:, 1]] if uvs is not None and (keys[:, 1] >= 0).all() else None
        parts.append(Part(materials.get(name, Material()), points[keys[:, 0]], part_uv, part_normals, lists))
    return Model(parts, size)


def recolour(
    model: Model,
    hue_degrees: float,
    saturation: float = 1.0,
    value: float = 1.0,
    least_saturation: float = 0.25,
) -> Model:
    """The same model with the hue of its saturated materials turned: a colour variant."""
    parts = []
    for p in model.parts:
        m = p.material
        diffuse = m.diffuse
        texture = m.texture
        if texture is not None:
            texture = shift_hue(texture, hue_degrees, saturation, value, least_saturation)
        else:
            pixel = Image.new("RGB", (1, 1), tuple(round(min(1.0, c) * 255) for c in diffuse))
            r, g, b = shift_hue(pixel, hue_degrees, saturation, value, least_saturation).getpixel((0, 0))
            diffuse = (r / 255, g / 255, b / 255)
        parts.append(
            Part(
                Material(diffuse, m.specular, m.shininess, m.opacity, texture),
                p.points,
                p.uv,
                p.normals,
                p.faces,
            )
        )
    return Model(parts, model.size_cm)


def shift_hue(
    image: Image.Image,
    hue_degrees: float,
    saturation: float = 1.0,
    value: float = 1.0,
    least_saturation: float = 0.0,
) -> Image.Image:
    """Turns the hue of every pixel at least `least_saturation` saturated; alpha is kept."""
    hsv = np.asarray(image.convert("RGB").convert("HSV")).astype(np.float64)
    strong = hsv[..., 1] >= least_saturation * 255
    out = hsv.copy()
    out[..., 0] = (hsv[..., 0] + hue_degrees / 360 * 256) % 256
    out[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 255)
    out[..., 2] = np.clip(hsv[..., 2] * value, 0, 255)
    out = np.where(strong[..., None], out, hsv)
    shifted = Image.fromarray(out.astype(np.uint8), "HSV").convert("RGB")
    if image.mode == "RGBA":
        shifted.putalpha(image.getchannel("A"))
    return shifted


def turned(points: np.ndarray, yaw_degrees: float) -> np.ndarray:
    """(N, 3) points turned about the vertical; positive turns the front to the viewer's right."""
    a = math.radians(yaw_degrees)
    turn = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    return points @ turn.T
