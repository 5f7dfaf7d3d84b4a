"""The report of a pilot that its host ran, without parts of forbear's."""

import pytest

from forbear.analysis.evidence import evidence_of
from forbear.records.journal import Journal
from forbear.records.model import Task
from forbear.report.html import pilot_html
from forbear.report.markdown import pilot_markdown
from forbear.report.pictures import pilot_pictures
from forbear.report.pilot_text import pilot_text
from forbear.report.pilot_view import pilot_json, pilot_view
from forbear.runner.ask_tell import HostPilot
from forbear.runner.host_plan import HostArm, HostPlan


@pytest.mark.slow
def test_it_says_what_every_other_report_says(tmp_path):
    hostile = HostArm("critic", config={"note": "<script>alert(1)</script>\x1b[31m"})
    given = HostPlan(tasks=[Task(id=f"t{n}") for n in range(60)], arms=[hostile, "plain"], looks=(60,))
    with HostPilot(given, Journal(tmp_path)) as pilot:
        while (one := pilot.ask()) is not None:
            pilot.tell(one, one.task.id[-1] in ("02468" if one.runs_as == "baseline" else "024681"))
        result = pilot.result()
    evidence = evidence_of(result)
    view = pilot_view(result, evidence, title="Pilot", journal="here")
    descriptions = {name: arm["description"] for name, arm in view["arms"].items()}
    assert descriptions["critic"].startswith("as its host runs it (note ")
    assert descriptions["plain"] == "as its host runs it"
    assert descriptions["rerun"] == "the agent alone, at another seed"
    html, text, sent = pilot_html(view), pilot_text(view), pilot_markdown(view)
    assert "<script>alert(1)" not in html
    assert "\x1b" not in html + text + sent
    assert "| critic | " in sent
    # Of runs that only their host saw, nobody knows where something was done.
    assert {arm["sources"] for arm in view["arms"].values()} == {None}
    assert {picture.kind for _, picture in pilot_pictures(view)} >= {"flow", "gain", "path", "ceilings"}
    assert '"recovered": 6' in pilot_json(view)
    assert evidence.verdicts["critic"].recommendation.value in text
