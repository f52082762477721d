"""Priorities of threads: what takes long goes behind what somebody waits for."""

import os
import sys
from contextlib import suppress


def lower_priority() -> None:
    """Let searches go first: the calling thread, and those it starts, get what they leave.

    On Linux each thread has a policy of its own. A low niceness does not do: such a thread keeps a
    core to the end of its turn, and each of a search's steps would wait for one. It does come
    forward while all cores are busy, since searches wait for one another as well.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may refuse it; then it shares as any other thread
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # 0: the thread that calls
