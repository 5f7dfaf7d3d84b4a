"""Pictures as files: the page's own, whole without it, and nothing of a name that acts."""

import re
import struct
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from forbear.analysis.evidence import evidence_of
from forbear.cli.main import run as forbear
from forbear.outcomes.paired import PairedOutcomes
from forbear.report import pictures
from forbear.report.html import pilot_html
from forbear.report.picture_files import picture_svg, why_no_png, write_pictures
from forbear.report.pilot_view import pilot_view
from forbear.report.view import decision_view
from forbear.stats.decision import decide_arms
from runner.pilots import ALL_ARMS, plan, run

HOSTILE = '../../<script>alert(1)</script>&amp;\x1b[31m\u202e\ud800"onload=]]>'
SVG = "{http://www.w3.org/2000/svg}"
PAIRS = PairedOutcomes(both_fail=35, recovered=7, disrupted=11, both_succeed=47)


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pilot") / "mine"
    run(plan(ALL_ARMS[:3], n=40), directory)
    return directory


@pytest.fixture(scope="module")
def view(journal):
    from forbear.analysis.result import analyse_journal
    from forbear.records.journal import Journal

    result = analyse_journal(Journal(journal))
    return pilot_view(result, evidence_of(result), title="Pilot mine", journal="mine")


def plain(markup):
    return re.sub(r"\s+", " ", re.sub(r'<line id="[^>]*>', "", markup)).strip()


def test_a_file_shows_what_the_page_shows(view):
    page, shown = plain(pilot_html(view)), list(pictures.pilot_pictures(view))
    assert {picture.kind for _, picture in shown} >= {
        *("flow", "gain", "break-even", "sources", "advantage", "path"),
        *("doings", "ceilings", "offline", "roc", "reliability"),
    }
    for _, picture in shown:
        assert plain(picture.body) in page
        assert plain(picture.body) in plain(picture_svg(picture))


def test_a_file_needs_nothing_else(view):
    for _, picture in pictures.pilot_pictures(view):
        text = picture_svg(picture, note="Pilot mine: plan 0123")
        root = ElementTree.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert root.find(f"{SVG}title").text == picture.title
        assert picture.says in root.find(f"{SVG}desc").text
        words = " ".join(one.text or "" for one in root.iter(f"{SVG}text"))
        assert all(word in words for word in (*picture.caption.split(), "0123"))
        assert not re.search(r"var\(|url\(|href|http(?!://www\.w3\.org/2000/svg)", text)
        # Every class that it uses has a colour of its own there.
        classes = {name for one in root.iter() for name in one.get("class", "").split()}
        assert all(f".{name} {{" in root.find(f"{SVG}style").text for name in classes)
        assert float(root.get("height")) > picture.high


def test_names_of_strangers_are_text_in_files_and_no_path(tmp_path):
    shown = pictures.decision_pictures(
        decision_view(decide_arms({HOSTILE: PAIRS, HOSTILE + "2": PAIRS}), baseline=HOSTILE), {}
    )
    files = write_pictures(tmp_path / "new" / "folder", shown, note=HOSTILE)
    assert {file.parent for file in files} == {tmp_path / "new" / "folder"}
    assert len({file.name for file in files if file.suffix == ".svg"}) == 4
    assert all(re.fullmatch(r"[a-z0-9-]+\.(svg|png)", file.name) for file in files)
    for file in files:
        if file.suffix == ".svg":
            root = ElementTree.fromstring(file.read_bytes())
            assert {one.tag.removeprefix(SVG) for one in root.iter()} <= (
                {"svg", "title", "desc", "style", "rect", "text", "g", "path", "line", "circle"}
            )
            assert "\u202e" not in file.read_text("utf-8")


@pytest.mark.skipif(why_no_png() is not None, reason=why_no_png() or "")
def test_png_is_twice_as_large(view, tmp_path):
    _, picture = next(pictures.pilot_pictures(view))
    svg, png = write_pictures(tmp_path, [("", picture)])
    root, content = ElementTree.fromstring(svg.read_bytes()), png.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == tuple(round(2 * float(root.get(end))) for end in ("width", "height"))


def test_a_report_writes_its_pictures_and_so_does_a_decision(journal, view, tmp_path, capfd):
    made = tmp_path / "made"
    assert forbear(["report", str(journal), "-o", str(tmp_path / "r.html"), "--charts", str(made)]) == 0
    assert str(made) in capfd.readouterr().out
    assert len(list(made.glob("*.svg"))) == len(list(pictures.pilot_pictures(view)))
    assert forbear(["decide", "--counts", "35,7,11,47", "--charts", str(tmp_path / "decided"), "--json"]) == 0
    assert str(tmp_path / "decided") in capfd.readouterr().err
    assert {file.stem for file in (tmp_path / "decided").glob("*.svg")} == (
        {f"1-treated-{kind}" for kind in ("flow", "gain", "break-even")}
    )
    (tmp_path / "file").write_text("")
    assert forbear(["decide", "--counts", "35,7,11,47", "--charts", str(tmp_path / "file")]) == 3
    assert "the pictures cannot be written" in capfd.readouterr().err


def test_without_the_extra_there_are_svg_files_and_the_command_that_fixes_it(tmp_path):
    script = "import sys; sys.modules['resvg_py'] = None; from forbear.cli.main import run; sys.exit(run(sys.argv[1:]))"
    ran = subprocess.run(
        [sys.executable, "-c", script, "decide", "--counts", "35,7,11,47", "--charts", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install 'forbear[charts]'" in ran.stderr
    assert {file.suffix for file in tmp_path.iterdir()} == {".svg"}
