"""Hypothesis strategies for forbear's values; they need `pip install hypothesis`."""

from hypothesis import strategies as st

from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.rule import DecisionRule


def paired_outcomes(*, min_pairs: int = 1, max_pairs: int = 120) -> st.SearchStrategy[PairedOutcomes]:
    """Tables of min_pairs to max_pairs pairs, with empty cells and one-sided tables well represented."""

    def table(n: int, cuts: list[int]) -> PairedOutcomes:
        a, b, c = sorted(cut * n // 1000 for cut in cuts)
        return PairedOutcomes(both_fail=a, recovered=b - a, disrupted=c - b, both_succeed=n - c)

    cut = st.one_of(st.integers(0, 1000), st.sampled_from([0, 1000]))
    return st.builds(table, st.integers(min_pairs, max_pairs), st.lists(cut, min_size=3, max_size=3))


def decision_rules() -> st.SearchStrategy[DecisionRule]:
    """Valid rules, margins within ±20 points."""
    gains = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)).map(sorted)
    level = st.floats(0.001, 0.2)
    return st.builds(
        lambda pair, alpha, harm: DecisionRule(margin=pair[0], worthwhile=pair[1], alpha=alpha, harm_alpha=harm),
        gains,
        level,
        level,
    )


def clustered_outcomes(*, min_tasks: int = 2, max_tasks: int = 25) -> st.SearchStrategy[ClusteredOutcomes]:
    """Tasks with one to five seeds: as many everywhere, ragged, or also different between the arms."""

    def seeds(draw: st.DrawFn, sizes: list[int]) -> list[list[bool]]:
        return [draw(st.lists(st.booleans(), min_size=size, max_size=size)) for size in sizes]

    @st.composite
    def outcomes(draw: st.DrawFn) -> ClusteredOutcomes:
        tasks = draw(st.integers(min_tasks, max_tasks))
        shape = draw(st.sampled_from(["equal", "ragged", "unequal arms"]))
        ragged = st.lists(st.integers(1, 5), min_size=tasks, max_size=tasks)
        before = [draw(st.integers(1, 5))] * tasks if shape == "equal" else draw(ragged)
        after = draw(ragged) if shape == "unequal arms" else before
        return ClusteredOutcomes(baseline=seeds(draw, before), treated=seeds(draw, after))  # type: ignore[arg-type]

    return outcomes()
