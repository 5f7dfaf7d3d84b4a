"""The language model below a LoRA critic: found on this disk, opened without its code, never fetched.

Weights are read from safetensors or a GGUF, nothing is unpickled and no code of a model's folder is run. Which files
they were is kept as a digest, so that adapters are never put on another model.
"""

import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

from forbear.errors import InvalidInput, brief_error
from forbear.models.weights import installed_weights, sha256_of
from forbear.wording import described, shown

DEFAULT_MODEL = "Qwen/Qwen3-0.6B"
INSTALLED = "installed"
"""Names the weights that `forbear models install` brings."""

DType: TypeAlias = Literal["float32", "bfloat16"]
_READ = (".safetensors", ".json", ".txt", ".model", ".jinja")
"""Endings of files that decide what a model in a folder says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A language model on this disk."""

    name: str
    """As it was named."""
    folder: Path
    gguf: str | None
    """The file in it, where it is one of llama.cpp's."""

    @property
    def sha256(self) -> str:
        """Of its weights, settings and tokenizer.

        Raises:
            InvalidInput: They cannot be read.
        """
        if self.gguf is not None:
            return sha256_of(self.folder / self.gguf)
        found = sorted(path for path in self.folder.iterdir() if path.suffix in _READ and path.is_file())
        listed = "\n".join(f"{path.name} {sha256_of(path)}" for path in found)
        return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()


def find_base(name: str) -> Base:
    """Finds a model: a folder of Hugging Face's layout, a GGUF, `installed`, or a name in the local cache of the hub.

    Raises:
        InvalidInput: It is none of them, or holds no safetensors; nothing is fetched.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidInput(f"a model is a folder, a GGUF, '{INSTALLED}' or a name of the hub, got {described(name)}.")
    if name == INSTALLED:
        path = installed_weights()
        return Base(name=name, folder=path.parent, gguf=path.name)
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise InvalidInput(f"the model {shown(name, limit=200)} is a file, but no .gguf; name a folder or a GGUF.")
        return Base(name=name, folder=path.parent, gguf=path.name)
    folder = path if path.is_dir() else _cached(name)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise InvalidInput(
            f"the model {shown(name, limit=200)} has no config.json and .safetensors beside it; other kinds of weights "
            "are not opened, for they may hold code."
        )
    return Base(name=name, folder=folder, gguf=None)


def _cached(name: str) -> Path:
    libraries()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))  # nosec B615: nothing is downloaded
    except Exception:  # each version of the hub's client raises others
        name = shown(name, limit=200)
        raise InvalidInput(
            f"the model {name} is no folder, no GGUF, and not in the hub's cache on this machine. Nothing is fetched "
            f"here: hf download {name}; or name a path, or '{INSTALLED}' for what forbear models install brings."
        ) from None


def libraries() -> tuple[ModuleType, ModuleType, ModuleType]:
    """torch, transformers and peft.

    Raises:
        InvalidInput: They are not installed.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else a fork of a worker is warned about
    try:
        import peft
        import safetensors.torch  # noqa: F401 - of the same extra, used where tensors are read
        import torch
        import transformers
    except ImportError as error:
        raise InvalidInput(
            f"a LoRA critic needs the extra hf ({error.name or error} is missing): pip install 'forbear[hf]'."
        ) from None
    return torch, transformers, peft


@contextlib.contextmanager
def _silent(transformers: ModuleType) -> Iterator[None]:
    """No bars, no reports of what was loaded and no warnings of its own libraries, as long as it lasts."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


@dataclass(slots=True, kw_only=True)
class Scorer:
    """The model with adapters and a head: from tokens to a logit."""

    body: Any
    """Of peft; its hidden states are read."""
    head: Any
    """A linear layer, in single precision."""
    tokenizer: Any
    causal: bool
    """Whether a token sees only those before it: then the last one's state is read, else the mean."""
    device: str

    def encode(self, text: str) -> list[int]:
        """The tokens of a text. Marks of the model's own that stand in it are text, nothing else."""
        return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)  # type: ignore[no-any-return]

    def logits(self, rows: Sequence[Sequence[int]]) -> Any:
        """The logit of failing of each row of tokens; a tensor of shape (rows,)."""
        import torch

        longest = max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = torch.tensor(list(row))
            mask[at, : len(row)] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        states = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.causal:
            last = mask.sum(dim=1) - 1
            pooled = states[torch.arange(len(rows), device=self.device), last].float()
        else:
            pooled = (states.float() * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return self.head(pooled)[:, 0]

    @property
    def most_tokens(self) -> int | None:
        """How many it can read at once; None where it does not say."""
        most = getattr(self.body.config, "max_position_embeddings", None)
        return most if isinstance(most, int) else None

    def learned(self) -> dict[str, Any]:
        """What is trained, by name: the adapters and the head."""
        named = [("body.", self.body), ("head.", self.head)]
        return {
            prefix + name: parameter
            for prefix, module in named
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }


def open_scorer(
    base: Base, *, rank: int, alpha: float, dropout: float, targets: Sequence[str] | None, dtype: DType, device: str
) -> tuple[Scorer, list[str]]:
    """Opens the model and puts new adapters on it, that change nothing yet, and a head of zeros.

    The adapters begin at random numbers of torch's global generator, which the caller seeds.

    Args:
        base: The model.
        rank: Of the adapters.
        alpha: Their scale, as alpha / rank.
        dropout: Of what goes into them, in training.
        targets: Ends of the names of the layers that have one; None: those that peft takes for this kind of model, or
            all linear ones.
        dtype: Of the model; adapters and head are in single precision.
        device: `cpu` or `cuda`.

    Returns:
        The scorer, and the targets.

    Raises:
        InvalidInput: It cannot be opened, or has no such layers.
    """
    torch, transformers, peft = libraries()
    where = {"pretrained_model_name_or_path": str(base.folder), "local_files_only": True, "trust_remote_code": False}
    weights = {"use_safetensors": True, "dtype": getattr(torch, dtype)}
    if base.gguf is not None:
        where["gguf_file"] = base.gguf
        del weights["use_safetensors"]
    config = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout, "bias": "none"}
    try:
        with _silent(transformers):
            # A folder on this disk (local_files_only), which the critic's card pins by its sha256.
            tokenizer = transformers.AutoTokenizer.from_pretrained(**where)  # nosec B615
            model = transformers.AutoModel.from_pretrained(**where, **weights)  # nosec B615
            model = model.to(getattr(torch, dtype)).to(device)
            known = peft.utils.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(model.config.model_type)
            wanted = list(targets) if targets is not None else (sorted(known) if known else "all-linear")
            body = peft.get_peft_model(model, peft.LoraConfig(**config, target_modules=wanted))
    except Exception as error:  # of a folder of somebody else's, in libraries of others
        raise InvalidInput(
            f"the model {shown(base.name, limit=200)} cannot be opened as one with adapters: {brief_error(error)}."
        ) from error
    head = torch.nn.Linear(model.config.hidden_size, 1).to(device)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    adapted: set[str] = set()
    for name, parameter in body.named_parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
            if ".lora_A." in name:
                adapted.add(name.partition(".lora_A.")[0].rpartition(".")[2])
    scorer = Scorer(body=body, head=head, tokenizer=tokenizer, causal=True, device=device)
    scorer.causal = _is_causal(scorer)
    return scorer, sorted(adapted)


def _is_causal(scorer: Scorer) -> bool:
    """Whether what comes later leaves the first token's state as it is."""
    import torch

    size = min(16, int(scorer.body.get_input_embeddings().weight.shape[0]))
    rows = torch.tensor([[1 % size, 2 % size, 3 % size], [1 % size, 2 % size, 5 % size]], device=scorer.device)
    with torch.no_grad():
        states = scorer.body(input_ids=rows, attention_mask=torch.ones_like(rows)).last_hidden_state[:, 0]
    return bool(torch.allclose(states[0], states[1], atol=1e-5))
