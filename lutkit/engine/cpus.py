"""The number of CPUs for this process."""

import os


def cpu_count() -> int:
    """Return how many CPUs this process may use, at least 1; respects its CPU affinity if there is one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
