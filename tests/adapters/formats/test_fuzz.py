"""Damaged tables: read, or refused in one line that names the file; nothing else comes out, and memory is bounded."""

import gzip
import io
import json
import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from damaged_tables import READINGS, RECORDS, damaged, outcome
from forbear.adapters.formats.reading import Reading

CASES = Path(__file__).parents[4] / "shared" / "cases"
TEXT = "task_id,arm,seed,success,note\n" + "".join(
    f'{r["task_id"]},{r["arm"]},{r["seed"]},{int(r["success"])},"a ""b"", c"\n' for r in RECORDS
)


def zipped(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.csv", text)
    return buffer.getvalue()


def by_arm(record=lambda r: r["success"]):
    return {
        arm: {r["task_id"]: record(r) for r in RECORDS if r["arm"] == arm and not r["seed"]}
        for arm in ("baseline", "critic")
    }


SEEDS = {
    "csv": TEXT.encode(),
    "excel": ("\ufeffsep=;\r\n" + TEXT.replace(",", ";").replace("\n", "\r\n")).encode(),
    "utf-16": ("\ufeff" + TEXT.replace(",", "\t")).encode("utf-16-le"),
    "jsonl": "\n".join(map(json.dumps, RECORDS)).encode(),
    "array": json.dumps(RECORDS, indent=1).encode(),
    "document": json.dumps({"a": 1, "results": RECORDS}).encode(),
    "by arm": json.dumps(by_arm(), indent=2).encode(),
    "objects by arm": json.dumps(by_arm(lambda r: {"resolved": r["success"], "cost": 0.1})).encode(),
    "gzip": gzip.compress(TEXT.encode(), mtime=0),
    "zip": zipped(TEXT),
}


def attack(tmp_path, name, data, *, times):
    rng = random.Random(name)
    path = tmp_path / "damaged.bin"
    heard = set()
    for _ in range(times):
        path.write_bytes(damaged(data, rng))
        heard.add(outcome(path, rng.choice(READINGS))[-40:])
    return heard


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_table_is_read_or_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "4")
    path = tmp_path / "whole.bin"
    path.write_bytes(SEEDS[name])
    assert outcome(path, Reading(records="results" if name == "document" else None)) == ""
    assert len(attack(tmp_path, name, SEEDS[name], times=60)) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_a_table_damaged_in_more_ways(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "4")
    attack(tmp_path, f"{name} again", SEEDS[name], times=150)


@pytest.mark.slow
@pytest.mark.skipif(not CASES.is_dir(), reason=f"needs {CASES}, which is not part of the project")
def test_real_files_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "4")
    for path in sorted(CASES.rglob("*")):
        if path.suffix in (".csv", ".json", ".jsonl"):
            attack(tmp_path, path.name, path.read_bytes()[:8_000], times=20)


BOMBS = {
    "many values": b"[" + b"0," * 400_000 + b"0]",
    "many keys": b"{" + b",".join(b'"%d":1' % i for i in range(90_000)) + b"}",
    "many empty records": b"[" + b"{}," * 300_000 + b"{}]",
    "deep": b'{"a":' * 200_000,
    "deep and whole": b"[" * 200_000 + b"]" * 200_000,
    "backslashes": b'["' + b"\\\\" * 500_000 + b'"]',
    "a string without end": b'[{"a": "' + b"\\" * 1_000_000,
    "many columns": b"x," * 500_000 + b"x\n",
    "many fields": json.dumps({f"k{i}": i for i in range(70_000)}).encode(),
    "many names": b"task_id,arm,success\n" + b"".join(b"%d,%d,1\n" % (i, i) for i in range(80_000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_what_is_small_takes_little_memory(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "1")
    path = tmp_path / "bomb.bin"
    path.write_bytes(BOMBS[name])
    tracemalloc.start()
    try:
        outcome(path, Reading(key="row"))
        outcome(path, Reading())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # What rows hold may take twice the limit, the text and one record of a 16th of it the rest.
    assert peak < 24 << 20, f"{peak >> 20} MiB"
