"""A decision or a pilot as Markdown, for a pull request or a mail: the verdicts at once, the reasons folded."""

import re

from forbear.report.pilot_view import PilotView
from forbear.report.sections import costs
from forbear.report.view import ArmView, DecisionView
from forbear.stats.verdict import RemarkJson
from forbear.wording import (
    amount,
    count,
    counted,
    listed,
    number,
    percent,
    percent_interval,
    points,
    points_interval,
    pvalue,
    share,
    shown,
)

_MARKS = {"INTERVENE": "✅", "FORBEAR": "🛑", "UNDECIDED": "❔"}
_MOST_DETAILS = 30_000
"""Characters of what is folded; a comment on GitHub holds 65,536 in all."""
_MOST_ROWS = 60
"""Arms of a pilot; where there are more, those that are to be switched on come first."""
_MOST_OPEN = 6
"""Arms whose cautions are not folded."""
_SPECIAL = re.compile(r"([\\`*_\[\]#|~<>&$])")
_BEGINS = re.compile(r"^(\d*)([-+=.)])")


def markdown(text: str, *, limit: int = 400) -> str:
    """Hostile text inside of Markdown: one line without markup, HTML, links, or a mention of somebody.

    Args:
        text: Whatever a file or an agent said.
        limit: Characters.
    """
    plain = _BEGINS.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", shown(text, limit=limit).strip()))
    # A blank of no width keeps addresses, @names and issue numbers from becoming links.
    return re.sub(r"(@|://|www|\\#)", "\\1\u200b", plain)


def decision_markdown(view: DecisionView) -> str:
    """Renders a decision: GitHub's Markdown, at most about 4,000 characters an arm.

    Args:
        view: From `decision_view`.
    """
    arms = list(view["verdicts"].values())
    lines = [f"### forbear: {_title(arms)}", "", *_table(arms, baseline=view["baseline"])]
    for arm in arms:
        lines += _details(arm, several=len(arms) > 1)
    notes = [remark["text"] for remark in view["understood"]]
    if view["ignored_columns"]:
        notes.append(f"Columns not used: {listed(view['ignored_columns'])}.")
    lines += _bullets("How the files were read", notes)
    return "\n".join(lines) + "\n"


def pilot_markdown(view: PilotView) -> str:
    """Renders a pilot: what to do, a row an arm, its cautions, what it took, and where it is from.

    Args:
        view: From `pilot_view`.
    """
    chosen = sorted(view["arms"], key=lambda name: view["arms"][name]["verdict"]["recommendation"] != "INTERVENE")
    names = [name for name in view["arms"] if name in set(chosen[:_MOST_ROWS])]
    arms = [view["arms"][name]["verdict"] for name in names]
    left_out = len(view["arms"]) - len(arms)
    said = {arm["recommendation"] for arm in arms} - {"CONTROL"}
    mark = _MARKS["INTERVENE" if "INTERVENE" in said else "FORBEAR" if said == {"FORBEAR"} else "UNDECIDED"]
    tested = [arm for arm in arms if arm["recommendation"] != "CONTROL"]
    lines = [
        f"### forbear: {mark} {markdown(view['overview']['text'])}",
        "",
        *_table(arms, baseline=view["baseline"]["arm"]),
    ]
    for arm in tested[:_MOST_OPEN]:
        lines += ["", f"**{markdown(arm['arm'], limit=60)}** {markdown(arm['headline']['text'])}"]
        lines += _bullets("Next", _texts(arm["next"])) + _bullets("Cautions", _texts(arm["cautions"]))
    lines += ["", *_took(view, names), "", *_method(view)]
    written = 0
    for arm in arms:
        details = _details(arm, several=True, open=arm in tested[:_MOST_OPEN])
        written += sum(map(len, details))
        if written > _MOST_DETAILS:
            left_out += 1
        else:
            lines += details
    if left_out:
        lines += ["", f"More of {counted(left_out, 'arm')} is in the page (`forbear report`)."]
    return "\n".join(lines) + "\n"


def _took(view: PilotView, names: list[str]) -> list[str]:
    """What the arms did and cost, a row each."""
    rows = [(view["baseline"]["arm"], view["baseline"]), *((name, view["arms"][name]) for name in names)]
    priced = any(arm["tokens"] is not None and arm["tokens"]["cost"] is not None for _, arm in rows)
    lines = [
        "| arm | success | interventions per episode | no answer | agent calls | of them new |"
        + (" cost |" if priced else ""),
        "| --- | ---: | ---: | ---: | ---: | ---: |" + (" ---: |" if priced else ""),
    ]
    for name, arm in rows:
        cells = [
            markdown(name, limit=60),
            percent(arm["success"], undefined="-"),
            number(arm["interventions_per_episode"]),
            percent(arm["no_answer_rate"], undefined="-"),
            count(arm["agent_calls"]),
            count(arm["new_calls"]),
            *([amount(None if arm["tokens"] is None else arm["tokens"]["cost"])] if priced else []),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for name in names:
        if (switching := view["arms"][name]["switching_on"]) is not None:
            lines.append(f"- {costs.switched_text(markdown(name, limit=60), switching)}")
    return lines + [f"- {markdown(line)}" for line in costs.calls_text(view["calls"])]


def _method(view: PilotView) -> list[str]:
    """Where it is from: enough to find the plan, and to make it again."""
    of = "" if view["tasks"] == view["planned_tasks"] else f" of {view['planned_tasks']:,} planned"
    runs = counted(view["seeds"], "seed") if view["continuations"] == 1 else f"{view['continuations']} continuations"
    looks = ", ".join(f"{n:,}" for n in view["looks"]["tasks"][:20])
    lines = [
        f"{view['tasks']:,}{of} tasks × {runs}, design {view['design']}, looks declared at {looks} tasks; "
        f"plan `{view['plan_digest'][:12]}`, {markdown(view['made_by'])}. {markdown(view['estimand'])}"
    ]
    if view["command"] is not None:
        lines.append(f"Again: {_code(view['command'])}")
    return lines


def _code(text: str) -> str:
    """Text that is copied as it stands; in code a backslash would not escape, so that a backtick is not let in."""
    plain = shown(text, limit=300)
    return markdown(plain, limit=300) if "`" in plain else f"`{plain}`"


def _table(arms: list[ArmView], *, baseline: str) -> list[str]:
    confidence = share(arms[0]["success_gain"]["confidence"], unit=" %")
    return [
        f"| arm | verdict | gain | {confidence} interval | p | recovered | disrupted | pairs | tasks |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_row(arm) for arm in arms),
        "",
        f"Gain in success, treated minus baseline ({markdown(baseline, limit=60)}).",
    ]


def _title(arms: list[ArmView]) -> str:
    if len(arms) == 1:
        return f"{_MARKS[arms[0]['recommendation']]} {markdown(arms[0]['headline']['text'])}"
    said = [arm["recommendation"] for arm in arms]
    return ", ".join(f"{_MARKS[one]} {said.count(one)} {one}" for one in _MARKS if one in said)


def _row(arm: ArmView) -> str:
    gain = arm["success_gain"]
    cells = [
        markdown(arm["arm"], limit=60),
        f"{_MARKS.get(arm['recommendation'], '·')} {arm['recommendation']}",
        points(gain["value"]),
        points_interval(gain["low"], gain["high"]),
        pvalue(arm["p_value_gain"]),
        count(arm["recovered"]),
        count(arm["disrupted"]),
        count(arm["pairs"]),
        count(arm["tasks"]),
    ]
    return f"| {' | '.join(cells)} |"


def _details(arm: ArmView, *, several: bool, open: bool = False) -> list[str]:
    """What stands behind an arm's verdict, folded; `open`: but for its cautions and what to do, which stand above."""
    name = f"{markdown(arm['arm'], limit=60)}: " if several else ""
    cautions = _texts(arm["cautions"])
    told = [] if open else _bullets("Cautions", cautions)
    summary = f"{name}{counted(len(cautions), 'caution')}, " if several and told else name
    lines = [] if several else told
    what = "why" if open else "why, and what to do"
    lines += ["", "<details>", f"<summary>{summary}{what}</summary>", *(told if several else []), ""]
    lines.append("| rate | | interval | of |")
    lines.append("| --- | ---: | ---: | --- |")
    for rate in arm["rates"]:
        estimate = rate["estimate"]
        value = percent(None if estimate is None else estimate["value"])
        interval = "" if estimate is None else percent_interval(estimate["low"], estimate["high"])
        of = f"{count(rate['k'])} of {count(rate['n'])} {rate['of']}" if rate["k"] is not None else rate["of"]
        lines.append(f"| {markdown(rate['symbol'])} {rate['name']} | {value} | {interval} | {markdown(of)} |")
    for heading, remarks in (("Why", arm["reasons"]), ("Next", [] if open else arm["next"]), ("How", arm["how"])):
        lines += _bullets(heading, _texts(remarks))
    return [*lines, "", "</details>"]


def _texts(remarks: list[RemarkJson]) -> list[str]:
    return [remark["text"] for remark in remarks]


def _bullets(heading: str, texts: list[str]) -> list[str]:
    return ["", f"{heading}:", "", *(f"- {markdown(text)}" for text in texts)] if texts else []
