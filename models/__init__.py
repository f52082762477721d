"""Every public module in this folder is one generative model; the file name is the registry.

A model is a module with three names: ``Config`` (a frozen dataclass), ``Model`` (built from one)
and ``presets()`` (named configurations with their training recipes, among them ``tiny``).
``available()`` lists the file names without importing them and ``create()`` imports just the one
that is asked for, so a new model is one new file: it is trained, tested, listed and served without
another edit.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # torch takes seconds to import: a list of names must not
    from models.training.protocols import GenerativeModel
    from models.training.recipe import Preset

__all__ = [
    "UnknownModelError", "available", "create", "describe", "enlarges", "find_preset", "modality",
    "presets",
]  # fmt: skip


class UnknownModelError(LookupError):
    """No model of that name or no preset of that name; the message proposes the nearest."""


def available() -> tuple[str, ...]:
    """The names of all models, sorted."""
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(__path__)
            if not module.ispkg and not module.name.startswith("_")
        )
    )


def presets(name: str) -> "dict[str, Preset]":
    """The named configurations and recipes of a model.

    Raises:
        UnknownModelError: No such model.
    """
    found: dict[str, Preset] = _module(name).presets()
    return found


def describe(name: str) -> str:
    """The first sentence a model's file says of itself.

    Raises:
        UnknownModelError: No such model.
    """
    return (_module(name).__doc__ or "").strip().split("\n")[0]


def modality(name: str) -> Literal["pixels", "strokes"]:
    """What a model takes and gives.

    Raises:
        UnknownModelError: No such model.
    """
    found: Literal["pixels", "strokes"] = _module(name).Model.modality
    return found


def unrolls(name: str) -> bool:
    """Whether a graph of a model's encoder takes minutes to make.

    Raises:
        UnknownModelError: No such model.
    """
    return bool(_module(name).Model.unrolls)


def enlarges(name: str, config: dict[str, Any]) -> tuple[int, ...]:
    """Sides of the small pictures that a model of this configuration makes large.

    Args:
        name: One of ``available()``.
        config: The fields of the model's ``Config``.

    Raises:
        UnknownModelError: No such model.
        TypeError: ``config`` has a key that the model does not know.
        ValueError: It has a value that the model cannot have.
    """
    kind = _module(name).Config
    if not hasattr(kind, "enlarges"):
        return ()
    from models.training.config import from_json  # noqa: PLC0415 - torch comes with it

    found: tuple[int, ...] = from_json(kind, config).enlarges
    return found


def create(
    name: str, *, preset: str = "tiny", config: dict[str, Any] | None = None
) -> "GenerativeModel":
    """Build the model ``name`` with fresh weights.

    Args:
        name: One of ``available()``.
        preset: One of the model's ``presets()``; ignored if ``config`` is given.
        config: The fields of the model's ``Config``; an unknown key is an error.

    Raises:
        UnknownModelError: No such model or preset.
        TypeError: ``config`` has a key that the model does not know.
    """
    module = _module(name)
    if config is not None:
        from models.training.config import from_json  # noqa: PLC0415 - torch comes with it

        chosen = from_json(module.Config, config)
    else:
        chosen = find_preset(name, preset).config
    model: GenerativeModel = module.Model(chosen)
    return model


def find_preset(name: str, preset: str) -> "Preset":
    """One preset of a model.

    Raises:
        UnknownModelError: No such model or preset.
    """
    known = presets(name)
    if preset not in known:
        raise UnknownModelError(
            f"{name} has no preset '{preset}'.{_hint(preset, known)} "
            f"Presets: {', '.join(sorted(known))}."
        )
    return known[preset]


def _module(name: str) -> ModuleType:
    if name not in available():
        raise UnknownModelError(
            f"There is no model '{name}'.{_hint(name, available())} "
            f"Models: {', '.join(available())}."
        )
    return importlib.import_module(f"models.{name}")


def _hint(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
