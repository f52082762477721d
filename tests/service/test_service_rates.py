"""Rate limits: the bucket against its definition, and what a client sees of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import rates
from service.rates import Buckets, network_of

ONE, TWO = "search-key-0123456789", "another-key-0123456789"


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_bucket_worked_by_hand():
    clock = Clock()
    buckets = Buckets(3, clock=clock)  # three at once, one more every 20 s

    assert [buckets.take(b"a") for _ in range(3)] == [(True, 2, 20), (True, 1, 20), (True, 0, 20)]
    assert buckets.take(b"a") == (False, 0, 20)
    clock.now = 15.0
    allowed, left, seconds = buckets.take(b"a")
    assert (allowed, left, round(seconds, 9)) == (False, 0, 5)
    assert buckets.take(b"b").allowed  # another's bucket is full
    clock.now = 20.001
    assert buckets.take(b"a").allowed
    clock.now = 1000.0
    assert [buckets.take(b"a").allowed for _ in range(4)] == [True, True, True, False]


@given(
    st.integers(1, 50),
    st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=80),
)
def test_no_span_of_time_lets_more_through_than_the_limit(per_minute, pauses):
    clock = Clock()
    buckets = Buckets(per_minute, clock=clock)
    times = []
    for pause in pauses:
        clock.now += pause
        if buckets.take(b"a").allowed:
            times.append(clock.now)

    for first, start in enumerate(times):
        for last in range(first, len(times)):
            most = per_minute + (times[last] - start) * per_minute / 60
            assert last - first + 1 <= most + 1e-6


@given(st.integers(1, 600), st.lists(st.floats(0, 5), max_size=40))
def test_who_waits_as_told_is_let_through(per_minute, pauses):
    clock = Clock()
    buckets = Buckets(per_minute, clock=clock)
    for pause in pauses:
        clock.now += pause
        buckets.take(b"a")
    while (taken := buckets.take(b"a")).allowed:
        pass

    clock.now += taken.seconds + 1e-6

    assert buckets.take(b"a").allowed


def test_old_clients_are_forgotten(monkeypatch):
    monkeypatch.setattr(rates, "MOST_CLIENTS", 3)
    buckets = Buckets(1, clock=Clock())
    for client in (b"a", b"b", b"c", b"a", b"d"):
        buckets.take(client)

    assert list(buckets.filled) == [b"c", b"a", b"d"]


def test_a_client_that_asks_too_often_is_told_when_to_come_back(serve, check_problem, photos):
    client = serve(rate_limit=2, api_keys=f"search:{ONE},search:{TWO}")

    def ask(key):
        return client.get("/v1/items/hats/03", headers={"x-api-key": key})

    first = ask(ONE)
    assert first.status_code == 200
    assert first.headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert first.headers["ratelimit"] == '"requests";r=1;t=30'
    assert ask(ONE).status_code == 200
    refused = client.post(
        "/v1/search", content=photos["hats/03"], headers={"authorization": f"Bearer {ONE}"}
    )
    problem = check_problem(refused, 429, "too-many-requests")
    assert "More than 2 requests a minute" in problem["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["ratelimit"].startswith('"requests";r=0;t=')
    assert ask(TWO).status_code == 200
    assert ask("a-guess").status_code == 401  # and takes from nobody's bucket
    for _ in range(4):  # a monitor is not counted
        assert client.get("/livez").status_code == 200


def test_without_keys_an_address_is_a_client(serve):
    client = serve(rate_limit=1)
    headers = {"x-api-key": ONE}  # says nothing, as there are no keys

    assert client.get("/v1/generations").status_code == 200
    assert client.get("/v1/generations", headers=headers).status_code == 429


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),  # both are one customer's
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),  # how a socket of IPv6 tells of IPv4
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("unknown", "203.0.113.7", False),
    ],
)
def test_whose_requests_are_counted_together(one, other, same):
    assert (network_of(one) == network_of(other)) == same


def test_without_the_setting_there_is_no_limit(client):
    answers = [client.get("/v1/items/hats/03") for _ in range(30)]

    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers
