"""Checks a written sample: files, CSV files and what is planted must agree. Usage: python check.py FOLDER"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

LARGEST_BYTES = 8_000_000
WHOLE_KINDS = {"re_encoded", "overlaid", "toned", "recoloured", "mirrored"}  # same dimensions as the source
COPIES = WHOLE_KINDS | {"identical_bytes", "resized", "cropped", "rotated", "padded", "embedded"}


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


def _wrong_copy(root: Path, row: dict[str, str]) -> str | None:
    copy, source = root / row["uri"], root / row["source_uri"]
    same_bytes = copy.read_bytes() == source.read_bytes()
    a, b, kind = pixels(copy), pixels(source), row["kind"]
    if same_bytes != (kind == "identical_bytes"):
        return "bytes"
    if (kind in WHOLE_KINDS or kind == "identical_bytes") and a.shape != b.shape:
        return "dimensions"
    aligned = {
        "re_encoded": lambda: a,
        "mirrored": lambda: a[:, ::-1],
        "toned": lambda: a,
        "overlaid": lambda: a,
        "recoloured": lambda: a,
    }.get(kind)
    if kind == "rotated":
        if not any(
            np.rot90(a, k).shape == b.shape and np.abs(np.rot90(a, k) - b).mean() < 4 for k in (1, 2, 3)
        ):
            return "no turn gives the source back"
    elif kind == "resized" and not 0.45 < a.shape[0] / b.shape[0] < 0.75:
        return "scale"
    elif kind == "cropped":
        x1, y1, x2, y2 = (int(row[k]) for k in ("x1_px", "y1_px", "x2_px", "y2_px"))
        if np.abs(a - b[y1:y2, x1:x2]).mean() > 4:
            return "not that part of the source"
    elif kind == "padded":
        x1, y1, x2, y2 = (int(row[k]) for k in ("x1_px", "y1_px", "x2_px", "y2_px"))
        if np.abs(a[y1:y2, x1:x2] - b).mean() > 4:
            return "source not in the box"
    elif aligned is not None:
        off = np.abs(aligned() - b).mean()
        if (kind in ("re_encoded", "mirrored") and off > 6) or (
            kind in ("toned", "recoloured", "overlaid") and off < 0.8
        ):
            return f"mean difference {off:.1f}"
    return None


def main(root: Path) -> int:
    problems: list[str] = []
    catalog, truth = rows(root / "catalog.csv"), rows(root / "truth.csv")
    listed = {r["uri"] for r in catalog}
    sold = {r["uri"]: r["product_id"] for r in catalog}
    products = {r["product_id"] for r in catalog}
    on_disk = {f"images/{p.name}" for p in (root / "images").iterdir()}
    bad = {r["uri"]: r["detail"] for r in truth if r["kind"] == "bad_file"}
    missing = {u for u, d in bad.items() if d == "missing"}
    if len(listed) != len(catalog):
        problems.append("a uri is listed twice")
    problems += [f"not in the manifest: {u}" for u in sorted(on_disk - listed)]
    problems += [f"not on disk: {u}" for u in sorted(listed - on_disk - missing)]
    problems += [f"truth names an unlisted uri: {r['uri']}" for r in truth if r["uri"] not in listed]
    problems += [f"without a truth row: {u}" for u in sorted(listed - {r["uri"] for r in truth})]
    for r in truth:
        if r["kind"] in COPIES:
            if r["source_uri"] not in listed:
                problems.append(f"{r['uri']}: source {r['source_uri']!r} is not listed")
            elif wrong := _wrong_copy(root, r):
                problems.append(f"{r['uri']} ({r['kind']}): {wrong}")
            elif sold[r["source_uri"]] != r["source_product_id"]:
                problems.append(f"{r['uri']}: source_product_id")
        if r["kind"] != "scene_object" and sold.get(r["uri"]) != r["product_id"]:
            problems.append(f"{r['uri']}: product_id differs from the manifest's")
        if r["product_id"] not in products:
            problems.append(f"{r['uri']}: unknown product {r['product_id']}")
        if r["x1_px"] and r["kind"] != "cropped":
            width, height = Image.open(root / r["uri"]).size
            x1, y1, x2, y2 = (int(r[k]) for k in ("x1_px", "y1_px", "x2_px", "y2_px"))
            if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
                problems.append(f"{r['uri']}: box outside the image")
    hashes = Counter(hashlib.sha256((root / u).read_bytes()).hexdigest() for u in on_disk)
    planted = sum(r["kind"] == "identical_bytes" for r in truth)
    if sum(n - 1 for n in hashes.values()) != planted:
        problems.append("unplanted byte copies")
    for u in sorted(on_disk - set(bad)):
        Image.open(root / u).load()
    size = sum(p.stat().st_size for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    if size > LARGEST_BYTES:
        problems.append(f"{size} bytes in all, more than {LARGEST_BYTES}")
    print("\n".join(problems) or "all agree")
    print(
        len(catalog),
        "rows;",
        len(on_disk),
        "files;",
        f"{size / 1e6:.2f} MB;",
        dict(Counter(r["kind"] for r in truth)),
    )
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
