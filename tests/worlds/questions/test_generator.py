import re
from collections import Counter

import pytest

from forbear.errors import InvalidInput
from forbear.worlds.questions.environment import FIRST_SENTENCES
from forbear.worlds.questions.generator import COLOURS, KINDS, TRADES, GeneratedQuestions, generate

MADE = list(generate(seed=21, count=120))

# A second reading of the same English, written without the generator's tables: what sentences say, what questions ask.
SAID = {
    "trade": [r"(?P<s>\S+) (?:is|works as) a (?P<v>[a-z]+)\.", r"By trade (?P<s>\S+) is a (?P<v>[a-z]+)\."],
    "home": [r"(?P<s>\S+) (?:lives|has a house) in (?P<v>\S+)\.", r"The home of (?P<s>\S+) is in (?P<v>\S+)\."],
    "age": [r"(?P<s>\S+) is (?P<v>\d+) years old\.", r"(?P<s>\S+) has reached the age of (?P<v>\d+)\."],
    "tower": [r"The tower of (?P<s>\S+) is (?P<v>[a-z]+)\.", r"(?P<s>\S+) has a (?P<v>[a-z]+) tower\."],
    "thing": [
        r"(?P<s>\S+) (?:has|owns) a (?P<v>[a-z]+) (?P<m>[a-z]+)\.",
        r"The (?P<m>[a-z]+) of (?P<s>\S+) is (?P<v>[a-z]+)\.",
    ],
    "kin": [
        r"The (?P<m>[a-z]+) of (?P<s>\S+) is (?P<v>\S+ \S+)\.",
        r"(?P<s>\S+) has a (?P<m>[a-z]+), (?P<v>\S+ \S+)\.",
    ],
    "river": [r"(?P<s>\S+) lies at the river (?P<v>\S+)\.", r"The river (?P<v>\S+) flows through (?P<s>\S+)\."],
    "mayor": [r"The mayor of (?P<s>\S+) is (?P<v>\S+ \S+)\.", r"(?P<v>\S+ \S+) is the mayor of (?P<s>\S+)\."],
    "goods": [r"The market of (?P<s>\S+) sells (?P<v>[a-z]+)\.", r"(?P<s>\S+) is known for its (?P<v>[a-z]+)\."],
}
TOWN_OF = r"(?:the town where (?P<w>.+) lives|the (?:town|home) of (?P<o>.+?))"
ASKED = {
    "trade": [r"What is the trade of (?P<w>.+)\?", r"What does (?P<w>.+) work as\?"],
    "home": [r"In which town does (?P<w>.+) live\?", r"Where is the home of (?P<w>.+)\?"],
    "age": [r"How old is (?P<w>.+)\?", r"What is the age of (?P<w>.+)\?"],
    "tower": [rf"(?:What colour is the tower of|Which colour has the tower in) {TOWN_OF}\?"],
    "river": [rf"Which river flows through {TOWN_OF}\?", rf"At which river does {TOWN_OF} lie\?"],
    "mayor": [rf"Who is the mayor of {TOWN_OF}\?"],
    "goods": [rf"What does the market sell in {TOWN_OF}\?", rf"What is {TOWN_OF} known for\?"],
    "thing": [r"What colour is the (?P<m>\S+) of (?P<w>.+)\?", r"Which colour has the (?P<m>\S+) of (?P<w>.+)\?"],
}
PAIR = r"(?P<a>[A-Z]\S+ [A-Z]\S+) or (?P<b>[A-Z]\S+ [A-Z]\S+)\?"


def values(question, page, what, more=""):
    """What a paragraph says about something: all of it."""
    text = next(paragraph for paragraph in question.context if paragraph.title == page)
    found = []
    for sentence in text.sentences:
        for pattern in SAID[what]:
            said = re.fullmatch(pattern, sentence)
            if said and said.groupdict().get("m", "") == more and page.split()[0] == said["s"]:
                found.append(said["v"])
    return found


def solved(question):
    """All answers that the paragraphs give."""
    older = re.fullmatch(r"(?:Who|Which of the two) is (older|younger), " + PAIR, question.text)
    if older:
        ages = {name: int(*values(question, name, "age")) for name in (older["a"], older["b"])}
        best = (max if older[1] == "older" else min)(ages.values())
        return [name for name, age in ages.items() if age == best]
    which = re.fullmatch(
        r"Who (?:(?:is|works as) a (?P<t>\S+)|(?:lives|has a house) in (?P<h>\S+)), " + PAIR, question.text
    )
    if which:
        what, value = ("trade", which["t"]) if which["t"] else ("home", which["h"])
        return [name for name in (which["a"], which["b"]) if value in values(question, name, what)]
    for what, patterns in ASKED.items():
        asked = next((found for pattern in patterns if (found := re.fullmatch(pattern, question.text))), None)
        if asked is None:
            continue
        named = asked["w"] or asked["o"]
        kin = re.fullmatch(r"the (\S+) of (.+)", named)
        whom = values(question, kin[2], "kin", kin[1]) if kin else [named]
        if what in ("tower", "river", "mayor", "goods"):
            whom = [town for one in whom for town in values(question, one, "home")]
        return [value for one in whom for value in values(question, one, what, asked.groupdict().get("m", ""))]
    raise AssertionError(question.text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_paragraphs_give_one_answer_and_it_is_the_accepted_one(kind):
    asked = [made.question for made in MADE if made.question.kind == kind]
    assert len(asked) == len(MADE) // len(KINDS)
    for question in asked:
        assert solved(question) == list(question.answers), question


def test_what_is_needed_stands_where_it_is_said_to_stand():
    for made in MADE:
        pages = {paragraph.title: paragraph.sentences for paragraph in made.question.context}
        assert all(fact.sentence in pages[fact.page] for fact in (*made.needed, *made.facts))
        assert all(name in made.question.text and name in pages for name in made.names)
        assert made.needed[0].page in made.names


def test_what_is_asked_for_is_now_and_then_beyond_the_beginning():
    late = [
        fact.sentence not in next(p for p in made.question.context if p.title == fact.page).sentences[:FIRST_SENTENCES]
        for made in MADE
        for fact in made.needed
    ]
    assert 0.15 < sum(late) / len(late) < 0.5


def test_a_longer_list_starts_with_a_shorter_one_and_seeds_never_meet():
    assert list(generate(seed=21, count=5)) == MADE[:5]
    assert list(generate(seed=21, count=2, start=3)) == MADE[3:5]
    assert len({made.question.id for made in MADE}) == len(MADE)
    others = list(generate(seed=22, count=60))
    assert {made.question.text for made in MADE}.isdisjoint(made.question.text for made in others)
    with pytest.raises(InvalidInput, match="0 or more"):
        list(generate(seed=1, count=-1))


def test_no_guess_without_reading_is_right_often():
    """No colour and no trade is more frequent than chance makes it; of two people the first is as good as the other."""
    made_many = list(generate(seed=23, count=1200))
    answers = Counter(made.question.answers[0] for made in made_many)
    colours = [answers[colour] for colour in COLOURS]
    assert max(colours) / sum(colours) < 0.2
    trades = [answers[trade] for trade in TRADES]
    assert max(trades) / sum(trades) < 0.2
    pairs = [made for made in made_many if len(made.names) == 2]
    first = sum(made.question.answers[0] == made.names[0] for made in pairs) / len(pairs)
    assert first == pytest.approx(0.5, abs=4 * (0.25 / len(pairs)) ** 0.5)


def test_questions_are_found_by_their_ids_alone():
    found = GeneratedQuestions({"mine": MADE[0].question})
    assert found["mine"] is MADE[0].question
    assert all(found[made.question.id] == made.question for made in MADE[:4])
    for key in ("", "thing/21", "kin/21/0", "thing/21/x", f"thing/21/{'9' * 20}"):
        assert key not in found
    for endless in (iter, len):
        with pytest.raises(InvalidInput, match="endless"):
            endless(found)
