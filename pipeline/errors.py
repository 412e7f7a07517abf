"""What can go wrong, grouped by what the operator does next.

::

    VintageError            the root; never raised itself
    ├── ConfigError    (2)  fix the YAML, the override or the command line
    ├── GateError      (3)  nothing is broken: the model is not good enough
    ├── DataError      (4)  look at the candles
    ├── RetryLater     (5)  a passing fault: the same command may succeed later
    └── StageError     (7)  a stage's process failed; its own message stands above

``registry.errors.RegistryError`` (6) stands beside this tree, because the registry
imports nothing of the pipeline. The numbers are exit codes.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

LONGEST = 600  # characters of one part of a message


class VintageError(Exception):
    """An error that a person can act on, told in one paragraph.

    Parameters
    ----------
    what
        What is wrong, as a clause without a full stop.
    where
        File, stage, market, column or moment.
    found, expected
        The value that arrived, against what was expected.
    fix
        What to do next, as an instruction.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str = "", found: str = "", expected: str = "", fix: str = ""
    ) -> None:
        self.what, self.where, self.found, self.expected, self.fix = (
            what,
            where,
            found,
            expected,
            fix,
        )
        super().__init__(paragraph(what, where=where, found=found, expected=expected, fix=fix))


class ConfigError(VintageError):
    """The YAML, an override or the command line asks for something that does not exist."""

    exit_code = 2


class GateError(VintageError):
    """The candidate is sound but not good enough to become champion."""

    exit_code = 3


class DataError(VintageError):
    """The candles are missing, broken or too few."""

    exit_code = 4


class RetryLater(VintageError):
    """A passing fault; the same command may succeed later."""

    exit_code = 5


class StageError(VintageError):
    """A stage's process ended with an error of its own."""

    exit_code = 7


def paragraph(
    what: str, *, where: str = "", found: str = "", expected: str = "", fix: str = ""
) -> str:
    """Join the parts of an error into one readable paragraph.

    Examples
    --------
    >>> print(paragraph("unknown model", where="params.yaml", fix="choose lightgbm"))
    unknown model (params.yaml). To do: choose lightgbm.
    >>> print(paragraph("unknown flag '--jsno'", fix="did you mean --json?"))
    unknown flag '--jsno'. To do: did you mean --json?
    """
    what, where, found, expected, fix = map(_plain, (what, where, found, expected, fix))
    text = f"{what} ({where})." if where else _ended(what)
    if found and expected:
        text += _ended(f" Found: {found}; expected: {expected}")
    elif found or expected:
        text += _ended(f" Found: {found}" if found else f" Expected: {expected}")
    return _ended(f"{text} To do: {fix}") if fix else text


def nearest(word: str, valid: Iterable[str]) -> str:
    """Name the valid words, the closest first.

    Examples
    --------
    >>> nearest("lightgb", ["majority", "lightgbm"])
    'did you mean lightgbm? Valid: lightgbm, majority'
    """
    words = sorted(valid)
    small = {name.lower(): name for name in words}
    close = difflib.get_close_matches(word.lower(), small, n=1, cutoff=0.5)
    listing = f"Valid: {', '.join(words)}" if words else "it takes none"
    return f"did you mean {small[close[0]]}? {listing}" if close else listing


def from_system(error: OSError) -> RetryLater:
    """Tell an error of the operating system: a full disk, a missing right, an input/output fault.

    Examples
    --------
    >>> print(from_system(OSError(errno.ENOSPC, "No space left", "/x")))
    the system refused: No space left (/x). To do: free space on that disk and repeat.
    """
    advice = {
        errno.ENOSPC: "free space on that disk and repeat",
        errno.EDQUOT: "free space within the quota and repeat",
        errno.EACCES: "give this user the right to it and repeat",
        errno.EPERM: "give this user the right to it and repeat",
        errno.EROFS: "make that folder writable, or set VINTAGE_HOME to one that is",
        errno.EMFILE: "raise the limit of open files (ulimit -n) and repeat",
    }
    fix = advice.get(error.errno or 0, "look at the path that is named and repeat")
    told = error.strerror or str(error) or type(error).__name__
    return RetryLater(f"the system refused: {told}", where=str(error.filename or ""), fix=fix)


def told_by_stage(message: str, exit_code: int) -> VintageError:
    """Rebuild the error that a stage told before its process ended."""
    kinds = (ConfigError, GateError, DataError, RetryLater)
    kind = next((kind for kind in kinds if kind.exit_code == exit_code), StageError)
    error = kind("")
    error.args = (message,)
    return error


def _plain(text: str) -> str:
    told = "".join(char if char.isprintable() else _visible(char) for char in text)
    half = LONGEST // 2
    return told if len(told) <= LONGEST else f"{told[:half]} … {told[-half:]}"


def _ended(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _visible(char: str) -> str:
    return " " if char.isspace() else char.encode("unicode_escape").decode()
