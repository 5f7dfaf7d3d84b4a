"""Imports point down and siblings do not see each other (ARCHITECTURE.md, "Layers")."""

import ast
from collections.abc import Iterator
from pathlib import Path

import forbear

PACKAGE = Path(forbear.__file__).parent
# Bottom first. Names in one row are siblings. `testing` is for tests alone: nothing in the package may import it.
LAYERS = [
    {"errors", "lazy", "wording"},
    {"files", "templates"},
    {"outcomes"},
    {"records", "stats", "learned"},
    {"contracts"},
    {"models"},
    {"policy"},
    {"critics", "interventions"},
    {"analysis"},
    {"runner", "guard"},
    {"adapters", "worlds"},
    {"report"},
    {"web", "proxy"},
    {"cli"},
    {"testing"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports() -> Iterator[tuple[str, str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module] if node.module != "forbear" else [f"forbear.{a.name}" for a in node.names]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for module in modules:
                if module.startswith("forbear.") and not module.startswith("forbear.__"):
                    yield str(path.relative_to(PACKAGE)), part, module.split(".")[1]


def test_every_part_has_a_layer():
    parts = {p.name.removesuffix(".py") for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert parts - {"__init__", "__main__"} <= set(LEVEL)


def test_imports_point_down():
    found = list(imports())
    assert found, "no import was read: the test looks in the wrong place"
    wrong = [
        f"{path}: {part} imports {target}"
        for path, part, target in found
        if part not in {"__init__", "__main__"} and target != part and LEVEL[target] >= LEVEL[part]
    ]
    assert wrong == []


def test_what_is_packaged_is_small():
    """The wheel, which is these files compressed, is to stay below 10 MB; learned weights below 1 MB of it."""
    sizes = {path: path.stat().st_size for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert sum(sizes.values()) <= 10_000_000
    weights = [size for path, size in sizes.items() if "weights" in path.parts]
    assert len(weights) > 10
    assert sum(weights) <= 1_000_000
