"""`forbear proxy`: a policy in front of a model's endpoint, for agents in any language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from forbear.cli.listening import HOST, TOKEN, listening
from forbear.cli.pilot_options import FILE, JOURNAL, directory_of
from forbear.cli.stopping import stoppable
from forbear.errors import InvalidInput
from forbear.wording import listed, shown

if TYPE_CHECKING:
    from forbear.models.prices import Prices
    from forbear.policy.policy import InterventionPolicy
    from forbear.proxy.episodes import Episodes

_HELP = """Judge an agent in any language by its base URL.

An OpenAI-compatible endpoint (chat completions, streamed or not) in front of
--upstream. The policy is that of PILOT.toml, so that what is piloted is what
is used. What it does with each answer of the model is --mode:

\b
pilot   arms as the pilot assigns them: POST /forbear/ask says what to run and
        its base_url, POST /forbear/tell takes what came of it (needs [host])
apply   --arm everywhere: X-Forbear-Task names an episode, or the base URL
        http://127.0.0.1:8766/episode/TASK/v1
shadow  the same, scored and written to --log, nothing changed

It listens on this machine alone; with another --host clients bring the token
as their API key. The upstream's key is the client's, or that in --key-env; it
is written nowhere.

\b
Examples:
    forbear proxy pilot.toml --upstream https://api.openai.com/v1
    forbear proxy pilot.toml --upstream URL --mode apply --arm drop
    forbear proxy pilot.toml --upstream URL --mode shadow --log seen.jsonl

Needs the extras: pip install 'forbear[serve,llm]'.
Exit codes: 2 bad input, changed plan, a port that is taken, 130 Ctrl-C.
"""


@click.command(help=_HELP, short_help="Judge an agent in any language by its base URL.")
@FILE
@click.option("--upstream", required=True, metavar="URL", help="The model's base URL; ends in /v1, mostly.")
@click.option("--mode", type=click.Choice(["pilot", "apply", "shadow"]), default="pilot", show_default=True)
@click.option("--arm", metavar="NAME", help="Whose policy, with apply and shadow; the only one needs no name.")
@JOURNAL
@click.option("--log", type=click.Path(path_type=Path), metavar="FILE.jsonl", help="Episodes of apply and shadow.")
@HOST
@click.option("--port", type=click.IntRange(0, 65535), default=8766, show_default=True, help="0: any that is free.")
@TOKEN
@click.option("--key-env", metavar="NAME", help="The variable with the upstream's key, instead of the client's.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 86400), default=600.0, show_default=True)
def proxy(
    file: Path,
    upstream: str,
    mode: str,
    arm: str | None,
    journal: Path | None,
    log: Path | None,
    host: str,
    port: int,
    token: str | None,
    key_env: str | None,
    timeout_s: float,
) -> None:
    """Serves until it is stopped."""
    try:
        import uvicorn

        from forbear.proxy.app import make_app
        from forbear.proxy.upstream import Upstream
    except ImportError as error:
        raise InvalidInput(
            f"a proxy needs the extras serve and llm ({error.name or error} is missing): "
            "pip install 'forbear[serve,llm]'."
        ) from None
    behind = Upstream(upstream, key_env=key_env, timeout_s=timeout_s)
    # What is known before anything of somebody else's is imported.
    directory, log = directory_of(file, journal).absolute(), None if log is None else log.absolute()
    if mode == "pilot" and (arm is not None or log is not None):
        raise click.UsageError("--arm and --log go with --mode apply and shadow; a pilot has arms and a journal.")
    if mode != "pilot" and journal is not None:
        raise click.UsageError("--journal goes with --mode pilot; apply and shadow write to --log.")
    with listening(host, port, token) as place:
        if {urlsplit(behind.url).netloc} & place.hosts:
            raise InvalidInput("--upstream is this proxy itself: name the model's own endpoint, or another --port.")
        if mode == "pilot":
            episodes, prices = _pilot(file, directory)
        else:
            episodes, prices = _use(file, arm, mode=mode, log=log)
        app = make_app(episodes, behind, hosts=place.hosts, prices=prices, token=place.token)
        click.echo(f"{place.url}/v1 in front of {shown(behind.url, limit=200)}  (Ctrl-C stops it)")
        if mode == "pilot":
            click.echo(f"what to run: POST {place.url}/forbear/ask")
        if token is None and place.token is not None:
            click.echo(f"clients bring this as their API key: {place.token}")
        config = uvicorn.Config(
            app, log_level="error", access_log=False, lifespan="on", server_header=False, timeout_graceful_shutdown=5
        )
        kept = f"stopped; what was told is kept: forbear decide {directory_of(file, journal)}"
        with stoppable(kept if mode == "pilot" else "stopped"):
            uvicorn.Server(config).run(sockets=[place.socket])


def _pilot(file: Path, directory: Path) -> tuple[Episodes, Prices]:
    from forbear.adapters.frameworks import AT_THE_MODEL
    from forbear.adapters.host_file import read_host_file
    from forbear.proxy.episodes import PilotEpisodes
    from forbear.records.journal import Journal
    from forbear.runner.ask_tell import HostPilot

    described = read_host_file(file)
    bare = [arm.name for arm in described.plan.treated if arm.name not in described.policies]
    if bare:
        raise InvalidInput(
            f"{shown(str(file), limit=200)}: the proxy would do nothing in {listed(bare)}: an [[arm]] names its "
            "intervention and its critic."
        )
    for policy in described.policies.values():
        AT_THE_MODEL.require(policy)
    pilot = HostPilot(
        described.plan,
        Journal(directory),
        retries=described.retries,
        outage_after=described.outage_after,
        lease_s=described.lease_s,
    )
    return PilotEpisodes(pilot, described.policies, prices=described.prices), described.prices


def _use(file: Path, arm: str | None, *, mode: str, log: Path | None) -> tuple[Episodes, Prices]:
    from forbear.adapters.frameworks import AT_THE_MODEL
    from forbear.adapters.toml_section import nearest
    from forbear.proxy.episodes import Episodes

    policies, prices = _policies(file)
    if arm is None and len(policies) == 1:
        arm = next(iter(policies))
    if arm is None or arm not in policies:
        known = f"it has {listed(policies)}" if policies else "it has none that names an intervention"
        named = "say which arm (--arm)" if arm is None else f"no arm '{shown(arm)}'"
        meant = nearest(arm or "", policies) or "."
        raise InvalidInput(f"{shown(str(file), limit=200)}: {named}; {known}{meant}")
    AT_THE_MODEL.require(policies[arm])
    if mode == "shadow":  # the agent is left alone: critics are judged on such runs
        return Episodes(policies[arm], mode="shadow", arm="baseline", prices=prices, log=log), prices
    return Episodes(policies[arm], mode="apply", arm=arm, prices=prices, log=log), prices


def _policies(file: Path) -> tuple[dict[str, InterventionPolicy], Prices]:
    """Of either kind of pilot file, by arm."""
    from forbear.adapters.host_file import is_host_file, read_host_file
    from forbear.adapters.pilot_file import read_pilot_file

    if is_host_file(file):
        hosted = read_host_file(file)
        return dict(hosted.policies), hosted.prices
    described = read_pilot_file(file)
    return {arm.name: arm.policy for arm in described.plan.arms if arm.policy is not None}, described.models.prices
