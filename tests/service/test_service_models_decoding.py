"""Photos sent to models are decoded by the processes that decode those of searches, too."""

import io
import os
import signal

import numpy as np
import pytest
from PIL import Image

from models.images import ImageError, Preprocessing, read_mask
from service.decoding import DecoderHere, Decoders

JSON = {"accept": "application/json"}
MAX_PIXELS = 1_000_000


@pytest.fixture
def through(drawing):
    """A service in the gallery with one process that decodes."""
    return drawing(decoders=1, decode_timeout=20.0, max_pixels=MAX_PIXELS)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def files(**named):
    return [(field, ("a.png", data)) for field, data in named.items()]


def stop(client, how):
    """Send a signal to the process that decodes, which a first photo has started."""
    decoders = client.app.state.niteru.decoders
    worker = decoders.free.get()
    os.kill(worker.process.pid, how)
    if how == signal.SIGKILL:
        worker.process.wait()
    decoders.free.put(worker)
    return decoders


TOP = np.zeros((120, 160), np.uint8)
TOP[:60] = 255
CALLS = {
    "completions": ("pixelcnn/completions", {"mask": png(TOP)}),
    "reconstructions": ("pixelvae/reconstructions", {}),
    "frames": ("draw/frames", {}),
    "likelihoods": ("pixelcnn/likelihoods", {}),
}


def ask(client, name, photo):
    path, more = CALLS[name]
    return client.post(f"/v1/models/{path}", files=files(image=photo, **more), headers=JSON)


@pytest.mark.parametrize("name", CALLS)
def test_the_answer_is_the_same_as_without_processes(drawing, photos, name):
    answers = [ask(drawing(decoders=number), name, photos["hats/03"]).json() for number in (0, 1)]
    assert answers[0] == answers[1]
    assert answers[0]["fingerprint"]


@pytest.mark.parametrize("name", CALLS)
def test_a_photo_that_ends_its_process_costs_one_answer(through, photos, check_problem, name):
    assert ask(through, name, photos["hats/03"]).status_code == 200
    stop(through, signal.SIGKILL)

    problem = check_problem(ask(through, name, photos["hats/03"]), 422, "unusable-image")

    assert "made its decoder fail" in problem["detail"]
    assert ask(through, name, photos["hats/03"]).status_code == 200


def test_a_photo_that_takes_too_long_is_given_up(through, photos, check_problem):
    assert ask(through, "reconstructions", photos["hats/03"]).status_code == 200
    stop(through, signal.SIGSTOP).timeout = 0.2

    problem = check_problem(
        ask(through, "reconstructions", photos["hats/03"]), 422, "unusable-image"
    )

    assert problem["reason"] == "too_slow"


def test_one_process_reads_for_a_search_and_for_every_model(through, photos):
    """Each fits a photo its own way, one after the other."""
    for name in CALLS:
        assert ask(through, name, photos["hats/03"]).status_code == 200
        assert through.post("/v1/search?limit=1", content=photos["hats/03"]).json()["items"]
    decoders = through.app.state.niteru.decoders
    assert decoders.count == decoders.free.qsize() == 1


def test_the_limit_of_pixels_holds_for_models(drawing, photos, check_problem):
    client = drawing(decoders=1, max_pixels=160 * 120 - 1)
    for name in CALLS:
        problem = check_problem(ask(client, name, photos["hats/03"]), 422, "unusable-image")
        assert problem["reason"] == "too_many_pixels"


def test_a_mask_of_other_proportions_is_a_wrong_request(through, photos, check_problem):
    wide = png(np.zeros((20, 80), np.uint8))
    sent = files(image=photos["hats/03"], mask=wide)

    problem = check_problem(
        through.post("/v1/models/pixelcnn/completions", files=sent), 422, "invalid-request"
    )

    assert "80 x 20 pixels, and the photo 160 x 120" in problem["detail"]
    assert problem["errors"] == [{"field": "mask", "message": "does not fit the photo"}]


@pytest.fixture
def decoders():
    made = Decoders(max_pixels=MAX_PIXELS, count=1, timeout=20.0)
    yield made
    made.close()


@pytest.mark.parametrize("fit", ["pad", "edge", "stretch"])
def test_masks_are_the_same_from_here_and_from_a_process(photos, decoders, fit):
    mask, photo = png(TOP), photos["hats/03"]
    preprocessing = Preprocessing(size=24, fit=fit)

    expected = read_mask(mask, photo, preprocessing)

    assert 0 < expected.mean() < 255
    for decoder in (DecoderHere(MAX_PIXELS), decoders):
        assert np.array_equal(decoder.read_mask(mask, photo, preprocessing), expected)
        with pytest.raises(ImageError, match="damaged"):
            decoder.read_mask(mask[: len(mask) // 2], photo, preprocessing)
