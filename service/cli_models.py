"""The commands that draw: new pictures, the rest of one, one again, sums, what lies between."""

from pathlib import Path
from typing import Annotated, Literal

import typer

FORMATS = Literal["grid", "json", "zip"]
Weights = Annotated[str, typer.Option(help="A weights folder, or a name below weights/.")]
Out = Annotated[Path, typer.Option(help="The file to write.")]
Format = Annotated[
    FORMATS,
    typer.Option("--format", help="One picture of all, data, or an archive with a PNG each."),
]
Number = Annotated[int, typer.Option("-n", min=1, max=1024, help="How many pictures.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Temperature = Annotated[
    float, typer.Option(help="1 draws as was learned, less keeps to what is probable.")
]
Label = Annotated[
    int | None,
    typer.Option(min=0, help="Of what class, of weights that were trained with --labels."),
]
Mean = Annotated[bool, typer.Option("--mean", help="The mean picture of a vector, not a draw.")]


def sample(
    weights: Annotated[str, typer.Argument(help="A weights folder, or a name below weights/.")],
    *,
    n: Number = 16,
    out: Annotated[
        Path, typer.Option(help="The file to write; of sketches also .svg or .json.")
    ] = Path("samples.png"),
    file_format: Format = "grid",
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Side of the pictures; without it, that of the training's."),
    ] = None,
    label: Label = None,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Draw new pictures from a model."""
    from service.commands.sampling import Canvas, run_sample

    canvas = Canvas(weights, out, file_format, seed, temperature, label=label)
    run_sample(canvas, n=n, side=size)


def complete(
    image: Annotated[Path, typer.Argument(help="A photo.")],
    *,
    known: Annotated[
        str,
        typer.Option(
            help="What is known of it: a number of rows from the top, as the model sees the photo, "
            "or an image file of its proportions, white where it is known."
        ),
    ],
    weights: Weights,
    n: Number = 4,
    out: Out = Path("completions.png"),
    file_format: Format = "grid",
    label: Label = None,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Draw the rest of a photo of which a part is known."""
    from service.commands.sampling import Canvas, run_complete

    canvas = Canvas(weights, out, file_format, seed, temperature, label=label)
    run_complete(canvas, image, known=known, n=n)


def enlarge(
    image: Annotated[
        Path, typer.Argument(help="A small picture, of a side that the weights enlarge.")
    ],
    *,
    weights: Weights,
    n: Number = 4,
    out: Out = Path("enlargements.png"),
    file_format: Format = "grid",
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Draw large pictures of a small one, whose pixels stay as they are."""
    from service.commands.sampling import Canvas, run_enlarge

    run_enlarge(Canvas(weights, out, file_format, seed, temperature), image, n=n)


def reconstruct(
    images: Annotated[list[Path], typer.Argument(help="Photos.")],
    *,
    weights: Weights = "pixelvae-clothing",
    out: Out = Path("reconstructions.png"),
    file_format: Format = "grid",
    mean: Mean = False,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Draw photos again from what a model keeps of them."""
    from service.commands.sampling import Canvas, run_reconstruct

    run_reconstruct(Canvas(weights, out, file_format, seed, temperature, mean), images)


def interpolate(
    first: Annotated[str, typer.Argument(help="A photo, or a seed.")],
    last: Annotated[str, typer.Argument(help="Another of the same kind.")],
    *,
    weights: Weights = "pixelvae-clothing",
    steps: Annotated[int, typer.Option(min=2, max=1024, help="Pictures, both ends included.")] = 8,
    out: Out = Path("interpolation.png"),
    file_format: Format = "grid",
    mean: Mean = False,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Draw what lies between two photos, or between the vectors of two seeds."""
    from service.commands.sampling import Canvas, run_interpolate

    canvas = Canvas(weights, out, file_format, seed, temperature, mean)
    run_interpolate(canvas, first, last, steps=steps)


def arithmetic(
    terms: Annotated[list[str], typer.Argument(help="Photos or seeds, + or - between: A - B + C.")],
    *,
    weights: Weights = "pixelvae-clothing",
    n: Number = 1,
    out: Out = Path("arithmetic.png"),
    file_format: Format = "grid",
    mean: Mean = False,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Add and subtract latent vectors of photos or seeds, and draw the sum."""
    from service.commands.sampling import Canvas, run_arithmetic

    run_arithmetic(Canvas(weights, out, file_format, seed, temperature, mean), terms, n=n)


def frames(
    images: Annotated[
        list[Path] | None, typer.Argument(help="Photos to draw again; without them, new pictures.")
    ] = None,
    *,
    weights: Weights,
    n: Number = 4,
    count: Annotated[
        int | None, typer.Option("--frames", min=2, help="Of each picture; without it, all.")
    ] = None,
    out: Out = Path("frames.png"),
    file_format: Format = "grid",
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Show step by step how a model paints pictures, a row for each."""
    from service.commands.sampling import Canvas, run_frames

    canvas = Canvas(weights, out, file_format, seed, temperature)
    run_frames(canvas, images or [], n=n, frames=count)
