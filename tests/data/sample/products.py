"""What the sample sells: one line a product, the colour variants, and the room scenes."""

from __future__ import annotations

from dataclasses import dataclass

CC0, CC_BY, KATOR, SCOPIA = "BlendSwap-CC-0", "BlendSwap-CC-BY", "KatorLegaz", "Scopia"


@dataclass(frozen=True)
class Product:
    """A model under its product id; `pale` products never stand on white; hue turns make variants."""

    product_id: str
    library: str
    number: int
    category: str
    colour: str
    title: str
    pale: bool = False
    variant_of: str = ""
    hue_degrees: float = 0.0
    saturation: float = 1.0
    value: float = 1.0


def _p(
    product_id: str, library: str, number: int, category: str, colour: str, title: str, pale: bool = False
) -> Product:
    return Product(product_id, library, number, category, colour, title, pale)


BASE = [
    _p("chair-oak", CC0, 26, "chair", "brown", "Spindle-back oak chair"),
    _p("chair-antique", CC0, 101, "chair", "brown", "Antique chair with woven cane seat"),
    _p("chair-banquet", CC0, 114, "chair", "red", "Banquet chair, red upholstery"),
    _p("chair-osaka", CC0, 125, "chair", "beige", "Moulded plywood chair Osaka", True),
    _p("chair-striped", SCOPIA, 29, "chair", "yellow", "Striped cantilever chair, yellow"),
    _p("chair-bistro", CC0, 171, "chair", "black", "Bentwood bistro chair, black"),
    _p("chair-shell", CC0, 1, "chair", "green", "Stacking armchair in green plastic"),
    _p("chair-swivel", CC0, 143, "chair", "white", "White swivel tub chair with blue cushion", True),
    _p("chair-deck", CC0, 65, "chair", "blue", "Folding deck chair, blue and white stripes"),
    _p("armchair-chesterfield", CC0, 139, "armchair", "red", "Chesterfield club armchair, oxblood"),
    _p("armchair-ottoman", KATOR, 48, "armchair", "brown", "Bentwood recliner with footstool, tan leather"),
    _p("armchair-lounge", CC_BY, 120, "armchair", "black", "Lounge chair in walnut and black leather"),
    _p("armchair-wingback", SCOPIA, 24, "armchair", "navy", "Wingback armchair, navy leather"),
    _p("beanbag", SCOPIA, 145, "armchair", "green", "Bean bag, lime green"),
    _p("sofa-chesterfield", CC0, 140, "sofa", "red", "Chesterfield three-seat sofa, oxblood"),
    _p("sofa-beige", CC0, 132, "sofa", "beige", "Two-seat sofa with rolled arms, sand", True),
    _p("sofa-retro", KATOR, 56, "sofa", "orange", "Tufted bench sofa, burnt orange"),
    _p("sofa-futon", KATOR, 4, "sofa", "red", "Futon sofa bed, red on black frame"),
    _p("bed-iron", CC0, 2, "bed", "green", "Grey iron bed with green blanket", True),
    _p("bed-checked", CC0, 5, "bed", "black", "Double bed, black and white checked cover"),
    _p("bed-junior", CC_BY, 31, "bed", "purple", "Junior bed in beech with lilac cover"),
    _p("bed-stripes", SCOPIA, 3, "bed", "orange", "Wooden bed, warm striped cover"),
    _p("crib", SCOPIA, 79, "bed", "white", "Baby crib with orange ends", True),
    _p("table-oak", CC0, 27, "table", "brown", "Round pedestal table in oak"),
    _p("desk-computer", CC0, 75, "table", "brown", "Computer desk with shelves, cherry"),
    _p("desk-navy", CC_BY, 7, "table", "beige", "Writing desk in maple with navy door"),
    _p("table-football", CC0, 46, "table", "green", "Table football game"),
    _p("cabinet-tv", CC0, 52, "cabinet", "beige", "Television cabinet with corner shelves"),
    _p("cabinet-chest", CC_BY, 75, "cabinet", "brown", "Chest of eight drawers, honey pine"),
    _p("cabinet-kids", CC0, 74, "cabinet", "white", "Children's wardrobe with coloured drawers", True),
    _p("cabinet-wardrobe", CC_BY, 63, "cabinet", "beige", "Two-door wardrobe in pine"),
    _p("bookcase-full", KATOR, 80, "cabinet", "white", "Tall white bookcase with books", True),
    _p("lamp-dome", CC0, 15, "lamp", "gold", "Brass desk lamp with dome shade", True),
    _p("lamp-arc", SCOPIA, 54, "lamp", "red", "Arc desk lamp, red"),
    _p("lamp-tube", SCOPIA, 65, "lamp", "orange", "Table lamp with tall orange shade"),
    _p("lamp-vase", KATOR, 42, "lamp", "blue", "Pedestal lamp with blue column", True),
    _p("lamp-floor", SCOPIA, 87, "lamp", "red", "Floor lamp with table, terracotta"),
    _p("plant-agave", CC0, 77, "plant", "green", "Agave in a terracotta pot"),
    _p("plant-cactus", CC0, 107, "plant", "green", "Cactus in a black pot"),
    _p("plant-orchid", CC0, 124, "plant", "purple", "White orchid in a purple pot", True),
    _p("plant-flowerbox", CC0, 17, "plant", "brown", "Flower box with white geraniums", True),
    _p("plant-bonsai", SCOPIA, 192, "plant", "green", "Bonsai tree in a grey bowl"),
    _p("vase-amphora", SCOPIA, 44, "vase", "blue", "Amphora vase, blue with yellow band"),
    _p("vase-tulips", CC_BY, 125, "vase", "mixed", "Bouquet of tulips in a steel vase"),
    _p("vase-grasses", SCOPIA, 60, "vase", "beige", "Glass vase with dried grasses", True),
    _p("mixer-stand", CC0, 19, "kitchen", "yellow", "Stand mixer, mustard yellow"),
    _p("coffee-capsule", CC0, 111, "kitchen", "red", "Capsule coffee machine, red"),
    _p("toaster", SCOPIA, 395, "kitchen", "orange", "Two-slice toaster, orange"),
    _p("teapot", SCOPIA, 123, "kitchen", "cream", "Porcelain teapot with flowers", True),
    _p("juicer", SCOPIA, 184, "kitchen", "blue", "Citrus squeezer, blue"),
    _p("moka-pot", CC_BY, 93, "kitchen", "grey", "Stovetop espresso pot, aluminium"),
    _p("fruit-bowl", SCOPIA, 355, "kitchen", "mixed", "Fruit bowl with fruit"),
    _p("oven", CC0, 28, "kitchen", "white", "Built-in oven, white", True),
    _p("toilet", CC0, 57, "bathroom", "white", "Close-coupled toilet, white", True),
    _p("bath-island", SCOPIA, 374, "bathroom", "white", "Freestanding bathtub with tap", True),
    _p("washing-machine", SCOPIA, 131, "bathroom", "white", "Front-loading washing machine", True),
    _p("vanity", SCOPIA, 73, "bathroom", "red", "Bathroom vanity with mirror, burgundy"),
    _p("tv-flat", CC0, 22, "electronics", "black", "Flat television on a glass foot"),
    _p("radio-vintage", CC_BY, 52, "electronics", "olive", "Portable radio, vintage olive"),
    _p("computer-retro", KATOR, 76, "electronics", "blue", "All-in-one computer, translucent blue"),
    _p("fan-table", CC0, 47, "electronics", "white", "Table fan with blue blades", True),
    _p("stereo", SCOPIA, 143, "electronics", "grey", "Mini stereo with two wooden speakers"),
    _p("teddy", CC0, 51, "toy", "brown", "Teddy bear"),
    _p("rocking-horse", CC0, 8, "toy", "orange", "Rocking horse, painted wood"),
    _p("toy-train", CC_BY, 106, "toy", "mixed", "Wooden toy train"),
    _p("suitcase", CC_BY, 103, "household", "blue", "Hard-shell suitcase, blue"),
    _p("drill", SCOPIA, 263, "household", "green", "Cordless drill, teal"),
]

_BY_ID = {p.product_id: p for p in BASE}


def _variant(
    of: str, suffix: str, colour: str, title: str, hue: float, saturation: float = 1.0, value: float = 1.0
) -> Product:
    b = _BY_ID[of]
    return Product(
        f"{of}-{suffix}", b.library, b.number, b.category, colour, title, b.pale, of, hue, saturation, value
    )


VARIANTS = [
    _variant(
        "sofa-chesterfield", "green", "green", "Chesterfield three-seat sofa, bottle green", 140, 0.9, 0.9
    ),
    _variant("sofa-retro", "teal", "teal", "Tufted bench sofa, teal", 165, 0.9, 0.8),
    _variant("beanbag", "plum", "purple", "Bean bag, plum", -150, 0.9, 0.9),
    _variant("chair-shell", "orange", "orange", "Stacking armchair in apricot plastic", -65),
    _variant("toaster", "blue", "blue", "Two-slice toaster, blue", 180, 0.9, 0.85),
    _variant("mixer-stand", "red", "red", "Stand mixer, cherry red", -52, 1.0, 0.95),
    _variant("suitcase", "burgundy", "red", "Hard-shell suitcase, burgundy", 140, 1.05, 0.95),
    _variant("lamp-vase", "green", "green", "Pedestal lamp with green column", -85, 0.9, 0.8),
]

PRODUCTS = BASE + VARIANTS


@dataclass(frozen=True)
class Room:
    """A scene: a row along the wall, a row in front of it, and things stood on other things."""

    room_id: str
    title: str
    back: tuple[str, ...]
    front: tuple[tuple[str, float, float], ...]  # product, x in -1..1 of the row, yaw in degrees
    on_top: tuple[tuple[str, str, float], ...]  # product, on which, x in -1..1 of its width
    floor: str
    wall: str
    rug: bool
    azimuth_degrees: float


ROOMS = [
    Room(
        "room-01",
        "Living room with leather sofa",
        ("plant-agave*3", "sofa-chesterfield", "lamp-floor"),
        (("armchair-ottoman", 0.75, -50), ("beanbag", -0.85, 25)),
        (),
        "planks",
        "paint",
        True,
        8,
    ),
    Room(
        "room-02",
        "Retro lounge in orange",
        ("cabinet-chest", "sofa-retro"),
        (("armchair-lounge", 0.8, -45), ("suitcase", -0.35, 15)),
        (("lamp-tube", "cabinet-chest", -0.55), ("radio-vintage", "cabinet-chest", 0.35)),
        "herringbone",
        "dots",
        False,
        -10,
    ),
    Room(
        "room-03",
        "Dining corner",
        ("bookcase-full", "cabinet-wardrobe"),
        (("chair-oak", -0.95, 60), ("table-oak", 0.0, 0), ("chair-antique", 0.95, -65)),
        (("vase-tulips", "table-oak", 0.0),),
        "tiles",
        "stripes",
        False,
        6,
    ),
    Room(
        "room-04",
        "Study with computer desk",
        ("desk-computer", "bookcase-full"),
        (("chair-shell-orange", -0.15, 160),),
        (),
        "carpet",
        "paint",
        False,
        -12,
    ),
    Room(
        "room-05",
        "Bedroom with iron bed",
        ("cabinet-chest", "bed-iron"),
        (("chair-antique", 0.9, -30),),
        (("lamp-vase", "cabinet-chest", -0.5), ("vase-amphora", "cabinet-chest", 0.4)),
        "planks",
        "wainscot",
        False,
        10,
    ),
    Room(
        "room-06",
        "Children's room",
        ("cabinet-kids", "bed-junior"),
        (("rocking-horse", -0.6, 30), ("teddy", 0.15, -10), ("beanbag-plum", 0.9, 0)),
        (),
        "carpet",
        "dots",
        True,
        -8,
    ),
    Room(
        "room-07",
        "Kitchen counter",
        ("coffee-capsule", "toaster", "mixer-stand"),
        (("fruit-bowl", -0.6, 0), ("juicer", 0.2, 0), ("moka-pot", 0.8, 30)),
        (),
        "planks",
        "square_tiles",
        False,
        6,
    ),
    Room(
        "room-08",
        "Bathroom",
        ("toilet", "vanity", "washing-machine"),
        (),
        (),
        "checker",
        "square_tiles",
        False,
        -8,
    ),
    Room(
        "room-09",
        "Media corner",
        ("stereo*2", "cabinet-tv", "plant-cactus*3"),
        (("sofa-futon", 0.9, -70), ("beanbag", -0.7, 30)),
        (),
        "concrete",
        "brick",
        True,
        10,
    ),
    Room(
        "room-10",
        "Reading corner",
        ("armchair-wingback", "bookcase-full", "plant-orchid*2"),
        (("armchair-chesterfield", 0.9, -40),),
        (),
        "planks",
        "paint",
        True,
        -10,
    ),
    Room(
        "room-11",
        "Games room",
        ("table-football", "sofa-futon"),
        (("chair-striped", -0.9, 40),),
        (),
        "carpet",
        "brick",
        False,
        8,
    ),
    Room(
        "room-12",
        "Guest room",
        ("bed-stripes", "cabinet-wardrobe"),
        (("suitcase-burgundy", -0.1, 20), ("chair-bistro", 0.95, -35)),
        (),
        "planks",
        "stripes",
        True,
        -9,
    ),
    Room(
        "room-13",
        "Breakfast tray",
        ("teapot", "toaster-blue", "vase-tulips"),
        (("fruit-bowl", -0.5, 0), ("juicer", 0.6, 0)),
        (),
        "planks",
        "paint",
        False,
        8,
    ),
    Room(
        "room-14",
        "Loft with green chesterfield",
        ("lamp-floor", "sofa-chesterfield-green", "plant-bonsai*3"),
        (("armchair-lounge", -0.8, 40), ("chair-swivel", 0.85, -40)),
        (),
        "concrete",
        "brick",
        True,
        7,
    ),
    Room(
        "room-15",
        "Hall",
        ("chair-banquet", "cabinet-chest", "chair-deck"),
        (("suitcase", 0.2, -15),),
        (("plant-orchid", "cabinet-chest", 0.4), ("lamp-dome", "cabinet-chest", -0.5)),
        "checker",
        "wainscot",
        False,
        -6,
    ),
]
