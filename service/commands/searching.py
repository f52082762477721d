"""``niteru search`` and ``niteru embed``: a few photos, without a server."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from indexer.engines.choice import EngineChoice
from indexer.filters import Filter, parse_filter
from indexer.masking import mask
from indexer.protocols import Embedder, Engine, Item, Pixels
from indexer.runtime import Runtime, load_embedder
from indexer.weights_at_hand import choose_weights
from models.images import Crop, ImageError
from service.commands.console import print_json, say
from service.commands.pictures import Row, draw_results
from service.selection import Choice, Selection, choose, no_attribute

SHOWN = 3  # values of an attribute, where a filter lets nothing pass


def read_pixels(path: Path, embedder: Embedder, crop: Crop | None = None) -> Pixels:
    """An image file, or a part of the image, as the embedder wants it; errors name the file."""
    try:
        return embedder.preprocessing.read(path.read_bytes(), crop=crop)
    except ImageError as error:
        raise ImageError(error.reason, f"{path}: {error}") from error


def read_filter(text: str | None) -> Filter | None:
    """The conditions of ``--filter``: JSON, or ``@FILE`` that holds it.

    Raises:
        QueryError: They cannot be read as such.
        OSError: There is no such file.
    """
    if text is None:
        return None
    return parse_filter(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)


def run_search(
    images: Sequence[Path],
    store: Path,
    wanted: Selection,
    *,
    crop: Crop | None,
    weights: str | None,
    usual: str,
    runtime: Runtime,
    choice: EngineChoice,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Print the items to answer to each photo, by the weights named or those of the index."""
    folder = choose_weights(store, choice, named=weights, usual=usual)
    embedder = load_embedder(folder, runtime=runtime)
    vectors = embedder.embed(np.stack([read_pixels(path, embedder, crop) for path in images]))
    with closing(choice.open(store, fingerprint=embedder.fingerprint)) as engine:
        chosen = [
            [(c, c.item) for c in choose(engine, vector, wanted) if c.item is not None]
            for vector in vectors
        ]
        if wanted.where is not None and not engine.count(wanted.where):
            say(why_nothing(engine, wanted.where))
    answers = [[_line(choice, item) for choice, item in pairs] for pairs in chosen]
    if picture is not None:
        found = [tuple(item.uri for _, item in pairs) for pairs in chosen]
        rows = [Row(*pair, crop=crop) for pair in zip(images, found, strict=True)]
        draw_results(rows).save(picture)
        say(f"{picture}: {len(images)} rows, the query first.")
    if as_json:
        several = [{"image": str(i), "items": a} for i, a in zip(images, answers, strict=True)]
        print_json(answers[0] if len(images) == 1 else several)
        return
    for image, answer in zip(images, answers, strict=True):
        _print_answer(image, answer)


def why_nothing(engine: Engine, where: Filter) -> str:
    """What may be wrong with a filter that no item passes: a name, or the kind of a value."""
    there = engine.facets(most=SHOWN)
    told = ["No item passes the filter."]
    for key in sorted(where.keys()):
        if key in there:
            values = ", ".join(json.dumps(v, ensure_ascii=False) for v, _ in there[key].values)
            told.append(f"'{key}' is {values}{', …' if there[key].distinct > SHOWN else ''}.")
        else:
            told.append(no_attribute(key, there))
    return " ".join(told)


def _line(choice: Choice, item: Item) -> dict[str, Any]:
    """An answer as data; what was folded into it only where something was."""
    folded = {"collapsed": list(choice.collapsed)} if choice.collapsed else {}
    return {
        "id": choice.id, "score": round(choice.score, 4), "uri": mask(item.uri),
        "attributes": dict(item.attributes), **folded,
    }  # fmt: skip


def _print_answer(image: Path, answer: list[dict[str, Any]]) -> None:
    print(f"{image}:")
    for line in answer:
        more = f"  (+{len(line['collapsed'])})" if "collapsed" in line else ""
        print(f"  {line['score']:.4f}  {line['id']}  {line['uri']}{more}")


def run_embed(
    images: Sequence[Path],
    *,
    crop: Crop | None,
    weights: str,
    runtime: Runtime,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write the vectors of photos as an array, or print them."""
    embedder = load_embedder(weights, runtime=runtime)
    vectors = embedder.embed(np.stack([read_pixels(path, embedder, crop) for path in images]))
    if out is not None:
        with out.open("wb") as file:  # as named: numpy would add an ending of its own
            np.save(file, vectors)
        say(f"{out}: {vectors.shape[0]} vectors of {vectors.shape[1]} numbers, unit length.")
    if as_json or out is None:
        rows = zip(images, vectors, strict=True)
        print_json([{"image": str(path), "vector": row.tolist()} for path, row in rows])
