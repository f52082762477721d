"""Settings: by argument, by environment, and wrong ones."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, load_settings, unknown_variables


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


def test_a_wrong_secret_is_not_repeated(config):
    config('store = "s"\napi_keys = ["search:0123456789abcdef"]\n')
    with pytest.raises(ValueError, match="api_keys is not shown, as it is secret: ") as refused:
        load_settings("shipped")
    assert "0123456789" not in str(refused.value)


def test_proxies_are_addresses_and_networks(monkeypatch):
    monkeypatch.setenv("NITERU_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,fd00::/8")
    trusted = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")
    assert Settings(store=Path("s")).trusted_proxies == trusted
    for wrong in ("*", "proxy.internal", "10.0.0.1/8", "300.0.0.1"):
        monkeypatch.setenv("NITERU_TRUSTED_PROXIES", wrong)
        with pytest.raises(ValueError, match=r"no address such as 127\.0\.0\.1 and no network"):
            load_settings("shipped", store="s")


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


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes the file that NITERU_CONFIG names."""

    def write(text):
        (tmp_path / "niteru.toml").write_text(text, "utf-8")
        monkeypatch.setenv("NITERU_CONFIG", str(tmp_path / "niteru.toml"))

    return write


def test_a_file_sets_what_nothing_else_does(config, monkeypatch):
    config('store = "/from/file"\nport = 1\nmax_limit = 2000\ncors_origins = ["https://a"]\n')
    monkeypatch.setenv("NITERU_PORT", "2")

    settings = Settings(default_limit=3)

    assert (settings.store, settings.port) == (Path("/from/file"), 2)
    assert (settings.max_limit, settings.default_limit) == (2000, 3)
    assert settings.cors_origins == ("https://a",)
    assert Settings(port=3, store=Path("s")).port == 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("max_limits = 5", "'max_limits' in .* is not a setting. Did you mean 'max_limit'"),
        ("[server]\nport = 1", "'server' in .* is not a setting"),
        ("port = ", "which cannot be read: "),
        ("port = 70000", "port"),
    ],
)
def test_a_wrong_file_is_refused_by_name(config, text, found):
    config(text)
    with pytest.raises(ValueError, match=found):
        Settings(store=Path("s"))


def test_a_file_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("NITERU_CONFIG", "/no/such/file")
    with pytest.raises(ValueError, match="NITERU_CONFIG names '/no/such/file'"):
        Settings(store=Path("s"))


def test_origins_have_commas_between_them(monkeypatch):
    monkeypatch.setenv("NITERU_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert Settings(store=Path("s")).cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    "origin",
    ["*", "https://shop.example", "http://localhost:3000", "https://a-b.example:8443",
     "http://127.0.0.1:5173", "http://[::1]:3000", "capacitor://localhost"],
)  # fmt: skip
def test_origins_are_those_that_a_browser_sends(monkeypatch, origin):
    monkeypatch.setenv("NITERU_CORS_ORIGINS", f"https://first.example, {origin}")
    assert Settings(store=Path("s")).cors_origins == ("https://first.example", origin)


@pytest.mark.parametrize(
    ("origin", "meant"),
    [
        ("https://shop.example/", "'https://shop.example'"),
        ("https://shop.example/page?a=b", "'https://shop.example'"),
        ("https://Shop.example", "'https://shop.example'"),
        ("https://shop.example:443", "'https://shop.example'"),
        ("http://shop.example:80", "'http://shop.example'"),
        ("https://user:word@shop.example", "'https://shop.example'"),
        ("shop.example", None),
        ("shop.example:443", None),
        ("https://", None),
        ("https://*.shop.example", None),
        ("https://shop.example:99999", None),
        ("null", None),
        ("//shop.example", None),
        ("https://sh\u00f6p.example", None),
        ("http://[::1", None),
    ],
)
def test_what_no_browser_sends_is_an_error_at_the_start(monkeypatch, origin, meant):
    """Nothing would be allowed, and nobody would see why."""
    monkeypatch.setenv("NITERU_CORS_ORIGINS", f"https://first.example,{origin}")
    with pytest.raises(ValueError, match="is no origin: expected SCHEME://HOST") as wrong:
        load_settings("shipped", store=Path("s"))
    assert "cors_origins.1 is" in str(wrong.value)
    assert f"'{origin}' is no origin" in str(wrong.value)
    assert ("Browsers send" in str(wrong.value)) == (meant is not None)
    if meant is not None:
        assert f"Browsers send {meant}." in str(wrong.value)


def test_options_and_defaults_of_a_server(monkeypatch):
    monkeypatch.setenv("NITERU_PORT", "2")
    settings = load_settings("shipped", store=Path("s"), port=None, weights=None)
    assert (settings.store, settings.port, settings.weights) == (Path("s"), 2, "shipped")
    assert load_settings("shipped", store=Path("s"), weights="mine").weights == "mine"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, "store is missing: give --store, or set NITERU_STORE"),
        ({"store": "s", "port": "abc"}, "port is 'abc': Input should be a valid integer"),
        ({"store": "s", "host": "0.0.0.0"}, "host is '0.0.0.0', which other machines may reach"),
    ],
)
def test_wrong_options_are_told_in_a_sentence(options, found):
    with pytest.raises(ValueError, match=found) as caught:
        load_settings("shipped", **options)
    assert "pydantic" not in str(caught.value)
