"""An extra that is not installed is said before anything runs, never in the middle of a pilot."""

import subprocess
import sys

import pytest

MISSING = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == {name!r} else found(name, *more)
from forbear.errors import InvalidInput
from forbear import LocalChat, OpenAIChat, Prices
try:
    {made}
except InvalidInput as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("aiohttp", "OpenAIChat('m', base_url='http://127.0.0.1:1/v1')", "pip install 'forbear[llm]'"),
        ("aiolimiter", "OpenAIChat('m', base_url='http://127.0.0.1:1/v1')", "pip install 'forbear[llm]'"),
        ("genai_prices", "Prices(published=True)", "pip install 'forbear[prices]'"),
    ],
)
def test_it_says_what_to_install(name, made, said):
    code = MISSING.format(name=name, made=made)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
