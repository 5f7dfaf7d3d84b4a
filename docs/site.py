"""What `mkdocs.yml` adds to the pages: the README as the first one, and a reference of everything that is public."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import forbear
import forbear.critics
import forbear.stats

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)?(?:examples|measurements|src|\.)/?[^)]*\)")
"""Links to what is no page of the site: their words stay."""


def on_files(files: Files, config: Any) -> Files:
    """Adds what is no file of the folder."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=OUTSIDE.sub(r"\1", readme)))
    files.append(File.generated(config, "api.md", content=reference()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turns links out of the folder into links within the site, or into words."""
    return OUTSIDE.sub(r"\1", markdown.replace("](../README.md", "](index.md"))


def reference() -> str:
    """The page of all public names, package by package, each from its docstring."""
    parts = ["# Reference\n"]
    for package in (forbear, forbear.critics, forbear.stats):
        parts.append(f"## {package.__name__}\n\n{(package.__doc__ or '').strip()}\n")
        for name, home in sorted(package._HOME.items()):
            parts.append(f"### {name}\n\n::: {package.__name__}.{home}.{name}\n    options:\n      heading_level: 4\n")
    return "\n".join(parts)
