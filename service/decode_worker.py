"""A process that decodes photos for the server, one after another, and may die doing so.

It reads photos from standard input and writes pixels to standard output; ``service.decoding`` is
at the other end. Each message is 8 bytes of length, big-endian, and so many bytes. A question is a
line of JSON that says what to do (``Order``) and the files; an answer's first byte says whether
pixels follow or, as JSON, why there are none.
"""

import json
import resource
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import BinaryIO, Self

from models.images import Crop, ImageError, Preprocessing, read_mask
from models.images.preprocessing import Pixels

LENGTH = 8
# Of either end of a pipe, in bytes: as much as the pipe holds, so that an ordinary photo is sent
# with one call of the system, and wakes its reader once.
BUFFER = 64 << 10
PIXELS, REFUSED, READY = b"P", b"R", b"O"
# A decoded photo with alpha, its white background and the two laid together: 4 bytes each, twice.
BYTES_PER_PIXEL = 24
BESIDES = 512 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with the bytes that follow.

    Attributes:
        preprocessing: How the photo is fitted.
        crop: The part of it that is asked for, if not all.
        mask_bytes: If given, so many of the bytes are a mask, which is fitted as the photo after
            them is; the photo itself is not asked for then.
        sides: If given, the photo is a small picture of one of these sides and is not fitted.
    """

    preprocessing: Preprocessing
    crop: Crop | None = None
    mask_bytes: int | None = None
    sides: tuple[int, ...] | None = None

    @lru_cache(maxsize=64)  # noqa: B019, orders are small, and most photos come with the same
    def encode(self) -> bytes:
        """A line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    @lru_cache(maxsize=64)
    def decode(cls, line: bytes) -> Self:
        """The order that a line of JSON holds."""
        told = json.loads(line)
        crop = None if told["crop"] is None else Crop(**told["crop"])
        sides = None if told["sides"] is None else tuple(told["sides"])
        return cls(Preprocessing(**told["preprocessing"]), crop, told["mask_bytes"], sides)

    def carry_out(self, data: bytes, *, max_pixels: int) -> Pixels:
        """A photo (H, W, C), or a mask (H, W), uint8.

        Raises:
            models.images.ImageError: The bytes are not usable.
        """
        if self.sides is not None:
            return self.preprocessing.read_small(data, self.sides, max_pixels=max_pixels)
        if self.mask_bytes is None:
            return self.preprocessing.read(data, max_pixels=max_pixels, crop=self.crop)
        mask, photo = data[: self.mask_bytes], data[self.mask_bytes :]
        return read_mask(mask, photo, self.preprocessing, max_pixels=max_pixels)


def main() -> None:
    """Decode until standard input ends."""
    max_pixels = int(sys.argv[1])
    limit_resources(max_pixels)
    with (
        open(sys.stdin.fileno(), "rb", BUFFER, closefd=False) as source,
        open(sys.stdout.fileno(), "wb", BUFFER, closefd=False) as sink,
    ):
        write(sink, READY)
        serve(source, sink, max_pixels)


def serve(source: BinaryIO, sink: BinaryIO, max_pixels: int) -> None:
    """Answer what comes until nothing does."""
    while (message := read(source)) is not None:
        line, _, data = message.partition(b"\n")
        try:
            answer = PIXELS + Order.decode(line).carry_out(data, max_pixels=max_pixels).tobytes()
        except ImageError as error:
            answer = REFUSED + json.dumps([error.reason, str(error)]).encode()
        write(sink, answer)


def limit_resources(max_pixels: int) -> None:
    """Bound the memory of this process, and let it write neither files nor core dumps."""
    memory = BESIDES + BYTES_PER_PIXEL * max_pixels
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        within = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # not every system can bound everything
            resource.setrlimit(kind, (within, within))


def read(source: BinaryIO) -> bytes | None:
    """The next message, None if the other end has gone."""
    head = source.read(LENGTH)
    if len(head) < LENGTH:
        return None
    length = int.from_bytes(head, "big")
    message = source.read(length)
    return message if len(message) == length else None


def write(sink: BinaryIO, *parts: bytes) -> None:
    """Send a message, which is all its parts one after the other."""
    sink.write(sum(map(len, parts)).to_bytes(LENGTH, "big"))
    sink.writelines(parts)
    sink.flush()


if __name__ == "__main__":
    main()
