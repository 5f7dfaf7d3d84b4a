import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def rules(shared_data: Path) -> Callable[[Path], None]:
    """Lays the domain and the grammar of the real games into a folder."""

    def lay(folder: Path) -> None:
        for name in ("alfred_domain.pddl", "alfred_grammar.twl2"):
            shutil.copy(shared_data / "alfworld" / name, folder / name)
            (folder / name).chmod(0o644)

    return lay
