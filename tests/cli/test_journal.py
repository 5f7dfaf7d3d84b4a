import pytest

from forbear.cli.main import run as forbear
from forbear.records.journal import Journal
from runner.pilots import digest, plan, run


@pytest.fixture
def command(capsys):
    """`forbear journal` with these arguments: its exit code, output and errors."""

    def command(*arguments):
        code = forbear(["journal", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "j"
    run(plan(n=2), folder)
    return folder


def copy_of(whole, folder, lines):
    folder.mkdir()
    (folder / "plan.json").write_bytes((whole / "plan.json").read_bytes())
    (folder / "episodes.jsonl").write_bytes(lines)
    return folder


def test_a_whole_journal_is_left_alone(command, whole):
    before = sorted(path.name for path in whole.iterdir())
    for what in ("check", "repair"):
        assert command(what, whole) == (0, f"{whole}: 20 lines, as written. Nothing to repair.\n", "")
    assert command("digest", whole) == (0, f"{digest(whole)}\n", "")
    assert sorted(path.name for path in whole.iterdir()) == before


def test_a_torn_end_is_no_damage(command, whole, tmp_path):
    lines = (whole / "episodes.jsonl").read_bytes()
    folder = copy_of(whole, tmp_path / "j", lines + lines[:33])
    for what in ("check", "repair"):
        code, out, err = command(what, folder)
        assert (code, err) == (0, "")
        assert "The last 33 bytes are no whole line" in out


def test_a_damaged_journal_is_checked_repaired_and_gone_on_with(command, whole, tmp_path):
    lines = (whole / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    folder = copy_of(whole, tmp_path / "j", b"".join([lines[0].replace(b"t0", b"t1", 1), *lines[1:]]))
    damaged = (folder / "episodes.jsonl").read_bytes()
    for reader in (("digest", folder), ("check", folder)):
        code, out, err = command(*reader)
        assert code == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert "forbear journal repair" in err
    assert "line 1: it is not what was written (its checksum differs)\n" in out
    assert "Whole: 1" in out
    assert sorted(path.name for path in folder.iterdir()) == ["episodes.jsonl", "plan.json"]

    code, out, err = command("repair", folder)
    assert (code, err) == (0, "")
    assert "line 1: it is not what was written (its checksum differs)\n" in out
    assert "which is gone" in out
    assert "run next by `forbear pilot run`: " in out
    assert ", arm 'baseline'\n" in out
    assert f"The file as it was: {folder / 'episodes.jsonl.damaged'}\n" in out
    assert (folder / "episodes.jsonl.damaged").read_bytes() == damaged
    kept = len(Journal(folder).read().episodes)
    assert 5 <= kept < 20

    code, out, err = command("repair", folder)
    assert (code, out) == (0, f"{folder}: {kept} lines, as written. Nothing to repair.\n")
    announced = []
    run(plan(n=2), folder, on_episode=announced.append)
    assert len(announced) == 20 - kept
    assert digest(folder) == digest(whole)


def test_what_cannot_be_mended_is_said(command, whole, tmp_path):
    folder = copy_of(whole, tmp_path / "j", b"")
    (folder / "plan.json").write_bytes(b"\xff")
    for what in ("digest", "check", "repair"):
        code, out, err = command(what, folder)
        assert (code, out) == (2, "")
        assert "plan.json is not what the pilot was started with (not JSON: 'utf-8' codec" in err
        assert "Restore the file from a copy" in err
        code, out, err = command(what, tmp_path / "none")
        assert (code, out) == (2, "")
        assert "no readable journal there" in err
