import os
from pathlib import Path

import pytest
from hypothesis import settings

# Noisy machines: a slow example is not a failure. Fixed examples: CI must not change its mind overnight. The inner loop
# looks at few, `make test` at many.
settings.register_profile("few", deadline=None, derandomize=True, max_examples=10)
settings.register_profile("many", deadline=None, derandomize=True, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))


@pytest.fixture
def shared_data() -> Path:
    """Published outcomes of real agents; third-party data that lies beside the project, never inside it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data sets in {folder}, which are not part of the project")
    return folder
