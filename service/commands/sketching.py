"""``niteru sketch ...``, and ``niteru sample`` for weights that draw with a pen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.strokes import Points, StrokeError
from models.training.checkpoint import Weights
from service.commands.console import say, use_one_thread
from service.sketching import Sketcher
from service.stroke_files import read_strokes, shorten
from service.stroke_sheets import form_of, write_sheet

ODD_SIZE = 4.0  # times as large or as small as the training drawings


@dataclass(frozen=True, slots=True)
class Drawn:
    """How drawings are made and where they go.

    Attributes:
        out: The file; its ending says what is written.
        temperature: Of the pen.
        seed: Of the draws.
        fit: Scale what is read to the size of the training drawings.
        epsilon: Leave out points that lie nearer than this to the line; 0 keeps all.
    """

    out: Path
    temperature: float
    seed: int
    fit: bool = False
    epsilon: float = 0.0


def sample_sketches(weights: Weights, n: int, how: Drawn) -> None:
    """Draw ``n`` new drawings into one file."""
    form_of(how.out)  # a wrong ending is told before the work
    sketches = Sketcher(weights).sample(n, seed=how.seed, temperature=how.temperature)
    _write(sketches, how, weights, f"{n} samples")


def run_complete(name: str, path: Path, n: int, how: Drawn) -> None:
    """Go on with a started drawing in ``n`` ways."""
    use_one_thread()
    form_of(how.out)
    sketcher = Sketcher.load(name)
    started = _read(path, sketcher, how)
    made = sketcher.complete(started, n, seed=how.seed, temperature=how.temperature)
    _write(made, how, sketcher.weights, f"{n} completions of {path.name}", given=len(started))


def run_reconstruct(name: str, paths: Sequence[Path], how: Drawn) -> None:
    """Draw drawings again from their vectors."""
    use_one_thread()
    form_of(how.out)
    sketcher = Sketcher.load(name)
    read = [_read(path, sketcher, how) for path in paths]
    made = sketcher.reconstruct(read, seed=how.seed, temperature=how.temperature)
    _write(made, how, sketcher.weights, f"{len(made)} drawn again")


def run_interpolate(name: str, paths: tuple[Path, Path], steps: int, how: Drawn) -> None:
    """Draw the way from one drawing to another."""
    use_one_thread()
    form_of(how.out)
    sketcher = Sketcher.load(name)
    start, end = (_read(path, sketcher, how) for path in paths)
    made = sketcher.interpolate(start, end, steps, seed=how.seed, temperature=how.temperature)
    told = f"{steps} steps from {paths[0].name} to {paths[1].name}"
    _write(made, how, sketcher.weights, told, columns=steps)


def run_arithmetic(name: str, words: Sequence[str], n: int, how: Drawn) -> None:
    """Draw ``A - B + C``."""
    use_one_thread()
    form_of(how.out)
    terms = parse_terms(words)
    sketcher = Sketcher.load(name)
    read = [(sign, _read(Path(file), sketcher, how)) for sign, file in terms]
    made = sketcher.combine(read, n, seed=how.seed, temperature=how.temperature)
    _write(made, how, sketcher.weights, f"{n} drawings of {' '.join(words)}")


def parse_terms(words: Sequence[str]) -> list[tuple[int, str]]:
    """``A - B + C`` as signs and what stands between them.

    Raises:
        StrokeError: Files and signs do not alternate, or as many are taken away as added: only
            one more makes a place among drawings of the sum.
    """
    signs = {"+": 1, "-": -1}
    files, between = words[::2], words[1::2]
    wrong = len(words) % 2 == 0 or any(w in signs for w in files)
    if wrong or any(w not in signs for w in between):
        raise StrokeError(
            f"'{' '.join(words)}' cannot be reckoned: expected files or seeds with + or - "
            "between them, each by itself: A - B + C"
        )
    terms = [(signs[sign], file) for sign, file in zip(["+", *between], files, strict=True)]
    added = sum(sign > 0 for sign, _ in terms)
    if 2 * added != len(terms) + 1:
        raise StrokeError(
            f"'{' '.join(words)}' adds {added} and takes away {len(terms) - added}; expected one "
            "more to be added than taken away, as in A - B + C."
        )
    return terms


def _read(path: Path, sketcher: Sketcher, how: Drawn) -> Points:
    """A drawing of a file, at the size and with the points that the weights take."""
    points = read_strokes(path.read_bytes(), path.name)
    if how.fit:
        points = sketcher.fit(points)
    else:
        size = sketcher.weights.strokes.relative_size(points)
        if not 1 / ODD_SIZE < size < ODD_SIZE:
            say(
                f"{path.name} is {size:.2g} times as large as the drawings these weights learned "
                "from. Without --no-fit it is scaled to their size."
            )
    return shorten(points, how.epsilon)


def _write(
    sketches: Sequence[Points], how: Drawn, weights: Weights, what: str, *, given: int = 0,
    columns: int | None = None,
) -> None:  # fmt: skip
    data = write_sheet(
        sketches, form_of(how.out), given=given, columns=columns, weights=weights.fingerprint,
        seed=how.seed, temperature=how.temperature,
    )  # fmt: skip
    how.out.write_bytes(data)
    print(
        f"{how.out}: {what} of {weights.fingerprint}, temperature {how.temperature:g}, "
        f"seed {how.seed}."
    )
