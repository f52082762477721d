"""Whether and when to try again: pure, with the chance as an argument."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from service.client.errors import problem_of

# There was no connection, so nothing was sent.
NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# The connection broke off, perhaps after the server had read it all.
BROKEN_OFF = (httpx.NetworkError, httpx.RemoteProtocolError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how soon to try again.

    A server that answers 429, or 503 because nothing is indexed yet, has not done what was asked,
    nor has one that was not reached: those are tried again. After a broken connection or another
    503 it may have, so only calls are tried again that do nothing more when they are made twice.

    Attributes:
        attempts: How often a call is made at most, the first time included.
        first: Seconds before the second time; they double from then on.
        longest: Seconds that are waited at most; a server that asks for more is not tried again.
    """

    attempts: int = 4
    first: float = 0.25
    longest: float = 20.0

    def pause(
        self,
        outcome: httpx.Response | httpx.RequestError,
        made: int,
        *,
        repeatable: bool,
        chance: Callable[[], float],
    ) -> float | None:
        """Seconds to wait before the next attempt, None for no other.

        Args:
            outcome: What the last attempt led to.
            made: Attempts until now.
            repeatable: Whether the call does nothing more when it is made twice.
            chance: Gives numbers from 0 to 1, so that many clients do not come back at once.
        """
        if made >= self.attempts or not may_repeat(outcome, repeatable=repeatable):
            return None
        usual: float = min(self.longest, self.first * 2 ** (made - 1)) * (1 + chance()) / 2
        if isinstance(outcome, httpx.RequestError):
            return usual
        asked = problem_of(outcome).retry_after or 0.0
        return None if asked > self.longest else max(asked, usual)


# Kinds of 503 that say that nothing was done.
NOT_BEGUN = ("not-ready", "shutting-down")


def may_repeat(outcome: httpx.Response | httpx.RequestError, *, repeatable: bool) -> bool:
    """Whether trying again is of use, and cannot do the same thing twice."""
    if isinstance(outcome, httpx.RequestError):
        return isinstance(outcome, NOT_REACHED) or (repeatable and isinstance(outcome, BROKEN_OFF))
    if outcome.status_code == 503:
        return repeatable or problem_of(outcome).slug in NOT_BEGUN
    return outcome.status_code == 429


def not_reached(error: httpx.RequestError) -> bool:
    """Whether nothing of the request was sent."""
    return isinstance(error, NOT_REACHED)
