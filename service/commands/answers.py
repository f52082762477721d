"""A sheet of queries and what embedders found for them, right framed green and wrong red."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from indexer.evaluation.answers import Answers, draw_lots
from indexer.evaluation.neighbours import Codes
from indexer.evaluation.photos import PhotoSet
from models.images import Preprocessing
from service.commands.pictures import GAP, GREEN

RED = (200, 40, 40)
FONT_SIZE, LINE = 13, 18  # pixels
EDGE = 2  # pixels of a frame: two side by side keep a white line between them
SHOWN_ALONE, SHOWN_EACH = 5, 3  # answers of one embedder, of each of several
SMALL = 300_000  # bytes of a picture that stands in a repository
QUALITIES = (90, 85, 80, 75, 70, 60, 50)


def answer_sheet(
    answers: Mapping[str, Answers], count: int, *, seed: int, side: int = 96
) -> Image.Image:
    """Draw some queries and their nearest photos, with a caption that says how they were chosen.

    Args:
        answers: By the embedder's name; several stand side by side.
        count: How many queries at most.
        seed: Of the choice.
        side: Pixels of a photo's side on the sheet.
    """
    judged = list(answers.values())
    rows = draw_lots(judged, count, seed=seed)
    shown = SHOWN_ALONE if len(judged) == 1 else SHOWN_EACH
    block = 3 * GAP + shown * (side + GAP)
    width = GAP + side + GAP + len(judged) * block
    caption = _wrap(describe_choice(answers, rows, seed=seed), width - 2 * GAP)
    head = GAP + len(caption) * LINE + (LINE if len(judged) > 1 else 0)
    sheet = Image.new("RGB", (width, head + GAP + len(rows) * (side + GAP)), "white")
    write_lines(sheet, (GAP, GAP), caption)
    for number, (name, found) in enumerate(answers.items()):
        left = GAP + side + GAP + number * block + 3 * GAP
        if len(judged) > 1:
            write_lines(sheet, (left, head - LINE), [_shorten(name, block - 3 * GAP)])
        _draw_block(sheet, found, rows, (left, head + GAP), (shown, side))
    for place, query in enumerate(rows.tolist()):
        photo = _thumbnail(judged[0].queries, query, side)
        sheet.paste(photo, (GAP, head + GAP + place * (side + GAP)))
    return sheet


def describe_choice(answers: Mapping[str, Answers], rows: Codes, *, seed: int) -> str:
    """What the sheet shows: who found how many, and how the queries were drawn."""
    first = next(iter(answers.values()))
    total = int(first.known.sum())
    wanted = "the item itself" if first.asked == "item" else "an item of the same class"
    colours = f"Green shows {wanted}, red does not; best first."
    if len(answers) > 1:
        hits = ", ".join(f"{len(a.hits)} by {name}" for name, a in answers.items())
        return (
            f"{len(rows)} of {total} queries, drawn by lot among all (seed {seed}). {colours} "
            f"The nearest was right for {hits}."
        )
    right = int(first.right[rows, 0].sum())
    return (
        f"{next(iter(answers))}: the nearest was right for {len(first.hits)} of {total} queries. "
        f"Here are {right} of these and {len(rows) - right} of the other {len(first.misses)}, "
        f"drawn by lot (seed {seed}). {colours}"
    )


def save_picture(picture: Image.Image, path: Path, *, limit: int | None = None) -> None:
    """Write a picture; a JPEG of at most ``limit`` bytes, as well as that allows.

    Raises:
        ValueError: It cannot be made as small as that, or is no JPEG.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    jpeg = path.suffix.lower() in {".jpg", ".jpeg"}
    if limit is None and not jpeg:
        picture.save(path)
        return
    if not jpeg:
        raise ValueError(f"A picture of at most {limit:,} bytes is a JPEG; {path} is to be none.")
    for quality in QUALITIES:
        data = BytesIO()
        picture.save(data, "JPEG", quality=quality, optimize=True)
        if limit is None or len(data.getvalue()) <= limit:
            path.write_bytes(data.getvalue())
            return
    raise ValueError(
        f"{path} would have {len(data.getvalue()):,} bytes, and {limit:,} are allowed. "
        "Draw fewer rows."
    )


def write_lines(sheet: Image.Image, place: tuple[int, int], lines: Sequence[str]) -> None:
    """Write lines of text below each other, the first one's left upper corner at ``place``."""
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        at = (place[0], place[1] + number * LINE)
        pen.text(at, line, fill="black", font=ImageFont.load_default(FONT_SIZE))


def _draw_block(
    sheet: Image.Image,
    answers: Answers,
    rows: Codes,
    place: tuple[int, int],
    measure: tuple[int, int],
) -> None:
    """One embedder's answers to the queries ``rows`` (n,), from ``place`` on."""
    shown, side = measure
    for line, query in enumerate(rows.tolist()):
        for column in range(shown):
            found = int(answers.near[query, column])
            if found < 0:
                continue
            left, top = place[0] + column * (side + GAP), place[1] + line * (side + GAP)
            colour = GREEN if answers.right[query, column] else RED
            sheet.paste(colour, (left - EDGE, top - EDGE, left + side + EDGE, top + side + EDGE))
            sheet.paste(_thumbnail(answers.gallery, found, side), (left, top))


def _thumbnail(photos: PhotoSet, row: int, side: int) -> Image.Image:
    """A photo in its proportions in a square, wherever the set keeps it."""
    return Image.fromarray(photos.images.read(row, Preprocessing(size=side)))


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` pixels; a word that is longer keeps a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _length(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shorten(name: str, width: int) -> str:
    """The end of a name that fits: of a path, that is what tells it from others."""
    while len(name) > 1 and _length(name) > width:
        name = "…" + name[2:]
    return name


def _length(text: str) -> float:
    return ImageFont.load_default(FONT_SIZE).getlength(text)
