"""Several processes that encode one dataset: which rank each has, and how they agree.

Owns the environment variables that torchrun sets. A single process is rank 0 of 1 and needs no network.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

from lutkit.errors import LutkitError

_Value = TypeVar("_Value")

# Ranks end at different times, and the slowest may need days. torchrun notices a rank that dies.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of a run.

    Args:
        rank: its number; rank 0 writes everything that belongs to the whole dataset.
        world: the number of processes.
        local: its number on this machine, which is the number of its GPU.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    def agree(self, value: _Value) -> _Value:
        """Return the value that rank 0 passes, on every rank, after all ranks have called this.

        Raises:
            LutkitError: if another rank has stopped.
        """
        if self.world == 1:
            return value
        import torch.distributed

        shared: list[Any] = [value]
        try:
            torch.distributed.broadcast_object_list(shared, src=0)
            torch.distributed.barrier()
        except RuntimeError:
            raise LutkitError("another rank has stopped", remedy="read its error message") from None
        return cast("_Value", shared[0])


ALONE = Ranks()


def join_ranks() -> Ranks:
    """Join the ranks that torchrun or `--devices` started; without them, return a single rank.

    Raises:
        LutkitError: if only some of torchrun's environment variables are set.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return Ranks()
    try:
        rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except (KeyError, ValueError):
        what = "WORLD_SIZE is set, but RANK, WORLD_SIZE and LOCAL_RANK are not all numbers"
        raise LutkitError(what, remedy="start it with torchrun, or unset WORLD_SIZE") from None
    import torch.distributed

    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    return Ranks(rank, world, local)


def leave_ranks(ranks: Ranks) -> None:
    """Leave the group of ranks."""
    if ranks.world > 1:
        import torch.distributed

        torch.distributed.destroy_process_group()


# One command on several devices: one process for each device, started as torchrun does it.


_POLL_S = 0.2
_GRACE_S = 20.0


def run_on_devices(count: int, threads: int | None, arguments: list[str]) -> int:
    """Run a command of lutkit in `count` processes, ranks 0 to `count` - 1, and wait for them.

    Only rank 0 writes to stdout; the stderr of every rank is shown. If one fails, the others are stopped.

    Args:
        count: the number of processes.
        threads: the torch threads of each process; None leaves the choice to torch.
        arguments: the arguments of the command, after `lutkit`.
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
            command = [sys.executable, "-m", "lutkit", *arguments]
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
            # Rank 0 reports missing latents at the very end: the other ranks are about to finish.
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
