"""Tables to damage, how, and what may be said of them."""

from forbear.adapters.formats.reading import Columns, Condition, Reading
from forbear.adapters.formats.tabular import read_outcomes
from forbear.errors import InvalidInput

RECORDS = [
    {
        "task_id": f"t{i}",
        "arm": arm,
        "seed": s,
        "success": (i * s) % 3 > 0,
        "error": "",
        "meta": {"x": [i, {"y": None}]},
    }
    for i in range(6)
    for arm in ("baseline", "critic")
    for s in range(2)
]
TOKENS = [
    *(
        b'"',
        b",",
        b";",
        b"\n",
        b"\r",
        b"\t",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b'""',
    ),
    *(
        b"null",
        b"NaN",
        b"1e999",
        b"-1",
        b"0.5",
        b"9" * 400,
        b"\\ud800",
        b"\xe2\x80\xae",
        b"success",
        b"arm",
        b"x" * 3000,
    ),
]
READINGS = [
    Reading(),
    Reading(number_runs=True, by="arm"),
    Reading(key="row", where=(Condition.parse("arm!=critic"),)),
    Reading(threshold=0.5, columns=Columns(success="seed", error="error")),
    Reading(graded=True, failures=("timeout",)),
    Reading(arm_columns=("success", "seed"), records="results"),
]


def damaged(data, rng):
    """The data after one to four small accidents."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        far = min(len(data), at + rng.choice([1, 2, 8, 64]))
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:far]
        elif kind == 2:
            data[at:at] = data[at:far] * rng.choice([1, 1, 30])
        elif kind == 3:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 4:
            data[at:far] = rng.choice(TOKENS)
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def outcome(path, reading):
    """What is said of a file: nothing where it is read."""
    try:
        read = read_outcomes(path, reading=reading, needs_arm=False)
    except InvalidInput as refused:
        said = str(refused)
        assert said.isprintable(), said
        assert len(said) < 1000, said
        assert path.name in said or not reading.failures or "reason" in said, said
        return said
    assert len(read.table.success) > 0
    assert len(read.table.places[len(read.table.success) - 1]) < 300
    return ""
