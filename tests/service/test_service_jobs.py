"""``/v1/jobs`` and ``Prefer``: what takes longer than a request, over HTTP, beside searches."""

import asyncio
import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import models
from service.brush import CHUNK
from service.job import StoppedError
from service.studio import JobWatch

GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"
SCHEMAS = json.loads(GOLDEN.read_text("utf-8"))["components"]["schemas"]
JSON = {"accept": "application/json"}
ASYNC = {"prefer": "respond-async"}


def hold(client):
    """Keep the lane of models at work until the event that is answered is set."""
    begun, done = threading.Event(), threading.Event()

    def work(job):
        begun.set()
        while not done.wait(0.01):
            job.check()
        return Ready()

    job = client.app.state.niteru.jobs.submit("hold", "x", work)
    assert begun.wait(10)
    return job, done


class Ready:
    nbytes = 0


def test_who_would_rather_not_wait_is_answered_with_a_job(artist):
    answer = artist.post("/v1/models/vae/samples", json={"n": 10, "seed": 3}, headers=ASYNC)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["url"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["preference-applied"] == "respond-async"
    assert set(job) == set(SCHEMAS["JobResponse"]["properties"])
    assert (job["kind"], job["subject"]) == ("samples", "vae")
    events = artist.get(job["events"])
    assert events.headers["content-type"].startswith("text/event-stream")
    told = read_events(events.text)
    assert [kind for _, kind, _ in told[:3]] == ["state", "progress", "progress"]
    shown = [data for _, kind, data in told if kind == "picture"]
    assert [data["number"] for data in shown] == list(range(10))
    steps = [data["done"] for _, kind, data in told if kind == "progress" and data["total"]]
    assert steps == [0, CHUNK, 10]
    assert told[-1][1] == "end"
    after = artist.get(job["url"]).json()
    assert after == told[-1][2]
    assert (after["state"], after["done"], after["total"]) == ("done", 10, 10)
    result = artist.get(after["result"], headers=JSON).json()
    at_once = artist.post("/v1/models/vae/samples", json={"n": 10, "seed": 3}, headers=JSON)
    assert result == at_once.json()
    assert [data["picture"] for data in shown] == result["pictures"]
    assert artist.get(after["result"] + "?format=zip").headers["content-type"] == "application/zip"
    listed = artist.get("/v1/jobs").json()["jobs"]
    assert listed == [after]  # what was answered at once has left no job


def read_events(text):
    """Each event as number, kind and data."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def test_a_stream_goes_on_after_the_last_event_that_was_seen(artist):
    job = artist.post("/v1/models/vae/samples?n=2", headers=ASYNC).json()
    whole = read_events(artist.get(job["events"]).text)
    past = artist.get(job["events"], headers={"last-event-id": "9" * 5000})
    assert past.status_code == 200
    rest = artist.get(job["events"], headers={"last-event-id": str(whole[1][0])})
    assert read_events(rest.text) == whole[2:]


def test_what_takes_longer_than_the_wait_is_answered_with_a_job(drawing):
    client = drawing(job_wait=0.05)
    _, done = hold(client)
    late = client.post("/v1/models/vae/samples")
    assert late.status_code == 202
    assert late.json()["state"] == "waiting"
    asked = client.post("/v1/models/vae/samples", headers={"prefer": "wait=0"})
    assert asked.status_code == 202
    done.set()
    patient = client.post("/v1/models/vae/samples", headers={"prefer": "respond-async, wait=15"})
    assert patient.status_code == 200
    assert patient.headers["preference-applied"] == "respond-async, wait=15"


def test_a_job_that_waits_is_cancelled_at_once(artist, check_problem):
    _, done = hold(artist)
    job = artist.post("/v1/models/vae/samples", headers=ASYNC).json()
    problem = check_problem(artist.get(job["url"] + "/result"), 409, "no-result")
    assert "yet" in problem["detail"]
    cancelled = artist.request("DELETE", job["url"]).json()
    assert cancelled["state"] == "cancelled"
    check_problem(artist.get(job["url"] + "/result"), 409, "no-result")
    assert read_events(artist.get(job["events"]).text)[-1][2]["state"] == "cancelled"
    assert artist.request("DELETE", job["url"]).status_code == 200
    check_problem(artist.get(job["url"]), 404, "unknown-job")
    done.set()


def test_a_job_is_cancelled_while_it_draws(artist, monkeypatch):
    """Between two chunks: the first picture has been shown and the last never is."""
    from service import brush  # noqa: PLC0415 - only here

    monkeypatch.setattr(brush, "CHUNK", 1)
    jobs = artist.app.state.niteru.jobs

    async def run():
        answer = await artist.http.post("/v1/models/pixelcnn/samples?n=64", headers=ASYNC)
        job = jobs.get(answer.json()["id"])
        async for event in job.follow():
            if event.kind == "picture":
                await artist.http.delete(answer.json()["url"])
                break
        assert await job.wait(10)
        return job

    job = artist.runner.run(run())
    assert job.state == "cancelled"
    assert job.done < 64


def test_pictures_are_seen_while_they_are_drawn(artist, monkeypatch):
    """Row after row: what is drawn stays, the rest is grey; only the last sight is kept."""
    from service import studio  # noqa: PLC0415 - only here

    monkeypatch.setattr(studio, "BETWEEN_SIGHTS", 0.0)
    jobs = artist.app.state.niteru.jobs

    async def run():
        answer = await artist.http.post("/v1/models/pixelcnn/samples?n=3", headers=ASYNC)
        job = jobs.get(answer.json()["id"])
        return job, [event async for event in job.follow()]

    job, events = artist.runner.run(run())
    sights = [event for event in events if event.kind == "partial"]
    assert sights
    told = artist.get(f"/v1/jobs/{job.id}/result", headers=JSON).json()["pictures"]
    assert sights[-1].data == {"number": 0, "pictures": told}  # after the last row it is whole
    kept = [kind for _, kind, _ in read_events(artist.get(f"/v1/jobs/{job.id}/events").text)]
    assert kept.count("partial") == 1


def test_sights_are_some_time_apart_and_a_cancelled_job_ends_between_rows():
    now, told, made = [0.0], [], []

    class Told:
        stopped = False

        def check(self):
            if self.stopped:
                raise StoppedError

        def sketch(self, data):
            told.append(data)

    job = Told()
    watch = JobWatch(job, clock=lambda: now[0])

    def pictures():
        made.append(now[0])
        return [np.zeros((2, 2, 3), np.uint8)]

    for step in range(20):
        now[0] = 0.1 * step
        watch.partial(8, pictures)
    assert len(told) == len(made) == 7  # of 2 seconds, one every 0.25 at the soonest
    assert told[0]["number"] == 8
    job.stopped = True
    with pytest.raises(StoppedError):
        watch.partial(8, pictures)
    assert len(made) == 7


def test_unknown_jobs_are_refused(artist, check_problem):
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/result")):
        check_problem(artist.request(method, f"/v1/jobs/nothing{path}"), 404, "unknown-job")
    check_problem(artist.get("/v1/jobs/x/result?format=gif"), 422, "invalid-request")


def test_a_full_queue_refuses_and_searches_go_on(drawing, photos, check_problem):
    client = drawing(max_jobs=1)
    _, done = hold(client)
    assert client.post("/v1/models/vae/samples", headers=ASYNC).status_code == 202
    refused = client.post("/v1/models/vae/samples", headers=ASYNC)
    check_problem(refused, 429, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    assert client.post("/v1/search", content=photos["hats/03"]).status_code == 200
    done.set()


def test_a_failed_job_tells_its_problem(artist, check_problem, photos):
    """A binary model meets a photo: that shows only when the work is done."""
    job = artist.post(
        "/v1/models/made/likelihoods", content=photos["hats/03"], headers=ASYNC
    ).json()
    artist.get(job["events"])
    after = artist.get(job["url"]).json()
    assert after["state"] == "failed"
    assert after["problem"]["type"] == "urn:niteru:problem:model-cannot"
    assert after["result"] is None
    check_problem(artist.get(job["url"] + "/result"), 422, "model-cannot")


def test_a_fault_of_the_server_is_told_as_one(artist):
    def break_down(_):
        raise ZeroDivisionError("secret")

    job = artist.app.state.niteru.jobs.submit("broken", "x", break_down)
    artist.get(f"/v1/jobs/{job.id}/events")
    told = artist.get(f"/v1/jobs/{job.id}").json()
    assert told["problem"]["status"] == 500
    assert "secret" not in json.dumps(told)
    assert artist.get(f"/v1/jobs/{job.id}/result").status_code == 500


PATIENT = '''"""A model that draws nothing until it is let."""
import threading
from dataclasses import dataclass

import torch

from models.training.protocols import GenerativeModel
from models.training.recipe import Preset, Recipe

BEGUN, GO = threading.Event(), threading.Event()


@dataclass(frozen=True)
class Config:
    size: int = 4
    channels: int = 3


def presets():
    return {"tiny": Preset(Config(), Recipe(steps=1))}


class Model(GenerativeModel):
    embedding_dim = 3

    def __init__(self, config):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3))

    def players(self):
        return ()

    def sample(self, n, *, generator):
        BEGUN.set()
        assert GO.wait(100)
        return torch.rand(n, 3, 4, 4, generator=generator)

    def embed(self, x):
        return x.mean((2, 3)) * self.scale
'''


@pytest.fixture
def patient(tmp_path, make_weights, monkeypatch):
    """A model, its weights, and the events by which it says that it has begun and is let go on."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "patient.py").write_text(PATIENT)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path / "models")])
    monkeypatch.chdir(tmp_path)
    make_weights(tmp_path / "weights" / "patient", name="patient")
    module = sys.modules["models.patient"]
    yield module
    module.GO.set()
    sys.modules.pop("models.patient", None)


def test_a_search_is_answered_while_pictures_are_drawn(serve, patient, photos):
    """By the order in which they end: the drawing has begun before and is done after it."""
    client = serve(job_wait=100.0, request_timeout=150.0)

    async def run():
        drawn = asyncio.create_task(client.http.post("/v1/models/patient/samples"))
        assert await asyncio.to_thread(patient.BEGUN.wait, 100)
        searches = await asyncio.gather(
            *(client.http.post("/v1/search", content=data) for data in list(photos.values())[:8])
        )
        waited = not drawn.done()
        patient.GO.set()
        return searches, waited, await drawn

    searches, waited, drawn = client.runner.run(run())
    assert {answer.status_code for answer in searches} == {200}
    assert waited
    assert drawn.status_code == 200


def test_calls_at_the_same_time_get_their_own_pictures(artist):
    calls = [
        {"method": "POST", "url": f"/v1/models/{name}/samples?n=2&seed={seed}", "headers": JSON}
        for seed in range(3)
        for name in ("vae", "made", "pixelcnn")  # more than are kept in memory
    ]
    together = [answer.json() for answer in artist.together(calls[:9])]
    for call, told in zip(calls, together, strict=True):
        assert told == artist.post(call["url"], headers=JSON).json()


def test_a_call_waits_no_longer_than_a_request_may(drawing):
    client = drawing(request_timeout=4.0)
    client.get("/v1/models")  # what is imported once would count
    _, done = hold(client)
    late = client.post("/v1/models/vae/samples", headers={"prefer": "wait=20"})
    assert late.status_code == 202
    done.set()


def test_a_call_that_is_given_up_leaves_no_job(artist):
    _, done = hold(artist)
    jobs = artist.app.state.niteru.jobs

    async def run():
        asked = asyncio.create_task(artist.http.post("/v1/models/vae/samples"))
        async with asyncio.timeout(10):
            while len(jobs.newest()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait([asked])

    artist.runner.run(run())
    assert [job.state for job in jobs.newest()] == ["cancelled", "running"]
    done.set()


def test_a_server_without_torch_says_so(artist, check_problem, monkeypatch):
    for name in ("service.model_cards", "models.training.abilities", "models.training.protocols"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    check_problem(artist.post("/v1/models/vae/samples"), 501, "cannot-generate")
