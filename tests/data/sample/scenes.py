"""Compose product photos (plain or interior) and room scenes from placed models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import surfaces
from models import Model, load, recolour
from PIL import Image, ImageDraw, ImageFilter
from products import PRODUCTS, Product, Room
from render import Placed, Surface, fit_camera, floor_shadow, masks, picture

KEY_LIGHT = (-0.55, 1.0, 0.5)
FLOOR_PX = 2400
BY_ID = {p.product_id: p for p in PRODUCTS}

# name -> (yaw of the product, height of the camera), degrees
VIEWS = {
    "three_quarter_left": (-34.0, 14.0),
    "three_quarter_right": (38.0, 16.0),
    "front": (4.0, 9.0),
    "high_angle": (-22.0, 34.0),
}
WHITE = (255, 255, 255)
TINTS = [
    (228, 230, 232),
    (232, 222, 206),
    (206, 220, 230),
    (232, 212, 210),
    (208, 224, 210),
    (222, 214, 230),
    (196, 204, 208),
    (238, 226, 188),
]


@dataclass
class Shot:
    """An image and, per visible object, its mask label in `mask` (label 1 is the first object)."""

    image: Image.Image
    mask: np.ndarray


def model_of(product: Product) -> Model:
    model = load(product.library, product.number)
    if product.variant_of:
        model = recolour(model, product.hue_degrees, product.saturation, product.value)
    return model


def _aspect_size(points: np.ndarray, camera_args: tuple[float, float], long_px: int) -> tuple[int, int]:
    """Frame size that suits the product: square, landscape 5:4 or portrait 4:5."""
    width = np.ptp(points[:, 0])
    height = np.ptp(points[:, 1]) + np.ptp(points[:, 2]) * np.sin(np.radians(camera_args[1]))
    if width > 1.6 * height:
        return long_px, round(long_px * 0.8)
    if height > 1.6 * width:
        return round(long_px * 0.8), long_px
    return long_px, long_px


def product_photo(
    product: Product,
    model: Model,
    view: str,
    plain: tuple[int, int, int] | None,
    long_px: int,
    rng: np.random.Generator,
) -> Shot:
    """One photo of one product, on a seamless backdrop of colour `plain`, or in an interior when None."""
    yaw, elevation = VIEWS[view]
    yaw += float(rng.uniform(-7, 7))
    elevation += float(rng.uniform(-2, 3))
    placed = Placed(model, yaw_degrees=yaw)
    points = placed.all_points()
    size = float(max(np.ptp(points, axis=0)))
    width, height = _aspect_size(points, (yaw, elevation), long_px)
    azimuth = 0.0 if plain else float(rng.uniform(-9, 9))
    fill = float(rng.uniform(0.74, 0.84) if plain else rng.uniform(0.58, 0.72))
    camera = fit_camera(points, azimuth, elevation, width / height, fill)
    shadow_extent = 4.0 * size
    shadow = floor_shadow([placed], -shadow_extent / 2, -shadow_extent / 2, shadow_extent, 400, KEY_LIGHT)
    if plain:
        backdrop = surfaces.shade_floor(
            Image.new("RGB", (1024, 1024), plain), shadow, (0, 0, 1024, 1024), 0.62
        )
        half = shadow_extent / 2
        quad = Surface(backdrop, (-half, 0, half), (2 * half, 0, 0), (0, 0, -2 * half))
        image = picture([placed], [quad], camera, width, height, plain, size)
        return Shot(image, masks([placed], camera, width, height))
    parts = _interior(size, -0.5 * float(np.ptp(points[:, 2])) - 0.35 * size, shadow, shadow_extent, rng)
    image = picture([placed], parts, camera, width, height, (200, 196, 190), size)
    return Shot(surfaces.finish(image, rng), masks([placed], camera, width, height))


def _interior(
    size: float, wall_z: float, shadow: np.ndarray, shadow_extent: float, rng: np.random.Generator
) -> list[Surface]:
    extent = 9.0 * size
    px_per_cm = FLOOR_PX / extent
    unit = 0.12 * size * px_per_cm
    kind = str(rng.choice(surfaces.FLOORS))
    colours = surfaces.FLOOR_COLOURS[kind]
    ground = surfaces.floor(kind, colours[int(rng.integers(len(colours)))], FLOOR_PX, unit, rng)
    middle = FLOOR_PX / 2
    if rng.random() < 0.45:
        colour = surfaces.RUG_COLOURS[int(rng.integers(len(surfaces.RUG_COLOURS)))]
        half = (0.85 * size * px_per_cm, 0.6 * size * px_per_cm)
        ground = surfaces.add_rug(
            ground, (middle, middle + 0.2 * size * px_per_cm), half, colour, bool(rng.random() < 0.5), rng
        )
    reach = shadow_extent / 2 * px_per_cm
    box = (round(middle - reach), round(middle - reach), round(middle + reach), round(middle + reach))
    ground = surfaces.shade_floor(ground, shadow, box, 0.68)
    top = round((extent / 2 + wall_z) * px_per_cm)
    ground = ground.crop((0, top, FLOOR_PX, FLOOR_PX))
    front = extent / 2
    wall_height = 3.2 * size
    kind = str(rng.choice(surfaces.WALLS))
    colour = surfaces.WALL_COLOURS[int(rng.integers(len(surfaces.WALL_COLOURS)))]
    wall_px = (1800, round(1800 * wall_height / (extent * 0.75)))
    paper = surfaces.wall(kind, colour, *wall_px, 0.14 * size * 1800 / (extent * 0.75), rng)
    return [
        Surface(ground, (-extent / 2, 0, front), (extent, 0, 0), (0, 0, wall_z - front)),
        Surface(paper, (-extent * 0.375, 0, wall_z), (extent * 0.75, 0, 0), (0, wall_height, 0)),
    ]


def _placed(name: str) -> tuple[str, Model]:
    """`plant-agave*3` is the product three times its catalogue size: a big one of the kind."""
    product_id, _, factor = name.partition("*")
    model = model_of(BY_ID[product_id])
    if factor:
        f = float(factor)
        for part in model.parts:
            part.points = part.points * f
        w, h, d = model.size_cm
        model.size_cm = (w * f, h * f, d * f)
    return product_id, model


def room_scene(room: Room, width_px: int, height_px: int, rng: np.random.Generator) -> tuple[list[str], Shot]:
    """A furnished room; returns the product ids in the order of their mask labels 1, 2, ..."""
    ids: list[str] = []
    objects: list[Placed] = []
    tops: dict[str, Placed] = {}
    back = [_placed(name) for name in room.back]
    unit = float(np.median([max(m.size_cm) for _, m in back]))
    gaps = [float(rng.uniform(0.10, 0.18)) * unit for _ in back]
    total = sum(m.size_cm[0] for _, m in back) + sum(gaps[1:])
    deepest = max(m.size_cm[2] for _, m in back)
    x = -total / 2
    for (product_id, model), gap in zip(back, [0.0, *gaps[1:]], strict=True):
        w, _, d = model.size_cm
        placed = Placed(model, (x + gap + w / 2, 0.0, d / 2 + 0.06 * unit), float(rng.uniform(-4, 4)))
        x += gap + w
        ids.append(product_id)
        objects.append(placed)
        tops[product_id] = placed
    row_z = deepest + 0.55 * unit
    for name, share, yaw in room.front:
        product_id, model = _placed(name)
        placed = Placed(model, (share * total / 2, 0.0, row_z + model.size_cm[2] / 2), yaw)
        ids.append(product_id)
        objects.append(placed)
        tops[product_id] = placed
    for name, on, share in room.on_top:
        product_id, model = _placed(name)
        base = tops[on]
        at = (
            base.position_cm[0] + share * base.model.size_cm[0] / 2 * 0.8,
            base.model.size_cm[1] + 0.05,
            base.position_cm[2],
        )
        ids.append(product_id)
        objects.append(Placed(model, at, float(rng.uniform(-20, 20))))
    points = np.concatenate([o.all_points() for o in objects])
    camera = fit_camera(points, room.azimuth_degrees, 13.0 if unit > 60 else 17.0, width_px / height_px, 0.86)
    image = picture(
        objects,
        _room_shell(room, points, objects, unit, rng),
        camera,
        width_px,
        height_px,
        (200, 196, 190),
        unit,
    )
    return ids, Shot(surfaces.finish(image, rng), masks(objects, camera, width_px, height_px))


def _room_shell(
    room: Room, points: np.ndarray, objects: list[Placed], unit: float, rng: np.random.Generator
) -> list[Surface]:
    spread = float(max(np.ptp(points[:, 0]), np.ptp(points[:, 2])))
    extent = 4.5 * spread
    px_per_cm = FLOOR_PX / extent
    plank = 0.10 * unit
    colours = surfaces.FLOOR_COLOURS[room.floor]
    ground = surfaces.floor(
        room.floor, colours[int(rng.integers(len(colours)))], FLOOR_PX, plank * px_per_cm, rng
    )
    low_x = -extent / 2
    if room.rug:
        colour = surfaces.RUG_COLOURS[int(rng.integers(len(surfaces.RUG_COLOURS)))]
        centre = (FLOOR_PX / 2, float(points[:, 2].max()) * 0.72 * px_per_cm)
        ground = surfaces.add_rug(
            ground,
            centre,
            (0.34 * spread * px_per_cm, 0.2 * spread * px_per_cm),
            colour,
            bool(rng.random() < 0.4),
            rng,
        )
    # the floor image begins at the wall, z = 0; the shadow square is centred on the objects
    reach = 1.7 * spread
    middle_z = float(points[:, 2].max()) / 2
    shadow = floor_shadow(objects, -reach / 2, middle_z - reach / 2, reach, 900, KEY_LIGHT)
    cut = max(0, round((reach / 2 - middle_z) / reach * 900))
    shadow = shadow[cut:]
    x0 = round((-reach / 2 - low_x) * px_per_cm)
    y0 = max(0, round((middle_z - reach / 2) * px_per_cm))
    box = (x0, y0, x0 + round(reach * px_per_cm), y0 + round(shadow.shape[0] / 900 * reach * px_per_cm))
    ground = surfaces.shade_floor(ground, shadow, box, 0.68)
    wall_width, wall_height = 3.0 * spread, max(1.35 * float(points[:, 1].max()), 0.9 * spread)
    colour = surfaces.WALL_COLOURS[int(rng.integers(len(surfaces.WALL_COLOURS)))]
    px = 2000 / wall_width
    paper = surfaces.wall(room.wall, colour, 2000, round(wall_height * px), 0.11 * unit * px, rng)
    if room.wall in ("paint", "stripes", "dots", "brick"):
        cx = 1000 + float(rng.uniform(-0.16, 0.16)) * spread * px
        w, h = 0.22 * spread * px, 0.16 * spread * px
        y = paper.height - (float(points[:, 1].max()) * 0.82) * px
        paper = surfaces.hang_picture(paper, (cx - w / 2, y - h / 2, cx + w / 2, y + h / 2), rng)
    # things near the wall darken it a little
    shade = Image.new("L", paper.size, 0)
    draw = ImageDraw.Draw(shade)
    for o in objects:
        p = o.all_points()
        if p[:, 2].min() < 0.5 * unit:
            draw.rectangle(
                (
                    1000 + p[:, 0].min() * px + 0.04 * unit * px,
                    paper.height - p[:, 1].max() * px * 0.97,
                    1000 + p[:, 0].max() * px + 0.10 * unit * px,
                    paper.height,
                ),
                fill=80,
            )
    shade = shade.filter(ImageFilter.GaussianBlur(0.06 * unit * px))
    paper = Image.composite(Image.new("RGB", paper.size, (46, 42, 40)), paper, shade)
    return [
        Surface(ground, (low_x, 0, extent), (extent, 0, 0), (0, 0, -extent)),
        Surface(paper, (-wall_width / 2, 0, 0), (wall_width, 0, 0), (0, wall_height, 0)),
    ]
