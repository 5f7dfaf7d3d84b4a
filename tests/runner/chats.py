"""Pilots of a chat model behind a real server: what they send and pay for can be counted there."""

import hashlib
import json
from functools import partial

from forbear.adapters.agents.chat import ChatAgent
from forbear.critics.chat import ChatCritic
from forbear.critics.heuristic import RandomCritic
from forbear.interventions import Append, Rollback
from forbear.models.client import OpenAIChat
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.runner.plan import PilotPlan
from forbear.testing import Corridor
from forbear.testing.chat_server import answer
from runner.pilots import tasks

WORDS = ("open", "open", "wait", "back", "open", "jump")
PAID = (100, 10)
"""Tokens in and out of each answer."""


def fixed(request):
    """A word that the whole request decides, or a judgement that its conversation does.

    The seed of a critic's request is of its config, and so of the port that this server happened to get.
    """
    if request.get("top_logprobs"):
        request = {**request, "seed": None}
    number = int.from_bytes(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()[:4], "big")
    if request.get("top_logprobs"):
        p = (number % 97 + 1) / 99
        from math import log

        top = [{"token": "Yes", "logprob": log(p)}, {"token": "No", "logprob": log(1 - p)}]
        return answer("Yes", logprobs=[{"token": "Yes", "logprob": log(p), "top_logprobs": top}], usage=PAID)
    return answer(WORDS[number % len(WORDS)], usage=PAID)


def churning():
    """As `fixed`, but another answer each time."""
    count = [0]

    def respond(request):
        count[0] += 1
        return fixed({**request, "number": count[0]})

    return respond


def world():
    return Corridor(doors=3, slip=0.1)


def chat(url, **options):
    return OpenAIChat("test", base_url=url, **{"timeout_s": 5.0, "patience_s": 3.0, **options})


def arms(model):
    critic = ChatCritic(model, mode="logprob")
    policy = InterventionPolicy(critic=critic, intervention=Rollback(message="no"), threshold=0.6)
    told = InterventionPolicy(critic=critic, intervention=Append(message="hm"), threshold=0.6)
    coin = InterventionPolicy(critic=RandomCritic(rate=0.3), intervention=Rollback(), threshold=0.5)
    return [Arm.baseline(), Arm("rollback", policy), Arm("append", told), Arm("coin", coin)]


def chat_plan(url, *, n=6, model=None, **options):
    model = chat(url) if model is None else model
    agent = partial(ChatAgent, model, mode="line", temperature=1.0)
    options = {"tasks": tasks(n), "agent": agent, "environment": world, "max_steps": 6, **options}
    return PilotPlan(arms=options.pop("arms", None) or arms(model), **options)
