"""Logs as something went wrong with them: bytes flipped, cut, doubled; values of other types, sizes and depths."""

import copy
import json
import random
import zipfile
from io import BytesIO
from pathlib import Path

STRANGE = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\x00\x1b[31m\u202e",
    "C",
    "9" * 30,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"resolved": True},
    {"value": {"a": [1]}},
)


DEEP = {"nested a little": 50, "nested deeply": 5000}
"""What stands for lists in lists."""


def places(value, *, most=4000):
    """Every container in a document with each of its keys, nearest first."""
    found, queue = [], [value]
    while queue and len(found) < most:
        one = queue.pop(0)
        pairs = list(one.items()) if isinstance(one, dict) else list(enumerate(one)) if isinstance(one, list) else []
        for key, inner in pairs[:200]:
            found.append((one, key))
            queue.append(inner)
    return found


def changed(document, draw: random.Random):
    """A document in which up to four values are others, gone, or doubled."""
    document = copy.deepcopy(document)
    for _ in range(draw.randint(1, 4)):
        spots = places(document)
        if not spots:
            return draw.choice(STRANGE)
        # What stands near the root is what a reader looks at.
        where, key = spots[min(int(draw.expovariate(4 / len(spots))), len(spots) - 1)]
        kind = draw.random()
        if kind < 0.15 and isinstance(where, dict):
            del where[key]
        elif kind < 0.25 and isinstance(where, list):
            where.insert(key, copy.deepcopy(where[key]))
        elif kind < 0.3:
            where[key] = draw.choice(tuple(DEEP))
        elif kind < 0.4:
            other, name = draw.choice(spots)
            where[key] = copy.deepcopy(other[name])
        else:
            where[key] = copy.deepcopy(draw.choice(STRANGE))
    return document


def torn(data: bytes, draw: random.Random) -> bytes:
    """Bytes cut, flipped, doubled or put in."""
    spoiled = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(spoiled) or 1)
        match draw.randrange(5):
            case 0:
                del spoiled[at:]
            case 1 if spoiled:
                spoiled[at] ^= 1 << draw.randrange(8)
            case 2:
                spoiled[at:at] = draw.randbytes(draw.randint(1, 8))
            case 3:
                spoiled[at:at] = spoiled[at : at + draw.randint(1, 200)]
            case _:
                del spoiled[at : at + draw.randint(1, 200)]
    return bytes(spoiled)


def dumped(value) -> bytes:
    """JSON, nested where it is so marked."""
    data = json.dumps(value).encode()
    for mark, depth in DEEP.items():
        data = data.replace(f'"{mark}"'.encode(), b"[" * depth + b"]" * depth)
    return data


def mutated(path: Path, draw: random.Random) -> bytes:
    """One mutation of a log, of its bytes or of what they say."""
    data = path.read_bytes()
    if draw.random() < 0.4:
        return torn(data, draw)
    if data[:2] == b"PK":
        return _of_members(data, draw)
    try:
        return dumped(changed(json.loads(data), draw))
    except ValueError:
        pass
    rows = data.splitlines()
    if not rows or rows[0][:1] != b"{":
        return torn(data, draw)
    number = draw.randrange(min(len(rows), 5))
    rows[number] = dumped(changed(json.loads(rows[number]), draw))
    return b"\n".join(rows)


def _of_members(data: bytes, draw: random.Random) -> bytes:
    """An archive, unpacked and changed in one member; where it cannot be unpacked here, torn."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        try:
            members = {name: archive.read(name) for name in archive.namelist()}
        except NotImplementedError:
            return torn(data, draw)
    name = draw.choice([one for one in members if not one.startswith("samples/")] or list(members))
    members[name] = (
        dumped(changed(json.loads(members[name]), draw)) if draw.random() < 0.8 else torn(members[name], draw)
    )
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for one, content in members.items():
            archive.writestr(one, content)
    return out.getvalue()
