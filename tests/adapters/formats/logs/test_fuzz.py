"""Mutated logs: they are read, or refused in one line that names the file. Deterministic; a few in every run."""

import gzip
import random
import struct
import zipfile
from pathlib import Path

import pytest

from adapters.formats.logs.mutations import mutated
from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.reading import is_log, read_logs
from forbear.adapters.formats.logs.said import understood
from forbear.errors import InvalidInput
from forbear.files import LIMIT

OURS = Path(__file__).parents[3] / "data" / "logs"
SHARED = Path(__file__).parents[5] / "shared" / "logs"
KINDS = {".json", ".jsonl", ".eval", ".xml", ".traj"}


def one_of_each() -> dict[str, Path]:
    """Our own logs, and of the published ones, where they are, one of each format and kind of file."""
    files = {f"ours-{path.stem}": path for path in sorted(OURS.iterdir()) if path.suffix in KINDS}
    for path in sorted(SHARED.glob("*/**/*")):
        if path.suffix in KINDS and path.name != "truth.json" and path.stat().st_size < 400_000 and is_log(path):
            files.setdefault(f"{path.relative_to(SHARED).parts[0]}{path.suffix}", path)
    return files


FILES = one_of_each()


def survives(path: Path, folder: Path, seeds: range) -> None:
    for seed in seeds:
        draw = random.Random(f"{path.name} {seed}")
        spoiled = folder / path.name
        spoiled.write_bytes(mutated(path, draw))
        choice = Choice(threshold=draw.choice((None, 0.5)), arms_by=draw.choice(("auto", "config", "file")))
        try:
            found = read_logs([spoiled], choice=choice)
        except InvalidInput as refused:
            message = str(refused)
            assert message.isprintable(), seed
            assert path.name in message or folder.name in message, (seed, message)  # a folder, where a file is one task
            continue
        assert understood(found)
        assert len(found.table().success) == sum(
            one.success + one.failure + one.error + one.missing for one in found.arms.values()
        )


@pytest.mark.parametrize("name", FILES)
def test_a_spoiled_log_is_read_or_refused(name, tmp_path):
    survives(FILES[name], tmp_path, range(5))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_many_spoiled_logs_are_read_or_refused(name, tmp_path):
    survives(FILES[name], tmp_path, range(100, 140))


def test_an_archive_that_unpacks_to_more_than_is_read_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT, "1")
    bomb = tmp_path / "bomb.eval"
    with zipfile.ZipFile(OURS / "traps.eval") as log, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        assert "header.json" in log.namelist()
        archive.writestr("header.json", b'{"eval": {"task": "t", "model": "m"}, "status": "success"}')
        archive.writestr("summaries.json", b" " * (64 << 20))
        archive.writestr("samples/a_epoch_1.json", b"{}")
    assert bomb.stat().st_size < 1 << 17
    with pytest.raises(InvalidInput, match=r"member summaries\.json: unpacks to more than 1 MiB"):
        read_logs([bomb])


def test_a_packed_log_is_read_and_one_that_unpacks_to_too_much_is_not(tmp_path, monkeypatch):
    path = tmp_path / "cases.xml.gz"
    path.write_bytes(gzip.compress(b"<testsuite><testcase name='a'/></testsuite>"))
    assert list(read_logs([path]).arms) == ["cases"]
    path.write_bytes(gzip.compress(b"<testsuite>")[:-3])
    with pytest.raises(InvalidInput, match="damaged"):
        read_logs([path])
    monkeypatch.setenv(LIMIT, "1")
    path.write_bytes(gzip.compress(b"<testsuite>" + b" " * (32 << 20)))
    with pytest.raises(InvalidInput, match="larger than 1 MiB"):
        read_logs([path])


def test_a_list_of_members_longer_than_its_file_is_not_read(tmp_path):
    data = bytearray((OURS / "traps.eval").read_bytes())
    at = data.rfind(b"PK\x05\x06")
    data[at + 12 : at + 16] = struct.pack("<L", 0x7FFFFFFF)
    (tmp_path / "log.eval").write_bytes(data)
    with pytest.raises(InvalidInput, match=r"log\.eval: its list of members is damaged"):
        read_logs([tmp_path / "log.eval"])


def test_xml_that_declares_entities_is_refused(tmp_path):
    laughs = '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    path = tmp_path / "report.xml"
    path.write_text(f"<!DOCTYPE testsuite [{laughs}]><testsuite><testcase name='&b;'/></testsuite>")
    with pytest.raises(InvalidInput, match=r"report\.xml: declares XML entities"):
        read_logs([path])
    path.write_text('<!DOCTYPE t SYSTEM "file:///etc/passwd"><testsuite><testcase name="a"/></testsuite>')
    assert [row.task for row in read_logs([path]).rows] == ["a"]  # what it names is never opened


def test_documents_that_are_nested_too_deeply_are_refused(tmp_path):
    path = tmp_path / "log.json"
    path.write_text('{"status": "success", "eval": {"task": "t", "model": "m"}, "samples": ' + "[" * 100_000)
    with pytest.raises(InvalidInput):
        read_logs([path])
    (tmp_path / "r.xml").write_text("<testsuite>" + "<a>" * 100)
    with pytest.raises(InvalidInput, match="nested too deeply"):
        read_logs([tmp_path / "r.xml"])
