"""The pictures of a report as files of their own: SVG that needs nothing else, and PNG where a rasteriser is there."""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from forbear.errors import OutputUnwritable
from forbear.files import write_whole
from forbear.report.engine import asset, own_templates
from forbear.report.pictures import Picture
from forbear.wording import shown

_MARGIN, _ABOVE, _LINE = 12, 34, 16
_CHARACTER = 6.3
"""Width of one of 12 px, on the safe side."""
_SCALE = 2
"""PNG pixels to one of the SVG."""
_ROOT = re.compile(r":root\s*\{([^}]*)\}")
_VALUE = re.compile(r"--([\w-]+):\s*([^;]+);")
_RULE = re.compile(r"(?m)(?:^|(?<=\} ))svg ([^{}]+)\{([^}]*)\}")


def picture_svg(picture: Picture, *, note: str = "") -> str:
    """A picture as one SVG file: light colours, its title above it, how to read it and the note below.

    Args:
        picture: Of a report.
        note: Where it is from.
    """
    wide = picture.wide + 2 * _MARGIN
    most = int(picture.wide / _CHARACTER)
    lines = [line for text in (picture.caption, note) if text for line in textwrap.wrap(shown(text, limit=600), most)]
    below = _ABOVE + picture.high + 4
    return (
        own_templates()
        .get_template("alone.svg")
        .render(
            picture=picture,
            style=_style(),
            wide=wide,
            high=below + _LINE * len(lines) + _MARGIN,
            margin=_MARGIN,
            above=_ABOVE,
            below=below,
            most=int(most / 1.25),
            lines=lines,
        )
    )


@functools.cache
def _style() -> str:
    """The page's rules for pictures in its light colours: files are printed and pasted, and know no variables."""
    sheet = asset("page.css")
    root = _ROOT.search(sheet)
    assert root is not None, "the page's style names its colours"
    colours = dict(_VALUE.findall(root[1]))
    rules = [f"{selector.replace('svg ', '').strip()} {{{rule}}}" for selector, rule in _RULE.findall(sheet)]
    rules += [".paper { fill: var(--paper); }", "text.title { fill: var(--ink); font-size: 14px; font-weight: 600; }"]
    return re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], " ".join(rules))


def picture_png(svg: str) -> bytes:
    """An SVG of ours as PNG, twice as large; see `why_no_png`."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=_SCALE))


@functools.cache
def why_no_png() -> str | None:
    """Why pictures are written as SVG only, and what to do; None where they are written as PNG too."""
    try:
        import resvg_py  # noqa: F401
    except ImportError:
        return "SVG only; PNG too: pip install 'forbear[charts]'"
    sheet = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">{}</svg>'
    text = '<text x="2" y="15" font-size="12" font-family="sans-serif">p*</text>'
    if picture_png(sheet.format(text)) == picture_png(sheet.format("")):  # a text leaves no mark
        return "SVG only: no font is installed, PNG would lack all words (Debian: apt-get install fonts-dejavu-core)"
    return None


def write_pictures(folder: Path, pictures: Iterable[tuple[str, Picture]], *, note: str = "") -> list[Path]:
    """Writes each picture as SVG and, where that can be, as PNG; returns the files.

    Args:
        folder: Made where it is not there. Files of the same names are replaced, others stay.
        pictures: With the name of what each is about.
        note: Where they are from, as each says.

    Raises:
        OutputUnwritable: One cannot be written.
    """
    files: dict[Path, bytes] = {}
    for number, about, picture in _numbered(pictures):
        path, svg = folder / f"{_stem(number, about, picture)}.svg", picture_svg(picture, note=note)
        files[path] = svg.encode()
        if why_no_png() is None:
            files[path.with_suffix(".png")] = picture_png(svg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            write_whole(path, content)
    except OSError as error:
        raise OutputUnwritable(
            f"{shown(str(folder), limit=200)}: the pictures cannot be written ({error.strerror}). Name another folder."
        ) from None
    return list(files)


def _numbered(pictures: Iterable[tuple[str, Picture]]) -> Iterator[tuple[int, str, Picture]]:
    """All pictures about one thing have one number, since names that differ may look alike in a file's."""
    numbers: dict[str, int] = {}
    for about, picture in pictures:
        yield numbers.setdefault(about, len(numbers) + 1), about, picture


def _stem(number: int, about: str, picture: Picture) -> str:
    """A name for any system, e.g. `1-rollback-flow`."""
    plain = re.sub(r"[^a-z0-9]+", "-", about[:200].lower()).strip("-")[:40].strip("-")
    return "-".join(part for part in (str(number), plain, picture.kind) if part)
