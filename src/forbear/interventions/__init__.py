"""Ways to change a run. Each docstring says what it cannot undo."""

from forbear.interventions.append import Append
from forbear.interventions.placebo import Placebo
from forbear.interventions.ready import Nudge, SilentRollback, ToldRollback
from forbear.interventions.restart import Restart
from forbear.interventions.rollback import Rollback
from forbear.interventions.stop import Stop

__all__ = ["Append", "Nudge", "Placebo", "Restart", "Rollback", "SilentRollback", "Stop", "ToldRollback"]
