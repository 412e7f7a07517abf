"""One budget of requests for every process: spacing, blocks, clocks that are set back."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.market.exchanges.faults import Fault, stated_block
from pipeline.market.exchanges.machine import Deadline, Machine
from pipeline.market.exchanges.online import VENUES
from pipeline.market.exchanges.rate_bucket import RateBucket, RateLimit, agreed_rate
from tests.machine import Hands

NOW = pd.Timestamp("2025-12-20T00:00Z")


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hands:
    monkeypatch.setenv("VINTAGE_RATE_FOLDER", str(tmp_path / "rates"))
    return Hands(NOW)


def bucket(hands: Hands, per_second: float = 4) -> RateBucket:
    return RateBucket.of("https://api.upbit.com/v1/candles", per_second, hands.machine)


def patient(hands: Hands) -> Deadline:
    return Deadline.after(hands.machine, 1e9)


def test_permits_are_evenly_spaced_and_the_first_is_free(hands: Hands) -> None:
    taken = []
    for _ in range(9):
        bucket(hands).take(patient(hands))
        taken.append(hands.passed)
    assert taken[0] == 0
    assert all(later - sooner >= 0.25 for sooner, later in pairwise(taken))
    assert taken[-1] == pytest.approx(2, abs=1e-3)


def test_idle_time_is_not_saved_up(hands: Hands) -> None:
    bucket(hands).take(patient(hands))
    hands.sleep(60)
    started = hands.passed
    for _ in range(5):
        bucket(hands).take(patient(hands))
    assert hands.passed - started >= 1


def test_buckets_of_hosts_are_apart_and_those_of_a_host_are_one(hands: Hands) -> None:
    bucket(hands).take(patient(hands))
    for url in ("https://fapi.binance.com/fapi", "https://api.upbit.com:444"):
        RateBucket.of(url, 4, hands.machine).take(patient(hands))
    assert hands.passed == 0
    RateBucket.of("http://API.upbit.com", 1, hands.machine).take(patient(hands))
    assert hands.passed >= 0.25


def test_after_a_dear_request_the_next_waits_longer(hands: Hands) -> None:
    bucket(hands).take(patient(hands), cost=8)
    assert hands.passed == 0
    bucket(hands).take(patient(hands))
    assert hands.passed == pytest.approx(2, abs=1e-3)


def test_a_block_holds_for_every_process_and_is_told_when_it_outlasts_the_deadline(
    hands: Hands,
) -> None:
    until = bucket(hands).block(90)
    assert until == NOW + pd.Timedelta(seconds=90)
    bucket(hands).block(10)
    with pytest.raises(Fault) as caught:
        bucket(hands).take(Deadline.after(hands.machine, 60))
    assert caught.value.until == until
    assert caught.value.final
    assert hands.passed == 0, "nothing is waited for in vain"
    bucket(hands).take(Deadline.after(hands.machine, 100))
    assert hands.passed >= 90


@given(st.floats(1, 1e6), st.floats(0, 300))
def test_a_clock_that_is_set_back_neither_frees_nor_freezes(back: float, block: float) -> None:
    with pytest.MonkeyPatch.context() as patch, Hands.folder() as folder:
        patch.setenv("VINTAGE_RATE_FOLDER", folder)
        hands = Hands(NOW)
        bucket(hands).take(patient(hands))
        bucket(hands).block(block)
        hands.set_clock(-back)
        bucket(hands).take(patient(hands))
        assert hands.passed == pytest.approx(max(block, 0.25), abs=1e-2)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"next": 1}x', b'{"other": 1}'])
def test_a_broken_state_costs_one_interval(hands: Hands, content: bytes) -> None:
    rates = bucket(hands)
    rates.path.write_bytes(content)
    rates.take(patient(hands))
    assert hands.passed == pytest.approx(0.25, abs=1e-3)
    assert json.loads(rates.path.read_bytes())["blocked"] == 0


def test_wishes_may_only_lower_the_rate() -> None:
    limit = RateLimit(10, 1, "the documentation")
    assert agreed_rate(None, limit, "upbit") == limit.ceiling == 7.5
    assert agreed_rate(2, limit, "upbit") == 2
    with pytest.raises(ConfigError, match=r"at most 7\.5: 75% of 10 in 1 s \(the documentation\)"):
        agreed_rate(7.6, limit, "upbit")


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_ceilings_stay_below_four_fifths_of_what_is_published(venue: str) -> None:
    limit = VENUES[venue].limit
    assert limit.ceiling <= 0.8 * limit.requests / limit.seconds
    assert len(limit.source) > 20


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("blocked for 3 seconds", 3),
        ("You are blocked for 2 minutes.", 120),
        ("10초 동안 차단되었습니다", 10),
        ("1시간", 3600),
        ("code:100410: it will be unblocked after 1766188812500", 12.5),
        ("will be unblocked after 30000", 30),
        ("IP(127.0.0.1) banned until 1766188860000. Please use", 60),
        ("banned until 1766188799000", 1),
        ("1500 ms", 1.5),
        ("Too many requests 429", None),
        ("3 more requests", None),
        ("", None),
    ],
)
def test_the_length_of_a_block_is_read_from_its_message(text: str, seconds: float | None) -> None:
    assert stated_block(text, NOW) == (None if seconds is None else pytest.approx(seconds))


def test_a_foreign_folder_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hands: Hands
) -> None:
    monkeypatch.delenv("VINTAGE_RATE_FOLDER")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    name = bucket(hands).path.parent.name
    (tmp_path / name).rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="belongs to somebody else"):
        bucket(hands)


def test_the_real_machine_reads_utc() -> None:
    assert str(Machine().now().tz) == "UTC"
