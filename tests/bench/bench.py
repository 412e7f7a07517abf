"""One table: what, ours, a named peer, and the ratio, measured in turns on this machine.

CPU seconds of user and system, the median of `RUNS` runs after one that is not counted; ours and
the peer alternate, so that a busy machine hurts both. What takes less than a tenth of a second is
done again until one has passed. Nothing is written outside temporary folders.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.features.feature_set import FeatureSet
from pipeline.features.indicators import CandleArrays
from pipeline.market.candles import USUAL
from pipeline.market.store import CandleStore, Series
from tests.bench import backtests, draws, exits, models, peers, trees

ROOT = Path(__file__).resolve().parents[2]
RUNS = 7
BIN = Path(sys.executable).parent
IMPORTED = "import numpy, pipeline.features.feature_set"
ONE_INDICATOR = "pipeline.features.rolling.rolling_mean(numpy.arange(300.0), 20)"
HOURLY46: FeatureSet = build(read_yaml(ROOT / "conf/features/hourly46.yaml"), "features=hourly46")
Run = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; both sides give CPU seconds, `calls` to a unit of what is told."""

    what: str
    ours: Run
    peer: Run
    name: str
    calls: int = 1


def main() -> None:
    """Measure and print."""
    started = time.monotonic()
    told = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"CPU seconds, median of {RUNS} alternating runs; ratio = peer / ours, above 1 ours")
    print(f"is faster ({told}). Rows that are unchecked lie in the warm-up, all or some: they are")
    print("computed, and neither side asks whether they are settled or finite. Both sides keep the")
    print("memory that they once got.\n")
    quick = features, five_minutes, backtest, intervals
    slow = boosted, sequence_models, store, starts, no_op
    heads = f"{'what':<50} {'ours':>9} {'peer':>9} {'ratio':>7}"
    print(f"{heads}  {'range':<14} peer")
    with tempfile.TemporaryDirectory() as folder, peer_process(sys.argv[1]) as peer:
        for make in (*quick, *slow):
            for row in make(Path(folder), peer):
                print(measured(row), flush=True)
    print(f"\n{time.monotonic() - started:.0f} s in all")


def measured(row: Row) -> str:
    """Run both sides in turns and tell the line, with the range of the pairs' ratios."""
    row.ours(), row.peer()
    pairs = [(row.ours(), row.peer()) for _ in range(RUNS)]
    ours, peer = (statistics.median(side) / row.calls for side in zip(*pairs, strict=True))
    ratios = [theirs / mine for mine, theirs in pairs]
    spread = f"{min(ratios):.3g} to {max(ratios):.3g}"
    told = f"{row.what:<50} {_seconds(ours):>9} {_seconds(peer):>9} {peer / ours:7.2f}"
    return f"{told}  {spread:<14} {row.name}"


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


Peer = Callable[[str], tuple[float, dict[str, float]]]


@contextmanager
def peer_process(python: str) -> Iterator[Peer]:
    """A process in the peers' environment that does one task for each name it is told."""
    command = [python, "-W", "ignore", "-m", "tests.bench.peers"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def ask(task: str) -> tuple[float, dict[str, float]]:
            print(task, file=process.stdin, flush=True)
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SystemExit(f"the peer {task} failed; its own message stands above")
            answer = json.loads(line)
            return answer["seconds"], answer["told"]

        yield ask
        process.stdin.close()


def features(folder: Path, peer: Peer) -> Iterator[Row]:
    """Feature rows."""
    frame = peers.candles(peers.LONG)
    _same_values(HOURLY46, peer("pandas")[1])
    yield Row(
        "46 columns of 1,000,000 candles",
        lambda: spent(lambda: HOURLY46.compute_all(frame)),
        lambda: peer("pandas")[0],
        "pandas, column by column",
    )
    for task, names in (("ta", peers.TA_COLUMNS), ("talib", peers.TALIB_COLUMNS)):
        part = FeatureSet(name=task, columns={name: HOURLY46.columns[name] for name in names})
        yield Row(
            f"the {len(names)} of them that {task} has, 1,000,000 candles",
            lambda part=part: spent(lambda: part.compute_all(frame)),
            lambda task=task: peer(task)[0],
            {"ta": "ta 0.11", "talib": "TA-Lib 0.8 (C)"}[task],
        )
    markets, longer = _markets(peers.SHORT), _markets(peers.LONGER)
    short = FeatureSet(name="t", columns={n: HOURLY46.columns[n] for n in peers.TALIB_COLUMNS})
    for part, task, name in (
        (HOURLY46, "markets", "pandas, market by market"),
        (HOURLY46, "talib_markets", f"TA-Lib, {len(peers.TALIB_COLUMNS)} columns only"),
        (short, "talib_markets", "TA-Lib, market by market"),
    ):
        yield Row(
            f"{len(part.names)} columns of 200 markets x 200 candles, unchecked",
            lambda part=part: spent(lambda: part.compute_all(markets)),
            lambda task=task: peer(task)[0],
            name,
        )
    yield Row(
        f"46 columns of 200 markets x {peers.LONGER} candles, checked",
        lambda: spent(lambda: HOURLY46.compute_many(longer)),
        lambda: peer("longer_markets")[0],
        "pandas, market by market, unchecked",
    )
    yield from _newest(peer)
    yield from _footprint()


def _markets(rows: int) -> pd.DataFrame:
    frames = {f"M{seed}": peers.candles(rows, seed) for seed in range(peers.MARKETS)}
    return pd.concat(frames, names=["market", "time"])


def _newest(peer: Peer) -> Iterator[Row]:
    live = peers.candles(HOURLY46.memory + 1)
    columns = [live[name].to_numpy().copy() for name in USUAL]
    told = f"newest row of one market from {len(live):,} candles"
    for what, work in (
        (f"{told}, arrays", lambda: HOURLY46.newest_values(CandleArrays(*columns))),
        (f"{told}, frames", lambda: HOURLY46.newest(live)),
    ):
        yield Row(
            what,
            lambda work=work: spent(lambda: [work() for _ in range(peers.CALLS)]),
            lambda: peer("newest")[0],
            "pandas on 200 candles, inexact",
            peers.CALLS,
        )


def _footprint() -> Iterator[Row]:
    command = [sys.executable, "-m", "tests.bench.footprint"]
    for what, code in (
        ("import of the feature code, warm cache", IMPORTED),
        ("the same and one indicator of a kept kernel", f"{IMPORTED}; {ONE_INDICATOR}"),
    ):
        yield Row(
            what,
            lambda code=code: child([sys.executable, "-c", code], ROOT),
            lambda: child([sys.executable, "-c", "import numba, pydantic"], ROOT),
            "numba and pydantic: the floor",
        )
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(command, cwd=ROOT, env=usual, check=True, capture_output=True, text=True)
    print(done.stdout)


def _same_values(ours: FeatureSet, theirs: dict[str, float]) -> None:
    last = ours.compute_all(peers.candles(peers.LONG)).iloc[-1]
    assert set(last.index) == set(theirs)
    np.testing.assert_allclose(last.to_numpy(), [theirs[name] for name in last.index], rtol=1e-4)


def backtest(folder: Path, peer: Peer) -> Iterator[Row]:
    """Trades and equity of given signals."""
    for pair in backtests.pairs():
        yield Row(
            pair.what,
            lambda pair=pair: spent(pair.ours),
            lambda pair=pair: peer(pair.task)[0],
            pair.name,
        )


def intervals(folder: Path, peer: Peer) -> Iterator[Row]:
    """Rows drawn again in blocks; both sides in this process."""
    for pair in draws.pairs():
        yield Row(
            pair.what,
            lambda pair=pair: spent(pair.ours),
            lambda pair=pair: pair.fewer * spent(pair.peer),
            pair.name,
        )


def five_minutes(folder: Path, peer: Peer) -> Iterator[Row]:
    """The sets of 5-minute candles, beside the time they may take."""
    for each in exits.limited():
        yield Row(
            each.what,
            lambda each=each: spent(each.ours),
            lambda each=each: each.seconds,
            "the limit",
        )


def boosted(folder: Path, peer: Peer) -> Iterator[Row]:
    """Boosted trees; both sides in this process."""
    for pair in trees.pairs():
        yield Row(
            pair.what,
            lambda pair=pair: spent(pair.ours),
            lambda pair=pair: spent(pair.peer),
            pair.name,
        )


def sequence_models(folder: Path, peer: Peer) -> Iterator[Row]:
    """The networks and the trees behind them; both sides in this process."""
    for pair in models.pairs(folder):
        yield Row(
            pair.what,
            lambda pair=pair: spent(pair.ours),
            lambda pair=pair: spent(pair.peer),
            pair.name,
            pair.calls,
        )


def store(folder: Path, peer: Peer) -> Iterator[Row]:
    """The candle store."""
    held, days = peers.stored_and_days()
    candles, series = CandleStore(folder / "store"), Series("bench", "KRW-BTC", "1m")
    candles.append(series, held)
    yield Row(
        "append a day to 1,000,000 stored minute candles",
        lambda: spent(lambda: candles.append(series, days.pop(0)), least=0.0),
        lambda: peer("csv")[0],
        "CSV: read, concat, rewrite",
    )
    yield Row(
        "read 1,000,000 stored minute candles",
        lambda: spent(lambda: candles.read(series)),
        lambda: peer("csv_read")[0],
        "pandas.read_csv, parsed moments",
    )


def starts(folder: Path, peer: Peer) -> Iterator[Row]:
    """How long a command takes to say its first word."""
    home = folder / "home"
    home.mkdir()
    shutil.copy(ROOT / "params.yaml", home)
    nothing = [sys.executable, "-c", "pass"]
    for words in (["pipeline", "--help"], ["pipeline", "registry", "list"]):
        command = [sys.executable, "-m", *words]
        yield Row(
            f"vintage {' '.join(words[1:])}",
            lambda command=command: child(command, home),
            lambda: child(nothing, home),
            "python -c pass: the floor",
        )


def no_op(folder: Path, peer: Peer) -> Iterator[Row]:
    """A build in which nothing changed."""
    clone = folder / "clone"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=clone, check=True)
    dvc = [sys.executable, "-m", "dvc"]
    child([*dvc, "repro", "-q"], clone)
    child([*dvc, "status", "-q"], clone)  # fails where a stage would run again
    yield Row(
        "dvc repro, 7 stages, nothing changed",
        lambda: child([*dvc, "repro", "-q"], clone),
        lambda: child([*dvc, "--version"], clone),
        "dvc --version: the floor",
    )


def spent(work: Callable[[], object], least: float = peers.FILLED) -> float:
    """CPU seconds of this process for some work: the mean of the turns that take `least` seconds.

    After a pause the first milliseconds are slower, and tell of the pause.
    """
    turns, before = 0, time.process_time()
    while turns == 0 or time.process_time() - before < least:
        work()
        turns += 1
    return (time.process_time() - before) / turns


def child(command: list[str], folder: Path) -> float:
    """CPU seconds of a command and of what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        "VINTAGE_HOME": str(folder),
        "DVC_NO_ANALYTICS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / ".site-cache"),
    }
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
