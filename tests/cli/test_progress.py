import io

from rich.console import Console

from forbear.cli.progress import SECONDS, Tally, _lines, progress
from forbear.records.model import Episode, EpisodeUsage, RoleUsage, Task, Termination, Usage


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def episode(*, success=True, calls=3, cost=None):
    usage = EpisodeUsage(agent=RoleUsage(paid=Usage(calls=calls, cost=cost)), critic=RoleUsage(paid=Usage(calls=1)))
    ended = Termination.FINISHED if success is not None else Termination.PROVIDER_ERROR
    return Episode(task=Task(id="t"), arm="a", seed=0, steps=(), termination=ended, success=success, usage=usage)


def test_a_tally_counts_what_came_and_says_how_long_the_rest_takes():
    clock = Clock()
    tally = Tally(done=10, total=110, clock=clock)
    assert tally.left == "?"
    clock.now = 20.0
    for _ in range(10):
        tally.add(episode(cost=0.05))
    tally.add(episode(success=None))
    assert tally.done == 20
    assert tally.spent == "44 calls, a cost of 0.5"
    assert tally.left == "3 min"
    assert tally.line() == "20 of at most 110 episodes; 44 calls, a cost of 0.5; 3 min left"
    clock.now = 4.0
    assert tally.left == "36 s"


def test_what_is_beyond_the_total_does_not_count():
    tally = Tally(done=500, total=110)
    tally.add(episode())
    assert tally.done == 110


def test_a_line_now_and_then_where_there_is_no_terminal():
    clock, out = Clock(), io.StringIO()
    advance = _lines(Tally(done=0, total=10, clock=clock), Console(file=out), clock=clock)
    for _ in range(4):
        clock.now += SECONDS / 2
        advance(episode())
    assert out.getvalue() == (
        "2 of at most 10 episodes; 8 calls; 2 min left\n4 of at most 10 episodes; 16 calls; 90 s left\n"
    )


def test_a_bar_on_a_terminal_shows_calls_and_goes_away():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, _environ={})
    with progress(Tally(done=0, total=2), console) as advance:
        advance(episode())
        advance(episode())
    assert "2/2" in out.getvalue()
    assert "8 calls" in out.getvalue()
