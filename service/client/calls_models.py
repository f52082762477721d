"""Calls about models of pixels. What is asked for is waited for, however long it takes."""

from collections.abc import Callable, Sequence
from functools import partial

from service.client.calls import JSON, Call, File, PhotoFile, as_texts, body, given, segment, upload
from service.client.reading import read_as, read_models
from service.client.results import Progress
from service.client.results_models import Drawing, Likelihoods, Model

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
    label: int | None = None,
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
        label: Of what class, of weights that were trained with labels.
        weights: Name of the weights; without it, the server's own or the model's first.
        progress: Told how far it is, if it takes longer than a request.

    Raises:
        JobError: It was cancelled, or failed, after the server had taken it on.
    """
    options = given(
        n=n, seed=seed, temperature=temperature, size=size, label=label, weights=weights
    )
    return drawn(name, "samples", options, [], progress)


def completions(
    name: str,
    photo: PhotoFile,
    *,
    rows: int | None = None,
    mask: PhotoFile | None = None,
    label: int | None = None,
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
        label: See ``samples``.
        n: How often.
        seed: See ``samples``.
        temperature: See ``samples``.
        weights: See ``samples``.
        progress: See ``samples``.
    """
    files = [upload("image", photo)] + ([] if mask is None else [upload("mask", mask)])
    options = given(
        rows=rows, label=label, n=n, seed=seed, temperature=temperature, weights=weights
    )
    return drawn(name, "completions", options, files, progress)


def enlargements(
    name: str,
    small: PhotoFile,
    *,
    n: int | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Make a small picture large.

    Args:
        name: Of the model.
        small: As of ``search``; its side is one of the weights' ``enlarges``.
        n: How often.
        seed: See ``samples``.
        temperature: See ``samples``.
        weights: See ``samples``.
        progress: See ``samples``.
    """
    options = given(n=n, seed=seed, temperature=temperature, weights=weights)
    return drawn(name, "enlargements", options, [upload("image", small)], progress)


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


def arithmetic(
    name: str,
    plus: Sequence[PhotoFile | int],
    minus: Sequence[PhotoFile | int] = (),
    *,
    n: int | None = None,
    mean: bool | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Draw a - b + c: photos or seeds that are added and taken away.

    Args:
        name: Of the model.
        plus: Photos as of ``search``, or seeds as ``int``: one more than of ``minus``.
        minus: See ``plus``.
        n: Pictures of the sum.
        mean: See ``reconstructions``.
        seed: See ``samples``.
        temperature: See ``samples``.
        weights: See ``samples``.
        progress: See ``samples``.
    """
    terms = {"plus": plus, "minus": minus}
    seeds = {field: [one for one in some if isinstance(one, int)] for field, some in terms.items()}
    files = [
        upload(field, one)
        for field, some in terms.items()
        for one in some
        if not isinstance(one, int)
    ]
    options = given(**seeds, n=n, mean=mean, seed=seed, temperature=temperature, weights=weights)
    return drawn(name, "arithmetic", options, files, progress)


def frames(
    name: str,
    photos: Sequence[PhotoFile] = (),
    *,
    frames: int | None = None,
    n: int | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Drawing]:
    """Show step by step how a model paints new pictures, or photos again.

    Args:
        name: Of the model.
        photos: As of ``search``; without any, new pictures are painted.
        frames: So many of the steps of each, evenly spaced; without it, all.
        n: New pictures.
        seed: See ``samples``.
        temperature: See ``samples``.
        weights: See ``samples``.
        progress: See ``samples``.
    """
    options = given(frames=frames, n=n, seed=seed, temperature=temperature, weights=weights)
    return drawn(name, "frames", options, [upload("image", photo) for photo in photos], progress)


def likelihoods(
    name: str,
    photos: Sequence[PhotoFile],
    *,
    samples: int | None = None,
    seed: int | None = None,
    weights: str | None = None,
    progress: Told | None = None,
) -> Call[Likelihoods]:
    """Ask how probable photos are, and whether they belong to the catalogue.

    Args:
        name: Of the model.
        photos: As of ``search``.
        samples: Importance samples, where a bound is all that can be computed.
        seed: Of these samples.
        weights: See ``samples``, the call.
        progress: Told how far it is, if it takes longer than a request.
    """
    return Call(
        method="POST",
        path=f"/v1/models/{segment(name)}/likelihoods",
        read=partial(read_as, Likelihoods),
        form=as_texts(given(samples=samples, seed=seed, weights=weights)),
        files=[upload("image", photo) for photo in photos],
        headers={"Accept": JSON},
        waits=True,
        progress=progress,
    )


def drawn(
    name: str,
    kind: str,
    options: dict[str, object],
    files: Sequence[File],
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
