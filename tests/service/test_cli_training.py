"""What a training can be told on the command line: settings, masks, several sources of photos."""

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
from indexer.errors import CatalogueError
from models.training.processes import Processes
from models.training.recipe import FAMILIES
from service.cli import main
from service.commands.demo import run_sample_catalogue
from service.commands.masks import look_at
from service.commands.training import Wishes, make_plan
from service.commands.training_data import (
    Source,
    describe_masks,
    load_data,
    parse_source,
    read_photos,
)


def niteru(capsys, *words, code=0):
    """Run a command in this process and expect its exit code; what it printed."""
    found = 0
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        found = end.code or 0
    done = capsys.readouterr()
    assert found == code, done.out + done.err
    return done


def idx_pictures(folder: Path, count: int, side: int = 28) -> Path:
    """Grey rectangles on black as idx files; the prefix that names them."""
    rng = np.random.default_rng(0)
    pixels = np.zeros((count, side, side), np.uint8)
    for picture in pixels:
        top, left = rng.integers(2, 9, 2)
        picture[top : side - top, left : side - left] = rng.integers(60, 250)
    header = struct.pack(">4B3I", 0, 0, 8, 3, *pixels.shape)
    (folder / "small-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
    labels = struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(count)
    (folder / "small-labels-idx1-ubyte").write_bytes(labels)
    return folder / "small"


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A rendered catalogue without a manifest, its masks in a folder beside it."""
    folder = tmp_path_factory.mktemp("shop")
    run_sample_catalogue(
        folder / "c", items=12, photos_per_item=1, masks=True, queries=0, factor="background",
        size=64, seed=0,
    )  # fmt: skip
    (folder / "c" / "images").rename(folder / "photos")
    (folder / "c" / "masks").rename(folder / "masks")
    return folder


def plan_with(*settings, model="pixelvae", preset="tiny", **wishes):
    return make_plan(model, preset, Wishes(settings=settings, **wishes))


def test_settings_reach_the_model_the_recipe_and_the_views():
    plan = plan_with(
        "layers=3", "rate.target=20", "contrast=0", "recipe.weight_decay=0.1", "views.mirror=0",
        "recipe.views.scale=0.8,1", "widths=8,16",
    )  # fmt: skip
    assert (plan.config.layers, plan.config.contrast) == (3, 0.0)
    assert (plan.config.rate.target, plan.config.widths) == (20.0, (8, 16))
    assert (plan.recipe.weight_decay, plan.recipe.views.mirror) == (0.1, 0.0)
    assert plan.recipe.views.scale == (0.8, 1.0)
    untouched = make_plan("pixelvae", "tiny", Wishes())
    assert untouched.config == models.find_preset("pixelvae", "tiny").config
    assert untouched.recipe == models.find_preset("pixelvae", "tiny").recipe


def test_a_length_replaces_the_other():
    assert plan_with("recipe.minutes=2").recipe.steps is None
    assert plan_with("recipe.steps=2", preset="cpu").recipe.minutes is None
    assert plan_with(minutes=2.0).recipe.steps is None
    with pytest.raises(ValueError, match="either steps or minutes"):
        plan_with("recipe.minutes=2", "recipe.steps=2")


def test_options_and_settings_are_one_thing():
    assert plan_with("recipe.seed=3") == plan_with(seed=3)
    assert plan_with("rate.target=9") == plan_with(rate=9.0)
    assert plan_with("recipe.seed=3", seed=3) == plan_with(seed=3)
    without = plan_with(without=("background", "white"))
    assert without == plan_with(swap=False) == plan_with("views.swap=0", "views.canonical=no")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "layer=3"], "no setting 'layer'. Did you mean 'layers'?"),
        (["--set", "views.mirrors=3"], "Did you mean 'views.mirror'?"),
        (["--set", "layers=x"], "'x' is no value for layers: expected a whole number"),
        (["--set", "likelihood=x"], "expected one of logistic, bernoulli"),
        (["--set", "rate=3"], "'rate' is a group of settings: rate.mode"),
        (["--set", "layers"], "expected KEY=VALUE"),
        (["--set", "layers=1", "--set", "layers=2"], "layers is set twice"),
        (["--set", "recipe.seed=1", "--seed", "2"], "recipe.seed is given twice"),
        (["--set", "views.mirror=2"], "views.mirror is 2.0; it has to be a probability"),
        (["--without", "mirrors"], "There are: background, white, mirror"),
        (["--without", "noise", "--set", "views.noise=1"], "views.noise is given twice"),
    ],
)
def test_mistakes_in_settings_are_sentences(capsys, words, message):
    told = niteru(capsys, "train", "pixelvae", "--data", ".", "--out", "w", *words, code=1)
    assert message in told.err


def test_the_help_names_every_family(capsys):
    told = re.sub(r"\s+", " ", niteru(capsys, "train", "--help").out)
    listed = told.split("Switch off in views: ")[1].split(". ")[0]
    assert re.findall(r"\w+", listed.replace(" or ", " ")) == list(FAMILIES)


def test_the_readme_has_every_family_with_its_settings():
    told = (Path(__file__).parents[2] / "models" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (`\w+`(?:, `\w+`)*) \|$", told, re.MULTILINE)
    assert {name: tuple(re.findall(r"\w+", fields)) for name, fields in rows} == FAMILIES


def test_what_was_set_stands_in_the_weights_and_is_not_asked_for_again(capsys, shop, tmp_path):
    train = ["train", "pixelvae", "--data", shop / "photos", "--preset", "tiny", "--steps", 2]
    niteru(
        capsys, *train, "--set", "layers=1", "--without", "background", "--without", "white",
        "--out", tmp_path / "w",
    )  # fmt: skip
    told = json.loads((tmp_path / "w" / "config.json").read_text())
    assert told["config"]["layers"] == 1
    assert told["recipe"]["views"]["swap"] == 0.0
    words = ["--out", tmp_path / "w", "--resume", "--set", "layers=1"]
    assert "keeps the settings" in niteru(capsys, *train[:4], *words, code=2).err


def test_where_data_is_and_how_much_it_counts(tmp_path):
    assert parse_source(Path("photos")) == Source(Path("photos"))
    assert parse_source(Path("photos@300")) == Source(Path("photos"), 300.0)
    assert parse_source(Path("a@b/photos@1.5")) == Source(Path("a@b/photos"), 1.5)
    assert parse_source(Path("a@2/photos")) == Source(Path("a@2/photos"))
    assert parse_source(Path("photos@half")) == Source(Path("photos@half"))
    (tmp_path / "shop@2024").mkdir()
    assert parse_source(tmp_path / "shop@2024") == Source(tmp_path / "shop@2024")
    assert parse_source(tmp_path / "shop@2024@9") == Source(tmp_path / "shop@2024", 9.0)
    with pytest.raises(CatalogueError, match="positive"):
        parse_source(Path("photos@0"))


def test_small_pictures_are_joined_with_photos(capsys, shop, tmp_path):
    prefix = idx_pictures(tmp_path, 50)
    told = niteru(
        capsys, "train", "pixelvae", "--data", shop / "photos", "--data", f"{prefix}@6", "--preset",
        "tiny", "--steps", 2, "--out", tmp_path / "w", "--cache", tmp_path / "cache",
    )  # fmt: skip
    facts = json.loads((tmp_path / "w" / "metrics.json").read_text())["training"]
    assert facts["photos"] == 62
    assert facts["photos_with_mask"] >= 50
    assert f"{facts['photos_with_mask']} of 62 photos have a mask that is trusted" in told.err
    alone = niteru(
        capsys, "train", "pixelvae", "--data", prefix, "--preset", "tiny", "--steps", 1, "--out",
        tmp_path / "alone",
    )  # fmt: skip
    assert "50 of 50 photos" in alone.err


@pytest.fixture
def processes():
    return Processes()


def own_masks(shop, folder, count):
    """Masks of the first photos, in a folder of their own."""
    folder.mkdir()
    paths = sorted((shop / "photos").iterdir())[:count]
    for path in paths:
        (folder / f"{path.stem}.png").write_bytes(
            (shop / "masks" / f"{path.stem}.png").read_bytes()
        )
    return paths


def test_own_masks_are_found_by_name(shop, tmp_path):
    paths = own_masks(shop, tmp_path / "m", 5)
    photos = read_photos([shop / "photos"], masks=tmp_path / "m")
    masks = {photo.path.name: photo.mask for photo in photos}
    for path in sorted((shop / "photos").iterdir()):
        expected = tmp_path / "m" / f"{path.stem}.png" if path in paths else None
        assert masks[path.name] == expected


def test_own_masks_that_do_not_fit_are_reported(shop, tmp_path, processes):
    paths = own_masks(shop, tmp_path / "m", 7)
    for path in paths[:6]:
        Image.new("L", (64, 64)).save(tmp_path / "m" / f"{path.stem}.png")
    plan = plan_with()
    photos = load_data(
        plan, [shop / "photos"], cache=tmp_path / "c", processes=processes, masks=tmp_path / "m"
    )
    told = describe_masks(photos)
    assert "6 masks of your own cannot be used" in told
    assert f"{paths[0].stem}: its mask {paths[0].stem}.png is empty" in told
    assert "... and 1 more" in told
    assert photos.trusted[:7].tolist() == [False] * 6 + [True]


def test_masks_that_say_nothing_are_refused(capsys, shop, tmp_path):
    train = ["train", "pixelvae", "--preset", "tiny", "--steps", 1, "--out", tmp_path / "w"]
    photos = ["--data", shop / "photos"]
    (tmp_path / "empty").mkdir()
    told = niteru(capsys, *train, *photos, "--masks", tmp_path / "empty", code=1)
    assert "has no mask for any of 12 photos. The mask of" in told.err
    told = niteru(capsys, *train, *photos, "--masks", shop / "photos", code=1)
    assert "trained on as photos" in told.err
    told = niteru(capsys, *train, *photos, "--masks", shop / "masks", "--no-swap", code=1)
    assert "no item is cut out" in told.err
    told = niteru(capsys, *train, *photos, *photos, "--masks", shop / "masks", code=1)
    assert "would be the mask of 2 photos" in told.err
    array = ["--data", idx_pictures(tmp_path, 3)]
    told = niteru(capsys, *train, *array, "--masks", shop / "masks", code=1)
    assert "names no photos" in told.err


def test_masks_are_shown(capsys, shop, tmp_path):
    show = ["masks", "--data", shop / "photos", "--side", 48, "--count", 9]
    told = niteru(capsys, *show, "--out", tmp_path / "a.png")
    trusted = int(re.search(r"(\d+) of 9 photos", told.err).group(1))
    assert told.out.strip() == str(tmp_path / "a.png")
    niteru(capsys, *show, "--out", tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as sheet:
        pixels = np.asarray(sheet)
    assert ((pixels == (30, 160, 70)).all(2).sum() > 0) == (trusted > 0)
    own = niteru(capsys, *show, "--masks", shop / "masks", "--out", tmp_path / "c.png")
    assert "9 of 9 photos" in own.err
    array = niteru(capsys, "masks", "--data", idx_pictures(tmp_path, 3), code=1)
    assert "is an array" in array.err


def test_the_sheet_judges_as_a_training_does(shop, tmp_path, processes):
    plan = plan_with()
    photos = load_data(plan, [shop / "photos"], cache=tmp_path, processes=processes)
    looks = [look_at(photo, plan.load_side) for photo in read_photos([shop / "photos"])]
    assert [look.reason is None for look in looks] == photos.trusted.tolist()
    assert [look.reason for look in looks if look.reason] == [u.reason for u in photos.unmasked]


def test_a_rate_is_held_where_the_preset_only_weighs_it():
    plan = make_plan("vae", "mnist", Wishes(rate=9.0))
    assert (plan.config.rate.mode, plan.config.rate.target) == ("target", 9.0)
    with pytest.raises(ValueError, match=r"rate\.mode is given twice"):
        make_plan("vae", "mnist", Wishes(rate=9.0, settings=("rate.mode=beta",)))
