"""Whether an answer is right, exactly as HotPotQA's evaluation script says it.

Source: hotpot_evaluate_v1.py of Yang et al. (2018), arXiv 1809.09600. Checked by hand:
tests/worlds/questions/test_matching.py.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WHOLE = ("yes", "no", "noanswer")
"""Right as a whole or not at all."""


def normalised(answer: str) -> str:
    """In lower case, without ASCII punctuation, articles and superfluous white space."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, accepted: Iterable[str]) -> bool:
    """Whether it is one of those accepted, both normalised."""
    said = normalised(answer)
    return any(said == normalised(one) for one in accepted)


def f1(answer: str, accepted: Iterable[str]) -> float:
    """The harmonic mean of precision and recall of its words; in [0, 1], the best of those accepted."""
    return max((_f1(normalised(answer), normalised(one)) for one in accepted), default=0.0)


def _f1(said: str, truth: str) -> float:
    if said != truth and (said in _WHOLE or truth in _WHOLE):
        return 0.0
    said_words, true_words = said.split(), truth.split()
    common = (Counter(said_words) & Counter(true_words)).total()
    if not common:
        return 0.0
    precision, recall = common / len(said_words), common / len(true_words)
    return 2 * precision * recall / (precision + recall)
