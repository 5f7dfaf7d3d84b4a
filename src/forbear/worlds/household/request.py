"""What a task's sentence asks for: the six families of ALFWorld, read from and written to their twelve templates."""

import re
from dataclasses import dataclass

from forbear.errors import InvalidInput
from forbear.wording import described

FAMILIES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)

TREATMENTS = {
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
}
"""The verb by which an object of the family is changed before it is put down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which kind of object is to be brought where, and in which state."""

    family: str
    thing: str
    """Kind of object, e.g. "mug"."""
    target: str
    """Kind of receptacle to put it in, or of lamp to look at it under."""

    @property
    def treatment(self) -> str | None:
        """The verb "clean", "heat" or "cool", where the family has one."""
        return TREATMENTS.get(self.family)

    @property
    def count(self) -> int:
        """How many objects of the kind are wanted."""
        return 2 if self.family == "pick_two_obj_and_place" else 1


_TEMPLATES = (
    ("pick_and_place_simple", ("put a {thing} in {target}.", "put some {thing} on {target}.")),
    ("look_at_obj_in_light", ("look at {thing} under the {target}.", "examine the {thing} with the {target}.")),
    (
        "pick_clean_then_place_in_recep",
        ("put a clean {thing} in {target}.", "clean some {thing} and put it in {target}."),
    ),
    ("pick_heat_then_place_in_recep", ("put a hot {thing} in {target}.", "heat some {thing} and put it in {target}.")),
    ("pick_cool_then_place_in_recep", ("put a cool {thing} in {target}.", "cool some {thing} and put it in {target}.")),
    ("pick_two_obj_and_place", ("put two {thing} in {target}.", "find two {thing} and put them in {target}.")),
)
_PREFIX = "Your task is to: "


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(
        re.escape(_PREFIX + template).replace(r"\{thing\}", "([a-z]+)").replace(r"\{target\}", "([a-z]+)")
    )


_PATTERNS = [(family, _pattern(template)) for family, templates in _TEMPLATES for template in templates]


def write_request(request: Request, *, variant: int) -> str:
    """The sentence shown to the player; `variant` is 0 or 1, the template of the family."""
    template = dict(_TEMPLATES)[request.family][variant]
    return _PREFIX + template.format(thing=request.thing, target=request.target)


def read_request(sentence: str) -> Request:
    """Reads a task's sentence.

    Raises:
        InvalidInput: It follows none of the templates.
    """
    for family, pattern in _PATTERNS:
        found = pattern.fullmatch(sentence.strip())
        if found:
            return Request(family=family, thing=found[1], target=found[2])
    raise InvalidInput(f"expected a task like 'Your task is to: put a mug in desk.', got {described(sentence)}.")
