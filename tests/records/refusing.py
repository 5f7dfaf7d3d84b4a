"""A disk that fails: the system refuses one kind of call of this process, from now on (Linux, seccomp)."""

import ctypes
import errno
import platform
import struct
import sys

NUMBERS = {
    "x86_64": (0xC000003E, {"seccomp": 317, "write": 1, "flock": 73, "fsync": 74, "ftruncate": 77}),
    "aarch64": (0xC00000B7, {"seccomp": 277, "write": 64, "flock": 32, "fsync": 82, "ftruncate": 46}),
}

_NO_NEW_PRIVILEGES, _SET_FILTER, _IN_ALL_THREADS = 38, 1, 1
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def refuse(call: str, *, code: int = errno.EIO, descriptor: int | None = None) -> bool:
    """Makes a system call fail in this process and its children; says whether the system lets that be made.

    Args:
        call: Its name.
        code: The error that it gives.
        descriptor: Only where this is its first argument; omitted: always.
    """
    if sys.platform != "linux" or platform.machine() not in NUMBERS:
        return False
    architecture, numbers = NUMBERS[platform.machine()]
    first = [] if descriptor is None else [(_LOAD, 0, 0, 16), (_JUMP_EQUAL, 0, 1, descriptor)]
    steps = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 0, 3 + len(first), architecture),
        (_LOAD, 0, 0, 0),
        (_JUMP_EQUAL, 0, 1 + len(first), numbers[call]),
        *first,
        (_RETURN, 0, 0, _ERRNO | code),
        (_RETURN, 0, 0, _ALLOW),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    where = ctypes.c_void_p(ctypes.addressof(described))
    return libc.syscall(numbers["seccomp"], _SET_FILTER, _IN_ALL_THREADS, where) == 0
