"""A decision as Markdown, for the comment of a pull request: the verdicts at once, the reasons folded."""

import re

from forbear.report.view import ArmView, DecisionView
from forbear.stats.verdict import RemarkJson
from forbear.wording import (
    count,
    counted,
    listed,
    percent,
    percent_interval,
    points,
    points_interval,
    pvalue,
    share,
    shown,
)

_MARKS = {"INTERVENE": "✅", "FORBEAR": "🛑", "UNDECIDED": "❔"}
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
    confidence = share(arms[0]["success_gain"]["confidence"], unit=" %")
    lines = [
        f"### forbear: {_title(arms)}",
        "",
        f"| arm | verdict | gain | {confidence} interval | p | recovered | disrupted | pairs | tasks |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_row(arm) for arm in arms),
        "",
        f"Gain in success, treated minus baseline ({markdown(view['baseline'], limit=60)}).",
    ]
    for arm in arms:
        lines += _details(arm, several=len(arms) > 1)
    notes = [remark["text"] for remark in view["understood"]]
    if view["ignored_columns"]:
        notes.append(f"Columns not used: {listed(view['ignored_columns'])}.")
    lines += _bullets("How the files were read", notes)
    return "\n".join(lines) + "\n"


def _title(arms: list[ArmView]) -> str:
    if len(arms) == 1:
        return f"{_MARKS[arms[0]['recommendation']]} {markdown(arms[0]['headline']['text'])}"
    said = [arm["recommendation"] for arm in arms]
    return ", ".join(f"{_MARKS[one]} {said.count(one)} {one}" for one in _MARKS if one in said)


def _row(arm: ArmView) -> str:
    gain = arm["success_gain"]
    cells = [
        markdown(arm["arm"], limit=60),
        f"{_MARKS[arm['recommendation']]} {arm['recommendation']}",
        points(gain["value"]),
        points_interval(gain["low"], gain["high"]),
        pvalue(arm["p_value_gain"]),
        count(arm["recovered"]),
        count(arm["disrupted"]),
        count(arm["pairs"]),
        count(arm["tasks"]),
    ]
    return f"| {' | '.join(cells)} |"


def _details(arm: ArmView, *, several: bool) -> list[str]:
    """What stands behind an arm's verdict, folded; a single arm's cautions are not."""
    name = f"{markdown(arm['arm'], limit=60)}: " if several else ""
    cautions = _texts(arm["cautions"])
    told = _bullets("Cautions", cautions)
    summary = f"{name}{counted(len(cautions), 'caution')}, " if several and cautions else name
    lines = [] if several else told
    lines += ["", "<details>", f"<summary>{summary}why, and what to do</summary>", *(told if several else []), ""]
    lines.append("| rate | | interval | of |")
    lines.append("| --- | ---: | ---: | --- |")
    for rate in arm["rates"]:
        estimate = rate["estimate"]
        value = percent(None if estimate is None else estimate["value"])
        interval = "" if estimate is None else percent_interval(estimate["low"], estimate["high"])
        of = f"{count(rate['k'])} of {count(rate['n'])} {rate['of']}" if rate["k"] is not None else rate["of"]
        lines.append(f"| {markdown(rate['symbol'])} {rate['name']} | {value} | {interval} | {markdown(of)} |")
    for heading, remarks in (("Why", arm["reasons"]), ("Next", arm["next"]), ("How", arm["how"])):
        lines += _bullets(heading, _texts(remarks))
    return [*lines, "", "</details>"]


def _texts(remarks: list[RemarkJson]) -> list[str]:
    return [remark["text"] for remark in remarks]


def _bullets(heading: str, texts: list[str]) -> list[str]:
    return ["", f"{heading}:", "", *(f"- {markdown(text)}" for text in texts)] if texts else []
