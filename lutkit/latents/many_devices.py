"""One command on several devices: a process for each, as torchrun would start them.

Owns their environment and their ends. What they do, and how they share it, is not its matter.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

_POLL_S = 0.2
_GRACE_S = 20.0


def run_on_devices(count: int, threads: int | None) -> int:
    """Run this very command in `count` processes, ranks 0 to `count` - 1, and wait for them.

    Rank 0 writes to the terminal; of the others only what they say on stderr comes through. When one fails,
    the others are stopped.

    Args:
        count: how many.
        threads: of each one's torch; its own choice where None.
    Returns:
        The first exit code that is not 0, or 0.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    if threads is not None:
        shared["OMP_NUM_THREADS"] = str(threads)
    pool: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            command = [sys.executable, "-m", "lutkit", *sys.argv[1:]]
            output = None if rank == 0 else subprocess.DEVNULL
            pool.append(subprocess.Popen(command, env={**os.environ, **shared, **own}, stdout=output))
        return _first_failure(pool)
    finally:
        _end(pool)


def _first_failure(pool: list["subprocess.Popen[bytes]"]) -> int:
    while True:
        codes = [process.poll() for process in pool]
        failed = [code for code in codes if code]
        if failed and codes[0] == 1:
            # Rank 0 says that a latent is missing when all is done: the others are about to end.
            _wait(pool)
        if failed or None not in codes:
            code = (failed or [0])[0]
            return code if code >= 0 else 128 - code
        time.sleep(_POLL_S)


def _wait(pool: list["subprocess.Popen[bytes]"]) -> None:
    end = time.monotonic() + _GRACE_S
    for process in pool:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(end - time.monotonic(), 0.1))


def _end(pool: list["subprocess.Popen[bytes]"]) -> None:
    for process in pool:
        if process.poll() is None:
            process.terminate()
    _wait(pool)
    for process in pool:
        if process.poll() is None:
            process.kill()
            process.wait()
