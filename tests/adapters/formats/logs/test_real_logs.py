"""Published logs of eighteen formats, with what their author read out of them: the readers agree run by run."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.reading import ReadLogs, read_logs
from forbear.errors import InvalidInput

LOGS = Path(__file__).parents[5] / "shared" / "logs"
FOLDERS = sorted(str(one.parent.relative_to(LOGS)) for one in LOGS.glob("*/*/truth.json"))

pytestmark = pytest.mark.skipif(not FOLDERS, reason=f"needs the real logs in {LOGS}, which are not part of the project")

REFUSED = {
    "azure_ai_eval/prompt_variant_pair": "'gpt_groundedness', 'gpt_relevance'; say which is the outcome: --scorer NAME",
    "langfuse/traces_with_judge_scores": "'correctness', 'hallucination', 'toxicity'; say which is the outcome",
    "lm_eval/aggregates_only": "no outcome of any task. It holds means over documents only",
    "skill_eval/summary_only": "no outcome of any task. It holds means of pass rates only",
}
"""Folders whose files cannot tell an outcome by themselves: what they are refused with."""

Outcomes = Mapping[str, Mapping[str, list[str]]]


def read(folder: str) -> ReadLogs:
    return read_logs([LOGS / folder])


def outcomes(found: ReadLogs) -> dict[str, dict[str, list[str]]]:
    """Arm, then task, then one outcome for each repeat, in their order."""
    told: dict[str, dict[str, list[str]]] = {}
    for row in found.rows:
        word = row.run.fault or ("success" if row.run.success else "failure")
        told.setdefault(row.arm, {}).setdefault(row.task, []).append(word)
    return told


def truth_of(folder: str) -> tuple[dict[str, dict[str, list[str]]], dict[tuple[str, str, int], str]]:
    """The same as the author of the truth has it, and what may be said instead."""
    truth = json.loads((LOGS / folder / "truth.json").read_text())
    expected: dict[str, dict[str, list[str]]] = {}
    for task, arms in truth["tasks"].items():
        for arm, words in arms.items():
            # Of a promptfoo version 2 table its variables are the task: there they stand as a Python list.
            expected.setdefault(arm, {})[str(task).removeprefix("['").removesuffix("']")] = words
    other = {(str(one["task"]), one["arm"], one["repeat"]): one["alternative"] for one in truth["ambiguous"]}
    return expected, other


def agrees(ours: Mapping[str, list[str]], theirs: Mapping[str, list[str]], may: Mapping[tuple[str, int], str]) -> bool:
    return ours.keys() == theirs.keys() and all(
        len(ours[task]) == len(words)
        and all(ours[task][k] in (word, may.get((task, k))) for k, word in enumerate(words))
        for task, words in theirs.items()
    )


@pytest.mark.parametrize("folder", [one for one in FOLDERS if one not in REFUSED])
def test_every_task_arm_and_repeat_is_as_its_author_read_it(folder):
    ours = outcomes(read(folder))
    expected, other = truth_of(folder)
    # The author gave arms names of his own: each of his is exactly one of ours.
    for arm, theirs in expected.items():
        may = {(task, k): word for (task, whose, k), word in other.items() if whose == arm}
        same = [name for name, mine in ours.items() if agrees(mine, theirs, may)]
        assert same, f"{folder}: no arm of {list(ours)} is {arm}"
    assert len(ours) == len(expected)


@pytest.mark.parametrize("folder", REFUSED)
def test_what_cannot_tell_is_refused_with_the_choice(folder):
    with pytest.raises(InvalidInput) as refused:
        read(folder)
    assert REFUSED[folder] in str(refused.value)


@pytest.mark.parametrize("scorer", ["gpt_groundedness", "gpt_relevance"])
def test_a_score_and_its_threshold_are_as_the_author_has_them(scorer):
    folder = "azure_ai_eval/prompt_variant_pair"
    truth = json.loads((LOGS / folder / "truth.json").read_text())["by_threshold"][f"{scorer}>=4"]
    ours = outcomes(read_logs([LOGS / folder], choice=Choice(scorer=scorer, threshold=4)))
    assert ours == {arm: {task: arms[arm] for task, arms in truth.items()} for arm in ours}
    with pytest.raises(InvalidInput, match=r"neither 0 nor 1 \(from \d to 5\); say from where on it is a success"):
        read_logs([LOGS / folder], choice=Choice(scorer=scorer))


def test_a_judgement_where_low_is_good_is_read_so():
    folder = LOGS / "langfuse/traces_with_judge_scores"
    toxic = read_logs([folder], choice=Choice(scorer="toxicity", lower_is_better=True))
    assert sum(arm.success for arm in toxic.arms.values()) == 3
    correct = read_logs([folder], choice=Choice(scorer="correctness"))
    claude = next(arm for name, arm in correct.arms.items() if name.startswith("claude"))
    assert (claude.success, claude.failure) == (0, 1)


def test_every_reader_says_what_made_the_outcome_and_counts_every_run():
    for folder in FOLDERS:
        if folder in REFUSED:
            continue
        found = read(folder)
        counted = sum(one.success + one.failure + one.error + one.missing for one in found.arms.values())
        assert counted == len(found.rows), folder
        told = any(one.success + one.failure for one in found.arms.values())
        assert bool(found.said) or not told, folder
