"""Agents of other frameworks, judged where they call their models (docs/frameworks.md)."""

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import AT_THE_MODEL, Capabilities, Sampled
from forbear.adapters.frameworks.hosted import run_hosted
from forbear.adapters.frameworks.seam import Watch

__all__ = ["AT_THE_MODEL", "Capabilities", "Sampled", "Told", "Watch", "run_hosted"]
