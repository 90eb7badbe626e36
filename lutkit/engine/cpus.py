"""The number of CPUs for this process."""

import os


def cpu_count() -> int:
    """Return how many CPUs this process may use, at least 1; if the system tells, those it is bound to."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
