"""The rows of the gallery: which presets are trained, how they are measured and what is drawn."""

from dataclasses import dataclass
from typing import Literal

DATA, OUT = "$NITERU_DATA", "runs/gallery"  # as a reader would type them
MINUTES = 6.0
BITS = "binarized-mnist/binarized_mnist.npz"
GREY = "mnist/train"
SKETCHES = "sketches/kanji_short.npz"
CIFAR = "cifar10/train"  # made beside the weights, see pictures.py
FEATURES = "features"  # the row whose embedding compares pictures
SMALL_PHOTOS = (  # an autoencoder for digits: what a feature net has to see
    "channels=1", "size=28", "target_size=28", "latent=32", "widths=16,32,64", "depths=1,1,1",
    "decoder_width=16", "recipe.batch_size=100", "recipe.precision=fp32",
)  # fmt: skip

Measure = Literal["nll", "kid", "none"]
Show = Literal["samples", "completions", "reconstructions", "interpolation", "frames", "arithmetic"]


@dataclass(frozen=True, slots=True)
class Row:
    """One training, what is measured of it and what is shown.

    Attributes:
        name: Of the row, its weights folder, its file of figures and its pictures.
        about: What is special about it, in a table's words.
        model: What is trained.
        preset: Of the model.
        settings: ``KEY=VALUE`` for ``niteru train --set``.
        data: Below the data folder, or beside the weights (``cifar10/``).
        measure: By which command.
        test: What it is measured on; the same file, split ``test``, if empty.
        samples: Importance samples of a bound.
        limit: Only so many test pictures, drawn at random; None for all.
        published: The published figure, as a table's cell.
        shows: What is drawn.
        minutes: Length of the training.
        seed: Of everything random.
    """

    name: str
    about: str
    model: str
    preset: str = "mnist"
    settings: tuple[str, ...] = ()
    data: str = BITS
    measure: Measure = "nll"
    test: str = ""
    samples: int = 50
    limit: int | None = None
    published: str = ""
    shows: tuple[Show, ...] = ("samples",)
    minutes: float = MINUTES
    seed: int = 0

    def train_words(self, *, data: str = DATA, out: str = OUT) -> tuple[str, ...]:
        """The words of the command that trains the row, without ``niteru``."""
        words = ["train", self.model, "--data", place(self.data, data=data, out=out)]
        words += ["--preset", self.preset]
        words += [word for value in self.settings for word in ("--set", value)]
        words += ["--minutes", f"{self.minutes:g}", "--seed", str(self.seed)]
        return (*words, "--out", f"{out}/{self.name}")

    def measure_words(self, *, data: str = DATA, out: str = OUT) -> tuple[str, ...]:
        """The words of the command that measures the row; empty if nothing does."""
        if self.measure == "none":
            return ()
        test = place(self.test or self.data, data=data, out=out)
        words = ["evaluate", self.measure, f"{out}/{self.name}", "--data", test]
        words += ["--features", f"{out}/{FEATURES}"] if self.measure == "kid" else []
        words += ["--samples", str(self.samples)] if self.measure == "nll" else []
        words += ["--limit", str(self.limit)] if self.limit else []
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows side by side in docs/models.md, under markers of this name."""

    name: str
    rows: tuple[str, ...]


def place(name: str, *, data: str = DATA, out: str = OUT) -> str:
    """Where data lie: what the gallery makes itself beside the weights, else in the data folder."""
    return f"{out if name.startswith('cifar10/') else data}/{name}"


_LATENT: tuple[Show, ...] = ("samples", "reconstructions")
_SMOOTH: tuple[Show, ...] = ("samples", "reconstructions", "interpolation")
_PIXELS: tuple[Show, ...] = ("samples", "completions")

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row("made", "2 layers of 2,000 units, 32 masks", "made", published="86.64",
            shows=_PIXELS, limit=2000),
        Row("made-one", "the same with one mask", "made", settings=("masks=1",),
            published="89.59", shows=_PIXELS),
        Row("pixelcnn", "masks A and B", "pixelcnn", published="81.30", shows=_PIXELS),
        Row("pixelcnn-gated", "no blind spot, gated", "pixelcnn", "mnist-gated",
            published="80.10", shows=_PIXELS),
        Row("pixelrnn-row", "Row LSTM", "pixelrnn", "mnist-row", published="80.54",
            shows=_PIXELS, limit=2000),
        Row("pixelrnn", "Diagonal BiLSTM", "pixelrnn", published="79.20", shows=_PIXELS,
            limit=2000),
        Row("multiscale", "2 x 2 groups, from 7 x 7 up", "multiscale", shows=_PIXELS),
        Row("vae", "convolutional", "vae", published="≤ 87.41", limit=2000, shows=_SMOOTH),
        Row("vae-uniform", "uniform prior", "vae", "mnist-uniform", limit=2000, shows=_SMOOTH),
        Row("draw", "attention", "draw", published="≤ 80.97", limit=1000, minutes=10,
            shows=(*_LATENT, "frames")),
        Row("draw-plain", "no attention", "draw", "mnist-plain", published="≤ 87.40",
            limit=1000, minutes=10, shows=(*_LATENT, "frames")),
        Row("vlae", "local decoder, flow prior", "vlae", published="79.03", limit=1000,
            shows=_LATENT),
        Row("pixelvae", "one level", "pixelvae", published="79.02 (bound 79.66)", limit=1000,
            shows=_SMOOTH),
        Row("pixelvae2", "two levels", "pixelvae2", limit=1000, shows=_LATENT, minutes=5),
        Row(FEATURES, "the net that compares pictures: an autoencoder", "autoencoder", "cpu",
            SMALL_PHOTOS, GREY, measure="none", shows=("reconstructions",), minutes=4),
        Row("info-vae", "MMD", "info_vae", data=BITS, measure="kid", shows=_SMOOTH,
            limit=5000),
        Row("gan", "original, non-saturating", "gan", data=GREY, measure="kid",
            test="mnist/t10k", limit=5000),
        Row("gan-wgan", "WGAN-GP", "gan", "mnist-wgan", data=GREY, measure="kid",
            test="mnist/t10k", limit=5000, published=".009 (another net)"),
        Row("gan-cramer", "Cramér GAN", "gan", "mnist-cramer", data=GREY, measure="kid",
            test="mnist/t10k", limit=5000, published=".006 (another net)"),
        Row("pixelcnn-cifar", "masks A and B, 256-way softmax", "pixelcnn", "cifar10",
            data=CIFAR, test="cifar10/test", limit=500, published="3.14", shows=_PIXELS),
        Row("pixelcnn-pp", "discretised logistic mixture, strides", "pixelcnn_pp", "cifar10",
            data=CIFAR, test="cifar10/test", limit=500, minutes=10, published="2.92",
            shows=_PIXELS),
        Row("pixelrnn-cifar", "Diagonal BiLSTM", "pixelrnn", "cifar10", data=CIFAR,
            test="cifar10/test", limit=100, published="3.00", shows=_PIXELS),
        Row("multiscale-cifar", "2 x 2 groups, from 8 x 8 up", "multiscale", "cifar10",
            data=CIFAR, test="cifar10/test", limit=500, shows=_PIXELS),
        Row("sketch-rnn", "kanji", "sketch_rnn", "kanji", data=SKETCHES,
            shows=("samples", "interpolation", "arithmetic")),
        Row("sketch-rnn-omniglot", "Omniglot", "sketch_rnn", "omniglot",
            data="sketches/omniglot.npz", shows=("samples", "interpolation"), minutes=4),
        Row("sketch-rnn-quickdraw", "QuickDraw, 345 categories at once", "sketch_rnn",
            "quickdraw", data="sketches/quickdraw_345.npz", shows=("samples",), minutes=4),
        Row("srnn", "kanji", "srnn", "kanji", data=SKETCHES, samples=10, minutes=4),
        Row("rnn", "kanji, the same without latent states", "srnn", "kanji",
            ("stochastic=false",), SKETCHES, minutes=4),
    )
}  # fmt: skip

TABLES = (
    Table("binary", ("made", "made-one", "pixelcnn", "pixelcnn-gated", "pixelrnn-row", "pixelrnn",
                     "multiscale", "vae", "vae-uniform", "draw", "draw-plain", "vlae", "pixelvae",
                     "pixelvae2")),
    Table("colour", ("pixelcnn-cifar", "pixelcnn-pp", "pixelrnn-cifar", "multiscale-cifar")),
    Table("likeness", ("info-vae", "gan", "gan-wgan", "gan-cramer")),
    Table("sketches", ("sketch-rnn", "sketch-rnn-omniglot", "sketch-rnn-quickdraw", "srnn", "rnn")),
)  # fmt: skip


def find_row(name: str) -> Row:
    """The row of a name.

    Raises:
        ValueError: There is none.
    """
    if name not in ROWS:
        raise ValueError(f"There is no row '{name}'. Rows: {', '.join(ROWS)}.")
    return ROWS[name]
