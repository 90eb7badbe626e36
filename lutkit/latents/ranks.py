"""Several processes that encode one dataset: which rank each has, and how they agree.

Owns the environment variables that torchrun sets. A single process is rank 0 of 1 and needs no network.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import IO, Any, TypeVar, cast

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
_LAST_LINES = 3

# sysexits.h: an internal error. Python ends a process that an exception stops with 1, as the command ends if
# samples are missing.
CRASHED = os.EX_SOFTWARE
_PROCESS = f"""
import sys, traceback
sys.argv[0] = "lutkit"
try:
    from lutkit.cli import main
    main()
except Exception:
    traceback.print_exc()
    sys.exit({CRASHED})
"""


@dataclass(frozen=True)
class RanksEnded:
    """The end of the processes of a command.

    Args:
        code: 0, or the exit code of the process that failed; for a crash `CRASHED`, or 128 and the signal.
        rank: the process that failed; 0 if none did.
        said: the last lines that it wrote to stderr, joined by ` / `; empty if they went to a terminal.
    """

    code: int
    rank: int = 0
    said: str = ""

    @property
    def crashed(self) -> bool:
        """Whether a process ended in a way that the command does not end in."""
        return self.code not in (0, 1, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM)


class _Stderr(Thread):
    """The stderr of a process, shown as it comes; the last lines are kept."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self.start()

    def run(self) -> None:
        """Read to the end."""
        with self._stream:
            for line in self._stream:
                text = line.decode(errors="replace")
                sys.stderr.write(text)
                # Without the lines in which a traceback underlines code.
                if text.strip(" ^~\n"):
                    self._lines.append(text.strip())

    def last_lines(self) -> str:
        """Wait for the end of the stream and return its last lines."""
        self.join(_GRACE_S)
        return " / ".join(self._lines)


def run_on_devices(count: int, threads: int | None, arguments: list[str]) -> RanksEnded:
    """Run a command of lutkit in `count` processes, ranks 0 to `count` - 1, and wait for them.

    Only rank 0 writes to stdout; the stderr of every rank is shown. If one fails, the others are stopped.

    Args:
        count: the number of processes.
        threads: the torch threads of each process; None leaves the choice to torch.
        arguments: the arguments of the command, after `lutkit`.
    Returns:
        The end of the process that failed; of several, of one that crashed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    if threads is not None:
        shared["OMP_NUM_THREADS"] = str(threads)
    pool: list[subprocess.Popen[bytes]] = []
    stderr: list[_Stderr | None] = []
    try:
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            command = [sys.executable, "-c", _PROCESS, *arguments]
            output = None if rank == 0 else subprocess.DEVNULL
            # Only on a terminal of its own can rank 0 show a bar of its progress.
            errors = None if rank == 0 and sys.stderr.isatty() else subprocess.PIPE
            environment = {**os.environ, **shared, **own}
            pool.append(subprocess.Popen(command, env=environment, stdout=output, stderr=errors))
            stream = pool[-1].stderr
            stderr.append(None if stream is None else _Stderr(stream))
        code, rank = _first_failure(pool)
        heard = stderr[rank]
        return RanksEnded(code, rank, "" if heard is None or code == 0 else heard.last_lines())
    finally:
        _end(pool)
        for shown in filter(None, stderr):
            shown.join(_GRACE_S)


def _first_failure(pool: list["subprocess.Popen[bytes]"]) -> tuple[int, int]:
    """Return the exit code and the rank of the process that failed, once one has or all have ended."""
    while not any(process.poll() for process in pool) and any(process.poll() is None for process in pool):
        time.sleep(_POLL_S)
    if pool[0].returncode == 1:
        # Rank 0 reports missing latents at the very end: the other ranks are about to finish.
        _wait(pool)
    codes = [process.poll() or 0 for process in pool]
    # If a process crashes, others end because of it, with the code of an error.
    failed = [rank for rank, code in enumerate(codes) if code]
    rank = next((rank for rank in failed if codes[rank] not in (1, 2)), failed[0] if failed else 0)
    return (codes[rank] if codes[rank] >= 0 else 128 - codes[rank]), rank


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
