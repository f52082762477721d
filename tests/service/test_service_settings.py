"""Settings: by argument, by environment, and wrong ones."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, unknown_variables


def test_defaults_are_those_of_a_careful_server(monkeypatch):
    monkeypatch.delenv("NITERU_PORT", raising=False)
    settings = Settings(store=Path("s"))

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.max_upload_bytes == 20 * 2**20
    assert settings.max_pixels == 50_000_000
    assert settings.threads >= 1


def test_the_environment_sets_and_an_argument_wins(monkeypatch):
    monkeypatch.setenv("NITERU_STORE", "/data/store")
    monkeypatch.setenv("NITERU_PORT", "9001")
    monkeypatch.setenv("NITERU_MAX_LIMIT", "50")

    settings = Settings(port=9002)

    assert (settings.store, settings.port, settings.max_limit) == (Path("/data/store"), 9002, 50)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"max_limits": 5}, "max_limits"),
        ({"port": 70_000}, "port"),
        ({"max_upload_bytes": 0}, "max_upload_bytes"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"threads": -1}, "threads"),
        ({"runtime": "tpu"}, "runtime"),
        ({"default_limit": 20, "max_limit": 10}, "default_limit is 20, more than max_limit"),
    ],
)
def test_wrong_settings_are_refused_by_name(given, found):
    with pytest.raises(ValidationError, match=found):
        Settings(store=Path("s"), **given)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Settings(store=Path("s")).port = 1


def test_variables_that_look_like_settings_are_named_with_the_nearest():
    names = ["NITERU_PORT", "niteru_host", "NITERU_DATA", "NITERU_MAX_UPLOAD_BYTE", "PATH"]

    (sentence,) = unknown_variables(names)

    assert sentence == (
        "NITERU_MAX_UPLOAD_BYTE is not a setting and has no effect. "
        "Did you mean 'NITERU_MAX_UPLOAD_BYTES'?"
    )
