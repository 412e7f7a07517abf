"""One budget of requests for each host, shared by every process of the user on this machine.

The state is one small file under a lock: when the next request may go, and until when the venue
has blocked this address. A request takes its permit at the moment it is due, not in advance, so
a process that wakes late never bunches up with the next one. All adapters of a host share its
budget, whatever they ask there: where a venue counts groups of requests apart, less is used than
it allows. Wall time is used because it is
the same in every process; when it is set back, the stored moments move back with it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from pipeline.errors import ConfigError
from pipeline.market.exchanges.faults import Fault
from pipeline.market.exchanges.machine import Deadline, Machine

FOLDER = "VINTAGE_RATE_FOLDER"
SHARE = 0.75  # of what the venue allows; never above 0.8
POLL = 0.005  # seconds between two looks at a lock that another process holds
KEY = "exchange.requests_per_second"
NO_NAME = re.compile(r"[^a-z0-9.-]")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a venue allows one address: requests in so many seconds, and who says so."""

    requests: float
    seconds: float
    source: str

    @property
    def ceiling(self) -> float:
        """Requests in a second that we take at most."""
        return SHARE * self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class State:
    """Moments in seconds since 1970: next permit, end of a block, last look at the clock."""

    next: float = 0.0
    blocked: float = 0.0
    seen: float = 0.0

    def at(self, now: float) -> State:
        """The same state for a clock that may have been set back."""
        back = min(0.0, now - self.seen)
        return State(self.next + back, self.blocked + back, now)


@dataclass(frozen=True, slots=True)
class RateBucket:
    """Gives permits, evenly spaced, one host for all processes."""

    path: Path
    spacing: float
    machine: Machine

    @classmethod
    def of(cls, url: str, per_second: float, machine: Machine) -> RateBucket:
        """The bucket of a URL's host at so many requests in a second."""
        from urllib.parse import urlsplit

        host = NO_NAME.sub("_", urlsplit(url).netloc.lower())
        return cls(_folder() / f"{host}.json", 1 / per_second, machine)

    def take(self, deadline: Deadline, cost: float = 1.0) -> None:
        """Wait until a request may go; after one of a higher cost the next waits longer.

        Raises
        ------
        Fault
            When the deadline comes first; with the end of the block if there is one.
        """
        while (wait := self._try(deadline, cost)) > 0:
            if wait > deadline.left:
                raise self._too_late(wait)
            self.machine.sleep(wait)

    def block(self, seconds: float) -> pd.Timestamp:
        """Let no process ask for so long; returns when that ends."""
        with self._locked(60.0):
            state = self._read()
            blocked = max(state.blocked, state.seen + seconds)
            self._write(State(state.next, blocked, state.seen))
        return pd.Timestamp(blocked, unit="s", tz="UTC").ceil("s")

    def _try(self, deadline: Deadline, cost: float) -> float:
        with self._locked(deadline.left):
            state = self._read()
            wait = max(state.next, state.blocked) - state.seen
            following = state.next if wait > 0 else state.seen + cost * self.spacing
            self._write(State(following, state.blocked, state.seen))
        return wait

    def _too_late(self, wait: float) -> Fault:
        blocked = self._read().blocked
        now = self.machine.now().timestamp()
        if blocked <= now:
            return Fault("the deadline passed while waiting for a permit")
        until = pd.Timestamp(blocked, unit="s", tz="UTC").ceil("s")
        return Fault("the venue has blocked this address", found=f"{wait:.0f} s", until=until)

    @contextmanager
    def _locked(self, seconds: float) -> Iterator[None]:
        try:
            with FileLock(f"{self.path}.lock", timeout=seconds, poll_interval=POLL):
                yield
        except Timeout:
            raise Fault("another process held the rate limit too long") from None

    def _read(self) -> State:
        now = self.machine.now().timestamp()
        try:
            stored = State(**json.loads(self.path.read_bytes()))
            return stored.at(now)
        except FileNotFoundError:
            return State(seen=now)
        except (ValueError, TypeError):
            return State(next=now + self.spacing, seen=now)

    def _write(self, state: State) -> None:
        # not synced: after a power cut the first permit is free, which is what it should be
        fresh = self.path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(state)))
        fresh.replace(self.path)


def agreed_rate(wanted: float | None, limit: RateLimit, name: str) -> float:
    """Requests in a second: as wanted, and never above the ceiling.

    Raises
    ------
    ConfigError
        Naming the ceiling.
    """
    if wanted is None:
        return limit.ceiling
    if wanted > limit.ceiling:
        raise ConfigError(
            f"more requests in a second than {name} is asked for at most",
            where=KEY,
            found=f"{wanted:g}",
            expected=f"at most {limit.ceiling:g}: {SHARE:.0%} of {limit.requests:g} in "
            f"{limit.seconds:g} s ({limit.source})",
            fix="lower it, or leave it at null",
        )
    return wanted


def _folder() -> Path:
    given = os.environ.get(FOLDER)
    own = Path(tempfile.gettempdir()) / f"vintage-rate-{os.getuid()}"
    folder = Path(given) if given else own
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not given and (not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid()):
        raise ConfigError(
            "the folder of the rate limits belongs to somebody else",
            where=str(folder),
            fix=f"set {FOLDER} to a folder of yours",
        )
    return folder
