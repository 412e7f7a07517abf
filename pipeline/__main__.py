"""``vintage …`` = ``python -m pipeline …``: finds the verb, tells errors in one paragraph."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from pipeline.errors import ConfigError, VintageError, nearest
from registry.errors import RegistryError

VERBS = {
    "retrain": ("pipeline.commands.retrain", "make a fresh candidate, judge it, promote it"),
    "predict": ("pipeline.commands.predict", "the champion's signal on the newest candle"),
    "experiments": ("pipeline.commands.experiments", "a readable dvc exp show"),
    "registry": ("registry.__main__", "list, show, promote, roll back, verify versions"),
    "data": ("pipeline.commands.data", "sync and status of the candle store"),
    "compose": ("pipeline.commands.compose", "show what each stage would be told"),
    "stage": ("pipeline.commands.stage", "run one stage (dvc.yaml calls this)"),
    "doctor": ("pipeline.commands.doctor", "versions, disk, clock, environment"),
}
INTERRUPTED, UNEXPECTED = 130, 70


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; the outermost loop of every command."""
    words = list(sys.argv[1:] if argv is None else argv)
    verbose = any(word in words for word in ("-v", "--verbose"))
    words = [word for word in words if word not in ("-v", "--verbose")]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except (VintageError, RegistryError) as error:
        return _tell(str(error), error.exit_code, verbose)
    except ModuleNotFoundError as error:
        return _tell(_missing(error), ConfigError.exit_code, verbose)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _tell("interrupted; nothing was promoted by this command.", INTERRUPTED, verbose)
    except Exception as error:  # noqa: BLE001
        told = f"a fault in Vintage itself: {type(error).__name__}: {error}. To do: repeat with -v."
        return _tell(told, UNEXPECTED, verbose)
    return code


def help_text() -> str:
    """The list of verbs, made without importing any of them."""
    width = max(len(verb) for verb in VERBS)
    lines = [f"  {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items()]
    return "\n".join(
        [
            "usage: vintage VERB [key=value …] [--flag …]",
            "",
            "Keeps trading models fresh and honest.",
            "",
            *lines,
            "",
            "key=value chooses (model=lightgbm market=KRW-SOL); --flag is behaviour only.",
            "vintage VERB --help tells more; -v shows the traceback of an error.",
        ]
    )


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text() + "\n")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        raise ConfigError(f"unknown verb '{verb}'", fix=nearest(verb, VERBS))
    module = importlib.import_module(VERBS[verb][0])
    return int(module.main(rest))


def _missing(error: ModuleNotFoundError) -> str:
    return (
        f"this Python ({sys.executable}) lacks {error.name}. To do: use the checkout's own, "
        "source .venv/bin/activate, or make retrain to create it."
    )


def _tell(text: str, code: int, verbose: bool) -> int:
    if verbose and code != INTERRUPTED:
        traceback.print_exc()
    sys.stderr.write(f"error: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
