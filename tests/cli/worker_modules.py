"""The modules of a worker process after it has built a shard; workers import this file by its name."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """A plan, and the folder for its first shard."""

    plan: Any
    folder: Path


def names_after_a_shard(job, _task):
    """Return the loaded modules, by the first part of their names."""
    from lutkit.synthesis.plan import plan_shards
    from lutkit.synthesis.shard import SynthJob, build_shard

    for part in ("shards", "records"):
        (job.folder / part).mkdir()
    plan = job.plan
    synth_job = SynthJob(plan.manifest, plan.photos, plan.members, plan.libraries, job.folder)
    build_shard(synth_job, next(plan_shards(plan.counts)))
    return {name.partition(".")[0] for name in sys.modules}
