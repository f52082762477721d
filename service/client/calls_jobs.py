"""Calls about jobs, of which indexing the catalogue is one."""

from functools import partial

from service.client.calls import JSON, Call, given, segment
from service.client.reading import read_as, read_jobs, read_result
from service.client.results import IndexReport, Job
from service.client.results_collect import CollectReport
from service.client.results_models import Drawing, Likelihoods


def reindex(
    *,
    prune: bool | None = None,
    weights: str | None = None,
    recall: float | None = None,
    memory: int | str | None = None,
) -> Call[Job]:
    """Let the server index its catalogue again, as a job; ``wait`` for it, or follow its events.

    Args:
        prune: Delete items that the catalogue has no more.
        weights: Name of other weights to index with, to which the server goes over.
        recall: The recall@10 that the index has to reach, from now on, .5 to 1.
        memory: What it may take from now on: bytes, or such as ``2GB``; ``any`` for any number.
    """
    return Call(
        method="POST",
        path="/v1/reindex",
        read=partial(read_as, Job),
        json=given(prune=prune, weights=weights, recall=recall, memory=memory),
    )


def collect(
    *, keep: int | None = None, unfinished: bool | None = None, dry_run: bool | None = None
) -> Call[Job]:
    """Let the server remove what no index needs any more, as a job.

    Args:
        keep: Newest indexes to leave for going back to.
        unfinished: Also remove vectors of weights of which nothing was ever published.
        dry_run: Remove nothing: the job's result tells what would go.
    """
    return Call(
        method="POST",
        path="/v1/generations/collect",
        read=partial(read_as, Job),
        json=given(keep=keep, unfinished=unfinished, dry_run=dry_run),
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


def result(job_id: str) -> Call[Drawing | Likelihoods | IndexReport | CollectReport]:
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
