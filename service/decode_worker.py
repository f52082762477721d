"""A process that decodes photos for the server, one after another, and may die doing so.

It reads photos from standard input and writes pixels to standard output; ``service.decoding`` is
at the other end. Each message is 8 bytes of length, big-endian, and so many bytes; an answer's
first byte says whether pixels follow or, as JSON, why there are none.
"""

import json
import resource
import sys
from contextlib import suppress
from typing import BinaryIO

from models.images import ImageError, Preprocessing

LENGTH = 8
PIXELS, REFUSED, READY = b"P", b"R", b"O"
# A decoded photo with alpha, its white background and the two laid together: 4 bytes each, twice.
BYTES_PER_PIXEL = 24
BESIDES = 512 << 20


def main() -> None:
    """Decode until standard input ends."""
    setup = json.loads(sys.argv[1])
    preprocessing = Preprocessing(**setup["preprocessing"])
    max_pixels = setup["max_pixels"]
    limit_resources(max_pixels)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    write(sink, READY)
    while (data := read(source)) is not None:
        try:
            answer = PIXELS + preprocessing.read(data, max_pixels=max_pixels).tobytes()
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


def write(sink: BinaryIO, message: bytes) -> None:
    """Send a message."""
    sink.write(len(message).to_bytes(LENGTH, "big"))
    sink.write(message)
    sink.flush()


if __name__ == "__main__":
    main()
