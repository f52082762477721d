"""The headers ``Prefer`` and ``Accept`` as RFC 7240 and RFC 9110 write them."""

import pytest

from service.negotiation import Patience, best_of


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Patience()),
        (["respond-async"], Patience(respond_async=True)),
        (["respond-async, wait=10"], Patience(respond_async=True, wait=10)),
        (["respond-async", "wait=10"], Patience(respond_async=True, wait=10)),
        (["Wait = 5; strict=true"], Patience(wait=5)),
        (['wait="7"'], Patience(wait=7)),
        (["wait=1, wait=9"], Patience(wait=1)),
        (["wait=soon, respond-async=1"], Patience(respond_async=True)),
        (["handling=lenient, return=minimal"], Patience()),
        (["wait=-3"], Patience()),
        (["wait=٣"], Patience()),
        (["wait=" + "9" * 5000], Patience(wait=10**18)),
    ],
)
def test_preferences_are_read(headers, expected):
    assert Patience.of(headers) == expected


@pytest.mark.parametrize(
    ("patience", "seconds", "applied"),
    [
        (Patience(), 5.0, {}),
        (Patience(respond_async=True), 0.0, {"Preference-Applied": "respond-async"}),
        (Patience(wait=2), 2.0, {"Preference-Applied": "wait=2"}),
        (Patience(wait=0), 0.0, {"Preference-Applied": "wait=0"}),
        (Patience(wait=900), 20.0, {"Preference-Applied": "wait=900"}),
        (
            Patience(respond_async=True, wait=3),
            3.0,
            {"Preference-Applied": "respond-async, wait=3"},
        ),
    ],
)
def test_patience_is_bounded_and_told(patience, seconds, applied):
    assert patience.seconds(usual=5.0, most=20.0) == seconds
    assert patience.applied() == applied


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("", "a/x"),
        ("*/*", "a/x"),
        ("b/y", "b/y"),
        ("a/x;q=0.5, b/*;q=0.8", "b/y"),
        ("text/html", "a/x"),
    ],
)
def test_the_best_media_type(accept, best):
    assert best_of(accept, ("a/x", "b/y", "a/z")) == best
