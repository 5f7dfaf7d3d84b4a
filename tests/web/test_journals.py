"""What the viewer keeps in memory: read once and made once for each state of a journal, and no more than it may."""

import os
import time

import pytest

from forbear.web import journals as module
from forbear.web.journals import Journals
from runner.pilots import ALL_ARMS, plan, run


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        run(plan(ALL_ARMS[:2], n=4), tmp_path / name)
    return tmp_path


def made_by(calls):
    def make(plan, content):
        calls.append(len(content.episodes))
        return f"made of {len(content.episodes)}"

    return make


def test_a_report_is_made_once_for_each_state_of_its_journal(folder):
    journals, calls = Journals(folder), []
    lines = (folder / "a" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "a" / "episodes.jsonl").write_bytes(b"".join(lines[:3]))

    def report():
        return journals.open(journals.find("a")).report("report", made_by(calls))

    assert [report(), report(), report()] == ["made of 3"] * 3
    (folder / "a" / "episodes.jsonl").write_bytes(b"".join(lines))
    # A journal that grows is read again once that takes little of the time.
    until = time.monotonic() + 30
    while report() == "made of 3":
        assert time.monotonic() < until
    assert report() == "made of 8"
    assert calls == [3, 8]


def test_what_breaks_is_not_kept(folder):
    opened = Journals(folder).open(Journals(folder).find("a"))
    with pytest.raises(ZeroDivisionError):
        opened.report("report", lambda plan, content: str(1 / 0))
    assert opened.report("report", lambda plan, content: "made") == "made"


def test_memory_is_bounded_in_journals_and_in_their_bytes(folder):
    journals = Journals(folder)
    first = journals.open(journals.find("a"))
    assert journals.open(journals.find("a")) is first
    for number in range(module._KEPT):
        (folder / f"more{number}").mkdir()
        for file in ("plan.json", "episodes.jsonl"):
            os.link(folder / "b" / file, folder / f"more{number}" / file)
        journals.open(journals.find(f"more{number}"))
    assert journals.open(journals.find("a")) is not first
    small = Journals(folder, most_bytes=first.size + 1)
    kept = small.open(small.find("a"))
    assert small.open(small.find("a")) is kept
    small.open(small.find("b"))
    assert small.open(small.find("a")) is not kept
