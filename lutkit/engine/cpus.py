"""How many CPUs there are for this process."""

import os


def cpu_count() -> int:
    """How many CPUs this process may use, at least 1: where the system says so, those it is bound to."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
