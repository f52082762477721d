"""Calls about models and jobs. What a model is asked for is waited for, however long it takes."""

from collections.abc import Callable, Sequence
from functools import partial

from service.client.calls import JSON, Call, PhotoFile, body, given, segment, upload
from service.client.reading import read_as, read_jobs, read_models, read_result
from service.client.results import Drawing, IndexReport, Job, Model, Progress

Told = Callable[[Progress], None]


def models() -> Call[tuple[Model, ...]]:
    """List every model with what it can do, its weights and their figures."""
    return Call(method="GET", path="/v1/models", read=read_models, repeatable=True)


def model(name: str) -> Call[Model]:
    """Read one model."""
    return Call(
        method="GET",
        path=f"/v1/models/{segment(name)}",
        read=partial(read_as, Model),
        repeatable=True,
    )


def samples(
    name: str,
    *,
    n: int | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    size: int | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw new pictures.

    Args:
        name: Of the model.
        n: How many.
        seed: The same seed, the same pictures.
        temperature: 1 draws as was learned, less keeps to what is probable.
        size: Their side, of a model whose layers fit any.
        weights: Name of the weights; without it, the server's own or the model's first.
        progress: Told how far it is, if it takes longer than a request.

    Raises:
        JobError: It was cancelled, or failed, after the server had taken it on.
    """
    options = given(n=n, seed=seed, temperature=temperature, size=size, weights=weights)
    return drawn(name, "samples", options, [], progress)


def completions(
    name: str,
    photo: PhotoFile,
    *,
    rows: int | None = None,
    mask: PhotoFile | None = None,
    n: int | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw the rest of a photo.

    Args:
        name: Of the model.
        photo: As of ``search``.
        rows: So many from the top are known; or give a mask.
        mask: A picture that is white where the photo is known.
        n: How often.
        seed: See ``samples``.
        temperature: See ``samples``.
        weights: See ``samples``.
        progress: See ``samples``.
    """
    files = [upload("image", photo)] + ([] if mask is None else [upload("mask", mask)])
    options = given(rows=rows, n=n, seed=seed, temperature=temperature, weights=weights)
    return drawn(name, "completions", options, files, progress)


def reconstructions(
    name: str,
    photos: Sequence[PhotoFile],
    *,
    mean: bool | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw photos again, each from its latent vector alone.

    Args:
        name: Of the model.
        photos: As of ``search``.
        mean: The mean picture of a vector instead of a draw.
        seed: See ``samples``.
        temperature: See ``samples``.
        weights: See ``samples``.
        progress: See ``samples``.
    """
    options = given(mean=mean, seed=seed, temperature=temperature, weights=weights)
    files = [upload("image", photo) for photo in photos]
    return drawn(name, "reconstructions", options, files, progress)


def interpolations(
    name: str,
    photos: Sequence[PhotoFile] = (),
    *,
    seeds: Sequence[int] = (),
    steps: int | None = None,
    mean: bool | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw what lies between two photos, or between two seeds.

    Args:
        name: Of the model.
        photos: Two, as of ``search``; or none and two seeds.
        seeds: Of both ends.
        steps: Pictures, both ends included.
        mean: See ``reconstructions``.
        seed: See ``samples``.
        temperature: See ``samples``.
        weights: See ``samples``.
        progress: See ``samples``.
    """
    options = given(
        seeds=list(seeds), steps=steps, mean=mean, seed=seed, temperature=temperature,
        weights=weights,
    )  # fmt: skip
    files = [upload("image", photo) for photo in photos]
    return drawn(name, "interpolations", options, files, progress)


def drawn(
    name: str,
    kind: str,
    options: dict[str, object],
    files: Sequence[tuple[str, tuple[str, bytes]]],
    progress: Told | None,
) -> Call[Drawing]:
    """A call whose answer is a drawing, at once or from a job."""
    return Call(
        method="POST",
        path=f"/v1/models/{segment(name)}/{kind}",
        read=partial(read_as, Drawing),
        headers={"Accept": JSON},
        waits=True,
        progress=progress,
        **body(options, files),
    )


def reindex(*, prune: bool | None = None) -> Call[Job]:
    """Let the server index its catalogue again, as a job; ``wait`` for it, or follow its events.

    Args:
        prune: Delete items that the catalogue has no more.
    """
    return Call(
        method="POST", path="/v1/reindex", read=partial(read_as, Job), json=given(prune=prune)
    )


def jobs() -> Call[tuple[Job, ...]]:
    """List the jobs that are remembered, newest first."""
    return Call(method="GET", path="/v1/jobs", read=read_jobs, repeatable=True)


def job(job_id: str) -> Call[Job]:
    """Read how far a job is."""
    return Call(method="GET", path=job_path(job_id), read=partial(read_as, Job), repeatable=True)


def cancel(job_id: str) -> Call[Job]:
    """Cancel a job, which ends after its present step; one that has ended is forgotten."""
    return Call(method="DELETE", path=job_path(job_id), read=partial(read_as, Job))


def result(job_id: str) -> Call[Drawing | IndexReport]:
    """Read what a job has made.

    Raises:
        ConflictError: It is not done yet, or was cancelled.
        ProblemError: What it failed with.
    """
    return Call(
        method="GET",
        path=f"{job_path(job_id)}/result",
        read=read_result,
        headers={"Accept": JSON},
        repeatable=True,
    )


def job_path(job_id: str) -> str:
    """The path of a job."""
    return f"/v1/jobs/{segment(job_id)}"
