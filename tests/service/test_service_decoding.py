"""Every kind of upload through processes that decode, and what a photo does to such a process."""

import io
import os
import signal
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from models.images import ImageError, Preprocessing
from service.decoding import Decoders
from tests.bench.soak_uploads import GROWTH_BYTES, encoded, soak

MAX_PIXELS = 1_000_000
FIT = Preprocessing(size=32)


@pytest.fixture(scope="module")
def decoders():
    made = Decoders(max_pixels=MAX_PIXELS, count=1, timeout=20.0)
    yield made
    made.close()


@pytest.fixture
def through(serve, decoders):
    """A service whose uploads are decoded by processes."""
    client = serve(max_pixels=MAX_PIXELS, max_upload_bytes=200_000)
    client.app.state.niteru.searcher.decoder = decoders
    return client


def scene():
    """Four colours in four corners, none alike: any turn or flip shows."""
    blocks = np.array([[[250, 20, 20], [20, 250, 20]], [[20, 20, 250], [240, 240, 30]]], np.uint8)
    return Image.fromarray(blocks.repeat(40, 0).repeat(60, 1))


def png(width, height, *, bits=8, colour=2, rows=b""):
    """A PNG written by hand, with the header and the rows that are asked for."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def turned(orientation):
    """A JPEG that is stored so that its EXIF orientation sets it upright."""
    stored = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = scene() if stored is None else scene().transpose(stored)
    return encoded(image, "JPEG", exif=exif, quality=95, subsampling=0)


def sixteen_bits():
    """A grey ramp of 16 bits, written by hand; the same in 8 bits."""
    ramp = np.linspace(0, 65535, 64 * 64).astype(">u2").reshape(64, 64)
    rows = b"".join(b"\0" + row.tobytes() for row in ramp)
    plain = Image.fromarray((ramp >> 8).astype(np.uint8))
    return png(64, 64, bits=16, colour=0, rows=rows), plain


def cutout():
    """A square on nothing, whose see-through pixels are black; the same on white."""
    pixels = np.zeros((60, 60, 4), np.uint8)
    pixels[20:40, 20:40] = (200, 30, 40, 255)
    on_white = np.full((60, 60, 3), 255, np.uint8)
    on_white[20:40, 20:40] = (200, 30, 40)
    return Image.fromarray(pixels), Image.fromarray(on_white)


class Row(NamedTuple):
    """An upload, and the status, type and reason it is answered with; or what it looks like."""

    data: bytes
    status: int
    slug: str = ""
    reason: str | None = None
    like: Image.Image | None = None


def refused(data, status, slug, reason=None):
    return Row(data, status, slug, reason)


def taken(data, like):
    return Row(data, 200, like=like)


WIDE, DEEP, CUT = scene(), sixteen_bits(), cutout()
INVERTED = Image.eval(WIDE, lambda value: 255 - value)
MOVING = {"save_all": True, "append_images": [INVERTED]}
PHOTO = encoded(WIDE, "JPEG", quality=95)
CMYK = Image.merge("CMYK", [*INVERTED.split(), Image.new("L", WIDE.size, 0)])
UNSUPPORTED, UNUSABLE = (415, "unsupported-format"), (422, "unusable-image")

ROWS = {
    "empty": refused(b"", *UNUSABLE, "empty"),
    "more bytes than accepted": refused(PHOTO + bytes(200_000), 413, "upload-too-large"),
    "more pixels than accepted, 60 bytes": refused(
        png(20_000, 20_000), *UNUSABLE, "too_many_pixels"
    ),
    "past Pillow's own bound": refused(png(60_000, 60_000), *UNUSABLE, "too_many_pixels"),
    "one pixel too many": refused(
        encoded(Image.new("L", (1001, 1000)), "PNG"), *UNUSABLE, "too_many_pixels"
    ),
    "as many pixels as accepted": taken(
        encoded(Image.new("L", (1000, 1000), 90), "PNG"), Image.new("L", (9, 9), 90)
    ),
    "gif": refused(encoded(WIDE, "GIF"), *UNSUPPORTED),
    "tiff": refused(encoded(WIDE, "TIFF"), *UNSUPPORTED),
    "bmp": refused(encoded(WIDE, "BMP"), *UNSUPPORTED),
    "eps": refused(encoded(WIDE, "EPS"), *UNSUPPORTED),
    "pdf": refused(encoded(WIDE, "PDF"), *UNSUPPORTED),
    "svg": refused(b"<svg xmlns='http://www.w3.org/2000/svg'/>", *UNSUPPORTED),
    "html": refused(b"<!doctype html><title>No</title>", *UNSUPPORTED),
    "header only": refused(b"\x89PNG\r\n\x1a\n", *UNUSABLE, "corrupt"),
    "jpeg broken off": refused(PHOTO[: len(PHOTO) // 2], *UNUSABLE, "corrupt"),
    "webp broken off": refused(encoded(WIDE, "WEBP", lossless=True)[:-20], *UNUSABLE, "corrupt"),
    "png without pixels": refused(png(30, 30), *UNUSABLE, "corrupt"),
    "jpeg": taken(PHOTO, WIDE),
    "progressive jpeg": taken(encoded(WIDE, "JPEG", progressive=True, quality=95), WIDE),
    "webp": taken(encoded(WIDE, "WEBP", lossless=True), WIDE),
    **{f"turned, orientation {number}": taken(turned(number), WIDE) for number in range(1, 9)},
    "16 bits": taken(*DEEP),
    "alpha, png": taken(encoded(CUT[0], "PNG"), CUT[1]),
    "alpha, webp": taken(encoded(CUT[0], "WEBP", lossless=True, exact=True), CUT[1]),
    "alpha, grey": taken(encoded(CUT[0].convert("LA"), "PNG"), CUT[1].convert("L")),
    "palette": taken(encoded(WIDE.quantize(64), "PNG"), WIDE.quantize(64).convert("RGB")),
    "palette with a hole": taken(
        encoded(CUT[0].quantize(8, Image.Quantize.FASTOCTREE), "PNG"), CUT[1]
    ),
    "black or white": taken(encoded(WIDE.convert("1"), "PNG"), WIDE.convert("1").convert("RGB")),
    "cmyk": taken(encoded(CMYK, "JPEG", quality=95), WIDE),
    "several pictures, mpo": taken(encoded(WIDE, "MPO", quality=95, **MOVING), WIDE),
    "animation, png": taken(encoded(WIDE, "PNG", **MOVING), WIDE),
    "animation, webp": taken(encoded(WIDE, "WEBP", lossless=True, **MOVING), WIDE),
}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_of_the_checklist(through, check_problem, embedder, name):
    row = ROWS[name]
    # The name and the type that a client gives are claims; neither is believed.
    response = through.post("/v1/embed", files={"image": ("photo.jpg", row.data, "image/jpeg")})

    if row.like is None:
        assert check_problem(response, row.status, row.slug).get("reason") == row.reason
    else:
        assert response.status_code == row.status, response.text


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.like is not None])
def test_what_is_accepted_looks_as_its_maker_meant(decoders, name):
    row = ROWS[name]
    seen = decoders.read(row.data, FIT).astype(int)
    meant = FIT.apply(row.like.convert("RGB")).astype(int)

    assert np.abs(seen - meant).mean() < 6


def test_a_see_through_grey_of_16_bits_is_white():
    grey = np.full((8, 8), 1000, np.uint16)
    grey[2:6, 2:6] = 40_000
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", transparency=1000)

    pixels = Preprocessing(size=8).read(file.getvalue())

    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[4, 4].tolist() == [156, 156, 156]


def test_a_damaged_orientation_costs_only_the_turn():
    whole = turned(6)
    at = whole.index(b"MM\0*") if b"MM\0*" in whole else whole.index(b"II*\0")
    damaged = whole[: at + 4] + b"\xff\xff\xff\xff" + whole[at + 8 :]

    assert Preprocessing(size=16).read(damaged).shape == (16, 16, 3)


def test_a_process_that_dies_costs_one_photo(decoders):
    decoders.read(PHOTO, FIT)  # so that one runs
    worker = decoders.free.get()
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    decoders.free.put(worker)

    with pytest.raises(ImageError, match="made its decoder fail") as lost:
        decoders.read(PHOTO, FIT)

    assert lost.value.reason == "corrupt"
    assert decoders.read(PHOTO, FIT).shape == (32, 32, 3)


def test_a_photo_that_takes_too_long_is_given_up(decoders):
    decoders.read(PHOTO, FIT)
    worker = decoders.free.get()
    os.kill(worker.process.pid, signal.SIGSTOP)  # as slow as can be
    decoders.free.put(worker)
    decoders.timeout, before = 0.2, decoders.timeout
    started = time.monotonic()

    with pytest.raises(ImageError, match=r"not be decoded within 0\.2 s") as late:
        decoders.read(PHOTO, FIT)

    decoders.timeout = before
    assert late.value.reason == "too_slow"
    assert time.monotonic() - started < 10
    assert decoders.read(PHOTO, FIT).shape == (32, 32, 3)


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads the limits in /proc")
def test_a_process_may_not_take_all_memory(decoders):
    decoders.read(PHOTO, FIT)
    worker = decoders.free.get()
    told = Path(f"/proc/{worker.process.pid}/limits").read_text("ascii").splitlines()
    limits = {line[:25].strip(): line[25:].split() for line in told}
    decoders.free.put(worker)

    assert limits["Max address space"][0] == str((512 << 20) + 24 * MAX_PIXELS)
    assert limits["Max file size"][0] == "0"
    assert limits["Max core file size"][0] == "0"


def test_a_process_that_was_warmed_decodes_the_first_photo():
    made = Decoders(max_pixels=MAX_PIXELS, count=2, timeout=20.0)
    started = []
    start = made.start
    made.start = lambda: started.append(start()) or started[-1]
    made.warm()
    assert len(started) == 1
    made.warm()
    made.read(encoded(scene(), "PNG"), FIT)
    made.close()
    assert len(started) == 1
    assert started[0].process.returncode == 0


def test_photos_wait_for_a_free_process(decoders):
    with ThreadPoolExecutor(4) as threads:
        shapes = threads.map(lambda _: decoders.read(PHOTO, FIT).shape, range(12))

    assert set(shapes) == {(32, 32, 3)}


def test_processes_end_with_the_service(serve):
    client = serve(decoders=1)
    assert client.post("/v1/embed", content=PHOTO).status_code == 200
    state = client.app.state.niteru
    worker = state.decoders.free.queue[0]
    assert worker.process.poll() is None

    state.decoders.close()
    state.decoders = None

    assert worker.process.returncode == 0


def test_damaged_uploads_never_fail_a_server_on_a_socket():
    result = soak(120, seconds=30.0, seed=1, decoders=1, threads=2)

    assert result["found"]
    assert not result["failed"]
    assert result["sent"] >= 60
    assert set(result["statuses"]) <= {"200", "400", "413", "415", "422"}
    assert result["grown"] < GROWTH_BYTES
