"""Joining a Ray cluster, and leaving it: what was begun here is ended here."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray

from indexer.errors import WorkersError

LOOPBACK = "127.0.0.1"
LOCAL = (LOOPBACK, "localhost")
CONNECT_SECONDS = 10.0

logger = logging.getLogger(__name__)


@contextmanager
def connected_later(address: str | None) -> Iterator[Callable[[], None]]:
    """Gives what connects to a cluster when it is called; what it began is ended in the end."""
    begun: list[bool] = []

    def connect() -> None:
        if not ray.is_initialized():
            with signals_kept():
                join(address)
            begun.append(True)

    try:
        yield connect
    finally:
        if begun:
            ray.shutdown()


def join(address: str | None) -> None:
    """Connect to a cluster, or begin one of this machine alone.

    Raises:
        WorkersError: There is none at this address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    address = address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # we have our own
    if address is not None and not answers(address):
        raise WorkersError(
            f"Nothing answers at '{address}', where a Ray cluster should be. Start one with: "
            "ray start --head, or correct RAY_ADDRESS."
        )
    try:
        ray.init(address=address or "auto", **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is not None:
            raise WorkersError(
                f"The Ray cluster at '{address}' cannot be joined: {error}"
            ) from error
        logger.warning("No Ray cluster is running here: the work is done by this machine alone.")
        ray.init("local", include_dashboard=False, _node_ip_address=LOOPBACK, **quiet)


def answers(address: str) -> bool:
    """Whether somebody listens at a host and port; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if "/" in host or not port.isdecimal():  # another kind of address, for Ray to judge
        return True
    # Ray takes this machine's address for the loopback one.
    for name in (host, ray.util.get_node_ip_address()) if host in LOCAL else (host,):
        with suppress(OSError), socket.create_connection((name, int(port)), CONNECT_SECONDS):
            return True
    return False


def processors() -> int:
    """Processors that the cluster has now; one that grows may have none yet."""
    return max(1, int(ray.cluster_resources().get("CPU", 0)))


@contextmanager
def signals_kept() -> Iterator[None]:
    """Leave signals to whom they belong: Ray takes SIGTERM when it connects."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
