"""Doubles and contract tests, shipped so that others can test their own agents, environments and critics.

Nothing here needs pytest: inherit a contract as `class TestMine(AgentContract)` and any runner that collects `test_*`
methods finds its tests.
"""

from forbear.testing.agents import CoinFlipAgent, DeafAgent, ScriptedAgent
from forbear.testing.contracts import (
    AgentContract,
    ChatModelContract,
    CriticContract,
    EnvironmentContract,
    InterventionContract,
)
from forbear.testing.critics import CoinCritic, ScriptedCritic, WordCritic
from forbear.testing.environments import Corridor, RestorableCorridor
from forbear.testing.models import ScriptedModel

__all__ = [
    "AgentContract",
    "ChatModelContract",
    "CoinCritic",
    "CoinFlipAgent",
    "Corridor",
    "CriticContract",
    "DeafAgent",
    "EnvironmentContract",
    "InterventionContract",
    "RestorableCorridor",
    "ScriptedAgent",
    "ScriptedCritic",
    "ScriptedModel",
    "WordCritic",
]
