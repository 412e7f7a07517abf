from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.errors import DataError
from pipeline.market import holes
from pipeline.market.feeds import FILE
from pipeline.market.store import CandleStore, Series
from pipeline.market.transfer import archive
from tests.spine import one_paragraph
from tests.stored import SERIES, candles

Capture = pytest.CaptureFixture[str]
OTHER = Series("other", "KRW-ETH", "1h")


@pytest.fixture
def store(home: Path) -> CandleStore:
    made = CandleStore(home / "data" / "store")
    for series in (SERIES, OTHER):
        made.append(series, candles("2025-01-20", 24 * 30))
    return made


def cut_off(store: CandleStore) -> Path:
    path = store.folder(OTHER) / "2025-02.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    return path


def inside_a_page(store: CandleStore) -> Path:
    """Among the values of a price, which no look at the moments reads."""
    path = store.folder(OTHER) / "2025-01.parquet"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 7] = b"\0damage"
    path.write_bytes(content)
    return path


def test_status_marks_a_damaged_series_beside_the_sound(
    store: CandleStore, capsys: Capture
) -> None:
    path = cut_off(store)
    assert main(["data", "status"]) == DataError.exit_code
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[1].split()[:2] == [str(SERIES), "720"]
    assert lines[2].split() == [str(OTHER), "damaged"]
    assert lines[3].startswith(f"damaged: {path}: ")
    assert f"a file of the candle store is damaged ({path})" in told.err
    assert "sync or import its month again" in told.err
    assert main(["data", "status", "--json"]) == DataError.exit_code
    sound, damaged = json.loads(capsys.readouterr().out)
    assert (sound["rows"], sound["damaged"]) == (720, [])
    assert (damaged["series"], len(damaged["damaged"])) == (str(OTHER), 1)
    assert main(["data", "status", str(SERIES)]) == 0


def test_status_tells_whose_rows_are_mixed_and_who_serves_a_feed(
    store: CandleStore, capsys: Capture
) -> None:
    store.append(OTHER, candles("2025-02-19", 3).assign(source="third"))
    (store.root / OTHER.feed / FILE).write_text('{"base_url": "http://127.0.0.1:9/x"}')
    assert main(["data", "status"]) == 0
    assert capsys.readouterr().out.splitlines()[3:] == [
        f"{OTHER}: 720 from other, 3 from third",
        f"{OTHER}: served at http://127.0.0.1:9/x",
    ]


def test_verify_reads_every_candle_and_every_file_beside(
    store: CandleStore, capsys: Capture
) -> None:
    assert main(["data", "status", "--verify"]) == 0
    pages, month = inside_a_page(store), cut_off(store)
    beside = store.folder(OTHER) / holes.FILE
    beside.write_text("{}")
    assert [fault.where for fault in store.faults(OTHER)] == [*map(str, (beside, pages, month))]
    assert store.faults(SERIES) == []
    month.unlink()
    beside.unlink()
    capsys.readouterr()
    assert main(["data", "status"]) == 0
    assert main(["data", "status", "--verify"]) == DataError.exit_code
    told = capsys.readouterr()
    assert f"damaged: {pages}: " in told.out
    assert main(["data", "backup", "kept.zip"]) == DataError.exit_code
    assert str(pages) in one_paragraph(capsys)


def test_restore_names_what_is_damaged_in_the_backup(
    store: CandleStore, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside_a_page(store)
    with monkeypatch.context() as careless:
        careless.setattr(archive, "_sound", Path.read_bytes)
        assert main(["data", "backup", "kept.zip"]) == 0
    assert main(["data", "forget", str(SERIES), str(OTHER)]) == 0
    capsys.readouterr()
    assert main(["data", "restore", "kept.zip"]) == DataError.exit_code
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{SERIES}: restored",
        f"{OTHER}: left as it is, for it is damaged in the backup",
    ]
    assert "in the backup a month is damaged" in told.err
    assert f"kept.zip: {OTHER}/2025-01.parquet: " in told.err
    assert store.series() == [SERIES]


@pytest.mark.parametrize(("every", "warned"), [(2, False), (10, True)])
def test_an_import_warns_of_a_file_that_is_mostly_empty(
    home: Path, capsys: Capture, every: int, warned: bool
) -> None:
    frame = candles("2025-01-01", 401).iloc[::every]
    frame.rename_axis("timestamp").to_csv("mine.csv")
    words = ["feed=mine", "market=KRW-BTC", "timeframe=1h"]
    assert main(["data", "import", "mine.csv", *words]) == 0
    story = capsys.readouterr().out
    rows = len(frame) - 1
    span = every * (rows - 1) + 1
    assert f"  missing   {span - rows} of {span} candles inside it" in story
    assert ("WARNING   the file lacks 90% of its span" in story) is warned
    assert "written   by nobody its name tells" in story
