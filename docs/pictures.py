"""Draws the pictures of these pages, from the pilot and the counts that the pages show; `make docs` calls it.

    python docs/pictures.py [--journal runs/pilot] [--to docs/pictures]

The pilot is `examples/pilot.toml`: it is run if it is not there, and gone on with if it was stopped.
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

from forbear.cli.main import run as forbear

ROOT = Path(__file__).parents[1]
OF_PILOT = {
    "pilot-flow": "2-append-flow",
    "pilot-path": "2-append-path",
    "pilot-sources": "1-rollback-sources",
    "pilot-ceilings": "5-ceilings",
    "pilot-offline": "5-offline",
    "pilot-roc": "roc",
}
"""By the name that a page knows it by, the end of the name that `--charts` gives it."""
OF_COUNTS = {"counts-flow": "1-treated-flow", "counts-break-even": "1-treated-break-even"}
COUNTS = "54,26,9,111"
"""The tutorial's."""


def draw(journal: Path, to: Path) -> list[Path]:
    """Draws all pictures into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        drawn, page = Path(folder), str(Path(folder) / "page.html")
        quietly("pilot", "run", str(ROOT / "examples" / "pilot.toml"), "--journal", str(journal))
        title = ("--title", "examples/pilot.toml")
        quietly("report", str(journal), *title, "-o", page, "--charts", str(drawn / "pilot"))
        quietly("decide", "--counts", COUNTS, "--charts", str(drawn / "counts"))
        to.mkdir(parents=True, exist_ok=True)
        made = []
        for kind, names in (("pilot", OF_PILOT), ("counts", OF_COUNTS)):
            for name, end in names.items():
                (found,) = (drawn / kind).glob(f"*{end}.svg")
                made.append(to / f"{name}.svg")
                made[-1].write_text(found.read_text("utf-8"), "utf-8")
        return made


def quietly(*command: str) -> None:
    """Runs a command of ours; says what it said only where it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = forbear(list(command))
    if code:
        raise SystemExit(f"forbear {' '.join(command)}: exit {code}\n{said.getvalue()}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Draws the pictures of the documentation.")
    parser.add_argument("--journal", type=Path, default=ROOT / "runs" / "pilot")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    draw(options.journal, options.to)


if __name__ == "__main__":
    main()
