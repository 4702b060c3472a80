"""A made-up report in the layout of `prodseek.report.records`, with truth to compare pages with."""

from __future__ import annotations

import base64
import colorsys
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from prodseek.report.pages import render_pages
from prodseek.report.records import (
    About,
    Copy,
    DuplicateGroup,
    FacetGroups,
    Likeness,
    Map,
    MapColumn,
    Neighbours,
    PairApart,
    ShownGroup,
    ShownObject,
    ShownPhoto,
    VerdictWords,
)
from prodseek.report.shards import script, shard_name
from prodseek.report.wording import VERDICTS

# What a catalogue may hold. Objects have these titles one after the other, then plain ones.
HOSTILE_TITLES = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    '=HYPERLINK("http://example.invalid","click")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1 for free",
    "-2 °C, lined",
    "\ttabbed",
    "\rreturned",
    'a, b; "c"\nand d',
    "Čalouněné křeslo 沙发 👟",
    "כורסת עור חומה",
    "x" * 120,
    "line\u2028separator </title><!-- &lt;b&gt;",
    "${7*7} {{7*7}} %s \\ \\u003c",
)
HOSTILE_FILES = ("été #1?.jpg", "a b%20c.jpg", "q?x=1&y=2#z.jpg", "<b>.jpg", "沙发/椅子 .png", "'\"`.webp")
CLASSES = ("chair", "sofa", "bed", "vase", "")
COLOURS = {"white": "#ffffff", "black": "#000000", "brown": "#8b5a2b", "red": "#d32f2f", "blue": "#1e63c8"}
_NOUNS = ("lamp", "armchair", "sofa", "table", "shelf", "mug", "vase", "stool", "desk", "rug")
_MERGING = ("identical_bytes", "re_encoded", "resized", "cropped", "padded", "mirrored", "rotated", "toned", "overlaid")
_APART = ("recoloured", "embedded", "same_object")
_TO_LOOK_AT = ("mirrored", "overlaid", "recoloured")
_TABS = {"copies": _MERGING, "look": _TO_LOOK_AT, "apart": _APART}
_EVENTS = ("continued", "born", "grown", "shrunk", "merged", "split", "continued", "continued")
# The copy on its original, in fractions of their sides, and the part of the original that it shows.
_WHOLE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
TRANSFORMS = {
    "cropped": (0.5, 0.0, 0.25, 0.0, 0.6, 0.2),
    "padded": (1.25, 0.0, -0.125, 0.0, 1.5, -0.25),
    "mirrored": (-1.0, 0.0, 1.0, 0.0, 1.0, 0.0),
    "rotated": (0.0, -1.0, 1.0, 1.0, 0.0, 0.0),  # a quarter turn: the copy's sides are exchanged
}


@dataclass
class Report:
    """Everything that was written, as the pages read it. missing: objects whose pictures could not be made."""

    about: About
    objects: list[ShownObject]
    neighbours: list[Neighbours]
    duplicates: list[DuplicateGroup]
    pairs: list[PairApart]
    groups: dict[str, FacetGroups]
    map: Map
    missing: set[int] = field(default_factory=set)


def make_report(
    n_objects: int = 420,
    n_coarse: int = 9,
    n_fine: int = 70,
    n_duplicate_groups: int = 60,
    n_pairs: int = 40,
    n_pairs_to_look_at: int = 12,
    per_shard: Sequence[int] = (100, 16, 8, 4),
    hostile: bool = True,
    seed: int = 5,
) -> Report:
    """A report of objects in clumps. per_shard: objects, groups, thumbnails of regions and of photos in a data file."""
    random = np.random.default_rng(seed)
    n_pairs_to_look_at = min(n_pairs, n_pairs_to_look_at)
    coarse_of, fine_of, x, y = _clumps(n_objects, n_coarse, n_fine, random)
    verdicts: dict[str, VerdictWords] = {
        key: {
            "label": words.label,
            "meaning": words.meaning,
            "tabs": [tab for tab, shown in _TABS.items() if key in shown],
        }
        for key, words in VERDICTS.items()
    }
    about: About = {
        "run_id": "20261124T031200Z-0badcafe",
        "finished": "2026-11-24T03:12:00+00:00",
        "catalogue": "/shop/spring sale #1/catalog.csv",
        "prodseek_version": "0.1.0",
        "n_objects": n_objects,
        "n_images": n_objects + 3,
        "n_duplicate_groups": n_duplicate_groups,
        "n_all_duplicate_groups": n_duplicate_groups + 5,
        "n_pairs": n_pairs,
        "n_all_pairs": n_pairs,
        "n_pairs_to_look_at": n_pairs_to_look_at,
        "n_all_pairs_to_look_at": n_pairs_to_look_at,
        "objects_per_shard": per_shard[0],
        "groups_per_shard": per_shard[1],
        "region_thumbs_per_shard": per_shard[2],
        "photo_thumbs_per_shard": per_shard[3],
        "facets": ["likeness", "colour"],
        "group_facets": ["visual", "colour"],
        "verdicts": verdicts,
    }
    objects = [
        _object(number, int(fine_of[number]), int(coarse_of[number]), hostile, random) for number in range(n_objects)
    ]
    duplicates = _duplicates(objects, n_duplicate_groups, random)
    pairs = _pairs(objects, n_pairs_to_look_at, "look", random)
    pairs += _pairs(objects, n_pairs - n_pairs_to_look_at, "variant", random, n_pairs_to_look_at)
    visual = _facet_groups("visual", objects, n_coarse, n_fine, hostile)
    colour = _facet_groups("colour", objects, 0, n_fine, hostile)
    return Report(
        about,
        objects,
        [_near(number, objects, random) for number in range(n_objects)],
        duplicates,
        pairs,
        {"visual": visual, "colour": colour},
        _map(objects, visual, x, y),
        {number for number in (4, 17, 30) if hostile and number < n_objects},
    )


def write_report(report: Report, folder: Path, pictures: Sequence[tuple[str, str]] | None = None) -> None:
    """Write the report's pages, data and thumbnails into folder.

    pictures: base64 of a region's and its photo's thumbnail, which objects take in turns; drawn for each if None.
    """
    for below in ("data", "thumbs", "assets"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    for name, content in render_pages(report.about).items():
        (folder / name).write_bytes(content)
    about = report.about
    (folder / "data" / "about.js").write_bytes(script("about", about))
    (folder / "data" / "map.js").write_bytes(script("map", report.map))
    for facet, groups in report.groups.items():
        (folder / "data" / f"groups-{facet}.js").write_bytes(script(f"groups-{facet}", groups))
    for kind, values, per_shard in (
        ("objects", report.objects, about["objects_per_shard"]),
        ("neighbours", report.neighbours, about["objects_per_shard"]),
        ("duplicates", report.duplicates, about["groups_per_shard"]),
        ("pairs", report.pairs, about["groups_per_shard"]),
    ):
        for start in range(0, len(values), per_shard):
            name = shard_name(kind, start // per_shard)
            (folder / "data" / f"{name}.js").write_bytes(script(name, values[start : start + per_shard]))
    drawn = pictures or _draw_all(report)
    for place, (kind, per_shard) in enumerate(
        (("regions", about["region_thumbs_per_shard"]), ("photos", about["photo_thumbs_per_shard"]))
    ):
        for start in range(0, len(report.objects), per_shard):
            name = shard_name(kind, start // per_shard)
            numbers = range(start, min(start + per_shard, len(report.objects)))
            shown = ["" if number in report.missing else drawn[number % len(drawn)][place] for number in numbers]
            (folder / "thumbs" / f"{name}.js").write_bytes(script(name, shown))


def _clumps(n_objects: int, n_coarse: int, n_fine: int, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Coarse and fine group (-1: none) and place of each object; groups one after the other, the largest first."""
    share = 1 / np.arange(1, n_fine + 1) ** 0.6
    sizes = np.maximum(2, np.floor(0.93 * n_objects * share / share.sum())).astype(int)
    fine = np.repeat(np.arange(n_fine), sizes)[:n_objects]
    fine = np.concatenate([fine, np.full(n_objects - len(fine), -1)])
    parents = _parents(n_coarse, n_fine)
    coarse = parents[fine] if n_fine else fine
    coarse = np.where(fine >= 0, coarse, -1)
    turn = np.arange(n_coarse + 1) * 2.399963
    middle = np.stack([np.cos(turn), np.sin(turn)], 1) * np.sqrt(np.arange(n_coarse + 1) + 0.5)[:, None]
    centre = middle[parents] + random.normal(0, 0.3, (n_fine, 2))
    place = random.normal(0, 2, (n_objects, 2))
    place[fine >= 0] = centre[fine[fine >= 0]]
    place = place + random.normal(0, 0.08, (n_objects, 2))
    place = (place - place.min(0)) / max(1e-9, (place.max(0) - place.min(0)).max())
    return coarse, fine, place[:, 0], place[:, 1]


def _parents(n_coarse: int, n_fine: int) -> np.ndarray:
    """The coarse group of each fine one; every seventh has none."""
    numbers = np.arange(n_fine)
    return np.where((numbers % 7 == 6) | (n_coarse == 0), -1, numbers % max(1, n_coarse))


def _object(number: int, fine: int, coarse: int, hostile: bool, random: np.random.Generator) -> ShownObject:
    width_px, height_px = [(1200, 900), (800, 800), (600, 1000)][number % 3]
    title = f"{_NOUNS[max(fine, 0) % len(_NOUNS)].title()} no. {number}"
    name = f"photo {number:05d}.jpg"
    if hostile and number < len(HOSTILE_TITLES):
        title = HOSTILE_TITLES[number]
    elif number % 11 == 10:
        title = ""
    if hostile and number < len(HOSTILE_FILES):
        name = HOSTILE_FILES[number]
    row = {"product_id": f"P-{number // 2:05d}", "uri": f"/shop/spring sale #1/images/{name}", "title": title}
    photos = [row] if number % 13 else [row, row | {"product_id": f"P-again-{number}"}]
    left, top = random.uniform(0.1, 0.3, 2)
    return {
        "detection_id": str(5_000_000_000_000_000_000 + number),
        "image_id": f"{number:064x}",
        "kind": ("detection", "foreground", "frame")[number % 3],
        "class_name": CLASSES[max(coarse, 0) % len(CLASSES)] if number % 3 == 0 else "",
        "width_px": width_px,
        "height_px": height_px,
        "box_px": [0, 0, width_px, height_px]
        if number % 3 == 2
        else [round(left * width_px, 1), round(top * height_px, 1), 0.8 * width_px, 0.9 * height_px],
        "photos": photos,  # type: ignore[typeddict-item]
        "others": [{"class_name": "potted plant", "score": 0.45, "box_px": [5, 5, width_px / 5, height_px / 4]}]
        if number % 4 == 0
        else [],
        "group": fine,
        "coarse": coarse,
        "membership": round(float(random.uniform(0.3, 1)), 3),
        "outlier_score": round(float(random.uniform()), 3),
        "odd_category": {"filed_as": "<i>lamps</i>", "like": "<b>chairs</b>", "n_like": 7, "n_asked": 8}
        if number % 97 == 5
        else None,
        "duplicates": -1,
        "pairs": [],
    }


def _near(number: int, objects: list[ShownObject], random: np.random.Generator) -> Neighbours:
    others = [(number + step) % len(objects) for step in (1, 2, 3, 5, 8, 13)]
    cosines = sorted(random.uniform(0.5, 0.99, len(others)).tolist(), reverse=True)
    near = [(other, round(cosine, 4)) for other, cosine in zip(others, cosines, strict=True) if other != number]
    return {"likeness": near, "colour": near[:3]}


def _shown(number: int, objects: list[ShownObject], product: str = "") -> ShownPhoto:
    row = objects[number]["photos"][0]
    return {
        "object": number,
        "product_id": product or row["product_id"],
        "uri": row["uri"],
        "title": row["title"],
        "width_px": objects[number]["width_px"],
        "height_px": objects[number]["height_px"],
    }


def _likeness(verdict: str, a: ShownPhoto, b: ShownPhoto, confidence: float, decision: str = "copy") -> Likeness:
    transform = None if verdict == "same_object" else TRANSFORMS.get(verdict, _WHOLE)
    boxes: tuple[list[float] | None, list[float] | None] = (None, None)
    if verdict == "identical_bytes":
        transform = None
    elif transform is not None:
        boxes = _shared(transform, a, b)
    return {
        "verdict": verdict,
        "decision": decision,
        "confidence": round(confidence, 4),
        "evidence": [("PDQ distance", "12"), ("inliers", "=48")],
        "box_a_px": boxes[0],
        "box_b_px": boxes[1],
        "transform": list(transform) if transform else None,
    }


def _shared(transform: Sequence[float], a: ShownPhoto, b: ShownPhoto) -> tuple[list[float], list[float]]:
    """The upright box around what both show, in each; transforms here keep boxes upright."""
    t = np.array(transform).reshape(2, 3)
    corners = np.array([[0, 0, 1], [1, 1, 1]]) @ t.T
    low, high = np.clip(corners.min(0), 0, 1), np.clip(corners.max(0), 0, 1)
    back = np.linalg.inv(t[:, :2])
    inside = np.array([(low - t[:, 2]) @ back.T, (high - t[:, 2]) @ back.T])
    side_a, side_b = np.array([a["width_px"], a["height_px"]]), np.array([b["width_px"], b["height_px"]])
    box_a = np.concatenate([low * side_a, high * side_a])
    box_b = np.concatenate([inside.min(0) * side_b, inside.max(0) * side_b])
    return box_a.round(1).tolist(), box_b.round(1).tolist()


def _duplicates(objects: list[ShownObject], n_groups: int, random: np.random.Generator) -> list[DuplicateGroup]:
    groups: list[DuplicateGroup] = []
    number = 0
    for place in range(n_groups):
        n_copies = 5 if place == 0 else 3 if place < 6 else 1 + place % 2
        if number + n_copies >= len(objects):
            raise ValueError(f"{len(objects)} objects are too few for {n_groups} duplicate groups")
        representative = _shown(number, objects)
        copies: list[Copy] = []
        for step in range(1, n_copies + 1):
            verdict = _MERGING[(place + step) % len(_MERGING)]
            same_bytes = verdict == "identical_bytes"
            copy_of = number if same_bytes else number + step
            if verdict == "rotated":
                objects[copy_of]["width_px"], objects[copy_of]["height_px"] = (
                    objects[number]["height_px"],
                    objects[number]["width_px"],
                )
            photo = _shown(copy_of, objects, f"P-copy-{place}" if same_bytes else "")
            copies.append(
                {
                    "photo": photo,
                    "likeness": _likeness(verdict, representative, photo, random.uniform(0.5, 1)),
                    "kept_because": "larger: 1,000 px of the shared part, 500 here; in colour",
                }
            )
            objects[copy_of]["duplicates"] = place
        objects[number]["duplicates"] = place
        groups.append(
            {
                "group_id": f"dup-{place:05d}",
                "n_photos": n_copies + 1 + (2 if place == 1 else 0),
                "n_products": len({one["product_id"] for one in (representative, *(copy["photo"] for copy in copies))}),
                "conflicts": f"colour: blue, red; ean: 1, 2, {HOSTILE_TITLES[0]}" if place % 3 == 0 else "",
                "kept_because": "the most detail; nothing added",
                "representative": representative,
                "copies": copies,
            }
        )
        number += n_copies + 1
    return groups


def _pairs(
    objects: list[ShownObject], n_pairs: int, decision: str, random: np.random.Generator, first: int = 0
) -> list[PairApart]:
    pairs: list[PairApart] = []
    verdicts = _TO_LOOK_AT if decision == "look" else _APART
    confidences = sorted(random.uniform(0.4, 1, n_pairs).tolist(), reverse=True)
    for place, confidence in enumerate(confidences):
        a, b = sorted(random.choice(len(objects), 2, replace=False).tolist())
        photo_a, photo_b = _shown(a, objects), _shown(b, objects)
        likeness = _likeness(verdicts[place % len(verdicts)], photo_a, photo_b, confidence, decision)
        pairs.append({"a": photo_a, "b": photo_b, "likeness": likeness})
        objects[a]["pairs"].append(first + place)
        objects[b]["pairs"].append(first + place)
    return pairs


def _facet_groups(facet: str, objects: list[ShownObject], n_coarse: int, n_fine: int, hostile: bool) -> FacetGroups:
    parents = _parents(n_coarse, n_fine)
    members: list[list[int]] = [[] for _ in range(n_fine)]
    for number, shown in enumerate(objects):
        if shown["group"] >= 0:
            members[shown["group"]].append(number)
    fine = [_group("fine", place, found, int(parents[place]), hostile) for place, found in enumerate(members)]
    coarse = []
    for place in range(n_coarse):
        inside = [number for group in fine if group["parent"] == place for number in group["members"]]
        made = _group("coarse", place, inside, -1, hostile)
        made["members"] = made["members"][: made["n_exemplars"]]
        coarse.append(made)
    odd = [number for number, shown in enumerate(objects) if shown["group"] < 0]
    return {
        "facet": facet,
        "n_regions": len(objects),
        "n_ungrouped": len(odd) + 2,
        "coarse": coarse,
        "fine": fine,
        "odd": odd,
        "odd_category": sorted(
            (
                (number, shown["group"], shown["odd_category"])
                for number, shown in enumerate(objects)
                if shown["odd_category"]
            ),
            key=lambda one: one[1] < 0,
        ),
        "asked": "asked of 12 of 178 products: the others are <i>in no group</i>",
        "retired": [{"group_id": "old-1", "title": "Gone </p><b>lamps</b>", "level": "fine"}],
    }


def _group(level: str, place: int, members: list[int], parent: int, hostile: bool) -> ShownGroup:
    event = _EVENTS[place % len(_EVENTS)]
    title = f"{_NOUNS[place % len(_NOUNS)]} {level} {place}"
    if hostile and place < 2:
        title = HOSTILE_TITLES[place]
    return {
        "group_id": f"{level}-{place:06x}",
        "title": title,
        "title_from": ("category", "folder", "look")[place % 3],
        "n_regions": len(members) + (3 if place == 2 else 0),
        "n_products": max(1, len(members) // 2),
        "cohesion": round(0.95 - 0.4 * ((place * 37) % 100) / 100, 3),
        "separation": 0.3,
        "category": f"{_NOUNS[place % len(_NOUNS)]}s",
        "category_share": 0.85,
        "class_name": CLASSES[place % len(CLASSES)],
        "colour": list(COLOURS)[place % len(COLOURS)],
        "parent": parent,
        "n_exemplars": min(3, len(members)),
        "members": members,
        "event": event,
        "previous_titles": ["old <i>one</i>", "old two"]
        if event == "merged"
        else ["whole"]
        if event == "split"
        else [],
    }


def _map(objects: list[ShownObject], groups: FacetGroups, x: np.ndarray, y: np.ndarray) -> Map:
    def column(name: str, label: str, names: list[str], values: list[int], colours: Sequence[str] = ()) -> MapColumn:
        raw = np.array([value if value >= 0 else 0xFFFFFFFF for value in values], "<u4")
        return {
            "name": name,
            "label": label,
            "names": names,
            "colours": list(colours),
            "values": _base64(raw.tobytes()),
        }

    titles = {level: [group["title"] for group in groups[level]] for level in ("coarse", "fine")}  # type: ignore[literal-required]
    classes = sorted({shown["class_name"] for shown in objects} - {""})
    categories = [f"category {place}" for place in range(60)]
    return {
        "x": _base64((x * 65535).round().astype("<u2").tobytes()),
        "y": _base64((y * 65535).round().astype("<u2").tobytes()),
        "columns": [
            column("coarse", "coarse group", titles["coarse"], [shown["coarse"] for shown in objects]),
            column("fine", "fine group", titles["fine"], [shown["group"] for shown in objects]),
            column(
                "class",
                "class",
                classes,
                [classes.index(shown["class_name"]) if shown["class_name"] else -1 for shown in objects],
            ),
            column(
                "colour", "colour", list(COLOURS), [place % 5 for place in range(len(objects))], list(COLOURS.values())
            ),
            column("category", "category", categories, [shown["group"] % 60 for shown in objects]),
        ],
    }


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _draw_all(report: Report) -> list[tuple[str, str]]:
    """A drawing for each object; a copy's is made from its original's, so that they fit when laid over each other."""
    photos = [_draw(number, shown) for number, shown in enumerate(report.objects)]
    for group in report.duplicates:
        original = photos[group["representative"]["object"]]
        for copy in group["copies"]:
            number = copy["photo"]["object"]
            if number != group["representative"]["object"]:
                photos[number] = _altered(original, copy["likeness"], _small(report.objects[number]))
    drawn = []
    for photo, shown in zip(photos, report.objects, strict=True):
        scale = photo.width / shown["width_px"]
        x1, y1, x2, y2 = (edge * scale for edge in shown["box_px"])
        region = photo.crop((int(x1), int(y1), math.ceil(x2), math.ceil(y2)))
        drawn.append((_webp(region), _webp(photo)))
    return drawn


def _small(shown: ShownObject) -> tuple[int, int]:
    scale = 180 / max(shown["width_px"], shown["height_px"])
    return round(shown["width_px"] * scale), round(shown["height_px"] * scale)


def _draw(number: int, shown: ShownObject) -> Image.Image:
    hue = (0.13 * max(shown["group"], 0)) % 1
    light, deep = (
        tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
        for saturation, value in ((0.12, 0.95), (0.65, 0.6))
    )
    photo = Image.new("RGB", _small(shown), light)
    width, height = photo.size
    brush = ImageDraw.Draw(photo)
    brush.ellipse((0.3 * width, 0.25 * height, 0.75 * width, 0.7 * height), fill=deep)
    brush.rectangle((0.45 * width, 0.65 * height, 0.55 * width, 0.9 * height), fill=deep)
    for place in range(4):
        at = ((number * 31 + place * 53) % 100) / 100
        brush.line((at * width, 0.1 * height, 0.5 * width, height), fill=light, width=2)
    brush.text((4, 4), str(number), fill=(0, 0, 0))
    return photo


def _altered(original: Image.Image, likeness: Likeness, size: tuple[int, int]) -> Image.Image:
    t = likeness["transform"]
    if t is None:
        return original.resize(size)
    (width, height), (full_width, full_height) = size, original.size
    to_original = (
        t[0] * full_width / width,
        t[1] * full_width / height,
        t[2] * full_width,
        t[3] * full_height / width,
        t[4] * full_height / height,
        t[5] * full_height,
    )
    return original.transform(
        size, Image.Transform.AFFINE, to_original, Image.Resampling.BILINEAR, fillcolor=(240, 240, 240)
    )


def _webp(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=60, method=0)
    return _base64(buffer.getvalue())
