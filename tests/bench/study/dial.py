"""The dial as a picture: one photo, and what vectors of several rates say of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.training.checkpoint import Weights, find_weights, load_weights
from models.training.protocols import LatentDecoder, LatentVariableModel
from service.commands.answers import LINE, write_lines
from service.commands.console import use_one_thread
from service.commands.pictures import GAP
from tests.bench.trainings import TrainingError

SIDE, DRAWS = 128, 4  # pixels of a picture on the sheet, drawings of each rate
CAPTION = 150  # pixels for the words beside a row


def draw_dial(folders: Sequence[Path], photo: Path, *, seed: int) -> Image.Image:
    """A row for each weights folder: the photo, the mean picture, and some drawings.

    The mean picture is that of the posterior's mean. Each drawing has its own vector, drawn from
    the posterior: what differs between them is what the vector does not hold.

    Raises:
        TrainingError: Weights of a model that does not draw from a vector.
    """
    use_one_thread()
    columns = 2 + DRAWS
    width = CAPTION + columns * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, LINE + GAP + len(folders) * (SIDE + GAP)), "white")
    for number, title in enumerate(("photo", "mean picture", "drawings")):
        write_lines(sheet, (CAPTION + number * (SIDE + GAP), GAP // 2), [title])
    for line, folder in enumerate(folders):
        weights = load_weights(find_weights(folder))
        pictures, nats = _pictures(weights, photo, seed=seed)
        top = LINE + GAP + line * (SIDE + GAP)
        write_lines(sheet, (GAP, top), _caption(weights, nats))
        for column, picture in enumerate(pictures):
            if picture is not None:
                sheet.paste(_enlarge(picture), (CAPTION + column * (SIDE + GAP), top))
    return sheet


@torch.no_grad()
def _pictures(weights: Weights, photo: Path, *, seed: int) -> tuple[list[Tensor | None], float]:
    """The photo, its mean picture and drawings, each (C, h, w), and the nats the vector holds."""
    model: object = weights.model
    normal = getattr(weights.model.config, "prior", "normal") == "normal"
    if not (isinstance(model, LatentVariableModel) and isinstance(model, LatentDecoder) and normal):
        raise TrainingError(
            f"{weights.folder} holds a {weights.name}, which does not draw from a latent vector "
            "with normal posteriors. Give rows like rate-05."
        )
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.from_numpy(weights.preprocessing.read(photo.read_bytes()).copy())
    x = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, C, H, W)
    mean, log_var = model.encode(x)
    noise = torch.randn(DRAWS, mean.shape[1], generator=generator)
    z = mean + (0.5 * log_var).exp() * noise  # (DRAWS, D)
    drawn = model.decode(z, generator=generator)
    nats = float(model.rate(x)[0])
    outline = model.outline(mean)
    return [x[0], None if outline is None else outline[0], *drawn], nats


def _caption(weights: Weights, nats: float) -> list[str]:
    rate = getattr(getattr(weights.model, "config", None), "rate", None)
    asked = [] if rate is None or rate.mode != "target" else [f"{rate.target:g} nats asked,"]
    return [weights.folder.name, *asked, f"{nats:.1f} for this photo"]


def _enlarge(picture: Tensor) -> Image.Image:
    """(C, h, w) in [-1, 1] as a square in which every pixel can be seen."""
    levels = ((picture.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    pixels = np.broadcast_to(levels.permute(1, 2, 0).numpy(), (*levels.shape[1:], 3))
    return Image.fromarray(np.ascontiguousarray(pixels)).resize(
        (SIDE, SIDE), Image.Resampling.NEAREST
    )
