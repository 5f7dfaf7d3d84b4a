"""The viewer's pages: a list of journals, how far each is, its report, its episodes, two arms of a task side by side.

Read-only: it answers GET and HEAD, runs nothing, and reads what lies below one folder. Whatever journals say is escaped
by the template engine; pages load nothing from elsewhere.
"""

import hmac
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, PackageLoader
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from forbear.analysis.evidence import evidence_of
from forbear.analysis.monitor import monitor_of
from forbear.analysis.plan_record import PlanRecord
from forbear.analysis.result import analyse
from forbear.errors import ForbearError
from forbear.records.content import JournalContent
from forbear.records.model import Episode
from forbear.report.engine import asset
from forbear.report.html import environment, pilot_html
from forbear.report.pilot_view import pilot_view
from forbear.report.sections.forks import parts, side
from forbear.web.journals import OUTCOMES, Found, Journals, Opened
from forbear.wording import counted

PAGE = 100
"""Episodes of a list."""
MOST_STEPS = 500
"""Of an episode's page."""
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'"
)

Handler = Callable[[Request], Awaitable[Response]]


def make_app(root: Path, *, hosts: frozenset[str], token: str | None = None) -> Starlette:
    """The application.

    Args:
        root: The folder whose journals are shown.
        hosts: What a request's Host may say, with its port: others are refused, so that no page elsewhere can have its
            own name lead here (DNS rebinding).
        token: What a visitor has to bring, once, as `?token=`; None: nothing.
    """
    viewer = _Viewer(Journals(root))
    routes = [
        Route("/", viewer.index),
        Route("/assets/{name}", _asset),
        Route("/journal/{name:path}/report", viewer.report),
        Route("/journal/{name:path}/status", viewer.status),
        Route("/journal/{name:path}/episode", viewer.episode),
        Route("/journal/{name:path}/", viewer.journal),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _not_there, ForbearError: _unreadable})
    app.add_middleware(BaseHTTPMiddleware, dispatch=_gate(hosts, token))
    return app


def _gate(hosts: frozenset[str], token: str | None) -> Any:
    async def dispatch(request: Request, follow: Handler) -> Response:
        if request.headers.get("host", "").lower() not in hosts:
            return PlainTextResponse("This viewer is not served under that name.", status_code=421)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Read-only.", status_code=405, headers={"Allow": "GET, HEAD"})
        if token is not None:
            brought = request.query_params.get("token")
            if brought is not None and hmac.compare_digest(brought.encode(), token.encode()):
                response: Response = RedirectResponse(request.url.remove_query_params("token").path, status_code=303)
                response.set_cookie("forbear-token", token, httponly=True, samesite="strict")
                return response
            if not hmac.compare_digest(request.cookies.get("forbear-token", "").encode(), token.encode()):
                return PlainTextResponse("Open the address that forbear serve printed, with its token.", 403)
        response = await follow(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    return dispatch


class _Viewer:
    """The pages. Reading blocks, so that Starlette runs them in threads: they are no coroutines."""

    def __init__(self, journals: Journals) -> None:
        self._journals = journals

    def index(self, request: Request) -> Response:
        rows = []
        for found in self._journals.found():
            row: dict[str, Any] = {"found": found, "ago": _ago(found.changed), "plan": None, "problem": None}
            try:
                plan = self._journals.planned(found)
                row |= {"plan": plan, "planned": plan.tasks * plan.seeds * len(plan.arms)}
            except ForbearError as error:
                row["problem"] = str(error)
            rows.append(row)
        return _page("index.html", rows=rows)

    def journal(self, request: Request) -> Response:
        found, opened = self._opened(request)
        if opened is None:
            return _not_there(request)
        asked = {name: request.query_params.get(name, "")[:200] for name in ("arm", "outcome", "words")}
        fitting = list(opened.episodes(**asked))
        begin = max(0, _number(request.query_params.get("from"))) // PAGE * PAGE
        return _page(
            "journal.html",
            found=found,
            plan=opened.plan,
            status=_status(opened),
            asked=asked,
            outcomes=[name for value, name in OUTCOMES.items() if value is not None],
            shown=[_row(episode) for episode in fitting[begin : begin + PAGE]],
            begin=begin,
            fitting=len(fitting),
            page=PAGE,
        )

    def status(self, request: Request) -> Response:
        _, opened = self._opened(request)
        return _not_there(request) if opened is None else PlainTextResponse("\n".join(_status(opened)))

    def report(self, request: Request) -> Response:
        found, opened = self._opened(request)
        if found is None or opened is None:
            return _not_there(request)
        name = found.name

        def made(plan: PlanRecord, content: JournalContent) -> str:
            result = analyse(plan, content)
            return pilot_html(pilot_view(result, evidence_of(result), title=f"Pilot {name}", journal=name))

        page = opened.report("report", made)
        # The page says itself what may run in it, by its hash.
        return HTMLResponse(page, headers={"Content-Security-Policy": "frame-ancestors 'none'"})

    def episode(self, request: Request) -> Response:
        found, opened = self._opened(request)
        if opened is None:
            return _not_there(request)
        task, arm = request.query_params.get("task", ""), request.query_params.get("arm", "")
        seed = _number(request.query_params.get("seed"))
        one = opened.content.episodes.get((task, seed, arm))
        if one is None:
            return _not_there(request)
        beside = request.query_params.get("beside", opened.plan.baseline_arm)
        other = opened.content.episodes.get((task, seed, beside)) if beside != arm else None
        chosen = [other, one] if other is not None else [one]
        place = parts(*chosen) if len(chosen) == 2 else None
        return _page(
            "episode.html",
            found=found,
            task=task,
            seed=seed,
            arm=arm,
            others=[name for name in opened.plan.arms if (task, seed, name) in opened.content.episodes],
            beside=None if other is None else beside,
            parts=place,
            sides=[(each.arm, side(each, critic=_critic(opened, each), most=MOST_STEPS)) for each in chosen],
        )

    def _opened(self, request: Request) -> tuple[Found | None, Opened | None]:
        found = self._journals.find(request.path_params["name"])
        return found, None if found is None else self._journals.open(found)


def _critic(opened: Opened, episode: Episode) -> str | None:
    return opened.plan.arms[episode.arm].critic


def _row(episode: Episode) -> dict[str, Any]:
    return {
        "task": episode.task.id,
        "seed": episode.seed,
        "arm": episode.arm,
        "outcome": OUTCOMES[episode.success],
        "steps": len(episode.steps),
        "interventions": episode.interventions,
    }


def _status(opened: Opened) -> list[str]:
    """How far a pilot is, a line an arm."""
    return opened.report("status", _far).splitlines()


def _far(plan: PlanRecord, content: JournalContent) -> str:
    monitor, planned = monitor_of(plan, content), len(plan.tasks) * len(plan.seeds)
    lines = [f"{'over' if monitor.over else 'evidence'}: the first {monitor.tasks:,} of {len(plan.tasks):,} tasks"]
    by_arm = Counter(arm for _, _, arm in content.episodes)
    for arm in plan.arms:
        done = by_arm[arm]
        end = monitor.ends.get(arm)
        lines.append(
            f"{arm}: {done:,} of {planned:,} episodes"
            + (f"; ended after {end.tasks:,} tasks" if end is not None else "")
        )
    return "\n".join(lines)


def _ago(changed: float) -> str:
    """How long ago something was written."""
    seconds = max(0.0, time.time() - changed)
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return f"{counted(int(seconds // size), unit)} ago"
    return f"{counted(int(seconds), 'second')} ago"


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.lstrip("-").isdecimal() and len(text) < 19 else 0


def _page(name: str, *, status_code: int = 200, **values: Any) -> Response:
    return HTMLResponse(_TEMPLATES.get_template(name).render(**values), status_code=status_code)


async def _asset(request: Request) -> Response:
    kinds = {"page.css": "text/css", "follow.js": "text/javascript"}
    name = request.path_params["name"]
    if name not in kinds:
        return _not_there(request)
    text = asset(name) if name == "page.css" else _FOLLOW
    return Response(text, media_type=kinds[name])


def _not_there(request: Request, _: Exception | None = None) -> Response:
    return _page("problem.html", status_code=404, problem="There is nothing of that name here.")


def _unreadable(request: Request, error: Exception) -> Response:
    return _page("problem.html", status_code=409, problem=str(error))


_TEMPLATES = environment(ChoiceLoader([PackageLoader("forbear.web"), PackageLoader("forbear.report")]))
_FOLLOW = (Path(__file__).parent / "templates" / "follow.js").read_text("utf-8")
