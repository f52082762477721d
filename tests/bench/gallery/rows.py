"""The rows of the gallery: which presets are trained, how they are measured and what is drawn."""

from tests.bench.gallery.accelerated import LARGE_VAE, LARGE_VLAE, accelerate
from tests.bench.gallery.row import BITS, CIFAR, FEATURES, GREY, SKETCHES, Row, Show, Table

SMALL_PHOTOS = (  # an autoencoder for digits: what a feature net has to see
    "channels=1", "size=28", "target_size=28", "latent=32", "widths=16,32,64", "depths=1,1,1",
    "decoder_width=16", "recipe.batch_size=100", "recipe.precision=fp32",
)  # fmt: skip

_SMOOTH: tuple[Show, ...] = ("samples", "reconstructions", "interpolation")
_PIXELS: tuple[Show, ...] = ("samples", "completions")

_PLAIN: dict[str, Row] = {
    row.name: row
    for row in (
        Row("made", "2 layers of 2,000 units, 32 masks", "made", published="86.64",
            shows=_PIXELS, limit=2000),
        Row("made-natural", "2 layers of 700 units, 32 masks of one order", "made",
            settings=("hidden=700,700", "order=natural"), published="86.64", minutes=25,
            shows=_PIXELS, limit=2000),
        Row("made-one", "the same with one mask", "made", settings=("masks=1",),
            published="89.59", shows=_PIXELS),
        Row("pixelcnn", "masks A and B", "pixelcnn", published="81.30", shows=_PIXELS),
        Row("pixelcnn-gated", "no blind spot, gated", "pixelcnn", "mnist-gated",
            published="80.10", shows=_PIXELS),
        Row("pixelcnn-gated-longer", "pixelcnn-gated-wide, for longer, with dropout", "pixelcnn",
            "mnist-gated",
            ("width=48", "layers=12", "head=64", "dropout=0.25", "recipe.learning_rate=1e-3",
             "recipe.weight_decay=0.05"),
            after="pixelcnn-gated-wide", minutes=65, seed=1, published="80.10", shows=_PIXELS,
            limit=2000),
        Row("pixelrnn-row", "Row LSTM", "pixelrnn", "mnist-row", published="80.54",
            shows=_PIXELS, limit=2000),
        Row("pixelrnn", "Diagonal BiLSTM", "pixelrnn", published="79.20", shows=_PIXELS,
            limit=2000),
        Row("multiscale", "2 x 2 groups, from 7 x 7 up", "multiscale", shows=_PIXELS),
        Row("vae", "convolutional", "vae", published="≤ 87.41", limit=2000, shows=_SMOOTH),
        Row("vae-longer", "vae-large, for longer", "vae",
            settings=(*LARGE_VAE, "recipe.learning_rate=7e-4"), after="vae-large", minutes=75,
            published="≤ 87.41", samples=300, limit=2000, shows=_SMOOTH),
        Row("vae-uniform", "uniform prior", "vae", "mnist-uniform", limit=2000, shows=_SMOOTH),
        Row("draw", "attention", "draw", published="≤ 80.97", limit=1000, minutes=10,
            shows=(*_SMOOTH, "frames")),
        Row("draw-longest", "draw-longer, for longer, in smaller batches", "draw",
            settings=("steps=64", "latent=16", "recipe.batch_size=64",
                      "recipe.learning_rate=7e-4"),
            after="draw-longer", minutes=75, seed=1, published="≤ 80.97", limit=1000,
            shows=(*_SMOOTH, "frames")),
        Row("draw-plain", "no attention", "draw", "mnist-plain", published="≤ 87.40",
            limit=1000, minutes=10, shows=(*_SMOOTH, "frames")),
        Row("vlae", "local decoder, flow prior", "vlae", published="79.03", limit=1000,
            shows=_SMOOTH),
        Row("vlae-longer", "vlae-large, for longer, in smaller batches", "vlae",
            settings=(*LARGE_VLAE, "recipe.batch_size=64", "recipe.learning_rate=1e-3"),
            after="vlae-large", minutes=125, published="79.03", limit=1000, shows=_SMOOTH),
        Row("pixelvae", "one level", "pixelvae", published="79.02 (bound 79.66)", limit=1000,
            shows=_SMOOTH),
        Row("pixelvae2", "two levels", "pixelvae2", limit=1000, shows=_SMOOTH, minutes=5),
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
        Row("pixelcnn-pp-longer", "the same, for longer, at half the rate", "pixelcnn_pp",
            "cifar10", ("recipe.learning_rate=1e-3",), data=CIFAR, test="cifar10/test",
            limit=500, steps=2600, published="2.92", shows=_PIXELS),
        Row("pixelrnn-cifar", "Diagonal BiLSTM", "pixelrnn", "cifar10",
            ("recipe.batch_size=8",), data=CIFAR, minutes=22,
            test="cifar10/test", limit=100, published="3.00", shows=_PIXELS),
        Row("multiscale-cifar", "2 x 2 groups, from 8 x 8 up", "multiscale", "cifar10",
            data=CIFAR, test="cifar10/test", limit=500, shows=_PIXELS),
        Row("sketch-rnn", "kanji", "sketch_rnn", "kanji", data=SKETCHES,
            shows=("samples", "reconstructions", "interpolation", "arithmetic")),
        Row("sketch-rnn-omniglot", "Omniglot", "sketch_rnn", "omniglot",
            data="sketches/omniglot.npz", shows=("samples", "interpolation"), minutes=4),
        Row("sketch-rnn-quickdraw", "QuickDraw, 345 categories at once", "sketch_rnn",
            "quickdraw", data="sketches/quickdraw_345.npz", shows=("samples",), minutes=4),
        Row("srnn", "kanji", "srnn", "kanji", data=SKETCHES, samples=10, minutes=4),
        Row("rnn", "kanji, the same without latent states", "srnn", "kanji",
            ("stochastic=false",), SKETCHES, minutes=4),
    )
}  # fmt: skip

# Minutes of one core make nothing of 256 levels a value: noise, at 8 bits.
_ONLY_LARGE = {"pixelcnn-cifar", "multiscale-cifar"}

# Small networks for minutes of one core, and larger ones for minutes of an accelerator.
ROWS = {name: row for name, row in _PLAIN.items() if name not in _ONLY_LARGE} | accelerate(_PLAIN)

_LISTED = {
    "binary": ("made", "made-natural", "made-one", "pixelcnn", "pixelcnn-gated", "pixelrnn-row",
               "pixelrnn", "multiscale", "vae", "vae-uniform", "draw", "draw-plain",
               "vlae", "pixelvae", "pixelvae2"),
    "colour": ("pixelcnn-cifar", "pixelcnn-pp", "pixelrnn-cifar",
               "multiscale-cifar"),
    "likeness": ("info-vae", "gan", "gan-wgan", "gan-cramer"),
    "sketches": ("sketch-rnn", "sketch-rnn-omniglot", "sketch-rnn-quickdraw", "srnn", "rnn"),
}  # fmt: skip


def _with_large(names: tuple[str, ...]) -> tuple[str, ...]:
    """Each name, and behind it those of the larger networks, where there are such rows."""
    kinds = ("", "-large", "-wide", "-longer", "-longest")
    both = ((f"{name}{kind}" for kind in kinds) for name in names)
    return tuple(dict.fromkeys(name for some in both for name in some if name in ROWS))


TABLES = tuple(Table(name, _with_large(rows)) for name, rows in _LISTED.items())


def find_row(name: str) -> Row:
    """The row of a name.

    Raises:
        ValueError: There is none.
    """
    if name not in ROWS:
        raise ValueError(f"There is no row '{name}'. Rows: {', '.join(ROWS)}.")
    return ROWS[name]
