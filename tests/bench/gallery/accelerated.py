"""The rows that need an accelerator: the same models, larger and for longer.

Every one is a row of ``rows.py`` with more settings. ``accelerate.sh`` trains them side by side, in
lanes: a network of this size uses a small part of such a machine. ``share.sh`` trains a few of them
once more, each with a share of the machine that nobody else takes.
"""

from collections.abc import Mapping
from dataclasses import replace

from tests.bench.gallery.row import CIFAR, Row

DEVICE = "cuda"
# Minutes: the lanes of recurrent networks share a machine for eight, the others for five of them.
DEEP, WIDE = 7.2, 4.8
LONG = 10.3  # those of a second sitting, which six rows shared

_ENCODER = ("widths=32,64,128", "depths=1,2,2", "decoder_width=32", "latent=40")
LARGE_VAE = (*_ENCODER, "recipe.batch_size=200")
LARGE_VLAE = ("widths=32,64,128", "decoder_width=32", "flow_hidden=320")
_MIRROR = ("views.mirror=0.5", "recipe.weight_decay=0.01")

_HALF = "recipe.precision=bf16"
_DECAY = "recipe.weight_decay=0.05"

# Of a row: what is special about the larger one, its settings, its minutes.
_LARGER: dict[str, tuple[str, tuple[str, ...], float]] = {
    "made": ("2 layers of 2,000 units, 32 masks", ("recipe.batch_size=256",), 1.7),
    "pixelcnn": ("masks A and B, 12 blocks of 64 channels",
                 ("width=64", "layers=12", "head=64", "recipe.batch_size=128", _HALF), WIDE),
    "pixelcnn-gated": ("no blind spot, gated, 12 layers of 32 channels",
                       ("width=32", "layers=12", "head=64", "recipe.batch_size=128", _HALF), WIDE),
    "pixelrnn-row": ("7 Row LSTMs of 24 units",
                     ("hidden=24", "head=64", "recipe.batch_size=512"), DEEP),
    "pixelrnn": ("7 Diagonal BiLSTMs of 24 units",
                 ("hidden=24", "layers=7", "head=64", "recipe.batch_size=256"), DEEP),
    "multiscale": ("2 x 2 groups, 6 blocks of 48 channels",
                   ("width=48", "blocks=6", "base_layers=8", "recipe.batch_size=128", _HALF), 2.4),
    "vae": ("convolutional, 40 numbers", LARGE_VAE, 2.6),
    "vae-uniform": ("uniform prior, 40 numbers", LARGE_VAE, 2.0),
    "draw": ("attention, 24 steps", ("steps=24", "latent=16", "recipe.batch_size=256"), DEEP),
    "draw-plain": ("no attention, 16 steps",
                   ("steps=16", "latent=16", "recipe.batch_size=256"), DEEP),
    "vlae": ("local decoder of 32 channels, flow prior",
             (*LARGE_VLAE, "recipe.batch_size=200"), WIDE),
    "pixelvae": ("one level, 8 layers of 32 channels",
                 ("widths=32,64,128", "decoder_width=32", "layers=8", "latent=32",
                  "recipe.batch_size=200", _HALF), WIDE),
    "pixelvae2": ("two levels, 4 layers of 32 channels",
                  ("width=32", "layers=4", "prior_layers=4", "recipe.batch_size=200"), 2.4),
    "info-vae": ("MMD, 40 numbers", LARGE_VAE, 1.8),
    "gan": ("original, twice as wide",
            ("generator_width=32", "critic_width=48", "recipe.batch_size=128"), 2.4),
    "gan-wgan": ("WGAN-GP, twice as wide",
                 ("generator_width=32", "critic_width=48", "recipe.batch_size=128"), DEEP),
    "gan-cramer": ("Cramér GAN, twice as wide",
                   ("generator_width=32", "critic_width=48", "recipe.batch_size=128"), 2.6),
    "pixelcnn-cifar": ("gated, 10 layers of 72 channels",
                       ("width=72", "layers=10", "head=144", "recipe.batch_size=64",
                        "recipe.learning_rate=1e-3", _HALF, *_MIRROR), 1.6),
    "pixelcnn-pp": ("3 scales, 2 blocks of 64 channels",
                    ("width=64", "scales=3", "blocks=2", "components=10", "dropout=0.5",
                     "recipe.batch_size=64", "recipe.learning_rate=1e-3", _HALF, *_MIRROR), 2.6),
    "multiscale-cifar": ("2 x 2 groups, 5 blocks of 48 channels",
                         ("width=48", "blocks=5", "base_layers=6", _HALF, *_MIRROR), 1.8),
    "sketch-rnn": ("kanji", ("recipe.batch_size=100",), DEEP),
    "sketch-rnn-omniglot": ("Omniglot", ("recipe.batch_size=100",), 3.3),
    "sketch-rnn-quickdraw": ("QuickDraw, 345 categories at once", ("recipe.batch_size=100",), 3.3),
    "srnn": ("kanji", ("recipe.batch_size=100",), DEEP),
    "rnn": ("kanji, the same without latent states", ("recipe.batch_size=100",), DEEP),
}  # fmt: skip
# A second sitting, which fewer rows shared: what follows the row's name, what is special, its
# settings, its minutes, and the row whose weights it goes on from.
_LATER: dict[str, tuple[str, str, tuple[str, ...], float, str]] = {
    "made": ("wide", "2 layers of 8,000 units, 32 masks",
             ("hidden=8000,8000", "recipe.batch_size=256", "recipe.learning_rate=5e-4"), 2.6, ""),
    "pixelcnn": ("wide", "masks A and B, 12 blocks of 128 channels",
                 ("width=128", "layers=12", "head=128", "recipe.batch_size=128",
                  "recipe.learning_rate=1e-3", _DECAY, _HALF), 5.4, ""),
    "pixelcnn-gated": ("wide", "no blind spot, gated, 12 layers of 48 channels",
                       ("width=48", "layers=12", "head=64", "recipe.batch_size=128",
                        _DECAY, _HALF), LONG, ""),
    "pixelrnn-row": ("longer", "the same, for longer, with decay",
                     ("hidden=24", "head=64", "recipe.batch_size=256", _DECAY), LONG, ""),
    "pixelrnn": ("longer", "pixelrnn-large, for longer, with decay",
                 ("hidden=24", "layers=7", "head=64", "recipe.batch_size=256",
                  "recipe.learning_rate=2e-3", _DECAY), LONG, "pixelrnn-large"),
    "draw": ("longer", "attention, 64 steps, from draw-large",
             ("steps=64", "latent=16", "recipe.batch_size=256", "recipe.learning_rate=1e-3"),
             LONG, "draw-large"),
}  # fmt: skip
_MEASURED_THERE = {"made", "pixelcnn"}
# On the processor, for as many steps as its counterpart made: they are compared step by step.
_BY_STEPS = {"rnn": 5418}


def _is_measured_there(row: Row) -> bool:
    """Not what needs a net that compares pictures, nor the test pictures of CIFAR-10."""
    return row.measure == "nll" and row.data != CIFAR and row.name not in _BY_STEPS


def accelerate(rows: Mapping[str, Row]) -> dict[str, Row]:
    """The larger rows, by name."""
    large = (
        replace(
            rows[name],
            name=f"{name}-large",
            about=about,
            settings=(*rows[name].settings, *settings),
            minutes=minutes,
            steps=_BY_STEPS.get(name),
            device="" if name in _BY_STEPS else DEVICE,
            measured_on=DEVICE if _is_measured_there(rows[name]) else "",
        )
        for name, (about, settings, minutes) in _LARGER.items()
    )
    later = (
        replace(
            rows[name],
            name=f"{name}-{suffix}",
            about=about,
            settings=(*rows[name].settings, *settings),
            minutes=minutes,
            after=after,
            device=DEVICE,
            # The others were finished, and so measured, on a core: the machine was given back.
            limit=None if name in _MEASURED_THERE else rows[name].limit or 2000,
            measured_on=DEVICE if name in _MEASURED_THERE else "",
        )
        for name, (suffix, about, settings, minutes, after) in _LATER.items()
    )
    return {row.name: row for row in (*large, *later)}
