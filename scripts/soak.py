"""Kill `lutkit synth` at random moments, resume it each time, and compare with an undisturbed run.

    python scripts/soak.py --images PHOTOS

Each round starts the same command and waits until it writes a shard, and a little longer. Then it kills the
whole run, only its main process, or one of its workers, with SIGKILL. After every kill each file with a final
name must have the bytes of the undisturbed run. The exit code is 0 if everything is correct, otherwise 1.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LUTKIT = [sys.executable, "-c", "import sys; sys.argv[0] = 'lutkit'; from lutkit.cli import main; main()"]
VICTIMS = ("run", "parent", "worker")
FINISHED = "finished first"
# Only a run that hangs takes so long.
LIMIT_S = 600


@dataclass(frozen=True)
class Soak:
    """A plan: the arguments of `lutkit synth` except --out and --workers; how many kills; their seed."""

    arguments: tuple[str, ...]
    kills: int
    seed: int
    workers: int


def soak(plan: Soak, work: Path, say: Callable[[str], None]) -> list[str]:
    """Kill and resume, and return what was wrong; the list is empty if nothing was.

    Args:
        plan: the plan.
        work: an empty folder: the undisturbed dataset goes to `whole`, the other to `killed`.
        say: called with a text about every kill.
    """
    whole, killed = work / "whole", work / "killed"
    start = time.monotonic()
    finish(plan, whole)
    expected = contents(whole)
    # About as long as a shard takes: some runs are killed before their first shard is finished, some later.
    rounds = -(-len(list(whole.glob("shards/*.tar"))) // plan.workers)
    longest_wait_s = 1.5 * (time.monotonic() - start) / rounds
    wrong: list[str] = []
    rng = random.Random(plan.seed)
    for number in range(1, plan.kills + 1):
        victim = rng.choice(VICTIMS)
        moment = rng.uniform(0, longest_wait_s)
        # Rates differ from run to run: a run that finished first is started again, and killed sooner.
        while (outcome := kill_once(plan, killed, victim, moment)) == FINISHED:
            for path in sorted(killed.glob("shards/*.tar"))[:: rng.choice((1, 2))]:
                path.unlink()
            moment /= 2
        done = len(list(killed.glob("records/*.json")))
        say(f"kill {number} of {plan.kills}: {victim} {outcome}; {done} shards are done")
        wrong += half_written(killed, expected)
    finish(plan, killed)
    found = contents(killed)
    wrong += [f"{name} is missing" for name in expected.keys() - found.keys()]
    wrong += [f"{name} should not be there" for name in found.keys() - expected.keys()]
    wrong += [f"{name} differs" for name in expected.keys() & found.keys() if expected[name] != found[name]]
    return wrong


def finish(plan: Soak, out: Path) -> None:
    """Run the command to its end."""
    subprocess.run(command_of(plan, out), check=True)


def command_of(plan: Soak, out: Path) -> list[str]:
    """Return the command that is run, killed and run again."""
    return [*LUTKIT, "synth", *plan.arguments, "--workers", str(plan.workers), "-q", "--out", str(out)]


def kill_once(plan: Soak, out: Path, victim: str, moment_s: float) -> str:
    """Start a run, kill `victim` some time after it began to write, and return a text about the result."""
    before = set(out.glob("shards/.*.tmp"))
    with subprocess.Popen(
        command_of(plan, out), start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as run:
        deadline = time.monotonic() + LIMIT_S
        while run.poll() is None and set(out.glob("shards/.*.tmp")) <= before:
            if time.monotonic() > deadline:
                os.killpg(run.pid, signal.SIGKILL)
                raise TimeoutError("the run neither wrote nor ended")
            time.sleep(0.005)
        time.sleep(moment_s)
        workers = children(run.pid)
        if run.poll() is not None:
            return FINISHED
        if victim == "run":
            os.killpg(run.pid, signal.SIGKILL)
        elif victim == "parent" or not workers:
            run.kill()
        else:
            os.kill(workers[0], signal.SIGKILL)
        message = run.communicate(timeout=LIMIT_S)[1].strip()
        while any(alive(pid) for pid in workers):
            if time.monotonic() > deadline:
                raise TimeoutError("a worker outlived its run")
            time.sleep(0.005)
        return f"killed {moment_s:.2f} s after its first write" + (f" ({message})" if message else "")


def half_written(folder: Path, expected: dict[str, bytes]) -> list[str]:
    """Return the final names in `shards/` and `records/` whose content is not the expected one."""
    return [
        f"{name} is half written"
        for name, data in contents(folder).items()
        if name.startswith(("shards/", "records/")) and expected.get(name) != data
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file with a final name."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def children(pid: int) -> list[int]:
    """Return the worker processes of a run: those that multiprocessing spawned, not its resource tracker."""
    try:
        found = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid: int) -> bool:
    """Return whether a process runs; a process that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def main() -> int:
    """Parse the arguments, soak, and report the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", default="sample", help="photos, as for lutkit synth")
    parser.add_argument("--n", type=int, default=6000, help="pairs")
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims")
    options = parser.parse_args()
    arguments = ("--images", options.images, "--n", str(options.n), "--size", str(options.size))
    plan = Soak(arguments, options.kills, options.seed, options.workers)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        wrong = soak(plan, Path(work), lambda line: print(line, flush=True))
    for line in wrong:
        print(line)
    spent = time.monotonic() - start
    verdict = f"{len(wrong)} faults" if wrong else "byte-identical to an undisturbed run"
    print(f"{options.kills} kills in {spent:.0f} s, seed {options.seed}: {verdict}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
