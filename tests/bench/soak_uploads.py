"""Sends thousands of damaged uploads to a running server, and checks that it takes no harm.

    python tests/bench/soak_uploads.py --uploads 20000 --seconds 900

Ends with 0 if no answer was a 5xx, memory stayed bounded and a whole photo is found afterwards.
"""

import argparse
import http.client
import io
import json
import logging
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.exact import ExactEngine
from indexer.protocols import Item
from service.app import create_app
from service.settings import Settings

# It warns of every odd byte in a form.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

CLIENTS = 4
MAX_PIXELS = 1_000_000
GROWTH_BYTES = 200 << 20
HEAD = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


def mutate(data, rng):
    """Cut off, flip, repeat, drop or overwrite bytes, once or several times."""
    mutated = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        if not mutated:
            break
        # Half of the time near the start, where the headers are.
        span = len(mutated) if rng.integers(2) else min(len(mutated), 200)
        start = int(rng.integers(span))
        length = int(rng.integers(1, 40))
        match rng.integers(5):
            case 0:
                del mutated[start:]
            case 1:
                mutated[start] ^= 1 << int(rng.integers(8))
            case 2:
                mutated[start:start] = mutated[start : start + length]
            case 3:
                del mutated[start : start + length]
            case _:
                mutated[start : start + length] = rng.bytes(length)
    return bytes(mutated)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def whole_files(rng):
    """One file of every kind that an upload may be, accepted ones and others."""
    photo = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((96, 72))
    frames = [photo, photo.rotate(180)]
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:23 10:00:00"
    grey = (np.asarray(photo.convert("L")).astype(np.uint16) << 8) + 7
    clear = photo.convert("RGBA")
    clear.putalpha(120)
    animated = {"save_all": True, "append_images": frames[1:]}
    return [
        encoded(photo, "JPEG", exif=exif),
        encoded(photo, "JPEG", progressive=True, quality=95),
        encoded(photo.convert("CMYK"), "JPEG"),
        encoded(photo, "MPO", **animated),
        encoded(photo, "PNG", exif=exif),
        encoded(Image.fromarray(grey), "PNG"),
        encoded(clear, "PNG"),
        encoded(photo.quantize(16), "PNG", transparency=3),
        encoded(photo, "PNG", **animated),
        encoded(photo, "WEBP", exif=exif),
        encoded(clear, "WEBP", lossless=True),
        encoded(photo, "WEBP", **animated),
        encoded(photo, "GIF"),
        encoded(photo, "TIFF"),
        b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>",
    ]


class Server:
    """The service on a free port of loopback, in a thread of this process."""

    def __init__(self, **settings):
        embedder = ColourLayoutEmbedder()
        self.photo = whole_files(np.random.default_rng(0))[0]
        vector = embedder.embed(embedder.preprocessing.read(self.photo)[np.newaxis])[0]
        engine = ExactEngine(
            [(Item("one", "one.jpg", "0" * 64, {}), vector)],
            dim=embedder.dim,
            fingerprint=embedder.fingerprint,
            generation="one",
        )
        self.settings = Settings(
            store=Path("none"), max_pixels=MAX_PIXELS, max_upload_bytes=1 << 20, **settings
        )
        self.app = create_app(self.settings, embedder=embedder, engine=engine)
        self.server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_config=None))
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join()


def send(connection, data, content_type):
    """The status and the body of the answer to an upload."""
    headers = {"content-type": content_type}
    connection.request("POST", "/v1/search?limit=1", data, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def memory():
    """Resident bytes of this process and of those that decode for it."""
    pids = {str(os.getpid())}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            said = status.read_text().splitlines()
        except OSError:  # it ended meanwhile
            continue
        if f"PPid:\t{os.getpid()}" in said:
            pids.add(status.parent.name)
    total = 0
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE")
    return total


def soak(uploads, seconds, seed=0, **settings):
    """Send mutated uploads; what came of it.

    Returns:
        ``statuses``, ``sent``, ``seconds``, ``grown`` (bytes since a twentieth was sent), ``found``
        (the answer to a whole photo at the end) and ``failed``, the uploads answered with a 5xx.
    """
    statuses, failed, marks = Counter(), [], []
    started = time.monotonic()
    lock = threading.Lock()

    def client(number):
        rng = np.random.default_rng([seed, number])
        files = whole_files(rng)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for turn in range(number, uploads, CLIENTS):
            if time.monotonic() - started > seconds:
                break
            data, kind = mutate(files[turn % len(files)], rng), "image/jpeg"
            if rng.integers(4) == 0:
                whole = HEAD + files[turn % len(files)] + b"\r\n--b--\r\n"
                data, kind = mutate(whole, rng), "multipart/form-data; boundary=b"
            status, _ = send(connection, data, kind)
            with lock:
                statuses[status] += 1
                if status >= 500:
                    failed.append(data)
                if statuses.total() == max(1, uploads // 20):
                    marks.append(memory())
        connection.close()

    with Server(**settings) as server:
        threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        grown = memory() - marks[0] if marks else 0
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        status, body = send(connection, server.photo, "image/jpeg")
        connection.close()
    found = status == 200 and [item["id"] for item in json.loads(body)["items"]] == ["one"]
    return {
        "sent": statuses.total(),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "seconds": round(time.monotonic() - started, 1),
        "grown": grown,
        "found": found,
        "failed": failed,
    }


def main():
    """Run the soak and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--uploads", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    result = soak(given.uploads, given.seconds, given.seed)
    failed = result.pop("failed")
    for number, data in enumerate(failed[:10]):
        Path(f"failed-{number}.bin").write_bytes(data)
    print(json.dumps(result, indent=2))
    sys.exit(bool(failed) or not result["found"] or result["grown"] > GROWTH_BYTES)


if __name__ == "__main__":
    main()
