"""``niteru serve``: a server over a store, with the weights that its index was made with."""

from indexer.runtime import load_embedder
from indexer.weights_at_hand import choose_weights
from service.app import run_server, start_logging
from service.settings import Settings


def run_serve(settings: Settings, *, named: str | None) -> None:
    """Serve until interrupted.

    Args:
        settings: Their weights are the usual ones: of an index that is not there yet.
        named: Weights that the index has to be of; None leaves it to the index.

    Raises:
        models.training.weights.WeightsError: The weights are missing or damaged.
        FingerprintMismatchError: The index was made with others, and cannot be asked with these.
        indexer.errors.IndexerError: The store or its current generation is damaged.
    """
    start_logging(settings.log_format)  # so that the choice is written as all else is
    folder = choose_weights(
        settings.store, settings.engine_choice(), named=named, usual=str(settings.weights)
    )
    embedder = load_embedder(folder, runtime=settings.runtime, threads=settings.embedder_threads)
    run_server(settings.model_copy(update={"weights": str(folder)}), embedder=embedder)
