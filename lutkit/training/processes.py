"""The processes of a training on several devices: this program is started again for each but the first.

Owns which of them this process is, and how the others start and end. Must not know what is trained. Loads no
torch on import.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from lutkit.engine.progress import OnProgress, unheard
from lutkit.errors import LutkitError

# Without this mark, LOCAL_RANK may belong to a program that has nothing to do with this training.
_MARK = "LUTKIT_TRAINS_TOGETHER"
_POLL_S, _GRACE_S = 1.0, 10.0
_LOST = b"lutkit: the process of another device has stopped; run the same command again: it continues\n"


def process_number() -> int:
    """Return the number of this process in the training; 0 for the process that the user started."""
    return int(os.environ["LOCAL_RANK"]) if _MARK in os.environ else 0


def heard(on_progress: OnProgress | None) -> OnProgress:
    """Return the function to report to: process 0 reports for all processes."""
    return unheard if on_progress is None or process_number() else on_progress


@contextmanager
def several_processes(count: int) -> Generator[None]:
    """Start this program again for processes 1 to `count` - 1, which run to the end of the same block.

    Their stdout is not shown. Lightning finds the processes by the environment variables of torchrun.

    Args:
        count: the number of processes; with 1, nothing is started.
    Raises:
        LutkitError: if this program is not a file that can be started again.
        SystemExit: at the end of the block, in all processes but process 0.
    """
    if count == 1:
        yield
        return
    import torch
    import torch.distributed

    if process_number():
        yield
        sys.exit()
    command = _own_command(count)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        _MARK: "1", "LOCAL_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in (*shared, "OMP_NUM_THREADS")}
    threads = torch.get_num_threads()
    os.environ.update(shared)
    others: list[subprocess.Popen[bytes]] = []
    over = Event()
    try:
        for rank in range(1, count):
            own = {**os.environ, "LOCAL_RANK": str(rank)}
            others.append(subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL))
        Thread(target=_end_with, args=(others, over), daemon=True).start()
        yield
        over.set()
        for other in others:
            other.wait()
    finally:
        for other in others:
            other.kill()  # after an error they would wait for this process
            other.wait()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        over.set()  # not before: on a GPU, leaving a group whose other processes are dead may hang
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        torch.set_num_threads(threads)


def _own_command(count: int) -> list[str]:
    """Return the command that starts this program again."""
    spec = sys.modules["__main__"].__spec__
    script = Path(sys.argv[0]).absolute()
    if hasattr(sys, "ps1") or (spec is None and not script.is_file()):
        what = f"--devices {count} starts this program again for each device, but it is not a file"
        raise LutkitError(what, remedy="run `lutkit train`, or a script")
    return [sys.executable, *(["-m", spec.name] if spec else [str(script)]), *sys.argv[1:]]


def _end_with(others: list["subprocess.Popen[bytes]"], over: Event) -> None:
    """End this process if another one has failed: on a GPU it would wait for the other one for minutes."""
    while not over.wait(_POLL_S):
        if any(other.poll() for other in others):
            time.sleep(_GRACE_S)  # this process may notice it, and says so
            if not over.is_set():
                os.write(2, _LOST)  # this process may be stuck in torch, and cannot raise an error
                os.kill(os.getpid(), signal.SIGKILL)
