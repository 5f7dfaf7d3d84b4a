"""What interventions tell the agent."""

from forbear.records.model import Action


def fill_message(template: str, *, proposed: Action, p_fail: float) -> str:
    """Returns the template with `{action}` and `{p_fail}` (in per cent) replaced; other braces stay as they are."""
    # One pass over the template's own text: an action that contains "{p_fail}" is quoted, not filled.
    parts = template.split("{action}")
    return proposed.text.join(part.replace("{p_fail}", f"{p_fail:.0%}") for part in parts)
