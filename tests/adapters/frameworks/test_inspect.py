"""The real package, its agents, its scripted model, and the logs that it writes."""

import shutil
from importlib.resources import files

import pytest

inspect_ai = pytest.importorskip("inspect_ai", reason="inspect-ai is not installed: pip install 'forbear[inspect]'")

from inspect_ai import Task, eval  # noqa: E402
from inspect_ai.agent import react  # noqa: E402
from inspect_ai.dataset import MemoryDataset, Sample  # noqa: E402
from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model  # noqa: E402
from inspect_ai.scorer import match, model_graded_qa  # noqa: E402
from inspect_ai.solver import generate, solver  # noqa: E402
from inspect_ai.tool import tool  # noqa: E402

from forbear.adapters.formats.logs.reading import read_logs  # noqa: E402
from forbear.adapters.frameworks.inspect import pilot_tasks, watched_task  # noqa: E402
from forbear.errors import InvalidInput, ProviderError  # noqa: E402
from forbear.interventions import Append, Rollback, Stop  # noqa: E402
from forbear.policy.policy import InterventionPolicy  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning"),
    pytest.mark.slow,
]


def script(*said, name="model"):
    """A model of Inspect's that says one thing after the other, and what it was asked."""
    left, heard = list(said), []

    def answer(messages, tools, tool_choice, config):
        heard.append(([one.text for one in messages], config.seed))
        it = left.pop(0) if len(left) > 1 else left[0]
        output = (
            ModelOutput.for_tool_call("m", it[0], it[1]) if isinstance(it, tuple) else ModelOutput.from_content("m", it)
        )
        output.usage = ModelUsage(input_tokens=10, output_tokens=5, total_tokens=15, input_tokens_cache_read=2)
        return output

    return get_model(f"mockllm/{name}", custom_outputs=answer, memoize=False), heard


class Dislikes:
    def __init__(self, word="wipe", model=None):
        self.word, self.model = word, model

    async def score(self, trajectory, proposed, *, draw):
        if self.word == "down":
            raise ProviderError("down")
        if self.model is not None:
            await get_model().generate("what of it?")
        return 0.9 if self.word in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes", "word": self.word}


def policy(intervention, critic=None, **options):
    return InterventionPolicy(critic=critic or Dislikes(), intervention=intervention, threshold=0.5, **options)


RAN = []


@tool
def wipe():
    async def execute():
        """Wipes."""
        RAN.append("wipe")
        return "wiped"

    return execute


@tool
def add():
    async def execute():
        """Adds one."""
        RAN.append("add")
        return "count is 1"

    return execute


WIPE, ADD, END = ("wipe", {}), ("add", {}), ("submit", {"answer": "done"})


def counting(ids=("a",), **options):
    samples = [Sample(id=name, input="count", target="done") for name in ids]
    options = {"solver": react(tools=[wipe(), add()]), "scorer": match()} | options
    return Task(MemoryDataset(samples, name="counting"), name="counting", **options)


def logged(tasks, folder, **options):
    RAN.clear()
    return eval(tasks, log_dir=str(folder), display="none", **options)


def only(log):
    assert log.status == "success", log.error
    [sample] = log.samples
    return sample


def test_a_dropped_call_is_not_run_is_no_message_and_is_in_the_log_with_its_tokens(tmp_path):
    model, _ = script(WIPE, ADD, END)
    sample = only(logged(watched_task(counting(), policy(Rollback()), model=model), tmp_path)[0])
    assert RAN == ["add"]
    assert [one.text for one in sample.messages if one.role == "tool"] == ["count is 1"]
    assert sample.scores["match"].value == "C"
    assert sample.model_usage["mockllm/model"].output_tokens == 15
    assert len([one for one in sample.events if one.event == "model"]) == 3
    told = sample.store["forbear"]
    assert told["dropped"] == {"calls": 1, "input_tokens": 12, "output_tokens": 5, "cached_tokens": 2}
    assert (told["proposals"], told["interventions"], told["rollback_noops"]) == (3, 1, 0)
    [note] = [one.data for one in sample.events if one.event == "info"]
    assert (note["decision"], note["proposal"], list(note["p_fail"].values())) == ("rollback", "wipe({})", [0.9])


def test_a_warning_is_shown_in_every_later_call_at_its_place_and_is_no_message_of_the_agents(tmp_path):
    model, heard = script(WIPE, ADD, END)
    task = watched_task(counting(), policy(Append(message="Careful!")), model=model)
    sample = only(logged(task, tmp_path)[0])
    assert RAN == ["wipe", "add"]
    places = [[n for n, text in enumerate(said) if text == "Careful!"] for said, _ in heard]
    assert places == [[], [4], [4]]
    assert "Careful!" not in [one.text for one in sample.messages]


def test_a_model_that_repeats_what_was_dropped_is_seen_and_neither_cache_nor_seed_makes_it_repeat(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    asked = GenerateConfig(seed=7, cache=True)
    model, heard = script(WIPE, WIPE, ADD, END, name="cached")
    task = watched_task(counting(config=asked), policy(Rollback(), budget=2), model=model)
    sample = only(logged(task, tmp_path)[0])
    assert sample.store["forbear"]["rollback_noops"] == 1
    assert [seed for _, seed in heard] == [7, 8, 9, 7]


def test_with_a_cache_the_arms_share_what_they_have_in_common(tmp_path, monkeypatch):
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    model, heard = script("first", "wipe it", "done", name="shared")
    task = counting(solver=generate(), config=GenerateConfig(cache=True))
    arms = {"careful": policy(Rollback(), Dislikes("first"), budget=1), "never": policy(Rollback(), Dislikes("never"))}
    logs = logged(pilot_tasks(task, arms, model=model), tmp_path)
    assert [only(log).messages[-1].text for log in logs] == ["first", "wipe it", "first"]
    assert len(heard) == 2


def test_other_solvers_are_judged_too_and_who_grades_is_not(tmp_path):
    @solver
    def own():
        async def solve(state, generate):
            state.output = await get_model().generate(state.messages)
            state.messages.append(state.output.message)
            return state

        return solve

    for name, options in (("plain", {}), ("other", {"solver": own()})):
        model, heard = script("wipe it", "done", "GRADE: C", name=name)
        task = watched_task(counting(solver=generate(), scorer=model_graded_qa()), policy(Rollback()), model=model)
        sample = only(logged(task, tmp_path, **options)[0])
        assert sample.messages[-1].text == "done"
        assert len(heard) == 3
        assert sample.store["forbear"]["proposals"] == 2


def test_what_the_critic_asks_the_same_model_is_no_proposal(tmp_path):
    model, heard = script("wipe it", "bad?", "done", "good?", "done")
    critic = Dislikes(model=True)
    task = watched_task(counting(solver=generate()), policy(Rollback(), critic), model=model)
    assert only(logged(task, tmp_path)[0]).store["forbear"]["proposals"] == 2
    assert [said[-1] for said, _ in heard] == ["count", "what of it?"] * 2


def test_an_episode_that_is_stopped_is_scored_as_it_stands(tmp_path):
    model, _ = script(WIPE)
    task = watched_task(counting(), policy(Stop()), model=model)
    sample = only(logged(task, tmp_path)[0])
    assert (sample.limit.type, sample.scores["match"].value, RAN) == ("custom", "I", [])
    assert read_logs([*tmp_path.glob("*.eval")]).rows[0].run.scores == {"match": "I"}


def test_limits_count_what_dropped_proposals_and_warnings_take(tmp_path):
    wasted, _ = script(WIPE, ADD, END)
    [log] = logged(watched_task(counting(token_limit=31), policy(Rollback()), model=wasted), tmp_path)
    assert (only(log).limit.type, only(log).store["forbear"]["dropped"]["calls"], RAN) == ("token", 1, ["add"])
    warned, heard = script(WIPE, ADD, END)
    [log] = logged(watched_task(counting(message_limit=5), policy(Append()), model=warned), tmp_path)
    assert (only(log).limit.type, len(heard), len(only(log).messages)) == ("message", 1, 4)


def test_a_solver_that_asks_a_model_of_its_own_is_refused(tmp_path):
    theirs, _ = script(ADD, END, name="theirs")
    ours, _ = script(END)
    task = counting(solver=react(tools=[add()], model=theirs))
    [log] = logged(watched_task(task, policy(Rollback()), model=ours), tmp_path)
    assert log.status == "error"
    assert "asked a model of its own" in log.error.message


def test_arms_tasks_and_epochs_are_read_and_a_critic_that_is_down_leaves_no_outcome(tmp_path):
    model, _ = script(END)
    policies = {"drop": policy(Rollback()), "down": policy(Rollback(), Dislikes("down"))}
    tasks = pilot_tasks(counting(("a", "b")), policies, model=model)
    logged(tasks, tmp_path, epochs=2, fail_on_error=False)
    found = read_logs([*tmp_path.glob("*.eval")])
    assert {(row.task, row.arm, row.seed) for row in found.rows} == {
        (task, arm, seed) for task in "ab" for arm in ("baseline", "drop", "down") for seed in "12"
    }
    assert {row.run.fault for row in found.rows if row.arm == "down"} == {"error"}
    assert {row.run.fault for row in found.rows if row.arm != "down"} == {""}
    assert {tuple(row.run.scores.values()) for row in found.rows if row.arm != "down"} == {("C",)}


def test_the_task_that_was_given_stays_as_it_was_and_what_cannot_be_done_is_refused():
    task, (model, _) = counting(), script(END)
    watched_task(task, policy(Rollback()), model=model)
    assert (task.model, task.setup, task.metadata) == (None, None, None)
    with pytest.raises(InvalidInput, match="undoes executed steps"):
        watched_task(task, policy(Rollback(depth=2)), model=model)
    with pytest.raises(InvalidInput, match="expected a Task"):
        watched_task(counting, model=model)
    with pytest.raises(InvalidInput, match="arm without intervention"):
        pilot_tasks(task, {"baseline": policy(Rollback())}, model=model)


def test_outside_of_inspect_a_model_has_to_be_named(monkeypatch):
    monkeypatch.delenv("INSPECT_EVAL_MODEL", raising=False)
    with pytest.raises(InvalidInput, match="no model is being evaluated here"):
        watched_task(counting())


def test_the_template_of_gaia_is_run_on_a_file_of_its_layout_and_scored_by_its_own_scorer(tmp_path, monkeypatch):
    pytest.importorskip("inspect_evals", reason="inspect-evals is not installed: pip install inspect-evals")
    for name in ("gaia_inspect.py", "gaia-sample.jsonl"):
        shutil.copy(files("forbear.adapters").joinpath("pilots", name), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    model, _ = script(("submit", {"answer": "0"}), ("submit", {"answer": " $174 "}), ("submit", {"answer": "neon"}))
    logs = eval("gaia_inspect.py", model=model, task_args={"data": "gaia-sample.jsonl"}, log_dir="logs", display="none")
    assert [log.status for log in logs] == ["success"] * 2
    answers = [{sample.scores["gaia_scorer"].answer for sample in log.samples} for log in logs]
    right = [{sample.id for sample in log.samples if sample.scores["gaia_scorer"].value == "C"} for log in logs]
    assert answers == [{"0", " $174 ", "neon"}, {"neon"}]
    assert right[1] == {"sample-03"}
    found = read_logs(sorted(tmp_path.glob("logs/*.eval")))
    assert list(found.arms) == ["baseline", "rollback"]
    assert len(found.rows) == 24
