"""Formats of logs: how each is known by its content, and who reads it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from forbear.adapters.formats.logs import (
    benchmarks,
    harbor,
    inspect,
    junit,
    lm_eval,
    otel,
    others,
    promptfoo,
    skill_eval,
    swebench,
    tau,
    terminal_bench,
    traces,
)
from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.model import Log
from forbear.adapters.formats.logs.probe import Probe
from forbear.errors import InvalidInput
from forbear.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of logs."""

    name: str
    looks: str
    """What such a file is, for messages."""
    matches: Callable[[Probe], bool]
    read: Callable[[Probe, Choice], Iterable[Log]]
    covers: tuple[str, ...] = ()
    """Formats that, beside this one, tell of the same runs and less."""


FORMATS: tuple[Format, ...] = (
    Format(name="inspect", looks="an .eval or .json log of Inspect AI", matches=inspect.matches, read=inspect.read),
    Format(
        name="aider_swebench",
        looks="JSON with instance_id, resolved and all_results",
        matches=others.matches_aider,
        read=others.read_aider,
        covers=("swebench", "sweagent"),
    ),
    Format(
        name="swebench",
        looks="a report with resolved_ids, resolved lists, or {id: {resolved}}",
        matches=swebench.matches,
        read=swebench.read,
        covers=("sweagent", "openhands"),
    ),
    Format(
        name="lm_eval",
        looks="samples_*.jsonl or a results file with documents",
        matches=lm_eval.matches,
        read=lm_eval.read,
    ),
    Format(name="promptfoo", looks="the JSON of promptfoo eval -o", matches=promptfoo.matches, read=promptfoo.read),
    Format(
        name="harbor",
        looks="a trial's result.json, with task_name and verifier_result",
        matches=lambda probe: harbor.matches(probe) or harbor.is_job(probe),
        read=harbor.read,
        covers=("junit",),
    ),
    Format(
        name="terminal_bench",
        looks="results.json with is_resolved and failure_mode",
        matches=terminal_bench.matches,
        read=terminal_bench.read,
    ),
    Format(name="tau2_bench", looks="JSON with simulations", matches=tau.matches_tau2, read=tau.read_tau2),
    Format(
        name="tau_bench",
        looks="a list of trials with task_id, reward, traj",
        matches=tau.matches_tau,
        read=tau.read_tau,
    ),
    Format(name="junit", looks="XML whose root is testsuites or testsuite", matches=junit.matches, read=junit.read),
    Format(
        name="langfuse",
        looks="a trace with its scores, or experiment items",
        matches=traces.matches_langfuse,
        read=traces.read_langfuse,
    ),
    Format(
        name="skill_eval",
        looks="benchmark.json with with_skill and without_skill",
        matches=skill_eval.matches,
        read=skill_eval.read,
    ),
    Format(
        name="langsmith",
        looks="rows with run, example and evaluation_results",
        matches=traces.matches_langsmith,
        read=traces.read_langsmith,
    ),
    Format(
        name="braintrust",
        looks="rows with input, scores and output",
        matches=traces.matches_braintrust,
        read=traces.read_braintrust,
    ),
    Format(
        name="mlflow", looks="traces with info and assessments", matches=traces.matches_mlflow, read=traces.read_mlflow
    ),
    Format(name="otel", looks="OTLP JSON with resourceSpans, or spans a line", matches=otel.matches, read=otel.read),
    Format(
        name="agent_reward_bench",
        looks="annotations with trajectory_success",
        matches=others.matches_reward_bench,
        read=others.read_reward_bench,
    ),
    Format(
        name="azure_ai_eval",
        looks="eval_results.jsonl with question, answer and scores",
        matches=others.matches_azure,
        read=others.read_azure,
    ),
    Format(
        name="deepeval", looks="a test run with testCases", matches=others.matches_deepeval, read=others.read_deepeval
    ),
    Format(
        name="openai_evals",
        looks="JSON lines with spec, final_report and events",
        matches=others.matches_openai,
        read=others.read_openai,
    ),
    Format(
        name="intercode",
        looks="{n: {task_id, turn_history, summary}}",
        matches=others.matches_intercode,
        read=others.read_intercode,
    ),
    Format(
        name="openhands",
        looks="output.jsonl with instance_id and test_result",
        matches=others.matches_openhands,
        read=others.read_openhands,
    ),
    Format(
        name="sweagent",
        looks="trajectories and predictions without an outcome",
        matches=others.matches_sweagent,
        read=others.read_sweagent,
    ),
    Format(
        name="aider_polyglot",
        looks="JSON with testcase, model and tests_outcomes",
        matches=others.matches_polyglot,
        read=others.read_polyglot,
    ),
    Format(
        name="bfcl",
        looks="JSON lines that begin with accuracy, correct_count, total_count",
        matches=benchmarks.matches_bfcl,
        read=benchmarks.read_bfcl,
    ),
    Format(
        name="evalplus",
        looks="JSON with eval and hash",
        matches=benchmarks.matches_evalplus,
        read=benchmarks.read_evalplus,
    ),
    Format(
        name="helm",
        looks="per_instance_stats.json",
        matches=benchmarks.matches_helm,
        read=benchmarks.read_helm,
    ),
    Format(
        name="goagentbench",
        looks="JSON with scenario, agent, run_id, success",
        matches=others.matches_goagentbench,
        read=others.read_goagentbench,
    ),
)
"""In the order in which a file is asked; the first that knows it reads it."""


def by_name(name: str) -> Format:
    """The format of this name, in any case and with `-` for `_`.

    Raises:
        InvalidInput: There is none.
    """
    wanted = name.lower().replace("-", "_")
    for one in FORMATS:
        if one.name == wanted:
            return one
    raise InvalidInput(f"there is no format '{shown(name)}'; there are {', '.join(one.name for one in FORMATS)}.")


def format_of(probe: Probe, wanted: Format | None) -> Format | None:
    """The format of a file; None where it is none of them, or not the wanted one."""
    if wanted is not None:
        return wanted if wanted.matches(probe) else None
    return next((one for one in FORMATS if one.matches(probe)), None)
