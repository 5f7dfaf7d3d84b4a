import pytest

from forbear.cli.main import run


@pytest.fixture
def decide(capsys):
    """`forbear decide` with these arguments: its exit code, output and errors."""

    def decide(*arguments):
        code = run(["decide", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return decide
