"""Know when not to intervene: an honest verdict on a critic from a small paired pilot.

The public names are listed once, in `_HOME`, and imported when first used (PEP 562), so that `import forbear` stays
under 0.2 s.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names for type checkers; a test holds the two lists together
    from forbear.errors import ForbearError as ForbearError
    from forbear.errors import InvalidInput as InvalidInput
    from forbear.stats.clustered import ClusteredOutcomes as ClusteredOutcomes
    from forbear.stats.decision import decide as decide
    from forbear.stats.decision import decide_arms as decide_arms
    from forbear.stats.paired import PairedOutcomes as PairedOutcomes
    from forbear.stats.verdict import DecisionRule as DecisionRule
    from forbear.stats.verdict import Recommendation as Recommendation
    from forbear.stats.verdict import Remark as Remark
    from forbear.stats.verdict import Verdict as Verdict

__version__ = "0.1.0"

_HOME = {
    "ClusteredOutcomes": "stats.clustered",
    "DecisionRule": "stats.verdict",
    "ForbearError": "errors",
    "InvalidInput": "errors",
    "PairedOutcomes": "stats.paired",
    "Recommendation": "stats.verdict",
    "Remark": "stats.verdict",
    "Verdict": "stats.verdict",
    "decide": "stats.decision",
    "decide_arms": "stats.decision",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'forbear' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"forbear.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
