"""What the verbs share: ``key=value`` words beside ``--flags``, and where conf/ lies."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pipeline
from pipeline.configuration.choices import KEYS, unknown_key
from pipeline.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one paragraph of our own."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage and leaving."""
        raise ConfigError(message, where=self.prog, fix=f"{self.prog} --help lists what it takes")


def parser(verb: str, summary: str, examples: Sequence[str] = ()) -> Parser:
    """A verb's parser; examples stand below its help."""
    epilog = "\n".join(["examples:", *(f"  {line}" for line in examples)]) if examples else None
    return Parser(
        prog=f"vintage {verb}",
        description=summary,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def with_words(made: Parser) -> Parser:
    """Let a verb take ``key=value`` words."""
    made.add_argument("words", nargs="*", metavar="key=value", help="Hydra's grammar")
    return made


def parse(made: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse words and flags in any order.

    Raises
    ------
    ConfigError
        For an unknown flag, naming the nearest.
    """
    known, unknown = made.parse_known_intermixed_args(list(argv))
    if unknown:
        flags = [flag for action in made._actions for flag in action.option_strings]  # noqa: SLF001
        close = difflib.get_close_matches(unknown[0], flags, n=1)
        hint = f"did you mean {close[0]}?" if close else f"{made.prog} --help lists the flags"
        if "=" in unknown[0]:
            hint = f"choices have no dashes: {unknown[0].lstrip('-')}"
        raise ConfigError(f"unknown flag '{unknown[0]}'", where=made.prog, fix=hint)
    return known


def require_known(words: Sequence[str], own: Sequence[str]) -> None:
    """Refuse a mistyped key, naming the nearest; `own` are words of the verb alone.

    Raises
    ------
    ConfigError
        Naming it.
    """
    for word in words:
        key, _, value = word.partition("=")
        if key.isidentifier() and "=" in word and key not in (*KEYS, *own):
            raise unknown_key(key, value, own)


def checkout() -> Path:
    """Folder of the code that is running: conf/, dvc.yaml and pipeline/ stand in it."""
    return Path(pipeline.__file__).absolute().parents[1]
