"""Plans, episodes and lines that the tests of the journal share."""

import zlib

from msgspec.structs import replace

from forbear.records.codec import Missing
from forbear.records.model import Action, Episode, Origin, Step, Task, Termination
from forbear.records.planned import plan_digest


def sealed(plan):
    """With the digest that it would have been written with."""
    return {**plan, "digest": plan_digest(plan)}


def plan_of(*tasks, seeds=(1,), arms=("baseline", "rollback"), **more):
    """Of what is being run the journal knows the cells: the rest is any JSON."""
    baseline = {"tasks": [[task, "ü", None] for task in tasks], "seeds": list(seeds)}
    kinds = {arm: {"kind": "baseline"} if arm == "baseline" else {} for arm in arms}
    return sealed({"format": "forbear-plan-2", "baseline": baseline, "arms": kinds, "mine": [1, {"a": None}], **more})


PLAN = plan_of(*[f"t{n}" for n in range(1, 101)])


def episode(task="t1", arm="baseline", *, success=True, termination=Termination.FINISHED, **more):
    step = Step(index=0, observation="door", executed=Action("open"))
    return Episode(task=Task(id=task), arm=arm, seed=1, steps=(step,), termination=termination, success=success, **more)


BROKEN = episode("t2", success=None, termination=Termination.PROVIDER_ERROR, cause="503")
SHARED = replace(episode(arm="rollback"), origin=Origin(arm="baseline", step=None))
LOST = Missing(task_id="t2", seed=1, arm="baseline", reason="503")


def lines_of(journal):
    return journal.directory / "episodes.jsonl"


def written_by_another(journal, body, *, plan=PLAN):
    """A line that is sealed and linked as it should be, whatever it says."""
    before = lines_of(journal).read_bytes()
    root = zlib.crc32(plan["digest"].encode())
    seal = b"%08x" % zlib.crc32(body, root)
    link = zlib.crc32(seal, int(before[-11:-3], 16) if before else root)
    lines_of(journal).write_bytes(before + body + b',"check":"%b%08x"}\n' % (seal, link))
