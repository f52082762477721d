"""The rows of the study: what is trained, and what makes one row differ from the other.

From a row to the next of its table one thing changes, unless the table says otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

STEPS = 300  # of 128 items: 13 passes over the 3,023 photos
MINUTES = 5.0  # where time is held equal
SMALL = ("widths=16,32,64,128",)  # of every row: half as wide, so that all fit into an afternoon
DATA, OUT = "$NITERU_DATA", "runs/study"  # as a reader would type them

TEXTURE_STEPS = 800  # of 100 digits: 6.7 passes over 12,000; 20 minutes of an idle core for all
TEXTURE_LONG = 4800  # 40 passes: a decoder that draws the texture learns that before anything else
DIGITS = (  # of every row on texture, whatever its model's presets say
    "channels=1", "size=28", "target_size=28", "latent=16", "widths=16,32,64", "depths=1,1,1",
    "decoder_width=16", "recipe.batch_size=100", "recipe.learning_rate=2e-3",
    "recipe.warmup_steps=50", "recipe.precision=fp32",
)  # fmt: skip
GREY = ("likelihood=logistic", "levels=16", "components=3")  # the levels that the pictures have
HELD = ("rate.mode=target", "rate.target=20", "rate.warmup=0")
ALL = (
    "background", "white", "mirror", "crop", "rotate", "light", "colour", "occlusion", "noise",
)  # fmt: skip
# What the study makes itself in the folder of the weights, when a row first needs it.
SAMPLE = "sample/items.csv"  # a rendered catalogue
TEXTURE = "texture"  # idx files of digits over texture, see texture.py
PROTOCOLS = {  # gallery and queries
    "swap": ("clothing", "background-swap"),
    "class": ("clothing/train", "clothing/validation"),
    "texture": (f"{TEXTURE}/train", f"{TEXTURE}/t10k"),
}
SAMPLE_OPTIONS = (
    "--items", "1500", "--photos-per-item", "2", "--masks", "--seed", "1", "--size", "128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One training.

    Attributes:
        name: Of the row, its weights folder and its file of figures.
        about: What is special about it, in a table's words.
        model: What is trained.
        settings: ``KEY=VALUE`` for ``niteru train --set``.
        without: Families of views for ``niteru train --without``.
        steps: Length of the training; or None, and ``minutes`` counts.
        minutes: Length of the training as time.
        preset: Of the model.
        seed: Of everything random.
        data: Places, see ``place``.
        protocols: How it is measured: names of ``PROTOCOLS``.
    """

    name: str
    about: str
    model: str = "pixelvae"
    settings: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    steps: int | None = STEPS
    minutes: float | None = None
    preset: str = "cpu"
    seed: int = 0
    data: tuple[str, ...] = ("clothing/train",)
    protocols: tuple[str, ...] = ("swap", "class")

    def __post_init__(self) -> None:
        """Exactly one of ``steps`` and ``minutes`` says how long."""
        if (self.steps is None) == (self.minutes is None):
            raise ValueError(
                f"The row {self.name} needs either steps or minutes: steps={self.steps}, "
                f"minutes={self.minutes}."
            )

    def train_words(
        self, *, data: str = DATA, out: str = OUT, device: str = "cpu"
    ) -> tuple[str, ...]:
        """The words of the command that trains the row, without ``niteru``."""
        paths = [place(name, data=data, out=out) for name in self.data]
        words = ["train", self.model, *_each("--data", paths), "--preset", self.preset]
        words += _each("--set", self.settings) + _each("--without", self.without)
        words += ["--steps", str(self.steps)] if self.steps else ["--minutes", f"{self.minutes:g}"]
        words += ["--seed", str(self.seed), "--out", f"{out}/{self.name}"]
        return (*words, *(("--device", device) if device != "cpu" else ()))

    def sample_words(self, *, out: str = OUT) -> tuple[str, ...]:
        """The words of the command that renders the sample; empty if the row needs none."""
        if SAMPLE not in self.data:
            return ()
        return ("sample-catalogue", f"{out}/sample", *SAMPLE_OPTIONS)

    @property
    def textured(self) -> bool:
        """Whether it needs the digits over texture."""
        return "texture" in self.protocols


@dataclass(frozen=True, slots=True)
class Table:
    """Rows side by side in docs/embedding.md.

    Attributes:
        name: Of its markers there.
        rows: Names of rows, in order.
        spread: Whether a last line gives mean and standard deviation over the rows.
    """

    name: str
    rows: tuple[str, ...]
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of docs/embedding.md and the command that draws it.

    Attributes:
        name: Of its markers there, and of its file in docs/embedding.
        about: What is to be seen.
        command: As a reader would type it.
    """

    name: str
    about: str
    command: str

    @property
    def file(self) -> str:
        """Where it lies, seen from docs/."""
        return f"embedding/{self.name}.jpg"


def place(name: str, *, data: str = DATA, out: str = OUT) -> str:
    """Where photos lie: what the study makes itself beside the weights, else in the data folder."""
    made = name.startswith(("sample/", f"{TEXTURE}/"))
    return f"{out if made else data}/{name}"


def _each(option: str, values: tuple[str, ...] | list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


BARE = ("shape=0", "neighbours=0", "metric.fit=false")  # nothing of the item's shape
SHAPE = (  # as the study's rows were trained: the vector that is measured is z's mean
    "neighbours=0.3", "metric.emphasis=1", "metric.of=latent", "metric.shrink=0.3",
)  # fmt: skip
ALONE = ("views.count=1", "contrast=0", *BARE)  # nothing but the generative loss


def _plain(name: str, about: str, *settings: str) -> Row:
    """A PixelVAE that sees each photo as it is and has nothing but the generative loss."""
    return Row(name, about, settings=(*ALONE, *settings), without=ALL)


def _decoders() -> Iterator[Row]:
    yield Row("autoencoder", "squared error, no prior", model="autoencoder")
    yield Row("vae", "ELBO", model="vae", settings=("rate.mode=beta", "rate.weight=1"))
    held = ("rate.mode=target", "rate.target=60")
    yield Row("vae-held", "rate held at 60 nats", model="vae", settings=held)
    yield Row("info-vae", "MMD in place of the divergence", model="info_vae", settings=("alpha=1",))
    for layers in (0, 1, 3, 6):
        about = f"reach: {layers} gated layer{'' if layers == 1 else 's'}, rate held at 60 nats"
        yield _plain(f"reach-{layers}", about, f"layers={layers}", "auxiliary=0")


def _views() -> Iterator[Row]:
    yield _plain("auxiliary", "reach 3 and a factorised decoder beside it", "layers=3")
    one = Row(
        "ordinary", "+ mirror, crop, turn, light, colour, noise",
        settings=(*ALONE, "layers=3"), without=("background", "white"),
    )  # fmt: skip
    yield one
    yield replace(one, name="swap", about="+ swapped backgrounds", without=("white",))
    yield replace(one, name="white", about="+ draws the item on white", without=())
    yield Row("contrast", "+ two views and the contrastive term", settings=(*BARE, "layers=3"))
    whole = Row("whole", "+ the item's shape: all of it", settings=(*SHAPE, "layers=3"))
    yield whole
    yield replace(
        whole, name="sample", about="+ 1,500 rendered items beside the photos",
        data=("clothing/train", SAMPLE),
    )  # fmt: skip


def _autoregressive() -> Iterator[Row]:
    plain = Row("no-ar", "no gated layer, equal steps", settings=(*SHAPE, "layers=0"))
    yield plain
    yield replace(
        plain, name="no-ar-time", about="no gated layer, equal time", steps=None, minutes=MINUTES
    )
    yield Row(
        "ar-time",
        "3 gated layers, equal time",
        settings=(*SHAPE, "layers=3"),
        steps=None,
        minutes=MINUTES,
    )


def _dial() -> Iterator[Row]:
    for nats in (5, 20, 180):
        settings = (*SHAPE, "layers=3", f"rate.target={nats}")
        yield Row(f"rate-{nats:03}", f"rate held at {nats} nats", settings=settings)


def _seeds() -> Iterator[Row]:
    for seed in (1, 2):
        yield Row(f"whole-{seed}", f"seed {seed}", settings=(*SHAPE, "layers=3"), seed=seed)


def _texture() -> Iterator[Row]:
    """All with the same encoder, vector and decoder width; those that hold a rate, the same one."""
    plain = Row(
        "texture-ae", "autoencoder, squared error", model="autoencoder", steps=TEXTURE_STEPS,
        settings=DIGITS, data=(f"{TEXTURE}/train",), protocols=("texture",),
    )  # fmt: skip
    yield plain
    held = replace(plain, preset="mnist", settings=(*DIGITS, *GREY, *HELD))
    yield replace(held, name="texture-vae", about="VAE, rate held at 20 nats", model="vae")
    for layers, more in ((1, ""), (4, "s")):
        yield replace(
            held, name=f"texture-{layers}", model="pixelvae",
            about=f"PixelVAE, {layers} gated layer{more}, rate held at 20 nats",
            settings=(*held.settings, f"layers={layers}", "contrast=0", "auxiliary=0"),
        )  # fmt: skip


def _texture_long() -> Iterator[Row]:
    """Six times as long; the gated layer on windows of 14 x 14, which costs a quarter."""
    short = {row.name: row for row in _texture()}
    yield replace(short["texture-ae"], name="texture-ae-long", steps=TEXTURE_LONG)
    for name, about, more in (
        ("texture-vae", "VAE, rate held at 10 nats", ()),
        ("texture-1", "PixelVAE, 1 gated layer on windows, rate held at 10 nats", ("crop=14",)),
    ):
        row = short[name]
        kept = tuple(s for s in row.settings if not s.startswith("rate.target="))
        yield replace(
            row, name=f"{name}-long", about=about, steps=TEXTURE_LONG,
            settings=(*kept, "rate.target=10", *more),
        )  # fmt: skip


ROWS = {
    row.name: replace(row, settings=(*SMALL, *row.settings))
    for part in (_decoders, _views, _autoregressive, _dial, _seeds)
    for row in part()
} | {row.name: row for part in (_texture, _texture_long) for row in part()}
TABLES = (
    Table("decoders", tuple(row.name for row in _decoders())),
    Table("views", ("reach-3", *(row.name for row in _views()))),
    Table("autoregressive", ("whole", "no-ar", "ar-time", "no-ar-time")),
    Table("dial", ("rate-005", "rate-020", "whole", "rate-180")),
    Table("seeds", ("whole", *(row.name for row in _seeds())), spread=True),
    Table("texture", tuple(row.name for row in _texture())),
    Table("texture_long", tuple(row.name for row in _texture_long())),
)
_SWAP = f"--gallery {DATA}/clothing --queries {DATA}/background-swap"
PICTURES = (
    Picture(
        "answers_plain", "Queries on other backgrounds and what the autoencoder finds",
        f"niteru evaluate retrieval {OUT}/autoencoder {_SWAP} --rows 6 "
        "--picture docs/embedding/answers_plain.jpg",
    ),
    Picture(
        "answers_whole", "Queries on other backgrounds and what the whole recipe finds",
        f"niteru evaluate retrieval {OUT}/whole {_SWAP} --rows 6 "
        "--picture docs/embedding/answers_whole.jpg",
    ),
    Picture(
        "side_by_side", "The same queries, and what four embedders find",
        f"niteru evaluate retrieval {OUT}/autoencoder {OUT}/reach-3 {OUT}/white {OUT}/whole "
        f"{_SWAP} --rows 6 --picture docs/embedding/side_by_side.jpg",
    ),
    Picture(
        "side_by_side_rest", "The same queries, and what the study's other rows find",
        f"niteru evaluate retrieval {OUT}/vae {OUT}/info-vae {OUT}/reach-0 {OUT}/reach-6 "
        f"{OUT}/auxiliary {OUT}/ordinary {OUT}/sample {_SWAP} --rows 3 "
        "--picture docs/embedding/side_by_side_rest.jpg",
    ),
    Picture(
        "dial_picture", "One photo, and what vectors of several rates say of it",
        f"python -m tests.bench.study --dial {OUT}/rate-005 {OUT}/rate-020 {OUT}/whole "
        f"{OUT}/rate-180 --photo {DATA}/background-swap/0002.jpg "
        "--out docs/embedding/dial_picture.jpg",
    ),
)  # fmt: skip


def find_row(name: str) -> Row:
    """The row of that name.

    Raises:
        ValueError: There is none; the message lists the names there are.
    """
    if name not in ROWS:
        raise ValueError(f"There is no row '{name}'. Rows: {', '.join(ROWS)}.")
    return ROWS[name]
