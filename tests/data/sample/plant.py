"""Encodes the rendered photos, plants near-duplicates and bad files, and writes the CSV files that say so.

catalog.csv, one row a photo: product_id, uri (relative to the CSV's folder), title, category, colour, supplier,
best_seller (`yes` or empty). Listings of another supplier (`nordhus-…`, `casabella-…`, `lagerhaus-…`) have a product id
of their own.

truth.csv, one row a planted thing:
  uri, product_id    the photo and the id it is listed under; for a `scene_object` the product that is seen
  kind               view | scene_object | bad_file, or what a near-duplicate is: identical_bytes |
                     re_encoded | resized | cropped | mirrored | rotated | overlaid | padded | toned |
                     recoloured | embedded
  source_uri         the photo a near-duplicate was made from
  source_product_id  the product truly shown: product_id, unless another supplier lists it
  detail             view and background, visible pixels, what was done to the copy, or what is wrong
  x1_px .. y2_px     pixels of the image `uri`, x2 and y2 exclusive: the visible product (view,
                     scene_object), the pasted product (embedded), the whole source (padded).
                     For `cropped`, pixels of the *source*: the part that was kept.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from attribution import attribution
from models import shift_hue
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from products import BASE, PRODUCTS, ROOMS

CATALOG_FIELDS = ["product_id", "uri", "title", "category", "colour", "supplier", "best_seller"]
TRUTH_FIELDS = [
    "uri",
    "kind",
    "source_uri",
    "product_id",
    "source_product_id",
    "detail",
    "x1_px",
    "y1_px",
    "x2_px",
    "y2_px",
]
SUPPLIERS = ("nordhus", "casabella", "lagerhaus")  # those that list copies
FIRST_SUPPLIERS = ("aurelia", "birkenhof", "hearthside")  # of the photos that copies are made from
BEST_SELLER_SHARE = 0.12
# photos whose names are as awkward as names in real catalogues
AWKWARD_NAMES = {
    ("armchair-chesterfield", "three_quarter_left"): "fauteuil été 01.jpg",
    ("chair-oak", "three_quarter_left"): "oak chair 01.jpg",
}
ROOM_QUALITY, PHOTO_QUALITY = 82, 85
LEAST_VISIBLE_PX = 250

# kind, what is done, and the source photo; every second copy is another supplier's listing
PLANTED = [
    ("identical_bytes", "", "chair-deck", "three_quarter_left"),
    ("identical_bytes", "", "mixer-stand", "three_quarter_right"),
    ("identical_bytes", "", "toilet", "three_quarter_left"),
    ("identical_bytes", "", "plant-agave", "three_quarter_left"),
    ("re_encoded", "quality 40", "sofa-futon", "three_quarter_right"),
    ("re_encoded", "quality 25", "lamp-tube", "three_quarter_right"),
    ("re_encoded", "quality 55", "table-oak", "three_quarter_left"),
    ("re_encoded", "quality 15", "teddy", "three_quarter_right"),
    ("resized", "50 %", "cabinet-tv", "three_quarter_left"),
    ("resized", "70 %", "bed-stripes", "three_quarter_left"),
    ("resized", "50 %", "chair-antique", "three_quarter_right"),
    ("resized", "70 %", "coffee-capsule", "three_quarter_left"),
    ("cropped", "80 % of the area", "bed-checked", "three_quarter_right"),
    ("cropped", "60 % of the area", "armchair-lounge", "three_quarter_right"),
    ("cropped", "80 % of the area", "radio-vintage", "three_quarter_right"),
    ("cropped", "60 % of the area", "toy-train", "three_quarter_right"),
    ("mirrored", "left to right", "desk-navy", "three_quarter_left"),
    ("mirrored", "left to right", "sofa-beige", "three_quarter_right"),
    ("mirrored", "left to right", "armchair-ottoman", "three_quarter_left"),
    ("mirrored", "left to right", "drill", "three_quarter_left"),
    ("rotated", "90 degrees anticlockwise", "lamp-floor", "three_quarter_left"),
    ("rotated", "90 degrees clockwise", "plant-cactus", "three_quarter_right"),
    ("rotated", "180 degrees", "moka-pot", "three_quarter_right"),
    ("overlaid", "watermark", "cabinet-chest", "three_quarter_right"),
    ("overlaid", "badge -30 %", "chair-banquet", "three_quarter_left"),
    ("overlaid", "watermark", "vanity", "three_quarter_right"),
    ("overlaid", "badge NEW", "vase-tulips", "three_quarter_left"),
    ("padded", "25 % white", "rocking-horse", "three_quarter_left"),
    ("padded", "25 % white", "washing-machine", "three_quarter_right"),
    ("padded", "25 % white", "chair-striped", "three_quarter_right"),
    ("toned", "darker", "fruit-bowl", "three_quarter_left"),
    ("toned", "more contrast", "desk-computer", "three_quarter_right"),
    ("toned", "grey", "computer-retro", "three_quarter_right"),
    ("toned", "blur sigma 1.6", "crib", "three_quarter_right"),
    ("recoloured", "hue 150 degrees", "vase-amphora", "three_quarter_left"),
    ("recoloured", "hue -100 degrees", "lamp-arc", "three_quarter_right"),
    ("recoloured", "hue 120 degrees", "juicer", "three_quarter_right"),
    ("recoloured", "hue 90 degrees", "bed-junior", "three_quarter_left"),
    ("embedded", "room-11", "chair-osaka", "three_quarter_left"),
    ("embedded", "room-10", "stereo", "three_quarter_left"),
    ("embedded", "room-04", "plant-bonsai", "three_quarter_left"),
    ("embedded", "room-13", "lamp-dome", "three_quarter_left"),
]


@dataclass
class Photo:
    """A source photo: its picture as rendered, the mask of its product, and its name in the sample."""

    product_id: str
    uri: str
    path: Path
    mask: np.ndarray

    @property
    def decoded(self) -> Image.Image:
        return Image.open(self.path).convert("RGB")


def seeded(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def supplier_of(product_id: str) -> str:
    """Who sells a product; nobody sells a room."""
    if product_id.startswith("room-"):
        return ""
    other = next((name for name in SUPPLIERS if product_id.startswith(f"{name}-")), None)
    return other or FIRST_SUPPLIERS[int(seeded(f"{product_id}/supplier").integers(len(FIRST_SUPPLIERS)))]


def best_seller(product_id: str) -> str:
    sells_well = supplier_of(product_id) and seeded(f"{product_id}/best-seller").random() < BEST_SELLER_SHARE
    return "yes" if sells_well else ""


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2 of the true pixels, x2 and y2 one past the last."""
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def jpeg(image: Image.Image, quality: int = PHOTO_QUALITY) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _crop_box(size: tuple[int, int], area: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    w, h = (round(s * area**0.5) for s in size)
    x, y = (round((s - c) * float(rng.uniform(0.3, 0.7))) for s, c in zip(size, (w, h), strict=True))
    return x, y, x + w, y + h


def _overlay(image: Image.Image, detail: str) -> Image.Image:
    out = image.convert("RGBA")
    layer = Image.new("RGBA", out.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    width, height = out.size
    if detail == "watermark":
        font = ImageFont.load_default(width // 13)
        for row in range(-1, 5):
            draw.text(
                (width * (0.03 + 0.12 * (row % 2)), height * 0.24 * row + 10),
                "casabella.example",
                font=font,
                fill=(90, 90, 90, 105),
                stroke_width=1,
                stroke_fill=(255, 255, 255, 90),
            )
        layer = layer.rotate(18, Image.Resampling.BICUBIC)
    else:
        r = width // 9
        cx, cy = width - r - 14, r + 14
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(208, 28, 44, 255))
        text = detail.removeprefix("badge ")
        draw.text(
            (cx, cy), text, font=ImageFont.load_default(r * 0.62), anchor="mm", fill=(255, 255, 255, 255)
        )
    return Image.alpha_composite(out, layer).convert("RGB")


def _recolour(image: Image.Image, mask: np.ndarray, degrees: float) -> Image.Image:
    soft = Image.fromarray((mask > 0).astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(0.8))
    return Image.composite(shift_hue(image, degrees, least_saturation=0.12), image, soft)


def _embed(photo: Photo, room: Image.Image) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """The photo's product cut out, at about half size, stood in the free foreground of the room."""
    cut = box_of(photo.mask > 0)
    product = photo.decoded.crop(cut)
    alpha = (
        Image.fromarray((photo.mask > 0).astype(np.uint8) * 255).filter(ImageFilter.MinFilter(3)).crop(cut)
    )
    scale = 0.5 * max(photo.mask.shape) / max(product.size)
    size = (round(product.width * scale), round(product.height * scale))
    product = product.resize(size, Image.Resampling.LANCZOS)
    alpha = alpha.resize(size, Image.Resampling.LANCZOS)
    x, y = round(room.width * 0.52 - size[0] / 2), room.height - size[1] - 24
    shadow = Image.new("L", room.size, 0)
    ImageDraw.Draw(shadow).ellipse(
        (x + size[0] * 0.05, y + size[1] * 0.93, x + size[0] * 0.98, y + size[1] * 1.03), fill=120
    )
    out = Image.composite(
        Image.new("RGB", room.size, (20, 18, 16)), room, shadow.filter(ImageFilter.GaussianBlur(7))
    )
    out.paste(product, (x, y), alpha)
    bx = box_of(np.asarray(alpha) >= 128)
    return out, (x + bx[0], y + bx[1], x + bx[2], y + bx[3])


def near_duplicate(
    kind: str, detail: str, photo: Photo, rooms: dict[str, Image.Image]
) -> tuple[bytes, tuple[int, int, int, int] | None]:
    """The copy's bytes, and the box where the source's content lies in it where that is not the whole."""
    image = photo.decoded
    rng = seeded(f"{kind}/{photo.uri}")
    width, height = image.size
    if kind == "identical_bytes":
        return photo.path.read_bytes(), None
    if kind == "re_encoded":
        return jpeg(image, int(detail.split()[1])), None
    if kind == "resized":
        share = float(detail.split()[0]) / 100
        return jpeg(
            image.resize((round(width * share), round(height * share)), Image.Resampling.LANCZOS)
        ), None
    if kind == "cropped":
        box = _crop_box(image.size, float(detail.split()[0]) / 100, rng)
        return jpeg(image.crop(box)), box
    if kind == "mirrored":
        return jpeg(ImageOps.mirror(image)), None
    if kind == "rotated":
        turn = {
            "90 degrees anticlockwise": Image.Transpose.ROTATE_90,
            "90 degrees clockwise": Image.Transpose.ROTATE_270,
            "180 degrees": Image.Transpose.ROTATE_180,
        }[detail]
        return jpeg(image.transpose(turn)), None
    if kind == "overlaid":
        return jpeg(_overlay(image, detail)), None
    if kind == "padded":
        px, py = round(width * 0.25), round(height * 0.25)
        box = (px, py, px + width, py + height)
        return jpeg(ImageOps.expand(image, (px, py), fill=(255, 255, 255))), box
    if kind == "toned":
        toned = {
            "darker": lambda: ImageEnhance.Brightness(image).enhance(0.62),
            "more contrast": lambda: ImageEnhance.Contrast(image).enhance(1.45),
            "grey": lambda: image.convert("L").convert("RGB"),
            "blur sigma 1.6": lambda: image.filter(ImageFilter.GaussianBlur(1.6)),
        }[detail]()
        return jpeg(toned), None
    if kind == "recoloured":
        return jpeg(_recolour(image, photo.mask, float(detail.split()[1]))), None
    if kind == "embedded":
        out, box = _embed(photo, rooms[detail])
        return jpeg(out, ROOM_QUALITY), box
    raise ValueError(f"unknown kind of near-duplicate: {kind!r}")


def write_sample(work: Path, out: Path, plans: dict[str, list]) -> None:
    """Writes images/, catalog.csv, truth.csv and ATTRIBUTION.md under `out`, from the renders in `work`."""
    images = out / "images"
    if images.exists():
        raise FileExistsError(f"{images} exists: name a folder that holds no sample yet")
    images.mkdir(parents=True)
    catalog: list[dict[str, object]] = []
    truth: list[dict[str, object]] = []
    by_id = {p.product_id: p for p in PRODUCTS}
    photos: dict[tuple[str, str], Photo] = {}

    def sell(product_id: str, uri: str, title: str, category: str, colour: str) -> None:
        sold = (product_id, uri, title, category, colour, supplier_of(product_id), best_seller(product_id))
        catalog.append(dict(zip(CATALOG_FIELDS, sold, strict=True)))

    def say(
        uri: str,
        kind: str,
        product_id: str,
        detail: str,
        box: tuple[int, int, int, int] | None = None,
        source: Photo | None = None,
    ) -> None:
        row: dict[str, object] = {"uri": uri, "kind": kind, "product_id": product_id, "detail": detail}
        if source is not None:
            row |= {"source_uri": source.uri, "source_product_id": source.product_id}
        if box is not None:
            row |= dict(zip(("x1_px", "y1_px", "x2_px", "y2_px"), box, strict=True))
        truth.append(row)

    for p in PRODUCTS:
        for i, (view, plain) in enumerate(plans[p.product_id], start=1):
            name = AWKWARD_NAMES.get((p.product_id, view), f"{p.product_id}-{i}.jpg")
            path = images / name
            path.write_bytes(jpeg(Image.open(work / f"{p.product_id}__{view}.png").convert("RGB")))
            mask = np.asarray(Image.open(work / f"{p.product_id}__{view}.mask.png"))
            photos[p.product_id, view] = Photo(p.product_id, f"images/{name}", path, mask)
            sell(p.product_id, f"images/{name}", p.title, p.category, p.colour)
            detail = f"{view}, background {'plain' if plain else 'interior'}"
            if p.variant_of:
                detail += f", colour variant of {p.variant_of}"
            say(f"images/{name}", "view", p.product_id, detail, box_of(mask > 0))

    rooms: dict[str, Image.Image] = {}
    for room in ROOMS:
        picture = Image.open(work / f"{room.room_id}.png").convert("RGB")
        rooms[room.room_id] = picture
        uri = f"images/{room.room_id}.jpg"
        (out / uri).write_bytes(jpeg(picture, ROOM_QUALITY))
        sell(room.room_id, uri, room.title, "room", "")
        mask = np.asarray(Image.open(work / f"{room.room_id}.mask.png"))
        ids = json.loads((work / f"{room.room_id}.json").read_text())
        for label, product_id in enumerate(ids, start=1):
            visible = mask == label
            if visible.sum() >= LEAST_VISIBLE_PX:
                say(uri, "scene_object", product_id, f"{int(visible.sum())} visible pixels", box_of(visible))

    for n, (kind, detail, product_id, view) in enumerate(PLANTED):
        source, p = photos[product_id, view], by_id[product_id]
        other = n % 2 == 1
        supplier = SUPPLIERS[n % 3]
        sold_as = f"{supplier}-{3100 + 7 * n}" if other else product_id
        uri = f"images/{supplier}_{4000 + 13 * n}.jpg"
        data, box = near_duplicate(kind, detail, source, rooms)
        (out / uri).write_bytes(data)
        sell(
            sold_as,
            uri,
            f"{p.title} ({supplier.title()})" if other else p.title,
            p.category,
            "" if kind == "recoloured" else p.colour,
        )
        note = "listed by another supplier under another product id" if other else "same product id"
        where = " into the room of images/" + detail + ".jpg" if kind == "embedded" else detail
        say(uri, kind, sold_as, f"{where}; {note}".strip("; ").strip(), box, source)
    _bad_files(out, sell, say)
    for name, fields, rows in (("catalog.csv", CATALOG_FIELDS, catalog), ("truth.csv", TRUTH_FIELDS, truth)):
        with open(out / name, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (out / "ATTRIBUTION.md").write_text(attribution(BASE), encoding="utf-8")


def _bad_files(out: Path, sell, say) -> None:
    whole = (out / "images/sofa-retro-1.jpg").read_bytes()
    html = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>No such image.</body></html>\n"
    bad = [
        ("truncated", "sofa-retro", "bad-truncated-half.jpg", whole[: len(whole) // 2]),
        ("truncated", "sofa-retro", "bad-truncated-header.jpg", whole[:400]),
        ("not_an_image", "chair-osaka", "bad-html.jpg", html),
        ("empty", "oven", "bad-empty.jpg", b""),
        ("too_small", "tv-flat", "bad-one-pixel.jpg", jpeg(Image.new("RGB", (1, 1), (200, 180, 160)))),
        ("missing", "teapot", "bad-missing.jpg", None),
    ]
    by_id = {p.product_id: p for p in PRODUCTS}
    for detail, product_id, name, data in bad:
        p = by_id[product_id]
        if data is not None:
            (out / "images" / name).write_bytes(data)
        sell(product_id, f"images/{name}", p.title, p.category, p.colour)
        say(f"images/{name}", "bad_file", product_id, detail)
