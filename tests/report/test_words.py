"""The words of a report: one list, on the page and in the documentation, with every word that a verdict can have."""

import html
import re
from pathlib import Path

from forbear.outcomes.paired import PairedOutcomes
from forbear.report.html import decision_html
from forbear.report.markdown import markdown
from forbear.report.view import decision_view
from forbear.report.words import WORDS
from forbear.stats.decision import decide_arms
from forbear.stats.verdict import Recommendation

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"


def test_the_documentation_has_the_same_list():
    listed = [line for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("**")]
    assert listed == [f"**{markdown(word)}**: {markdown(meaning)}" for word, meaning in WORDS.items()]


def test_words_are_in_the_order_of_the_alphabet_and_none_is_missing():
    assert list(WORDS) == sorted(WORDS, key=str.casefold)
    assert {one.value for one in Recommendation} <= set(WORDS)
    named = {word.split()[-1] for word in WORDS}
    assert len(named) == len(WORDS), "two words have one place on a page"
    assert {"p", "r", "d", "p*", "gain", "margin", "control"} <= named


def test_what_a_page_links_to_is_on_it():
    pairs = PairedOutcomes(both_fail=35, recovered=7, disrupted=11, both_succeed=47)
    page = decision_html(decision_view(decide_arms({"x": pairs})), title="x", break_even={})
    links = {html.unescape(name) for name in re.findall(r'href="#([^"]+)"', page)}
    assert {"word-UNDECIDED", "word-p", "word-r", "word-d", "word-p*"} <= links
    assert links <= {html.unescape(name) for name in re.findall(r' id="([^"]+)"', page)}
