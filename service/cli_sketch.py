"""The commands that draw with strokes, for ``service.cli``; they import what they need late."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Draw with a pen: complete, interpolate and add sketches.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Sketch = Annotated[Path, typer.Argument(help="A sketch: SVG or JSON.")]
Weights = Annotated[str, typer.Option(help="Weights of a stroke model.")]
Out = Annotated[Path, typer.Option(help="File to write: .svg, .png or .json.")]
Temperature = Annotated[
    float, typer.Option(min=0.01, max=10.0, help="Below 1 the pen takes fewer chances.")
]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Fit = Annotated[
    bool,
    typer.Option("--fit/--no-fit", help="Scale what is read to the size of the training drawings."),
]
Simplify = Annotated[
    float, typer.Option(min=0.0, help="Leave out points nearer than this to the line.")
]


@app.command()
def complete(
    sketch: Sketch,
    *,
    weights: Weights,
    n: Annotated[int, typer.Option("-n", min=1, max=256, help="How many ways.")] = 9,
    out: Out = Path("completed.svg"),
    temperature: Temperature = 0.5,
    seed: Seed = 0,
    fit: Fit = True,
    simplify: Simplify = 0.0,
) -> None:
    """Go on with a started sketch, in several ways."""
    from service.commands.sketching import Drawn, run_complete

    run_complete(weights, sketch, n, Drawn(out, temperature, seed, fit, simplify))


@app.command()
def reconstruct(
    sketches: Annotated[list[Path], typer.Argument(help="Sketches: SVG or JSON.")],
    *,
    weights: Weights,
    out: Out = Path("reconstructed.svg"),
    temperature: Temperature = 0.1,
    seed: Seed = 0,
    fit: Fit = True,
    simplify: Simplify = 0.0,
) -> None:
    """Draw sketches again from their vectors alone."""
    from service.commands.sketching import Drawn, run_reconstruct

    run_reconstruct(weights, sketches, Drawn(out, temperature, seed, fit, simplify))


@app.command()
def interpolate(
    start: Sketch,
    end: Sketch,
    *,
    weights: Weights,
    steps: Annotated[int, typer.Option(min=2, max=256, help="Drawings, both ends included.")] = 10,
    out: Out = Path("interpolated.svg"),
    temperature: Temperature = 0.1,
    seed: Seed = 0,
    fit: Fit = True,
    simplify: Simplify = 0.0,
) -> None:
    """Draw the way from one sketch to another, along the sphere of their vectors."""
    from service.commands.sketching import Drawn, run_interpolate

    run_interpolate(weights, (start, end), steps, Drawn(out, temperature, seed, fit, simplify))


@app.command()
def arithmetic(
    terms: Annotated[list[str], typer.Argument(help="Sketches with + or - between: A - B + C.")],
    *,
    weights: Weights,
    n: Annotated[int, typer.Option("-n", min=1, max=256, help="How many drawings of it.")] = 4,
    out: Out = Path("arithmetic.svg"),
    temperature: Temperature = 0.1,
    seed: Seed = 0,
    fit: Fit = True,
    simplify: Simplify = 0.0,
) -> None:
    """Add and subtract the vectors of sketches, and draw the sum."""
    from service.commands.sketching import Drawn, run_arithmetic

    run_arithmetic(weights, terms, n, Drawn(out, temperature, seed, fit, simplify))
