"""What Prometheus is told: one registry for each application, none for the whole process.

    niteru_requests_total{method, route, status}     answers
    niteru_request_seconds{route}                    from the first byte to the last
    niteru_step_seconds{step}                        receive, decode, queue, embed, search, fetch
    niteru_batch_size                                photos embedded together
    niteru_active_requests                           being worked on
    niteru_items, niteru_items_not_indexed           that can be found; of these, beside the index
    niteru_index_age_seconds                         since the index that answers was begun
    niteru_generation_refused                        1 if a newer index was published and refused

Routes are patterns, never paths, and methods those that are known, so that clients cannot make new
series. Several processes over one
store are several targets: each tells of itself.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from indexer.errors import StoreError
from service.batching import Admission
from service.errors import NotReadyError
from service.searcher import Searcher

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STEPS = ("receive", "decode", "queue", "embed", "search", "fetch")
SECONDS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
NO_ROUTE = "none"
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
OTHER_METHOD = "other"  # a client may make up words
BORN = "%Y%m%dT%H%M%SZ"  # how the id of a generation begins


class Metrics:
    """Counts and times of one application.

    Args:
        searcher: Whose index is told of.
        admission: How many requests are being worked on.
    """

    def __init__(self, searcher: Searcher, admission: Admission) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "niteru_requests", "Answers.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "niteru_request_seconds", "From the first byte of a request to the last of its answer.",
            ("route",), buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.steps = Histogram(
            "niteru_step_seconds", "Steps of a search.", ("step",), buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        # Looking a series up by its labels takes longer than counting in it.
        self.answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.by_step = {step: self.steps.labels(step) for step in STEPS}
        self.batches = Histogram(
            "niteru_batch_size", "Photos that were embedded together.", buckets=BATCHES,
            registry=self.registry,
        )  # fmt: skip
        active = Gauge(
            "niteru_active_requests", "Requests being worked on.", registry=self.registry
        )
        active.set_function(lambda: admission.active)
        self.index = Index(searcher)
        self.registry.register(self.index)

    def note_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count an answer; ``route`` is the pattern that matched, None if none did."""
        pattern = route or NO_ROUTE
        method = method if method in METHODS else OTHER_METHOD
        key = (method, pattern, status)
        if key not in self.answers:
            answered = self.requests.labels(method, pattern, str(status))
            self.answers[key] = answered, self.seconds.labels(pattern)
        answered, took = self.answers[key]
        answered.inc()
        took.observe(seconds)

    def note_steps(self, timings: Mapping[str, float]) -> None:
        """Count the steps of one search, given in milliseconds."""
        for step, taken in self.by_step.items():
            if step in timings:
                taken.observe(timings[step] / 1000)

    def render(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class Index(Collector):
    """What is asked of the index when somebody looks, not before."""

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of the index; those of an index that is not there are left out."""
        with suppress(StoreError):  # of a Milvus server that is away: other counts are told
            self.searcher.refresh()
        refused = float(self.searcher.refused is not None)
        yield GaugeMetricFamily(
            "niteru_generation_refused", "1 if a newer index is refused.", value=refused
        )
        engine = self.searcher.engine
        try:
            items, pending, generation = len(engine), engine.pending, engine.generation
        except (NotReadyError, StoreError):
            return
        yield GaugeMetricFamily("niteru_items", "Items that can be found.", value=items)
        yield GaugeMetricFamily(
            "niteru_items_not_indexed", "Of these, searched beside the index.", value=pending
        )
        born = born_of(generation)
        if born is not None:
            age = (datetime.now(UTC) - born).total_seconds()
            yield GaugeMetricFamily(
                "niteru_index_age_seconds", "Since the index was begun.", value=age
            )


def born_of(generation: str) -> datetime | None:
    """When a generation was begun, by its id; None for one without a time."""
    try:
        return datetime.strptime(generation.partition("-")[0], BORN).replace(tzinfo=UTC)
    except ValueError:
        return None
