"""The pages in a real browser: nothing is loaded, nothing fails, and what it shows is what Python computed."""

import asyncio
import contextlib
import shutil
import struct
import threading
import time

import pytest

from forbear.analysis.evidence import evidence_of
from forbear.analysis.verdicts import decide_pairings
from forbear.cli.brought import from_counts
from forbear.report.html import decision_html, pilot_html
from forbear.report.pilot_view import pilot_view
from forbear.report.view import decision_view
from forbear.stats.rule import DecisionRule
from forbear.testing import CoinFlipAgent
from runner.pilots import ALL_ARMS, order, plan, run
from web.test_app import served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser(paths):  # which runs a pilot: no loop may run in this thread before that
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pilot") / "j"
    result = run(plan(ALL_ARMS[:5], n=40), directory)
    return pilot_view(result, evidence_of(result), title="Pilot mine", journal=str(directory))


@pytest.fixture(scope="module")
def paths(view, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    verdicts = decide_pairings(from_counts("35,7,11,47").pairings, DecisionRule())
    pages = {
        "pilot": pilot_html(view),
        "decision": decision_html(decision_view(verdicts), title="mine", break_even={}),
    }
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


def opened(browser, uri, **options):
    """A page without a network, and whatever it complained of."""
    context = browser.new_context(offline=True, **options)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url != uri else None)
    page.goto(uri)
    return page, complaints


@pytest.mark.parametrize("name", ["pilot", "decision"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_opens_without_a_network_and_everybody_can_read_it(browser, paths, name, width, scheme):
    page, complaints = opened(
        browser, paths[name], viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    taken = {}
    for colours in ("light", "dark", scheme):
        page.emulate_media(color_scheme=colours)
        taken[colours] = page.screenshot()
        assert struct.unpack(">I", taken[colours][16:20]) == (width,)
    assert taken["light"] != taken["dark"]
    assert min(map(len, taken.values())) > 10_000, "nearly nothing is on it"
    if name == "pilot":
        page.locator("#changed summary").first.click()
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    assert complaints == []


def test_the_slider_says_what_python_computed(browser, paths, view):
    page, complaints = opened(browser, paths["pilot"])
    for number, arm in enumerate(view["arms"].values(), 1):
        slider, output = page.locator(f"#arm-{number}-rate"), page.locator(f"#arm-{number} output")
        here = round(100 * arm["verdict"]["failure_rate"]["value"])
        assert output.text_content() == arm["break_even"]["points"][here]["says"]
        for rate in (0, 37, 100):
            slider.fill(str(rate))
            assert output.text_content() == arm["break_even"]["points"][rate]["says"]
    assert complaints == []


def test_changed_tasks_are_filtered_sorted_and_opened(browser, paths, view):
    page, complaints = opened(browser, paths["pilot"])
    forks = {name: arm["forks"] for name, arm in view["arms"].items() if arm["forks"]}
    shown = page.locator("#changed details:visible")
    assert shown.count() == sum(map(len, forks.values()))
    name = next(iter(forks))
    page.select_option("#by-arm", name)
    assert shown.count() == len(forks[name])
    kind = forks[name][0]["kind"]
    page.select_option("#by-kind", kind)
    chosen = [fork for fork in forks[name] if fork["kind"] == kind]
    assert shown.count() == len(chosen)
    assert page.locator("#counted").text_content().startswith(f"{len(chosen)} of ")
    page.select_option("#by-order", "task")
    tasks = [one.get_attribute("data-task") for one in shown.all()]
    assert tasks == sorted((fork["task"] for fork in chosen), key=lambda task: int(task.strip("t")))
    shown.first.locator("summary").click()
    assert shown.first.locator(".side h3").count() == 2
    page.fill("#by-words", "no such word anywhere")
    assert shown.count() == 0
    assert complaints == []


SHEET = 718
"""Pixels between the margins of A4."""
CUT_OFF = """[...document.querySelectorAll("body *:not(svg):not(svg *)")].filter(one =>
    one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline" && one.clientWidth > 0
    || one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 100))"""


@pytest.mark.parametrize("scripts", [True, False])
def test_paper_has_all_that_the_page_has(browser, paths, scripts):
    page, complaints = opened(
        browser, paths["pilot"], java_script_enabled=scripts, viewport={"width": SHEET, "height": 900}
    )
    page.emulate_media(media="print")
    if scripts:
        assert page.pdf(format="A4").startswith(b"%PDF")
        assert page.locator("details:not([open])").count() == 0
        assert page.evaluate(CUT_OFF) == []
    assert page.locator("#changed .side").first.is_visible()
    assert page.locator("#changed .side").last.is_visible()
    assert page.get_by_text("how it was decided, plan").first.is_visible()
    for gone in (".tools:visible", ".slider:visible"):
        assert page.locator(gone).count() == 0
    assert struct.unpack(">I", page.screenshot()[16:20]) == (SHEET,)
    assert complaints == []


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(browser, paths, view):
    page, complaints = opened(browser, paths["pilot"], viewport={"width": 1280, "height": 800})
    stops = []
    for _ in range(200):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            "(at => at.id || at.getAttribute('href') || (at.tagName === 'SUMMARY' ? at.textContent : at.className))"
            "(document.activeElement)"
        )
        if stops and stop == stops[0]:
            break
        stops.append(stop)
    arms = range(1, len(view["arms"]) + 1)
    wanted = [*(f"#arm-{n}" for n in arms), *(f"arm-{n}-rate" for n in arms)]
    wanted += ["by-arm", "by-kind", "by-order", "by-words"]
    assert [stop for stop in stops if stop in wanted] == wanted
    summaries = [one.text_content() for one in page.locator("summary").all()]
    assert [stop for stop in stops if stop in summaries] == summaries
    slider, output = page.locator("#arm-1-rate"), page.locator("#arm-1 output")
    slider.focus()
    page.keyboard.press("Home")
    assert output.text_content() == next(iter(view["arms"].values()))["break_even"]["points"][0]["says"]
    page.keyboard.press("ArrowRight")
    assert output.text_content() == next(iter(view["arms"].values()))["break_even"]["points"][1]["says"]
    page.locator("#changed summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#changed .side").first.is_visible()
    assert complaints == []


def test_the_viewer_follows_a_running_pilot(browser, tmp_path):
    class Gated(CoinFlipAgent):
        """Waits before the last tasks until somebody has looked."""

        async def act(self, trajectory, **options):
            if trajectory.task.id in held:
                await asyncio.to_thread(looked.wait, 60)
            return await super().act(trajectory, **options)

    looked, weights = threading.Event(), {"open": 3, "wait": 2, "jump": 0.7}
    pilot = plan(ALL_ARMS[:2], n=12, agent=lambda: Gated(weights))
    held = set(order(pilot)[6:])
    running = threading.Thread(target=run, args=(pilot, tmp_path / "mine"), kwargs={"concurrency": 1})
    running.start()
    with contextlib.ExitStack() as cleanup, served(tmp_path) as ask:
        cleanup.callback(looked.set)
        waited = time.monotonic() + 60
        while "baseline: 6 of 12" not in ask("/journal/mine/status")[1]:
            assert time.monotonic() < waited
            time.sleep(0.02)
        page = browser.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.clock.install()
        page.goto(f"{ask.address}/")
        listed = browser.new_page()
        listed.clock.install()
        listed.goto(f"{ask.address}/")
        begun = listed.locator("progress").get_attribute("value")
        page.get_by_role("link", name="mine").click()
        status = page.locator("#status")
        assert "baseline: 6 of 12 episodes" in status.text_content()
        looked.set()
        running.join()
        waited = time.monotonic() + 60
        while "baseline: 12 of 12 episodes" not in status.text_content():
            assert time.monotonic() < waited
            page.clock.run_for(3000)
            time.sleep(0.02)
        assert "over: the first 12 of 12 tasks" in status.text_content()
        while int(listed.locator("progress").get_attribute("value")) < 24:
            assert time.monotonic() < waited
            listed.clock.run_for(3000)
            time.sleep(0.02)
        assert int(begun) < 24
        page.get_by_role("link", name="Report").click()
        assert page.locator("#forbear-verdicts").count() == 1
        assert complaints == []


def test_without_scripts_the_page_is_whole(browser, paths, view):
    page, _ = opened(browser, paths["pilot"], java_script_enabled=False)
    assert page.locator("#changed details").count() == sum(len(arm["forks"]) for arm in view["arms"].values())
    assert not page.locator("#tools").is_visible()
    assert page.locator("svg:visible").count() > 4 * len(view["arms"])
