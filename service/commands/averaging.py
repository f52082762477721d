"""``niteru average``: several weights as one."""

from collections.abc import Sequence
from pathlib import Path

from models.training.averaging import average
from models.training.checkpoint import find_weights, load_weights
from models.training.config import settings
from models.training.export import export_encoder
from models.training.photos import PhotoTensors
from models.training.processes import Processes
from models.training.train import Plan
from service.commands.console import say, use_one_thread
from service.commands.training import read_settings
from service.commands.training_data import load_data


def run_average(
    names: Sequence[str], data: Sequence[Path], out: Path, *, words: Sequence[str], cache: Path
) -> None:
    """Average weights, fit what is fitted to the photos, and export the encoder."""
    use_one_thread()
    weights = [load_weights(find_weights(name)) for name in names]
    first = weights[0]
    _ = first.preprocessing  # weights of strokes are refused by name
    plan = Plan(first.name, first.model.config, first.recipe)
    changes = read_settings(words, settings(plan.config))
    photos = load_data(plan, data, cache=cache, processes=Processes())
    assert isinstance(photos, PhotoTensors)
    metrics = average(weights, photos, out, changes=changes)
    made = export_encoder(out)
    training = metrics["training"]
    say(
        f"{out}: the mean of {len(weights)} weights, {training['steps']:,} steps together; "
        f"encoder.onnx {made.bytes / 1e6:.1f} MB."
    )
