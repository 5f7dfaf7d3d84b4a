"""The contracts: what an agent, an environment, a critic and an intervention are.

`forbear.testing.contracts` holds tests that an implementation can inherit.

Faults are told from failures by the exception: `AgentError` from an agent is a failed episode, `ProviderError` from an
agent or an environment is an episode without outcome, and anything else is taken for a bug and stops the run. A critic
may raise whatever it likes: the agent goes on without it, as it would in production.
"""
