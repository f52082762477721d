"""How much a vector holds depends on what its decoder can see by itself, in nats.

A made-up picture: one bit stands in all four corners, and in the middle six random pixels, each
with a copy to its right. Pixels that are independent given the vector need all seven bits from it.
A decoder that sees some pixels to the left copies by itself and needs the corners' bit alone: they
are too far apart to be copied.
"""

import math

import torch

from models.nn.rate import Rate
from models.pixelvae import Config, Model
from models.training.protocols import Batch

STEPS = 250


def pictures(n, generator):
    x = -torch.ones(n, 1, 8, 8)
    x[:, 0, ::7, ::7] = torch.randint(2, (n, 1, 1), generator=generator) * 2.0 - 1
    x[:, 0, 1:7, 2:4] = torch.randint(2, (n, 6, 1), generator=generator) * 2.0 - 1
    return x


def nats_held(layers):
    """Of the vector, and of the whole bound, after a short training."""
    config = Config(
        channels=1, size=8, target_size=8, likelihood="bernoulli", latent=6, widths=(16, 32),
        depths=(0, 1), decoder_width=8, layers=layers, crop=0, auxiliary=0.0, contrast=0.0,
        rate=Rate(mode="beta", weight=1.0, warmup=0.3),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.015)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.015, total_steps=STEPS)
    for step in range(STEPS):
        x = pictures(48, torch.Generator().manual_seed(step))
        loss = model.loss(Batch(x[None], x[None], step, progress=step / STEPS))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    x = pictures(500, torch.Generator().manual_seed(STEPS))
    with torch.no_grad():
        parts = model.eval().loss(Batch(x[None], x[None], STEPS))
    return parts["kl"].item(), (parts["nll"] + parts["kl"]).item()


def test_what_the_decoder_copies_the_vector_need_not_hold():
    bit = math.log(2)
    alone, bound_alone = nats_held(layers=0)
    local, bound_local = nats_held(layers=1)
    assert 7 * bit < bound_local < 7 * bit + 1  # seven bits are in the picture
    assert bound_local < bound_alone
    assert 0.7 * bit < local < 2.5 * bit, "the corners' bit, and hardly more"
    assert alone > 3 * bit
