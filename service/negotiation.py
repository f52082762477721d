"""What a client would like: the headers ``Accept`` (RFC 9110) and ``Prefer`` (RFC 7240)."""

from collections.abc import Sequence
from dataclasses import dataclass

JSON, PNG, ZIP = "application/json", "image/png", "application/zip"
SVG = "image/svg+xml"
DIGITS = 18
MANY = 10**DIGITS


def quality(accept: str, media_type: str) -> float:
    """How much a header ``Accept`` likes a media type, 0 to 1: its most exact range counts."""
    ranges = ["*/*", f"{media_type.partition('/')[0]}/*", media_type]
    best, liked = -1, 0.0
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name in ranges and ranges.index(name) > best:
            best, liked = ranges.index(name), weight(parameters)
    return liked


def weight(parameters: Sequence[str]) -> float:
    """The ``q`` of a range: 1 unless it says less, 0 if it cannot be read."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def whole_number(text: str) -> int | None:
    """The whole number that a header holds, None if it is none.

    Thousands of digits, which Python refuses to read, count as many: as ``MANY``.
    """
    if not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if len(text) <= DIGITS else MANY


def best_of(accept: str, media_types: Sequence[str]) -> str:
    """The media type that a header likes best; the first where it likes several alike."""
    return max(media_types, key=lambda media_type: quality(accept, media_type))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client would wait before it is answered with a job.

    Attributes:
        respond_async: It would rather not wait at all, or no longer than ``wait``.
        wait: Seconds, None if it does not say.
    """

    respond_async: bool = False
    wait: int | None = None

    @classmethod
    def of(cls, headers: Sequence[str]) -> "Patience":
        """Read the values of all headers ``Prefer``; of a preference that is repeated, the first.

        One that is unknown or cannot be read is ignored, as a preference is no demand.
        """
        found: dict[str, str] = {}
        for entry in ",".join(headers).split(","):
            name, _, value = entry.partition(";")[0].partition("=")
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
        return cls("respond-async" in found, whole_number(found.get("wait", "")))

    def seconds(self, *, usual: float, most: float) -> float:
        """How long to wait for the work to end.

        Args:
            usual: If the client does not say.
            most: Whatever it says.
        """
        if self.wait is not None:
            return min(self.wait, most)
        return 0.0 if self.respond_async else min(usual, most)

    def applied(self) -> dict[str, str]:
        """The header that says which preferences were honoured; none if there were none."""
        told = ["respond-async"] if self.respond_async else []
        told += [] if self.wait is None else [f"wait={self.wait}"]
        return {"Preference-Applied": ", ".join(told)} if told else {}
