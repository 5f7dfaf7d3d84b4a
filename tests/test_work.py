import pytest

from work import TooMuchWork, work


def some_lines(times: float) -> None:
    done = 0
    while done < times:
        done += 1


def test_work_is_counted_and_ended():
    with work(most=10_000) as little:
        some_lines(10)
    with work(most=10_000) as much:
        some_lines(1000)
    assert 20 <= little.lines < 40
    assert 2000 <= much.lines < 2020
    with pytest.raises(TooMuchWork), work(most=10_000):
        some_lines(float("inf"))
