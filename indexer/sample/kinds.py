"""The kinds of things the shop sells, and what each of them may look like."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["top", "dress", "skirt", "trousers", "headwear", "shoe", "bag", "scarf"]

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
EASY = ("black", "charcoal", "grey", "white", "cream", "beige", "navy", "blue", "sky", "olive",
        "forest", "green", "mint", "teal", "burgundy", "red", "coral", "mustard", "yellow", "pink",
        "lilac", "purple", "orange", "turquoise", "magenta")  # fmt: skip
MUTED = ("black", "charcoal", "grey", "navy", "camel", "beige", "olive", "brown", "burgundy",
         "forest", "cream", "teal", "denim")  # fmt: skip
HIDES = ("black", "brown", "camel", "beige", "burgundy", "navy", "white", "red", "olive", "grey",
         "forest", "pink", "mustard")  # fmt: skip
DENIMS = ("denim", "navy", "blue", "sky", "black", "grey")
PRINTS = ("dots", "floral", "leaves", "leopard", "stars")


@dataclass(frozen=True, slots=True)
class Kind:
    """What an item of a kind may look like; every tuple lists the choices, more often = likelier.

    Attributes:
        family: Which outlines it is made of.
        pool: Names of its main colours.
        patterns: Kinds of pattern.
        price: Lowest and highest price.
        necklines: Collars of tops; crowns, toes, flaps and so on of other families.
        closures: Buttons, zips, laces.
        pockets: Pockets.
        sleeves: Sleeve lengths: 0 none, 0.5 to the elbow, 1 to the wrist.
        lengths: Lengths between the shortest (0) and longest (1) of the family.
        fits: 0 tight to 1 wide.
        flares: 0 straight to 1 widening to the hem.
        trims: Whether collar, cuffs or sole may have the second colour.
    """

    family: Family
    pool: tuple[str, ...]
    patterns: tuple[str, ...]
    price: tuple[int, int]
    necklines: tuple[str, ...] = ("crew",)
    closures: tuple[str, ...] = ("none",)
    pockets: tuple[str, ...] = ("none",)
    sleeves: tuple[float, ...] = (0.0,)
    lengths: tuple[float, ...] = LEVELS
    fits: tuple[float, ...] = LEVELS
    flares: tuple[float, ...] = (0.0,)
    trims: tuple[bool, ...] = (False, True)


KINDS: dict[str, Kind] = {
    "tshirt": Kind(
        "top", EASY,
        ("plain", "plain", "motif", "motif", "motif", "stripes", "tiedye", "blocks", "dots",
         "camouflage", *PRINTS),
        (9, 35), ("crew", "vneck", "scoop"), pockets=("none", "none", "chest"),
        sleeves=(0.25, 0.35, 0.45), lengths=(0.25, 0.5, 0.75),
    ),
    "tanktop": Kind(
        "top", EASY, ("plain", "plain", "stripes", "motif", "ombre", "tiedye", *PRINTS),
        (7, 25), ("scoop", "vneck", "crew"), lengths=(0.0, 0.25, 0.5, 0.75),
        flares=(0.0, 0.5), trims=(False, True),
    ),
    "longsleeve": Kind(
        "top", EASY,
        ("plain", "plain", "stripes", "stripes", "motif", "blocks", "dots", "camouflage",
         "leopard"),
        (14, 49), ("crew", "vneck", "boat", "turtle"), closures=("none", "none", "henley"),
        sleeves=(1.0,), lengths=(0.25, 0.5, 0.75),
    ),
    "shirt": Kind(
        "top", EASY,
        ("plain", "plain", "stripes", "checks", "checks", "tartan", "denim", *PRINTS),
        (24, 89), ("collar", "stand"), ("buttons",), ("none", "chest", "chests"),
        sleeves=(0.45, 1.0, 1.0), lengths=(0.5, 0.75),
    ),
    "polo": Kind(
        "top", EASY, ("plain", "plain", "stripes", "blocks", "zigzag", "dots"),
        (19, 69), ("collar",), ("henley", "halfzip"), ("none", "chest"),
        sleeves=(0.3, 0.4), lengths=(0.5, 0.75),
    ),
    "hoodie": Kind(
        "top", EASY,
        ("plain", "plain", "motif", "motif", "blocks", "camouflage", "tiedye", "ombre"),
        (29, 99), ("hood",), ("none", "zip"), ("kangaroo", "none"),
        sleeves=(1.0,), lengths=(0.5, 0.75), fits=(0.5, 0.75, 1.0),
    ),
    "sweater": Kind(
        "top", EASY,
        ("knit", "knit", "knit", "nordic", "nordic", "argyle", "stripes", "zigzag", "plain"),
        (29, 119), ("crew", "vneck", "turtle", "boat"),
        sleeves=(1.0,), lengths=(0.25, 0.5, 0.75), fits=(0.25, 0.5, 0.75, 1.0),
    ),
    "cardigan": Kind(
        "top", EASY, ("knit", "knit", "plain", "argyle", "nordic", "stripes"),
        (29, 119), ("vneck",), ("buttons",), ("none", "patch"),
        sleeves=(0.75, 1.0, 1.0), lengths=(0.25, 0.5, 0.75, 1.0), fits=(0.25, 0.5, 0.75),
    ),
    "jacket": Kind(
        "top", (*MUTED, "red", "mustard", "pink", "blue"),
        ("plain", "plain", "plain", "denim", "camouflage", "blocks", "tartan", "leopard"),
        (49, 219), ("stand", "collar", "hood"), ("zip", "buttons"),
        ("slant", "chests", "patch"), sleeves=(1.0,), lengths=(0.25, 0.5, 0.75),
        fits=(0.5, 0.75, 1.0),
    ),
    "blazer": Kind(
        "top", (*MUTED, "white", "pink", "sky", "mustard"),
        ("plain", "plain", "tartan", "stripes", "checks"),
        (69, 299), ("lapel",), ("one", "two", "double"), ("flap", "patch"),
        sleeves=(1.0,), lengths=(0.5, 0.75, 1.0), fits=(0.0, 0.25, 0.5, 0.75), trims=(False,),
    ),
    "coat": Kind(
        "top", (*MUTED, "red", "pink", "mustard", "white"),
        ("plain", "plain", "plain", "tartan", "checks", "zigzag"),
        (89, 399), ("lapel", "stand", "hood"), ("two", "double", "zip", "belt"),
        ("flap", "slant", "patch"), sleeves=(1.0,), flares=(0.0, 0.5, 1.0),
        fits=(0.25, 0.5, 0.75),
    ),
    "dress": Kind(
        "dress", EASY,
        ("plain", "plain", "floral", "leaves", "stripes", "checks", "ombre", "tiedye", "blocks",
         "zigzag", "floral", *PRINTS),
        (29, 189), ("crew", "vneck", "scoop", "boat", "strap", "collar"),
        ("none", "none", "buttons", "belt"), sleeves=(0.0, 0.0, 0.3, 0.45, 1.0),
        fits=(0.0, 0.25, 0.5), flares=LEVELS,
    ),
    "skirt": Kind(
        "skirt", (*EASY, "denim",),
        ("plain", "plain", "tartan", "checks", "stripes", "denim", "ombre", *PRINTS),
        (19, 99), ("plain", "pleated", "tiered", "wrap"), ("none", "buttons", "zip"),
        ("none", "slant"), fits=(0.0, 0.5), flares=LEVELS,
    ),
    "trousers": Kind(
        "trousers", (*MUTED, "white", "pink", "mustard", "red", "sky"),
        ("plain", "plain", "plain", "stripes", "checks", "tartan", "camouflage", "leaves"),
        (29, 129), ("belted", "elastic", "pleated"), pockets=("slant", "cargo", "none"),
        lengths=(0.5, 0.75, 1.0), flares=(0.0, 0.5, 1.0), trims=(False, False, True),
    ),
    "jeans": Kind(
        "trousers", DENIMS, ("denim", "denim", "denim", "tiedye", "ombre", "plain"),
        (29, 149), ("belted",), pockets=("slant", "cargo"), lengths=(0.5, 0.75, 1.0),
        flares=(0.0, 0.5, 1.0), trims=(False, True),
    ),
    "shorts": Kind(
        "trousers", (*EASY, "denim",),
        ("plain", "plain", "denim", "stripes", "checks", "camouflage", "leaves", "floral", "dots",
         "blocks", "tiedye"),
        (15, 69), ("belted", "elastic"), pockets=("slant", "cargo", "none"),
        lengths=(0.0, 0.25), flares=(0.0, 0.5),
    ),
    "beanie": Kind(
        "headwear", EASY, ("knit", "knit", "stripes", "plain", "nordic", "blocks", "zigzag"),
        (9, 39), ("beanie",), ("none", "pompom"), ("none", "label"), lengths=LEVELS, fits=(0.5,),
    ),
    "cap": Kind(
        "headwear", EASY,
        ("plain", "plain", "motif", "motif", "camouflage", "denim", "checks", "blocks"),
        (12, 45), ("cap",), ("left", "right"), ("button", "mesh"), lengths=(0.0, 0.5, 1.0),
        fits=(0.0, 0.5, 1.0),
    ),
    "hat": Kind(
        "headwear", (*MUTED, "white", "red", "pink", "yellow", "mustard"),
        ("plain", "plain", "knit", "checks", "stripes", "floral", "leopard"),
        (19, 89), ("fedora", "bucket", "bowler"), pockets=("band", "none", "bow"),
        lengths=(0.0, 0.5, 1.0), fits=(0.0, 0.5, 1.0), trims=(False,),
    ),
    "sneaker": Kind(
        "shoe", EASY, ("plain", "plain", "plain", "blocks", "checks", "camouflage", "leopard"),
        (39, 179), ("low", "high", "runner", "slipon"), ("laces", "strap"),
        ("stripe", "swoosh", "dot", "none"),
        fits=(0.0, 0.5, 1.0), lengths=(0.5,),
    ),
    "boot": Kind(
        "shoe", HIDES, ("plain", "plain", "plain", "leopard", "tartan"),
        (59, 259), ("ankle", "combat", "chelsea", "wellington"), ("laces", "zip", "none"),
        fits=(0.0, 0.5, 1.0), lengths=LEVELS,
    ),
    "pump": Kind(
        "shoe", (*EASY, "brown", "camel"),
        ("plain", "plain", "leopard", "checks", "dots", "floral"),
        (39, 199), ("pointed", "round"), ("none", "strap", "anklestrap"), ("none", "bow", "buckle"),
        fits=(0.0, 0.5, 1.0), lengths=LEVELS,
    ),
    "handbag": Kind(
        "bag", (*HIDES, "yellow", "lilac", "sky", "teal", "coral"),
        ("plain", "plain", "plain", "checks", "leopard", "stripes", "zigzag", "argyle"),
        (25, 399), ("tote", "flap", "bucket", "bowling"), ("clasp", "zip", "tassel"),
        ("none", "front"),
        fits=LEVELS, lengths=LEVELS,
    ),
    "backpack": Kind(
        "bag", EASY,
        ("plain", "plain", "camouflage", "blocks", "dots", "leaves", "stripes", "tartan"),
        (25, 159), ("backpack",), ("zip", "flap"), ("front", "double", "none"),
        fits=(0.0, 0.5, 1.0), lengths=(0.0, 0.5, 1.0),
    ),
    "scarf": Kind(
        "scarf", EASY, ("tartan", "stripes", "knit", "checks", "dots", "zigzag", "floral", "plain",
                        "nordic", "leopard"),
        (12, 79), ("loop", "fold"), ("fringe", "none", "pompom"), fits=(0.0, 0.5, 1.0),
        lengths=LEVELS,
    ),
}  # fmt: skip
