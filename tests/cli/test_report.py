import json

import pytest

from forbear.cli.main import run as forbear
from runner.pilots import ALL_ARMS, plan, run


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pilot") / "mine"
    run(plan(ALL_ARMS, n=40), directory)
    return directory


def test_a_page_from_a_journal_carries_the_verdicts_of_the_journal(journal, tmp_path, capfd):
    page = tmp_path / "page.html"
    assert forbear(["report", str(journal), "-o", str(page)]) == 0
    assert str(page) in capfd.readouterr().out
    assert forbear(["decide", str(journal), "--json"]) == 0
    from_journal = json.loads(capfd.readouterr().out)
    assert forbear(["decide", str(page), "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == from_journal


def test_a_decision_is_written_as_a_page_that_decide_and_its_gate_read(tmp_path, capfd):
    page = tmp_path / "page.html"
    assert forbear(["decide", "--counts", "40,2,12,46", "--report", str(page), "--gate"]) == 20
    said = capfd.readouterr().out
    assert forbear(["decide", str(page), "--gate"]) == 20
    assert capfd.readouterr().out == said
    text = page.read_text("utf-8")
    assert "FORBEAR" in text
    assert "My deployment fails at" in text
    assert f"<code>forbear decide --counts 40,2,12,46 --report {page} --gate</code>" in text


def test_looks_show_no_gain_elsewhere(tmp_path):
    page = tmp_path / "page.html"
    assert forbear(["decide", "--counts", "14,11,3,22", "--looks", "50,100", "--look", "1", "--report", str(page)]) == 0
    assert "My deployment fails at" not in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("<html></html>", "no verdicts of forbear"),
        ('<script type="application/json" id="forbear-verdicts">{"verdicts": 1}</script>', "cannot be read"),
        ('<script type="application/json" id="forbear-verdicts">[' + "[" * 5000 + "</script>", "cannot be read"),
        ('<script type="application/json" id="forbear-verdicts">{"verdicts": {"a": {}}}</script>', "expected a JSON"),
        ('<script type="application/json" id="forbear-verdicts">{"verdicts": {}, "baseline": "b"}</script>', "no arm"),
    ],
)
def test_other_pages_are_refused(tmp_path, capfd, content, says):
    page = tmp_path / "page.html"
    page.write_text(content)
    assert forbear(["decide", str(page)]) == 2
    assert says in capfd.readouterr().err


def test_options_of_a_table_do_not_go_with_a_page(tmp_path, capfd):
    page = tmp_path / "page.html"
    forbear(["decide", "--counts", "40,2,12,46", "--report", str(page)])
    assert forbear(["decide", str(page), "--margin", "0.1"]) == 2
    assert "--margin does not go with a report" in capfd.readouterr().err


def test_a_page_that_cannot_be_written_costs_no_verdict(tmp_path, capfd):
    assert forbear(["decide", "--counts", "40,2,12,46", "--report", str(tmp_path / "no" / "page.html")]) == 3
    said = capfd.readouterr()
    assert "FORBEAR" in said.out
    assert "cannot be written" in said.err


def test_what_is_no_journal_has_no_report(tmp_path, capfd):
    assert forbear(["report", str(tmp_path)]) == 2
    assert "no readable journal" in capfd.readouterr().err


def test_markdown_is_printed_or_written(journal, tmp_path, capfd):
    assert forbear(["report", str(journal), "--format", "md"]) == 0
    text = capfd.readouterr().out
    assert text.startswith("### forbear: ")
    assert not (journal / "report.html").exists()
    assert forbear(["report", str(journal), "--format", "md", "-o", str(tmp_path / "r.md")]) == 0
    assert (tmp_path / "r.md").read_text("utf-8") == text
    assert "browser" not in capfd.readouterr().out
