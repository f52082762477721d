"""Every setting can be changed by its name, comes back from the disk, and says what it takes."""

import json
import math
from dataclasses import dataclass, field, replace
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from models.training.config import SettingError, change, from_json, settings, to_json
from models.training.recipe import FAMILIES, Recipe, Views, switched_off

CONFIGS = [models.find_preset(name, "tiny").config for name in models.available()]


@dataclass(frozen=True)
class Inner:
    mode: Literal["a", "none"] = "a"
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    count: int = 1
    on: bool = True
    name: str = ""
    pair: tuple[float, float] = (0.0, 1.0)
    many: tuple[int, ...] = (1,)
    channels: Literal[1, 3] = 3
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)


def values(hint):
    """Any value of a setting's type that can be written."""
    kind, options = get_origin(hint), get_args(hint)
    if kind is Literal:
        return st.sampled_from(options)
    if kind in (Union, UnionType):
        return st.one_of([values(option) for option in options])
    if kind is tuple and options[1:] == (...,):
        return st.lists(values(options[0]), min_size=1, max_size=4).map(tuple)
    if kind is tuple:
        return st.tuples(*map(values, options))
    return {
        int: st.integers(-1000, 1000),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        str: st.sampled_from(["", "logistic", "x=y"]),
        NoneType: st.none(),
    }[hint]


def write(value):
    """A value as it is typed."""
    return ",".join(map(write, value)) if isinstance(value, tuple) else str(value)


@given(data=st.data())
@pytest.mark.parametrize("config", [Outer(), *CONFIGS], ids=lambda c: type(c).__module__)
def test_what_is_set_comes_back_from_the_disk(config, data):
    name, hint = data.draw(st.sampled_from(list(settings(config).items())))
    value = data.draw(values(hint))
    try:
        changed = change(config, {name: write(value)})
    except SettingError:
        raise
    except ValueError:
        return  # the configuration itself refuses such a value
    found = changed
    for part in name.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)
    again = from_json(type(config), json.loads(json.dumps(to_json(changed))))
    assert again == changed


@given(mirror=st.floats(0, 1), low=st.floats(0.1, 1), high=st.floats(1, 3), steps=st.integers(1))
def test_a_recipe_and_its_views_come_back_too(mirror, low, high, steps):
    changed = change(
        Recipe(minutes=1.0),
        {
            "views.mirror": f"{mirror}", "views.scale": f"{low}, {high}", "steps": f"{steps}",
            "minutes": "none", "views.canonical": "off",
        },
    )  # fmt: skip
    views = Views(mirror=mirror, scale=(low, high), canonical=False)
    assert changed == Recipe(steps=steps, views=views)
    assert from_json(Recipe, json.loads(json.dumps(to_json(changed)))) == changed


def test_nothing_else_changes():
    before = Outer()
    assert change(before, {}) == before
    assert change(before, {"inner.share": "2"}) == replace(before, inner=Inner(share=2.0))
    assert change(before, {"inner.share": 2.0, "count": 5}) == replace(
        before, count=5, inner=Inner(share=2.0)
    )
    assert before == Outer()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("coun", "1", "no setting 'coun'. Did you mean 'count'.*inner.mode, inner.share"),
        ("inner", "1", "'inner' is a group of settings: inner.mode, inner.share"),
        ("inner.x", "1", "no setting 'inner.x'"),
        ("count.x", "1", "no setting 'count.x'"),
        ("count", "1.5", "'1.5' is no value for count: expected a whole number"),
        ("count", "", "expected a whole number"),
        ("on", "maybe", "expected true or false"),
        ("pair", "1", "expected values with commas between them, a number, a number"),
        ("pair", "1,2,3", "a number, a number"),
        ("many", "1,,2", "each a whole number"),
        ("channels", "2", "expected one of 1, 3"),
        ("limit", "all", "expected a whole number or none"),
        ("inner.mode", "b", "'b' is no value for inner.mode: expected one of a, none"),
        ("inner.share", "nan", "expected a number"),
        ("inner.share", "inf", "expected a number"),
    ],
)
def test_mistakes_are_answered_with_what_there_is(name, text, message):
    with pytest.raises(SettingError, match=message):
        change(Outer(), {name: text})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_is_switched_off_is_as_in_no_views_at_all(family):
    without = replace(Views(), **switched_off([family]))
    still = Views.none()
    for name in settings(Views()):
        expected = still if name in FAMILIES[family] else Views()
        assert getattr(without, name) == getattr(expected, name), name


def test_the_families_cover_all_that_changes():
    assert replace(Views(), **switched_off(FAMILIES)) == replace(Views.none(), count=2)
    names = [name for family in FAMILIES.values() for name in family]
    assert sorted([*names, "count"]) == sorted(settings(Views()))
    with pytest.raises(ValueError, match=r"no 'colours'.*There are: background, white"):
        switched_off(["colours"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 0), ("mirror", 1.5), ("swap", -0.1), ("scale", (0.0, 1.0)), ("scale", (2.0, 1.0)),
        ("noise", -1.0), ("shift", math.nan),
    ],
)  # fmt: skip
def test_views_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"views.{name} is"):
        Views(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("clip", 0.0), ("ema", 1.0), ("warmup_steps", -1), ("steps", 0)],
)
def test_recipes_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"recipe.{name} is"):
        Recipe(**{"steps": 1, name: value})


def test_masks_are_needed_for_what_uses_them():
    assert Views().need_masks
    assert replace(Views.none(), swap=0.1).need_masks
    assert replace(Views.none(), canonical=True).need_masks
    assert not replace(Views(), **switched_off(["background", "white"])).need_masks
