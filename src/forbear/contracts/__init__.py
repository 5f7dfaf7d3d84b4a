"""The contracts: what an agent, an environment, a critic and an intervention are.

`forbear.testing.contracts` holds tests that an implementation can inherit.

Who breaks decides what it means, whatever is raised, answered or not answered in time:

- an agent: its run is a failure, and says why (an exception of any kind, `AgentError` or `SystemExit`, a task of ours
  that it cancelled, a wrong answer: `agent_error`; no answer in time: `agent_timeout`);
- a world: its run has no outcome (`environment_error`); it is tried again, and at last missing;
- what either relies on (`ProviderError`): no outcome as well (`provider_error` where the agent raised it);
- a critic or an intervention: the agent goes on without it, as it would in production; the journal says what it did.

`policy.foreign` is the one place that calls foreign code, and `contracts.border` the one that checks what it answers.
"""
