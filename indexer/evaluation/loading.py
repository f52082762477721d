"""Photo sets from folders, manifests and idx files.

A gallery or a set of queries is one of

- a folder tree: the class of a photo is the folder it lies in; a ``metadata.csv`` in the folder or
  beside it (columns path and, if known, label and sender_id) says better;
- a catalogue: a CSV file with the columns id and path (and, if known, item, label or kind,
  sender_id), or a folder with such an ``items.csv``;
- for queries only, a CSV file with the column query and item_id or item_path, or a folder with such
  a ``queries.csv``: every query has an item of the gallery to find;
- a prefix of idx files, ``DIR/train`` for ``DIR/train-images-idx3-ubyte.gz`` and its labels.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from indexer.evaluation.errors import PhotoSetError
from indexer.evaluation.idx import find_idx, read_idx
from indexer.evaluation.photos import ArrayImages, FileImages, PhotoSet, Strings, known
from indexer.evaluation.tables import Table, read_table

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def load_gallery(path: Path) -> PhotoSet:
    """The photos that can be found, see the module for the forms they can have.

    Where nothing says which photos show the same item, every photo shows an item of its own.

    Raises:
        PhotoSetError: Nothing there that is a photo set, or a part of it is wrong.
    """
    photos = _load(path)
    if photos.items is not None:
        return photos
    return _with_items(photos, photos.ids)


def load_queries(path: Path, gallery: PhotoSet) -> PhotoSet:
    """The photos to search with; items to be found are items of ``gallery``.

    Raises:
        PhotoSetError: As for a gallery, or an item to be found is not in the gallery.
    """
    manifest = path / "queries.csv" if path.is_dir() else path
    if manifest.suffix.lower() == ".csv" and manifest.is_file():
        table = read_table(manifest, required=())
        if "query" in table.columns:
            return _load_queries(read_table(manifest, required=("query",)), gallery)
        if manifest != path:
            raise PhotoSetError(
                f"'{manifest}' has no column 'query'; found {', '.join(table.columns)}."
            )
    photos = _load(path)
    # Two catalogues that share no item were not numbered together: nothing is to be found.
    if photos.items is not None and gallery.items is not None:
        shared = np.isin(photos.items[photos.items != ""], gallery.items)
        if not shared.any():
            return _with_items(photos, None)
    return photos


def _load(path: Path) -> PhotoSet:
    idx = find_idx(path)
    if path.is_dir() and (path / "items.csv").is_file():
        return _load_items(path / "items.csv")
    if path.is_file() and path.suffix.lower() == ".csv":
        return _load_items(path)
    if path.is_dir() and not idx:
        return _load_tree(path)
    if idx:
        return _load_idx(path, *idx)
    raise PhotoSetError(
        f"There are no photos at '{path}'. Expected a folder of photos, a CSV file, or the prefix "
        "of idx files (DIR/train for DIR/train-images-idx3-ubyte.gz)."
    )


def _with_items(photos: PhotoSet, items: Strings | None) -> PhotoSet:
    return PhotoSet(
        name=photos.name, images=photos.images, keys=photos.keys, ids=photos.ids, items=items,
        labels=photos.labels, senders=photos.senders, owners=photos.owners, factors=photos.factors,
    )  # fmt: skip


def _load_idx(prefix: Path, images: Path, labels: Path) -> PhotoSet:
    pixels, classes = read_idx(images, ndim=3), read_idx(labels, ndim=1)
    if len(pixels) != len(classes):
        raise PhotoSetError(
            f"'{images}' holds {len(pixels)} images, but '{labels}' {len(classes)} labels."
        )
    ids = np.array([f"{prefix.name}/{row:05d}" for row in range(len(pixels))])
    place = str(prefix.resolve())
    return PhotoSet(
        name=f"{prefix.resolve().parent.name}/{prefix.name}",
        images=ArrayImages(pixels),
        keys=np.array([f"{place}#{row}" for row in range(len(pixels))]),
        ids=ids,
        labels=classes.astype(np.str_),
    )


def _load_items(manifest: Path) -> PhotoSet:
    table = read_table(manifest, required=("id", "path"))
    ids = [row["id"] for row in table.rows]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise PhotoSetError(f"'{manifest}' has the id '{twice}' more than once; ids are unique.")
    paths = _existing(table, "path")
    items = table.column("item")
    return PhotoSet(
        name=manifest.resolve().parent.name,
        images=FileImages(paths),
        keys=_keys(paths),
        ids=np.array(ids),
        items=known(items) if items else None,
        labels=known(table.column("label", "kind") or []),
        senders=known(table.column("sender_id") or []),
    )


def _load_queries(table: Table, gallery: PhotoSet) -> PhotoSet:
    paths = _existing(table, "query")
    return PhotoSet(
        name=table.path.resolve().parent.name
        if table.path.name == "queries.csv"
        else table.path.stem,
        images=FileImages(paths),
        keys=_keys(paths),
        ids=np.array([row["query"] for row in table.rows]),
        items=np.array(_wanted_items(table, gallery)),
        labels=known(table.column("label", "kind") or []),
        senders=known(table.column("item_sender_id") or []),
        owners=known(table.column("background_sender_id") or []),
        factors=known(table.column("factor") or []),
    )


def _wanted_items(table: Table, gallery: PhotoSet) -> list[str]:
    """The item of the gallery that each query asks for, by the item's id, a photo's id or path."""
    wanted = table.column("item_id", "item_path")
    if wanted is None:
        raise PhotoSetError(
            f"'{table.path}' has neither a column 'item_id' nor 'item_path'; found "
            f"{', '.join(table.columns)}. One of them names the item that a query should find."
        )
    if gallery.items is None:
        raise PhotoSetError(f"The gallery '{gallery.name}' knows no items; load it as a gallery.")
    items = {str(name): str(item) for name, item in zip(gallery.ids, gallery.items, strict=True)}
    items |= {str(item): str(item) for item in gallery.items if item}
    for depth in sorted({name.count("/") for name in wanted if name not in items}):
        items = _items_by_path(gallery, depth) | items
    for line, name in enumerate(wanted, start=2):
        if name not in items:
            raise PhotoSetError(
                f"'{table.path}', line {line}: the item '{name}' is not in the gallery "
                f"'{gallery.name}' of {len(gallery)} photos, whose first is '{gallery.ids[0]}'. "
                "Give the gallery that the queries were made from, the whole of it."
            )
    return [items[name] for name in wanted]


def _items_by_path(gallery: PhotoSet, depth: int) -> dict[str, str]:
    """The items by the last ``depth`` folders and the name of their photo, where that is unique."""
    assert gallery.items is not None
    ends = ["/".join(Path(key).parts[-depth - 1 :]) for key in gallery.keys]
    times = Counter(ends)
    named = zip(ends, gallery.items, strict=True)
    return {end: str(item) for end, item in named if times[end] == 1}


def _existing(table: Table, column: str) -> tuple[Path, ...]:
    """The photos of a column, relative to the table; each must be there."""
    paths = tuple(table.path.parent / row[column] for row in table.rows)
    for path in paths:
        if not path.is_file():
            raise PhotoSetError(
                f"'{table.path}' lists the photo '{path}', but there is no such file."
            )
    return paths


def _keys(paths: tuple[Path, ...]) -> Strings:
    return np.array([os.path.realpath(path) for path in paths])


def _load_tree(root: Path) -> PhotoSet:
    paths = tuple(sorted(_walk(root), key=lambda path: path.relative_to(root).as_posix()))
    if not paths:
        raise PhotoSetError(
            f"There are no photos in '{root}': found no file that ends in {', '.join(ENDINGS)}. "
            "Give a folder of photos; for idx files give their prefix, DIR/train or DIR/t10k."
        )
    ids = [path.relative_to(root).as_posix() for path in paths]
    folders = [path.parent.name for path in paths]
    labels, senders = folders if any("/" in name for name in ids) else [""] * len(ids), None
    name, place = root.resolve().name, root.resolve().parent
    table = _find_metadata(root, ids)
    if table is not None:
        if table.path.parent.resolve() == place:
            name = f"{place.name}/{name}"
        labels, senders = _metadata_columns(table, root, ids, labels)
    return PhotoSet(
        name=name,
        images=FileImages(paths),
        keys=_keys(paths),
        ids=np.array(ids),
        labels=known(labels),
        senders=known(senders or []),
    )


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):  # does not follow links to folders: no loops
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name.lower().endswith(ENDINGS):
                yield Path(folder, name)


def _find_metadata(root: Path, ids: list[str]) -> Table | None:
    """The ``metadata.csv`` of the tree: in it, or beside it if it speaks of any of its photos."""
    inside, beside = root / "metadata.csv", root.resolve().parent / "metadata.csv"
    if inside.is_file():
        return read_table(inside, required=("path",))
    if beside.is_file():
        table = read_table(beside, required=("path",))
        listed = {row["path"] for row in table.rows}
        if any(f"{root.resolve().name}/{name}" in listed for name in ids):
            return table
    return None


def _metadata_columns(
    table: Table, root: Path, ids: list[str], folders: list[str]
) -> tuple[list[str], list[str] | None]:
    """Labels and senders of the photos ``ids``; every photo must be listed, every line be there."""
    prefix = "" if table.path.parent.resolve() == root.resolve() else f"{root.resolve().name}/"
    rows = {row["path"]: row for row in table.rows if row["path"].startswith(prefix)}
    names = [prefix + name for name in ids]
    for here, there, problem in (
        (set(names), rows, f"does not list the photo '{{}}' of '{root}'"),
        (rows, set(names), "lists the photo '{}', but there is no such file"),
    ):
        odd = sorted(name for name in here if name not in there)
        if odd:
            more = f" ({len(odd)} such photos)" if len(odd) > 1 else ""
            raise PhotoSetError(f"'{table.path}' {problem.format(odd[0])}{more}. Complete it.")
    labels = [rows[name]["label"] for name in names] if "label" in table.columns else folders
    senders = [rows[name]["sender_id"] for name in names] if "sender_id" in table.columns else None
    return labels, senders
