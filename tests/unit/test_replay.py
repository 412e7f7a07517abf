from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.errors import ConfigError, DataError
from pipeline.market.candles import REQUIRED, USUAL
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.replay import Replay
from tests.stored import candles

CONF = Path(__file__).parents[2] / "conf"
T = pd.Timestamp
SPAN = (T("2025-01-01T00:00Z"), T("2025-02-01T00:00Z"))
MARKET = Instrument(name="KRW-BTC", symbol="BTCKRW")


def table(rows: int = 6) -> pd.DataFrame:
    return candles("2025-01-05T10:00", rows).reset_index(names="timestamp")


def write(folder: Path, frame: pd.DataFrame, name: str = "BTCKRW-60m.parquet") -> Path:
    path = folder / name
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def fetch(exchange: Replay, span: tuple[pd.Timestamp, pd.Timestamp] = SPAN) -> pd.DataFrame:
    return exchange.fetch(MARKET, "1h", *span)


def csv(folder: Path, **fields: object) -> Replay:
    return Replay(root=folder, pattern="{symbol}-{code}.csv", **fields)


def test_the_yaml_holds_the_defaults() -> None:
    assert build(read_yaml(CONF / "exchange" / "replay.yaml"), "replay") == Replay()
    assert Replay.run_only_fields() == {"root"}


@pytest.mark.parametrize("name", ["BTCKRW-60m.parquet", "BTCKRW-60m.csv"])
def test_a_file_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    write(tmp_path, table(), name)
    exchange = Replay(root=tmp_path, pattern="{symbol}-{code}" + Path(name).suffix)
    expected = table().set_index("timestamp").rename_axis("time")
    found = fetch(exchange)
    pd.testing.assert_frame_equal(found, expected, check_freq=False, check_exact=True)
    assert list(found.columns) == list(USUAL)
    assert exchange.feed == "replay"
    assert Replay(zone="Asia/Seoul").feed != Replay(stamp="close").feed != "replay"
    assert exchange.reachable


def test_only_closed_candles_of_the_span(tmp_path: Path) -> None:
    write(tmp_path, table())
    exchange = Replay(root=tmp_path)
    found = fetch(exchange, (T("2025-01-05T10:30Z"), T("2025-01-05T13:59Z")))
    assert [time.hour for time in found.index] == [11, 12]
    for now, newest in (
        ("2025-01-05T10:59Z", None),
        ("2025-01-05T11:00Z", T("2025-01-05T10:00Z")),
        ("2026-01-01T00:00Z", T("2025-01-05T15:00Z")),
    ):
        assert exchange.newest(MARKET, "1h", T(now)) == newest


def test_without_a_folder_nothing_is_reachable() -> None:
    exchange = Replay()
    assert not exchange.reachable
    for ask in (lambda: fetch(exchange), lambda: exchange.newest(MARKET, "1h", SPAN[1])):
        with pytest.raises(DataError, match=r"give exchange\.root=FOLDER"):
            ask()


def test_a_relative_folder_starts_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", table())
    monkeypatch.setenv("VINTAGE_HOME", str(tmp_path))
    assert len(fetch(Replay(root=Path("mine")))) == 6


def test_names_of_files_and_columns_are_told(tmp_path: Path) -> None:
    renamed = table().rename(columns={"timestamp": "t", "volume": "amount"})
    write(tmp_path, renamed, "KRW-BTC_1h_H1.parquet")
    exchange = Replay(
        root=tmp_path,
        pattern="{market}_{timeframe}_{code}.parquet",
        codes={"1h": "H1"},
        columns={"time": "t", "volume": "amount"},
    )
    assert fetch(exchange)["volume"].tolist() == table()["volume"].tolist()


def test_other_columns_are_left_and_value_may_be_absent(tmp_path: Path) -> None:
    write(tmp_path, table().drop(columns="value").assign(trades="many"))
    assert list(fetch(Replay(root=tmp_path)).columns) == list(REQUIRED)


def test_a_moment_in_the_index_of_a_frame_is_a_column(tmp_path: Path) -> None:
    table().set_index("timestamp").to_parquet(tmp_path / "BTCKRW-60m.parquet")
    assert fetch(Replay(root=tmp_path)).index[0] == T("2025-01-05T10:00Z")


@pytest.mark.parametrize(
    ("stamps", "fields"),
    [
        (lambda t: t.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), {}),
        (lambda t: t.dt.strftime("%Y-%m-%d %H:%M:%S+00:00"), {"zone": None}),
        (lambda t: t.dt.strftime("%Y-%m-%d %H:%M"), {}),
        (lambda t: t.dt.tz_convert("Asia/Seoul").astype(str), {"zone": None}),
        (lambda t: t.dt.tz_convert("Asia/Seoul").dt.tz_localize(None), {"zone": "Asia/Seoul"}),
        (lambda t: t.astype("int64"), {"unit": "ms"}),
        (lambda t: t.astype("int64") // 1000, {"unit": "s"}),
        (lambda t: t + pd.Timedelta(hours=1), {"stamp": "close"}),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_moments_are_read_in_any_notation(
    tmp_path: Path, stamps, fields: dict[str, object], suffix: str
) -> None:
    write(tmp_path, table().assign(timestamp=lambda f: stamps(f["timestamp"])), f"X.{suffix}")
    exchange = Replay(root=tmp_path, pattern=f"X.{suffix}", **fields)
    assert fetch(exchange).index.tolist() == table()["timestamp"].tolist()


@pytest.mark.parametrize(
    ("stamps", "fields", "told"),
    [
        (lambda t: t.dt.tz_localize(None), {"zone": None}, r"no time zone.*exchange\.zone=UTC"),
        (lambda t: t.dt.strftime("%Y-%m-%d %H:%M"), {"zone": None}, "no time zone"),
        (lambda t: t.dt.tz_localize(None), {"zone": "Mars/Base"}, "unknown time zone.*Mars/Base"),
        (lambda t: t.astype("int64"), {}, r"of which unit.*exchange\.unit=ms"),
        (lambda t: t.astype("int64") // 1000, {"unit": "ms"}, "row 1.*outside 2009|outside 2009"),
        (lambda t: t.astype("int64"), {"unit": "s"}, "outside 2009 to 2100"),
        (lambda t: t.astype(str).where(t.index != 3, "noon"), {}, "column timestamp, row 4"),
        (lambda t: t.where(t.index != 2), {}, "row 3"),
        (
            lambda t: t.dt.strftime("%Y-%m-%dT%H:%MZ").where(t.index != 4, "2025-01-05 14:00"),
            {},
            "row 5.*zone|zone.*row 5",
        ),
        (lambda t: t.where(t.index != 3, t[2]), {}, "same moment twice.*row 4"),
        (lambda t: t.where(t.index != 3, t[0]), {}, "out of order.*row 4"),
    ],
)
def test_a_wrong_moment_is_named(
    tmp_path: Path, stamps, fields: dict[str, object], told: str
) -> None:
    frame = table().assign(timestamp=lambda f: stamps(f["timestamp"]))
    write(tmp_path, frame, "BTCKRW-60m.csv")
    with pytest.raises(DataError, match=told):
        fetch(
            csv(tmp_path, **fields)
            if frame["timestamp"].dtype == "str"
            else parquet(tmp_path, frame, fields)
        )


def parquet(folder: Path, frame: pd.DataFrame, fields: dict[str, object]) -> Replay:
    write(folder, frame)
    return Replay(root=folder, **fields)


def test_an_hour_that_happens_twice_is_named(tmp_path: Path) -> None:
    night = pd.date_range("2024-11-03 00:00", periods=6, freq="h")
    write(tmp_path, table().assign(timestamp=night))
    with pytest.raises(DataError, match=r"twice or never in America/New_York.*row 2"):
        fetch(Replay(root=tmp_path, zone="America/New_York"))


@pytest.mark.parametrize("cell", ["12,5", "", "n/a", "inf", "-"])
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, cell: str) -> None:
    frame = table().astype({"close": "object"})
    frame.loc[4, "close"] = cell
    path = write(tmp_path, frame, "BTCKRW-60m.csv")
    with pytest.raises(DataError, match="no number") as caught:
        fetch(csv(tmp_path))
    assert caught.value.where == f"{path}, column close, row 5"


def test_numbers_in_text_are_read_exactly(tmp_path: Path) -> None:
    frame = table()
    frame["close"] = frame["close"].map(repr)
    write(tmp_path, frame)
    assert fetch(Replay(root=tmp_path))["close"].tolist() == table()["close"].tolist()


def test_a_null_in_parquet_is_named(tmp_path: Path) -> None:
    write(tmp_path, table().assign(low=lambda f: f["low"].where(f.index != 1)))
    with pytest.raises(DataError, match="column low, row 2"):
        fetch(Replay(root=tmp_path))


def test_the_whole_file_is_checked(tmp_path: Path) -> None:
    write(tmp_path, table().assign(low=lambda f: f["low"].where(f.index != 5)))
    with pytest.raises(DataError, match="row 6"):
        fetch(Replay(root=tmp_path), (SPAN[0], T("2025-01-05T11:00Z")))


def test_a_missing_column_is_named_with_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, table().drop(columns="high"))
    with pytest.raises(DataError, match=r"column high is missing.*open, low.*exchange\.columns"):
        fetch(Replay(root=tmp_path))
    write(tmp_path, table().rename(columns={"timestamp": "time"}))
    with pytest.raises(DataError, match="column timestamp is missing"):
        fetch(Replay(root=tmp_path))


def test_a_missing_file_is_named_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"an empty folder.*BTCKRW-60m\.parquet"):
        fetch(Replay(root=tmp_path))
    for number in range(25):
        (tmp_path / f"{number:02}.csv").touch()
    with pytest.raises(DataError, match=r"00\.csv, 01\.csv.*19\.csv and 5 more"):
        fetch(Replay(root=tmp_path))
    with pytest.raises(ConfigError, match=r"'root' is .*none.*is no folder"):
        Replay.parse({"root": str(tmp_path / "none")}, "exchange=replay")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_of_something_else_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"X.{suffix}").write_bytes(b'\x93\xff"a\n"')
    with pytest.raises(DataError, match=rf"X\.{suffix}"):
        fetch(Replay(root=tmp_path, pattern=f"X.{suffix}"))


def test_a_file_with_a_header_only_holds_nothing(tmp_path: Path) -> None:
    write(tmp_path, table(0), "BTCKRW-60m.csv")
    assert fetch(csv(tmp_path)).empty
    assert csv(tmp_path).newest(MARKET, "1h", SPAN[1]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"pattern": "{symbol}.feather"},
        {"pattern": "{coin}.csv"},
        {"codes": {"60m": "60m"}},
        {"columns": {"price": "close"}},
        {"stamp": "middle"},
        {"unit": "us"},
    ],
)
def test_a_wrong_field_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(fields))):
        Replay.parse(fields, "test")


def test_an_unknown_timeframe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown timeframe"):
        Replay(root=tmp_path).fetch(MARKET, "2h", *SPAN)
