"""Priorities of threads: what takes long goes behind what somebody waits for."""

import os
import sys
import threading

NICENESS = 10  # of 19: searches go first, and a busy machine still lets a lane go on


def lower_priority() -> None:
    """Let searches go first; on Linux each thread has a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
