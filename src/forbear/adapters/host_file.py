"""A pilot file with a `[host]`: forbear says what to run and decides, the host runs it.

An arm is the host's own, in its words, or a policy that forbear applies where the host's model is called.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forbear.adapters.logged import logged_of
from forbear.adapters.models import Models, prices_of
from forbear.adapters.pilot_file import MAX_BYTES, arms_of, looks_of, tasks_of
from forbear.adapters.toml_section import Section, option_kinds
from forbear.errors import InvalidInput
from forbear.models.prices import Prices
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.codec import config_digest
from forbear.runner.host_plan import HostArm, HostPlan
from forbear.runner.order import DEFAULT_SEEDS
from forbear.stats.rule import DecisionRule
from forbear.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFile:
    """What such a file describes."""

    path: Path
    plan: HostPlan
    policies: Mapping[str, InterventionPolicy]
    """By arm, where the file names an intervention: what `forbear proxy` applies."""
    prices: Prices
    """What models cost."""
    retries: int
    """How often an episode that the outside world broke is asked for again."""
    outage_after: int
    """So many episodes in a row without outcome are an outage."""
    lease_s: float
    """After so many seconds an assignment that nobody told of is given out again."""


def is_host_file(path: str | Path) -> bool:
    """Whether a pilot file has a `[host]`; False also where it cannot be read, which its reader will say.

    Args:
        path: The TOML file.
    """
    try:
        return "host" in Section.of_file(Path(path), limit=MAX_BYTES).table
    except (OSError, InvalidInput):
        return False


def read_host_file(path: str | Path) -> HostFile:
    """Reads a pilot that its host runs.

    Args:
        path: The TOML file, at most 1 MiB; tasks lie relative to it.

    Raises:
        InvalidInput: The file or a key cannot be used; the message names the key and the line.
    """
    file = Path(path)
    name = shown(str(file), limit=200)
    try:
        top = Section.of_file(file, limit=MAX_BYTES)
    except OSError as error:
        raise InvalidInput(f"{name}: cannot be read ({error.strerror}).") from None
    if "host" not in top.table:
        raise InvalidInput(
            f"{name}: it has no [host], so forbear runs this pilot itself: forbear pilot run {name}. A pilot that is "
            "asked and told has a table [host], which says what the host runs, instead of agent and environment."
        )
    host, tasks = top.take("host", dict), top.section("tasks")
    run, rule = top.section("run", optional=True), top.section("rule", optional=True)
    top.guard("host", make=lambda: config_digest(host))
    arms, policies = _arms(top, run, file.parent)
    given = tasks_of(tasks, file.parent)
    looks = looks_of(run, len(given))
    options = run.take_all(option_kinds(HostPlan, skip=("tasks", "arms", "host", "rule", "looks", "logged")))
    logged = logged_of(top, file.parent, seeds=options.get("seeds", DEFAULT_SEEDS))
    decision = rule.guard(make=lambda: DecisionRule(**rule.take_all(option_kinds(DecisionRule))))
    described = HostFile(
        path=file,
        plan=top.guard(
            make=lambda: HostPlan(
                tasks=given, arms=arms, host=host, looks=looks, rule=decision, logged=logged, **options
            )
        ),
        policies=policies,
        prices=prices_of(top),
        retries=run.count("retries", default=2, least=0),
        outage_after=run.count("outage_after", default=20, least=1),
        lease_s=_seconds(run, "lease_s", default=3600.0),
    )
    for section in (top, run, rule):
        section.close()
    return described


def _arms(top: Section, run: Section, folder: Path) -> tuple[list[HostArm], dict[str, InterventionPolicy]]:
    sections = top.sections("arm")
    if not sections:
        raise top.error(message="at least one [[arm]] is needed; the baseline is there of itself")
    if not any("intervention" in section.table for section in sections):
        return [_arm(section) for section in sections], {}
    made = arms_of(top, run, Models.of(top, folder), folder)
    policies = {arm.name: arm.policy for arm in made if arm.policy is not None}
    return [_applied(arm, top) for arm in made], policies


def _applied(arm: Arm, top: Section) -> HostArm:
    """An arm that forbear applies: its config is the policy's."""
    if arm.policy is None:
        raise top.error("arm", message=f"'{shown(arm.name)}' is a rerun, which [run] rerun = true makes here")
    if arm.in_ladder:
        raise top.error("arm", message=f"'{shown(arm.name)}' is in a ladder, and pilots that their host runs have none")
    return HostArm(arm.name, config=arm.policy.config(), is_control=arm.is_control)


def _arm(section: Section) -> HostArm:
    name = section.take("name", str)
    options = section.take_all({"config": dict, "is_control": bool})
    section.close()
    return section.guard(make=lambda: HostArm(name, **options))


def _seconds(section: Section, key: str, *, default: float) -> float:
    value = section.take(key, float, default)
    if not 0 < value < 1e12:
        raise section.error(key, message=f"expected a number of seconds above 0, got {value:g}")
    return float(value)
