import pytest

from forbear.errors import InvalidInput
from forbear.models.chat import ChatOptions, Completion, Token


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature must be a number of at least 0, got -1"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"temperature": float("inf")}, "temperature must be"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"temperature": True}, "temperature must be"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1, got 0"),
        ({"max_tokens": 1.5}, "max_tokens must be"),
        ({"max_tokens": True}, "max_tokens must be"),
        ({"top_logprobs": 21}, "top_logprobs must be a whole number from 0 to 20, got 21"),
        ({"top_logprobs": None}, "top_logprobs must be"),
    ],
)
def test_options_that_no_model_can_follow_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        ChatOptions(**options)


def test_options_at_their_ends():
    options = ChatOptions(temperature=0, max_tokens=1, top_logprobs=20)
    assert (options.temperature, options.max_tokens, options.top_logprobs) == (0, 1, 20)


def test_log_probabilities_are_known_or_not():
    assert Completion().logprobs is None
    assert Completion(tokens=()).logprobs == ()
    assert Completion(tokens=(Token("a", -0.5), Token("b", 0.0))).logprobs == (-0.5, 0.0)
