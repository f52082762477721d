"""Generative adversarial networks (Goodfellow et al., 2014): original, WGAN-GP and Cramér.

What is special: no likelihood at all. A generator turns a random vector into a picture, a critic
compares pictures with the real ones, and each trains against the other:

    original  critic: which is real, by logits; generator: -log D(G(z)), the non-saturating loss
    wgan-gp   the distance of the critic's means, its slope held near one (Gulrajani et al., 2017)
    cramer    the energy distance of the critic's features (Bellemare et al., 2017)

The Cramér critic has many outputs and measures with every pair of a batch, so its gradients are
those of the distance itself, also while the critic is poor. The paper's surrogate takes one real
picture where the distance takes two, and then it is not that distance any more (Bińkowski et al.,
2018); here both are taken, and the slope that is held is that of the distance's witness.

    niteru train gan --data $NITERU_DATA/mnist/train --preset mnist --out weights/gan
    niteru train gan --data DIR --preset clothing --out weights/gan-clothing
    niteru evaluate kid weights/gan --data $NITERU_DATA/mnist/t10k --features weights/vae

The embedding is the critic's features: nothing was trained to make a picture's vector, and a GAN
has no way back from a picture to its z.

Figures (docs/models.md): a kernel distance of .0108 by ``gan-wgan-large``, .0152 by
``gan-cramer-large``, .0328 by ``gan-large``, real pictures at .0052; published on MNIST, with
features of another network: a kernel distance (KID) of .009 for WGAN-GP and .006 for Cramér, the
test set itself at .003 (Bińkowski et al., 2018).
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.critics import energy_distance, gradient_penalty, witness
from models.nn.latent import spherical
from models.nn.precision import at_least_float32
from models.nn.upsampler import Upsampler
from models.training.protocols import Batch, GenerativeModel, Player
from models.training.recipe import Preset, Recipe, Views

SLOPE = 0.2  # of the critic's units where they are off


@dataclass(frozen=True, slots=True)
class Config:
    """The two networks and what they play for.

    Attributes:
        channels: 3 for colour, 1 for grey or binary pictures.
        size: Side of the pictures.
        kind: ``original``, ``wgan-gp`` or ``cramer``.
        latent: Numbers of the vector z.
        generator_width: Channels of the generator at full size; at most four times as many before.
        critic_width: Channels of the critic's first layer; every halving doubles them.
        features: Numbers that the critic makes of a picture: what it compares (cramer) or judges by
            (the others). A Cramér critic needs some 256.
        penalty: Weight of the gradient penalty; not of the original.
        critic_steps: The generator has a turn in every so many steps, the critic in all.
    """

    channels: Literal[1, 3] = 3
    size: int = 32
    kind: Literal["original", "wgan-gp", "cramer"] = "cramer"
    latent: int = 128
    generator_width: int = 32
    critic_width: int = 48
    features: int = 256
    penalty: float = 10.0
    critic_steps: int = 3

    def __post_init__(self) -> None:
        """Every setting in its range."""
        least = {"size": 8, "latent": 1, "generator_width": 1, "critic_width": 1, "features": 1}
        for name, lowest in (least | {"critic_steps": 1, "penalty": 0}).items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be {lowest} or more.")

    @property
    def target_size(self) -> int:
        """Side of the pictures that are drawn: those the critic sees."""
        return self.size


def presets() -> dict[str, Preset]:
    """Named pairs of configuration and training recipe."""
    plain = Views.none()
    tiny = Config(
        size=16, kind="original", latent=8, generator_width=8, critic_width=8, features=16,
        critic_steps=1,
    )  # fmt: skip
    digits = Config(
        channels=1, size=28, kind="original", latent=64, generator_width=16, critic_width=32,
        critic_steps=1,
    )  # fmt: skip
    mirrored = replace(plain, mirror=0.5)
    # Decay would be one more pull in a game of two; a gradient penalty in bfloat16 is noise.
    base = Recipe(
        batch_size=64, minutes=60, learning_rate=2e-4, weight_decay=0.0, precision="fp32",
        clip=100.0, views=plain,
    )  # fmt: skip
    held = replace(base, learning_rate=5e-4)
    large = Config(size=64, latent=256, generator_width=64, critic_width=96, critic_steps=5)
    return {
        "tiny": Preset(
            tiny, Recipe(batch_size=16, steps=60, warmup_steps=5, weight_decay=0.0, views=plain)
        ),
        "mnist": Preset(digits, base),
        "mnist-wgan": Preset(replace(digits, kind="wgan-gp", critic_steps=3), held),
        "mnist-cramer": Preset(replace(digits, kind="cramer", critic_steps=3), held),
        "clothing": Preset(Config(), replace(held, views=mirrored)),
        "gpu": Preset(
            large, Recipe(batch_size=128, steps=250_000, learning_rate=2e-4, weight_decay=0.0,
                          precision="fp32", clip=100.0, views=mirrored),
        ),
    }  # fmt: skip


class Generator(nn.Module):
    """A vector becomes a picture, by doublings from a small map."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.upsampler = Upsampler(c.latent, c.size, c.generator_width)
        self.out = nn.Conv2d(c.generator_width, c.channels, 3, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, C, H, W) in [-1, 1]."""
        return torch.tanh(at_least_float32(self.out(self.upsampler(z))))


class Critic(nn.Module):
    """Features of a picture, and a verdict on them. Without normalisation over the batch.

    Such a layer lets a picture's verdict depend on the others', and a slope is then no slope.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs: int = c.channels
        width, side = c.critic_width, c.size
        while side >= 6:  # 28 -> 14 -> 7 -> 3
            layers += [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
            inputs, width, side = width, 2 * width, side // 2
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * side**2, c.features))
        self.verdict = nn.Linear(c.features, 1) if c.kind != "cramer" else None

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, features)."""
        found: Tensor = self.body(x)
        return at_least_float32(found)

    def forward(self, x: Tensor) -> Tensor:
        """How real a picture looks: (B, C, H, W) -> (B,); not of a Cramér critic."""
        assert self.verdict is not None, "a Cramér critic compares sets"
        return at_least_float32(self.verdict(F.leaky_relu(self.features(x), SLOPE))).squeeze(1)


class Model(GenerativeModel):
    """Generator and critic, two players."""

    encodes = False  # no vector is known of a picture that was not drawn here

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.features
        self.generator = Generator(config)
        self.critic = Critic(config)

    def embed(self, x: Tensor) -> Tensor:
        """The critic's features: (B, C, H, W) -> (B, features)."""
        return self.critic.features(x)

    @torch.no_grad()
    def outline(self, z: Tensor) -> Tensor:
        """The picture of each vector, without further chance: (B, D) -> (B, C, h, w) in [-1, 1]."""
        pictures: Tensor = self.generator(z)
        return pictures

    def draw_latent(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Vectors from the prior: (n, D)."""
        return self._noise(n, generator)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The vector at ``share`` of the arc between two: two of (B, D) -> (B, D)."""
        return spherical(a, b, share)

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw ``n`` pictures: (n, C, h, w) in [-1, 1]."""
        return self.outline(self._noise(n, generator))

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws of N(0, 1): (n, D)."""
        z = torch.randn(n, self.config.latent, generator=generator)
        return z.to(self.generator.out.weight)

    # -- training ------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """The critic, and in every ``critic_steps``-th step the generator after it.

        Little or no momentum: what was downhill a moment ago is not, once the other has moved.
        """
        kind = self.config.kind
        betas = (0.5, 0.999) if kind == "original" else (0.5, 0.9)
        return (
            Player("critic", self.critic.parameters, self.critic_loss, betas=betas),
            Player(
                "generator", self.generator.parameters, self.generator_loss,
                every=self.config.critic_steps, betas=betas,
            ),
        )  # fmt: skip

    def critic_loss(self, batch: Batch) -> dict[str, Tensor]:
        """What the critic minimises, how far apart it holds the two, and its gradient penalty."""
        c = self.config
        real = batch.targets.flatten(0, 1)  # (VB, C, h, w)
        draws = batch.generator()
        with torch.no_grad():
            fake = self.generator(self._noise(2 * len(real), draws)[: len(real)])
        if c.kind == "original":
            apart = self._binary(real, 1.0) + self._binary(fake, 0.0)
            return {"loss": apart, "critic": apart}
        if c.kind == "wgan-gp":
            apart = self.critic(real).mean() - self.critic(fake).mean()
            penalty = gradient_penalty(self.critic, real, fake, draws)
        else:
            of_real, of_fake = self.critic.features(real), self.critic.features(fake)
            apart = energy_distance(of_real, of_fake)
            penalty = gradient_penalty(
                lambda x: witness(self.critic.features(x), of_real, of_fake), real, fake, draws
            )
        return {"loss": c.penalty * penalty - apart, "critic": apart, "penalty": penalty}

    def generator_loss(self, batch: Batch) -> dict[str, Tensor]:
        """What the generator minimises: the critic's view of its pictures."""
        real = batch.targets.flatten(0, 1)
        # The second half of the step's vectors: the critic has seen the first.
        z = self._noise(2 * len(real), batch.generator())[len(real) :]
        fake = self.generator(z)
        if self.config.kind == "original":
            loss = self._binary(fake, 1.0)
        elif self.config.kind == "wgan-gp":
            loss = -self.critic(fake).mean()
        else:
            with torch.no_grad():
                of_real = self.critic.features(real)
            loss = energy_distance(of_real, self.critic.features(fake))
        return {"loss": loss, "generator": loss}

    def _binary(self, x: Tensor, real: float) -> Tensor:
        """-log of the probability that the critic is right, 1 for real: a scalar in nats."""
        logits = self.critic(x)
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))
