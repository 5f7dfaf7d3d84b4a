"""Disk, lock and clock of a small pilot, which break at the n-th call that concerns its journal or its time."""

import contextlib
import errno
import fcntl
import os
import sys
import time
import types
from unittest.mock import patch

ERRNOS = {name: getattr(errno, name) for name in ("EIO", "ENOSPC", "EDQUOT", "EROFS", "ESTALE", "EINTR")}
LOCKS = {name: getattr(errno, name) for name in ("EWOULDBLOCK", "EACCES", "ENOLCK", "EIO", "EOPNOTSUPP", "ESTALE")}
OPENS = {name: getattr(errno, name) for name in ("EMFILE", "ENFILE", "EACCES", "EIO", "EROFS", "ENOMEM", "ESTALE")}
TORN = ("torn", "torn for good")
"""The disk takes a part of a line; then it cannot even take that back."""

MOVES = {"goes on an hour": 3600.0, "goes back an hour": -3600.0, "goes on a bit": 0.3, "stands": None}
"""What a clock may do from a call on."""

FAULTS = {
    "disk.write": [*ERRNOS, *TORN],
    "disk.fsync": [*ERRNOS],
    "disk.replace": [*ERRNOS],
    "disk.lock": [*LOCKS],
    "disk.open": [*OPENS],
    "clock.monotonic": [*MOVES],
    "clock.perf_counter": [*MOVES],
}


class Machine:
    """What forbear asks of the system, in this process; a context manager."""

    def __init__(self, injector, directory):
        self.injector = injector
        self.directory = os.path.realpath(directory)
        self.is_full = False
        self.moved = {}
        """By clock: the time at which it stands, or by how much it is ahead."""

    def __enter__(self):
        self.real = {name: getattr(os, name) for name in ("write", "fsync", "replace", "open", "ftruncate")}
        clock = types.SimpleNamespace(**vars(time))
        clock.monotonic, clock.perf_counter = self.clock("monotonic"), self.clock("perf_counter")
        self.patches = contextlib.ExitStack()
        for name in self.real:
            self.patches.enter_context(patch.object(os, name, getattr(self, name)))
        self.patches.enter_context(patch.object(fcntl, "flock", self.flock(fcntl.flock)))
        for name, module in list(sys.modules.items()):
            if name.startswith("forbear.") and getattr(module, "time", None) is time:
                self.patches.enter_context(patch.object(module, "time", clock))
        return self

    def __exit__(self, *_):
        self.patches.close()

    def is_ours(self, file):
        if isinstance(file, int):
            file = os.readlink(f"/proc/self/fd/{file}")
        return os.path.realpath(file).startswith(self.directory)

    def require(self, point, file):
        if self.is_ours(file) and self.injector.due(point):
            number = (ERRNOS | LOCKS | OPENS)[self.injector.fault]
            raise OSError(number, os.strerror(number))

    def write(self, descriptor, content):
        if not self.is_ours(descriptor):
            return self.real["write"](descriptor, content)
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.injector.fault in TORN and self.injector.due("disk.write"):
            self.is_full = True
            return self.real["write"](descriptor, content[: len(content) // 2])
        if self.injector.fault not in TORN:
            self.require("disk.write", descriptor)
        return self.real["write"](descriptor, content)

    def ftruncate(self, descriptor, size):
        if self.is_full and self.injector.fault == "torn for good":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.real["ftruncate"](descriptor, size)

    def fsync(self, descriptor):
        self.require("disk.fsync", descriptor)  # and else no power cut comes

    def replace(self, source, target):
        self.require("disk.replace", target)
        return self.real["replace"](source, target)

    def open(self, path, *args, **options):
        self.require("disk.open", path)
        return self.real["open"](path, *args, **options)

    def flock(self, real):
        def flock(descriptor, operation):
            self.require("disk.lock", descriptor)
            return real(descriptor, operation)

        return flock

    def clock(self, name):
        real = getattr(time, name)

        def now():
            if self.injector.due(f"clock.{name}"):
                by = MOVES[self.injector.fault]
                self.moved[name] = (real(), 0.0) if by is None else (None, by)
            stands, ahead = self.moved.get(name, (None, 0.0))
            return real() + ahead if stands is None else stands

        return now
