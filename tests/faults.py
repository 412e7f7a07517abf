"""Letting one file operation of a process fail, or be its last; and bytes that lie."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from typing import Any, ClassVar

OPERATIONS = (
    *("open", "write", "fsync", "rename", "replace"),
    *("mkdir", "unlink", "rmdir", "truncate", "link"),
)
ROOM = {"open", "write", "mkdir", "link"}
WRITES = os.O_WRONLY | os.O_RDWR
CLEAN, KILLED, REFUSED, ESCAPED, COUNTED = 0, 9, 6, 1, 100


class Fault:
    """Counts file operations that write, and lets one of them fail; for a forked process.

    `kind`: ``kill`` ends the process there, ``full`` refuses room from there on, ``locked`` every
    change, ``error`` refuses that one. Files that end in `spared` always find room.
    """

    real: ClassVar[dict[str, Callable[..., Any]]] = {name: getattr(os, name) for name in OPERATIONS}

    @classmethod
    def lift(cls) -> None:
        """Let everything succeed again."""
        for name, real in cls.real.items():
            setattr(os, name, real)

    def __init__(self, at: int, kind: str, spared: str | None = None) -> None:
        self.left, self.kind, self.spared = at, kind, spared
        for name in OPERATIONS:
            setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*given: Any, **named: Any) -> Any:
            if name != "open" or given[1] & WRITES:
                self.left -= 1
                self.strike(name, real, given)
            return real(*given, **named)

        return operation

    def strike(self, name: str, real: Callable[..., Any], given: tuple[Any, ...]) -> None:
        if self.kind == "full":
            spared = self.spared is not None and str(given[0]).endswith(self.spared)
            if self.left <= 0 and name in ROOM and not spared:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), given[0])
        elif self.kind == "locked":
            if self.left <= 0 and name not in ("write", "fsync"):  # of a file that is open already
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), given[0])
        elif self.left == 0:
            if name == "write":
                real(given[0], given[1][: len(given[1]) // 2])
            if self.kind == "kill":
                os._exit(KILLED)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    @property
    def struck(self) -> bool:
        """Whether it came to the operation."""
        return self.left <= 0


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Flip one bit of some bytes, or cut them off."""
    at = chance.randrange(len(content))
    if chance.random() < 0.2:
        return content[:at]
    changed = bytearray(content)
    changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)
