"""What is loaded when: imports that nobody asked for cost every user a wait."""

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "click", "rich", "jinja2", "asyncio"}


def loaded_after(code: str) -> set[str]:
    """Module names after running `code` in a fresh interpreter."""
    script = f"{code}\nimport sys, json\njson.dump(sorted(sys.modules), sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr))


def test_importing_forbear_loads_nothing_heavy():
    loaded = loaded_after("import forbear; forbear.InvalidInput")
    assert "forbear.errors" in loaded
    assert not HEAVY & loaded


@pytest.mark.slow
def test_statistics_need_numpy_and_scipy_special_only():
    code = (
        "import pkgutil, importlib, forbear.stats\n"
        "for m in pkgutil.iter_modules(forbear.stats.__path__, 'forbear.stats.'): importlib.import_module(m.name)"
    )
    loaded = loaded_after(code)
    assert {"forbear.stats.decision", "numpy", "scipy.special"} <= loaded
    assert not {"click", "rich", "jinja2", "scipy.stats", "scipy.optimize"} & loaded


@pytest.mark.parametrize("output", ["", ", '--json'"])
def test_decide_loads_what_it_prints_with(output):
    loaded = loaded_after(f"from forbear.cli.main import run; run(['decide', '--counts', '35,7,11,47'{output}])")
    assert not {"jinja2", "scipy.stats", "scipy.optimize", "forbear.adapters.formats.tabular"} & loaded
    assert ("rich" in loaded) is (not output)


def test_help_needs_no_numbers():
    assert not {"numpy", "rich"} & loaded_after("from forbear.cli.main import run; run(['decide', '--help'])")
