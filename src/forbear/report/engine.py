"""How templates become pages and pictures: values are escaped and bounded, unknown ones refused."""

import base64
import functools
import hashlib
import json
from importlib.resources import files

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from forbear.wording import amount, count, number, percent, points, shown


@functools.cache
def asset(name: str) -> str:
    """A style or a script of ours, as it stands in a page."""
    return files("forbear.report").joinpath("templates", "assets", name).read_text("utf-8")


def source_hash(text: str) -> str:
    """What a content security policy calls an inline style or script: nothing else of that kind is heeded."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def embedded(value: object) -> Markup:
    """A value as JSON within a page: no text in it can end the element or begin another."""
    text = json.dumps(value, allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)  # nosec B704  # ASCII without markup, by the line above


def bounded(text: str, limit: int) -> str:
    """One line of what somebody said, so long at most. Line breaks are fine: `shown` would mark them."""
    return shown(" ".join(text[: 4 * limit].split()), limit=limit)


def engine(loader: BaseLoader) -> Environment:
    """A template engine that escapes values, refuses unknown ones, and knows how numbers are worded."""
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "percent": percent,
        "points": points,
        "count": count,
        "number": number,
        "amount": amount,
        "bounded": bounded,
        "embedded": embedded,
        "source_hash": source_hash,
        # Only for what `asset` reads, which is ours.
        "trusted": Markup,
    }
    return made


@functools.cache
def own_templates() -> Environment:
    """Those of reports, without pictures: what pictures themselves are made of."""
    return engine(PackageLoader("forbear.report"))
