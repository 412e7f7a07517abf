"""``vintage …`` = ``python -m pipeline …``: finds the verb, tells errors in one paragraph."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from pipeline.errors import ConfigError, nearest
from pipeline.operations.caught import told

VERBS = {
    "retrain": ("pipeline.commands.retrain", "make a fresh candidate, judge it, promote it"),
    "predict": ("pipeline.commands.predict", "the champion's signal on the newest candle"),
    "backtest": ("pipeline.commands.backtest", "trade a version's out-of-fold rows, after costs"),
    "reenact": ("pipeline.commands.reenact", "an old claim beside what is left of it"),
    "reproduce": ("pipeline.commands.reproduce", "make a version again, byte for byte"),
    "simulate": ("pipeline.commands.simulate", "replay a schedule: what was retraining worth?"),
    "tune": ("pipeline.commands.tune", "search a model's settings, trial by trial"),
    "audit": ("pipeline.commands.audit", "prove that nothing is found in noise, on known markets"),
    "experiments": ("pipeline.commands.experiments", "a readable dvc exp show"),
    "adopt": ("pipeline.commands.adopt", "keep an experiment's settings in conf/tune/"),
    "registry": ("pipeline.commands.registry", "list, show, compare, promote, roll back versions"),
    "data": ("pipeline.commands.data", "the candle store: sync, status, import, backup"),
    "features": ("pipeline.commands.features", "columns, formulas and values; show, explain, diff"),
    "compose": ("pipeline.commands.compose", "show what each stage would be told"),
    "stage": ("pipeline.commands.stage", "run one stage (dvc.yaml calls this)"),
    "logs": ("pipeline.commands.logs", "what happened: filtered, readable, as it happens"),
    "sandbox": ("pipeline.commands.sandbox", "a loopback exchange to rehearse with"),
    "clean": ("pipeline.commands.clean", "delete what nothing needs: cache, workspaces, logs"),
    "doctor": ("pipeline.commands.doctor", "versions, disk, clock, environment"),
}
VERBOSE = ("-v", "--verbose")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; the outermost loop of every command."""
    words = list(sys.argv[1:] if argv is None else argv)
    verbose = any(word in words for word in VERBOSE)
    try:
        code = _dispatch([word for word in words if word not in VERBOSE])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
        if verbose and isinstance(error, Exception):
            traceback.print_exc()
        text, code = told(error)
        sys.stderr.write(f"error: {text}\n")
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
            "vintage VERB --help tells more; -v shows the traceback of an error; --version.",
        ]
    )


def _dispatch(words: list[str]) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text() + "\n")
        return 0
    verb, *rest = words
    if verb == "--version":
        metadata = importlib.import_module("importlib.metadata")
        sys.stdout.write(f"vintage {metadata.version('vintage')}\n")
        return 0
    if verb not in VERBS:
        raise ConfigError(f"unknown verb '{verb}'", fix=nearest(verb, VERBS))
    module = importlib.import_module(VERBS[verb][0])
    return int(module.main(rest))


def _interrupt(number: int, frame: object) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
