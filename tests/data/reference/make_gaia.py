"""Writes gaia.json beside it: what the benchmark's own scorer says; needs `pip install inspect-evals`."""

import json
import random
from importlib.metadata import version
from pathlib import Path

from inspect_evals.gaia.scorer import question_scorer

TRUTHS = [
    *("42", "3.5", "-7", "1e3", "0", "100,000", "17000", "$5", "50%"),
    *("seagull", "St. Petersburg", "the Louvre", "e-mail", "No", "Égalité", "A"),
    *("a, b, c", "b,a", "red; blue", "1, 2", "1, two", "Braintree, Honolulu", "x,", "3.1.3.1; 1.11.1.7", "$1,2"),
]
SAID = [
    *TRUTHS,
    *(
        "42.0",
        " 42 ",
        "$42",
        "42%",
        "4 2",
        "forty-two",
        "42 km",
        "1,000",
        "1000",
        "100000",
        "1.0e3",
        "17,000",
        "17 000",
    ),
    *("Sea gull", "SEAGULL!", "St Petersburg", "Saint Petersburg", "Louvre", "email", "no.", "egalite", "ÉGALITÉ"),
    *("a,b,c", "A, B, C", "a; b; c", "a, b", "c, b, a", "a., b, c", "red, blue", "1.0,2", "1,2.0", "1, Two", "one, 2"),
    *("", " ", ",", "nan", "?", "BRAINTREE,HONOLULU", "Braintree Honolulu", "x", "3.1.3.1, 1.11.1.7", "\u00a0x\u2003,"),
]


def drawn(count: int) -> list[tuple[str, str]]:
    """Pairs of short random texts of the characters that matter, half of them almost alike."""
    rng = random.Random(27)
    letters = "aA1.2,; $%-'é\t"
    pairs = []
    for _ in range(count):
        truth = "".join(rng.choice(letters) for _ in range(rng.randint(1, 6)))
        said = "".join(rng.choice((one, one.upper(), f" {one}", f"{one},", "")) for one in truth)
        pairs.append((said, truth))
    return pairs


if __name__ == "__main__":
    pairs = [(said, truth) for truth in TRUTHS for said in SAID] + drawn(600)
    Path(__file__).with_name("gaia.json").write_text(
        json.dumps(
            {
                "source": f"inspect_evals {version('inspect-evals')}, gaia.scorer.question_scorer",
                "command": "python tests/data/reference/make_gaia.py",
                "cases": [[said, truth, question_scorer(said, truth)[0]] for said, truth in pairs],
            },
            ensure_ascii=True,
        )
        + "\n",
        encoding="utf-8",
    )
