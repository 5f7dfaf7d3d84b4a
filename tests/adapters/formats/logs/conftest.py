import json

import pytest


@pytest.fixture
def write(tmp_path):
    def write(content, name="log.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write
