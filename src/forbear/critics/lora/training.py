"""Training a language model with LoRA as a critic: the label of each step is how its run ended.

Tasks are split in three: the adapters learn from one part, a second says when to stop and calibrates (Platt), a third
measures. A run of two hours may be killed at any moment: what was learned is kept beside the critic, and the same
command goes on from there as if nothing had happened.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from forbear.critics.estimates import Judgements
from forbear.critics.leaks import ShuffledResult
from forbear.critics.lora.base import Base, DType, Scorer, libraries, open_scorer
from forbear.critics.lora.checks import require_no_leak
from forbear.critics.lora.prompt import FORM, MIN_TOKENS, prompt_tokens
from forbear.critics.lora.state import State, read_state, write_state
from forbear.critics.measures import auroc
from forbear.critics.runs import JudgedRun
from forbear.critics.splits import stable_number
from forbear.critics.training import platt, require_enough
from forbear.errors import InvalidInput
from forbear.wording import described, shown

Floats = NDArray[np.float64]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraRecipe:
    """How a LoRA critic is trained. The defaults are the study's (arXiv 2602.03338), where it says.

    Raises:
        InvalidInput: A number out of range.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    learning_rate: float = 2e-4
    """At its highest: it rises over the first tenth of the steps and falls to nothing."""
    epochs: int = 3
    batch: int = 8
    max_tokens: int = 1024
    """Of one step's prompt."""
    steps_per_run: int | None = None
    """Steps of each run that an epoch learns from, drawn anew each time, and that validation looks at; None: all."""
    validation: float = 0.15
    test: float = 0.15
    """Shares of the tasks that stop and calibrate, and that measure; test may be 0."""
    looks: int = 2
    """At the validation tasks, in each epoch."""
    patience: int = 3
    """Looks without a smaller loss, after which it stops."""
    dtype: DType = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"rank": 1, "epochs": 1, "batch": 1, "looks": 1, "patience": 1, "seed": 0, "max_tokens": MIN_TOKENS}
        whole = [(name, getattr(self, name), lowest) for name, lowest in least.items()]
        whole += [("steps_per_run", self.steps_per_run, 1)] if self.steps_per_run is not None else []
        for name, value, lowest in whole:
            if type(value) is not int or not lowest <= value < 1 << 31:
                raise InvalidInput(f"{name} must be a whole number of at least {lowest}, got {described(value)}.")
        for name, value, fits, told in (
            ("alpha", self.alpha, 0 < self.alpha < 1e6, "above 0"),
            ("learning_rate", self.learning_rate, 0 < self.learning_rate < 1, "above 0 and below 1"),
            ("dropout", self.dropout, 0 <= self.dropout < 1, "from 0 to below 1"),
            ("validation", self.validation, 0 < self.validation < 1, "above 0 and below 1"),
            ("test", self.test, 0 <= self.test < 1 - self.validation, "0 or more, and leave tasks to learn from"),
        ):
            if not fits:
                raise InvalidInput(f"{name} must be {told}, got {described(value)}.")
        if self.dtype not in ("float32", "bfloat16"):
            raise InvalidInput(f"dtype must be float32 or bfloat16, got {described(self.dtype)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraMeasured:
    """What was said of the test tasks."""

    held_out: Judgements
    """By the critic, calibrated."""
    index_only: Floats
    """By the step's index: how often the runs of the other tasks failed that had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraTraining:
    """What was learned, and what it says of the tasks that it did not learn from."""

    tensors: Mapping[str, Any]
    """Adapters and head, at the look with the smallest loss."""
    targets: tuple[str, ...]
    slope: float
    shift: float
    split: Mapping[str, tuple[JudgedRun, ...]]
    """`train`, `validation`, `test`."""
    measured: LoraMeasured | None
    """On the test tasks; None where there are none."""
    shuffled: ShuffledResult
    digest: str
    """Of runs, model and recipe."""
    history: tuple[Mapping[str, float], ...]
    """At each look: epoch, train_loss, validation_loss, validation_auroc."""
    epochs: float
    """That were trained before it stopped."""
    seconds: float
    """Of the processor, all sittings together."""


@dataclass(slots=True)
class _Task:
    """Everything that training needs, while it goes on."""

    recipe: LoraRecipe
    scorer: Scorer
    split: Mapping[str, tuple[JudgedRun, ...]]
    tell: Tell
    weights: Mapping[bool, float] = field(default_factory=dict)
    tokens: dict[tuple[str, int, int], list[int]] = field(default_factory=dict)

    def prompt(self, part: str, run: int, step: int) -> list[int]:
        key = (part, run, step)
        if key not in self.tokens:
            for at, (seen, proposed) in enumerate(self.split[part][run].judged()):
                if at == step:
                    self.tokens[key] = prompt_tokens(
                        seen, proposed, encode=self.scorer.encode, most=self.recipe.max_tokens
                    )
        return self.tokens[key]


def train_lora(
    runs: Sequence[JudgedRun],
    *,
    base: Base,
    recipe: LoraRecipe | None = None,
    unfinished: Path | None = None,
    device: str = "cpu",
    tell: Tell = lambda line: None,
    save_every_s: float = 60.0,
) -> LoraTraining:
    """Trains adapters.

    Args:
        runs: To learn from.
        base: The model below.
        recipe: How.
        unfinished: Where the state is kept, so that it can go on after a kill; None: nowhere. What is there is gone on
            with, where it is of the same runs, model and recipe.
        device: `cpu` or `cuda`.
        tell: Is told how it goes, a line at a time.
        save_every_s: How often the state is written.

    Raises:
        InvalidInput: As `train_critic`; a part of the split has runs of one outcome only; `unfinished` is of another
            training; or the extra `hf` is not installed.
    """
    recipe = recipe or LoraRecipe()
    require_enough(runs)
    torch, _, _ = libraries()
    split = split_runs(runs, recipe)
    digest = digest_of(runs, base, recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        scorer, targets = open_scorer(
            base,
            rank=recipe.rank,
            alpha=recipe.alpha,
            dropout=recipe.dropout,
            targets=None,
            dtype=recipe.dtype,
            device=device,
        )
        if scorer.most_tokens is not None and recipe.max_tokens > scorer.most_tokens:
            raise InvalidInput(
                f"max_tokens is {recipe.max_tokens}, and the model {shown(base.name, limit=200)} reads at most "
                f"{scorer.most_tokens}; take fewer."
            )
        rng = np.random.default_rng(recipe.seed)
        shuffled = require_no_leak(
            split,
            lambda seen, proposed: prompt_tokens(seen, proposed, encode=scorer.encode, most=recipe.max_tokens),
            rng=rng,
        )
        task = _Task(recipe=recipe, scorer=scorer, split=split, tell=tell, weights=class_weights(split["train"]))
        state = _trained(task, digest=digest, unfinished=unfinished, save_every_s=save_every_s)
    for name, parameter in scorer.learned().items():
        parameter.data.copy_(state.best[name])
    begun = time.process_time()
    chosen = list(_chosen(split["validation"], recipe, epoch=-1))
    slope, shift = platt(_failed(split["validation"], chosen), _scores(task, "validation", chosen))
    measured = _measured(task, slope=slope, shift=shift) if split["test"] else None
    return LoraTraining(
        tensors={name: tensor.detach().cpu().contiguous() for name, tensor in state.best.items()},
        targets=tuple(targets),
        slope=slope,
        shift=shift,
        split=split,
        measured=measured,
        shuffled=shuffled,
        digest=digest,
        history=tuple(state.history),
        epochs=state.step / max(1, _batches(split["train"], recipe)),
        seconds=state.seconds + time.process_time() - begun,
    )


def _measured(task: _Task, *, slope: float, shift: float) -> LoraMeasured:
    runs = task.split["test"]
    steps = list(_chosen(runs, task.recipe, epoch=None))
    held_out = Judgements.of(
        failed=_failed(runs, steps).tolist(),
        p_fail=expit(slope * _scores(task, "test", steps) + shift).tolist(),
        tasks=[runs[run].group for run, _ in steps],
        steps=[step for _, step in steps],
    )
    return LoraMeasured(held_out=held_out, index_only=_index_only(task.split, held_out.steps))


def _index_only(split: Mapping[str, Sequence[JudgedRun]], steps: NDArray[np.int64]) -> Floats:
    known = [*split["train"], *split["validation"]]
    index = np.concatenate([np.arange(len(run.trajectory.steps)) for run in known])
    failed = np.concatenate([np.full(len(run.trajectory.steps), run.failed) for run in known])
    hits, sizes = np.bincount(index, weights=failed), np.bincount(index)
    rates: Floats = (hits + failed.mean()) / (sizes + 1)
    return rates[np.minimum(steps, len(rates) - 1)]


# --- What is learned from ---------------------------------------------------------------------------------


def split_runs(runs: Sequence[JudgedRun], recipe: LoraRecipe) -> dict[str, tuple[JudgedRun, ...]]:
    """Deals tasks (or clusters) out by rising failure rate, so that the three parts are alike.

    Raises:
        InvalidInput: A part that is wanted has runs of one outcome only, or none.
    """
    lost: dict[str, list[bool]] = {}
    for run in runs:
        lost.setdefault(run.group, []).append(run.failed)
    ordered = sorted(lost, key=lambda group: (sum(lost[group]) / len(lost[group]), stable_number(group, "lora"), group))
    part_of: dict[str, str] = {}
    due = {"validation": 0.5, "test": 0.5}  # half, so that neither begins with the easiest task
    for group in ordered:
        due = {"validation": due["validation"] + recipe.validation, "test": due["test"] + recipe.test}
        part = max(due, key=lambda name: due[name])
        if due[part] >= 1:
            due[part] -= 1
            part_of[group] = part
        else:
            part_of[group] = "train"
    split = {part: tuple(run for run in runs if part_of[run.group] == part) for part in ("train", "validation", "test")}
    for part, found in split.items():
        if (part != "test" or recipe.test) and len({run.failed for run in found}) < 2:
            raise InvalidInput(
                f"the {part} part of the tasks has {len(found)} runs, not of both outcomes; bring more tasks, or take "
                "larger shares."
            )
    return split


def class_weights(runs: Sequence[JudgedRun]) -> dict[bool, float]:
    """By whether a run failed: its weight, so that failures and successes weigh alike, and 1 in the mean."""
    failed = sum(run.failed for run in runs)
    return {True: len(runs) / (2 * failed), False: len(runs) / (2 * (len(runs) - failed))}


def digest_of(runs: Sequence[JudgedRun], base: Base, recipe: LoraRecipe) -> str:
    """Of everything that decides what is learned."""
    found = hashlib.sha256(json.dumps([FORM, base.sha256, asdict(recipe)], sort_keys=True).encode())
    for run in runs:
        texts = [run.task, run.group, run.run, str(run.failed)]
        for step in run.trajectory.steps:
            texts += [step.observation, step.executed.text if step.executed else ""]
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            found.update(len(raw).to_bytes(8) + raw)
    return found.hexdigest()


def _chosen(runs: Sequence[JudgedRun], recipe: LoraRecipe, *, epoch: int | None) -> Iterator[tuple[int, int]]:
    """Run and step of what an epoch looks at; of None: every step."""
    for number, run in enumerate(runs):
        count = len(run.trajectory.steps)
        if epoch is None or recipe.steps_per_run is None or count <= recipe.steps_per_run:
            steps = list(range(count))
        else:
            rng = np.random.default_rng([recipe.seed, epoch + 1, number])
            steps = sorted(rng.choice(count, size=recipe.steps_per_run, replace=False).tolist())
        yield from ((number, step) for step in steps)


def _batches(runs: Sequence[JudgedRun], recipe: LoraRecipe) -> int:
    """Batches in an epoch."""
    return -(-sum(1 for _ in _chosen(runs, recipe, epoch=0)) // recipe.batch)


def _epoch(task: _Task, epoch: int) -> list[list[tuple[int, int]]]:
    """The batches of an epoch, in its order; steps of like length are put together, to pad little."""
    recipe, rng = task.recipe, np.random.default_rng([task.recipe.seed, epoch])
    chosen = list(_chosen(task.split["train"], recipe, epoch=epoch))
    rng.shuffle(chosen)
    batches = []
    for start in range(0, len(chosen), 16 * recipe.batch):
        part = chosen[start : start + 16 * recipe.batch]
        part.sort(key=lambda at: len(task.prompt("train", *at)))
        batches += [part[at : at + recipe.batch] for at in range(0, len(part), recipe.batch)]
    return [[(int(run), int(step)) for run, step in batches[at]] for at in rng.permutation(len(batches))]


def _failed(runs: Sequence[JudgedRun], chosen: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    return np.array([runs[run].failed for run, _ in chosen], dtype=bool)


# --- Learning ---------------------------------------------------------------------------------------------


def _trained(task: _Task, *, digest: str, unfinished: Path | None, save_every_s: float) -> State:
    import torch

    recipe, learned = task.recipe, task.scorer.learned()
    optimiser = torch.optim.AdamW(learned.values(), lr=recipe.learning_rate, weight_decay=0.01)
    found = read_state(unfinished, digest=digest) if unfinished is not None else None
    state = found or State(digest=digest)
    if found is not None:
        state.put_into(learned, optimiser)
        task.tell(f"going on after {state.step} batches, {state.seconds:.0f} s of the processor")
    per_epoch = _batches(task.split["train"], recipe)
    total, saved, begun = per_epoch * recipe.epochs, time.monotonic(), time.process_time()
    looks = {round(per_epoch * (look + 1) / recipe.looks) for look in range(recipe.looks)} - {0}
    batches: list[list[tuple[int, int]]] = []
    while state.step < total and state.since_best < recipe.patience:
        epoch, at = divmod(state.step, per_epoch)
        if not at or not batches:
            batches = _epoch(task, epoch)
        state.losses.append(_stepped(task, batches[at], optimiser, learned, step=state.step, total=total))
        state.step += 1
        looked = at + 1 in looks
        if looked:
            _look(task, state, learned, epoch=state.step / per_epoch)
        if looked or time.monotonic() - saved > save_every_s:
            now = time.process_time()
            state.seconds, begun = state.seconds + now - begun, now
            if unfinished is not None:
                state.take_from(learned, optimiser)
                write_state(unfinished, state)
            saved = time.monotonic()
            if not looked:
                task.tell(f"batch {state.step} of {total}, loss {np.mean(state.losses):.3f}, {state.seconds:.0f} s")
    state.seconds += time.process_time() - begun
    return state


def _stepped(
    task: _Task,
    batch: Sequence[tuple[int, int]],
    optimiser: Any,
    learned: Mapping[str, Any],
    *,
    step: int,
    total: int,
) -> float:
    """One step of the optimiser; the loss."""
    import torch

    recipe, runs = task.recipe, task.split["train"]
    torch.manual_seed((recipe.seed << 32) + step + 1)  # of dropout: the same after a kill
    task.scorer.body.train()
    for group in optimiser.param_groups:
        warm = max(1, total // 10)
        group["lr"] = recipe.learning_rate * min((step + 1) / warm, (total - step) / max(1, total - warm))
    logits = task.scorer.logits([task.prompt("train", *at) for at in batch])
    loss = _loss(task, logits, [runs[run] for run, _ in batch])
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learned.values(), 1.0)
    optimiser.step()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise InvalidInput(f"the loss is {value} at batch {step + 1}: take a smaller learning rate, or float32.")
    return value


def _loss(task: _Task, logits: Any, runs: Sequence[JudgedRun]) -> Any:
    """Weighted log loss: classes weigh alike, and so do runs, however long."""
    import torch

    seen = task.recipe.steps_per_run or 1 << 31
    mean = np.mean([min(seen, len(run.trajectory.steps)) for run in task.split["train"]])
    weights = [task.weights[run.failed] * mean / min(seen, len(run.trajectory.steps)) for run in runs]
    target = torch.tensor([float(run.failed) for run in runs], device=logits.device)
    return torch.nn.functional.binary_cross_entropy_with_logits(
        logits, target, weight=torch.tensor(weights, dtype=torch.float32, device=logits.device)
    )


def _look(task: _Task, state: State, learned: Mapping[str, Any], *, epoch: float) -> None:
    """Measures on the validation tasks, and keeps what is best there."""
    import torch

    runs = task.split["validation"]
    chosen = list(_chosen(runs, task.recipe, epoch=-1))
    scores = _scores(task, "validation", chosen)
    loss = float(_loss(task, torch.tensor(scores, dtype=torch.float32), [runs[run] for run, _ in chosen]))
    area = auroc(_failed(runs, chosen), expit(scores))
    state.history.append(
        {
            "epoch": round(epoch, 3),
            "train_loss": round(float(np.mean(state.losses)), 4),
            "validation_loss": round(loss, 4),
            "validation_auroc": round(area or 0.0, 4),
        }
    )
    state.losses.clear()
    better = loss < state.best_loss
    state.since_best = 0 if better else state.since_best + 1
    if better:
        state.best_loss = loss
        state.best = {name: parameter.detach().clone() for name, parameter in learned.items()}
    task.tell(", ".join(f"{shown(name)} {value:g}" for name, value in state.history[-1].items()))


def _scores(task: _Task, part: str, chosen: Sequence[tuple[int, int]]) -> Floats:
    """Logits, each by itself: what one step scores must not depend on others."""
    import torch

    task.scorer.body.eval()
    with torch.inference_mode():
        return np.array([float(task.scorer.logits([task.prompt(part, *at)])[0]) for at in chosen])
