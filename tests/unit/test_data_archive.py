from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.market.generations import generations
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import How, sync
from pipeline.market.transfer import archive
from pipeline.market.transfer.archive import MANIFEST, backup, restore
from registry.files import sha256
from tests.stored import MARKET, SERIES, Venue, candles

NOW = pd.Timestamp("2025-06-01T00:00Z")
SERVED = candles("2025-01-20", 24 * 30).drop(pd.Timestamp("2025-01-22T05:00Z"))
OTHER = Series("other", "KRW-ETH", "1h")


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    made = CandleStore(tmp_path / "store")
    made.append(OTHER, SERVED.assign(source="third"))
    whole = (SERVED.index[0], SERVED.index[-1] + pd.Timedelta(hours=1))
    later = SERVED.copy()
    later.iloc[-2] += 1
    for served in (SERVED, later):
        sync(made, Venue(served), MARKET, "1h", *whole, How(now=NOW))
    return made


def files(store: CandleStore) -> dict[str, bytes]:
    found = [path for path in store.root.glob("*/*/*/*") if path.name[0] != "."]
    return {path.relative_to(store.root).as_posix(): path.read_bytes() for path in found}


def test_an_empty_store_is_filled_with_what_was_kept(tmp_path: Path, store: CandleStore) -> None:
    assert backup(store, tmp_path / "b.zip") == 2
    kept = files(store)
    names = {name.rpartition("/")[2] for name in kept}
    assert names >= {"2025-01.parquet", "holes.json", "revisions.jsonl", "sources.json"}
    empty = CandleStore(tmp_path / "empty")
    done = restore(empty, tmp_path / "b.zip", NOW)
    assert [(str(one.series), one.changed) for one in done] == [
        (str(SERIES), True),
        (str(OTHER), True),
    ]
    assert files(empty) == kept
    assert [one.changed for one in restore(empty, tmp_path / "b.zip", NOW)] == [False, False]
    assert generations(empty.folder(SERIES)) == []


def test_the_same_store_gives_the_same_bytes(tmp_path: Path, store: CandleStore) -> None:
    for name in ("one.zip", "two.zip"):
        backup(store, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with pytest.raises(ConfigError, match="there already"):
        backup(store, tmp_path / "one.zip")
    assert backup(store, tmp_path / "one.zip", overwrite=True) == 2
    with pytest.raises(DataError, match="nothing is stored"):
        backup(CandleStore(tmp_path / "none"), tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


def grown(store: CandleStore) -> None:
    last = SERVED.index[-1] + pd.Timedelta(hours=1)
    store.append(SERIES, candles(last.isoformat(), 5))


def revised(store: CandleStore) -> None:
    store.write(SERIES, SERVED.iloc[[10]] + 1, NOW)


def older(store: CandleStore) -> None:
    store.append(SERIES, candles("2024-12-30", 24))


@pytest.mark.parametrize(
    ("change", "lost"), [(grown, 5), (revised, 1), (older, 24)], ids=["newer", "revised", "older"]
)
def test_what_the_backup_lacks_is_not_overwritten(
    tmp_path: Path, store: CandleStore, change, lost: int
) -> None:
    backup(store, tmp_path / "b.zip")
    kept = files(store)
    change(store)
    store.forget(OTHER)
    changed = files(store)
    with pytest.raises(DataError, match=f"holds {lost} candles that the backup lacks"):
        restore(store, tmp_path / "b.zip", NOW)
    assert files(store) == changed, "not even the series that could be restored"
    restore(store, tmp_path / "b.zip", NOW, force=True)
    assert files(store) == kept
    (before,) = generations(store.folder(SERIES))
    for path in before.iterdir():
        assert path.read_bytes() == changed[f"{SERIES}/{path.name}"]


def spoiled(source: Path, target: Path, name: str, content: bytes | None) -> Path:
    """The archive with one file changed, taken out (None) or added; its list stays."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for each in old.namelist():
            if each != name:
                new.writestr(each, old.read(each))
        if content is not None:
            new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (f"{SERIES}/2025-01.parquet", b"other", "has other bytes than were written"),
        (f"{SERIES}/2025-01.parquet", None, "is missing, or is not in its list"),
        (f"{SERIES}/2025-09.parquet", b"more", "is missing, or is not in its list"),
        (MANIFEST, None, "manifest.json"),
        (MANIFEST, b"[]", "no list of its files"),
        (MANIFEST, b'{"format": 2, "files": {}}', "its format is 2"),
    ],
)
def test_a_damaged_backup_replaces_nothing(
    tmp_path: Path, store: CandleStore, name: str, content: bytes | None, told: str
) -> None:
    backup(store, tmp_path / "b.zip")
    store.forget(OTHER)
    before = files(store)
    path = spoiled(tmp_path / "b.zip", tmp_path / "bad.zip", name, content)
    with pytest.raises(DataError, match=told):
        restore(store, path, NOW, force=True)
    assert files(store) == before


@pytest.mark.parametrize("cut", [0, 100, -30])
def test_a_cut_backup_replaces_nothing(tmp_path: Path, store: CandleStore, cut: int) -> None:
    backup(store, tmp_path / "b.zip")
    path = tmp_path / "cut.zip"
    path.write_bytes((tmp_path / "b.zip").read_bytes()[:cut])
    before = files(store)
    with pytest.raises(DataError, match="no sound backup"):
        restore(store, path, NOW, force=True)
    assert files(store) == before


def test_a_flipped_bit_is_noticed(tmp_path: Path, store: CandleStore) -> None:
    backup(store, tmp_path / "b.zip")
    content = bytearray((tmp_path / "b.zip").read_bytes())
    content[len(content) // 3] ^= 8
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(DataError, match="no sound backup"):
        restore(CandleStore(tmp_path / "empty"), tmp_path / "b.zip", NOW)


@pytest.mark.parametrize(
    "name",
    ["../out/of/1h/2025-01.parquet", "a/b/1h/x.sh", "a/b/2025-01.parquet", "/a/b/1h/holes.json"],
)
def test_a_backup_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")
        archive.writestr(MANIFEST, json.dumps({"format": 1, "files": {name: sha256(b"x")}}))
    with pytest.raises((DataError, ConfigError), match=r"no file of a store|is no series"):
        restore(CandleStore(tmp_path / "store"), path, NOW, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.zip"]


def test_what_is_no_month_is_not_restored(tmp_path: Path) -> None:
    path, name = tmp_path / "b.zip", f"{SERIES}/2025-01.parquet"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")
        archive.writestr(MANIFEST, json.dumps({"format": 1, "files": {name: sha256(b"x")}}))
    store = CandleStore(tmp_path / "store")
    (left,) = restore(store, path, NOW, force=True)
    assert left.damaged.startswith(f"{path}: {name}: ")
    assert store.series() == []


def overwritten(path: Path) -> Path:
    """Seven bytes inside the pages of a month."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 7] = b"\0damage"
    path.write_bytes(content)
    return path


def cut_off(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


@pytest.mark.parametrize("harm", [overwritten, cut_off])
def test_a_damaged_month_is_not_kept_as_if_it_were_sound(
    tmp_path: Path, store: CandleStore, harm: Callable[[Path], Path]
) -> None:
    month = harm(store.folder(OTHER) / "2025-02.parquet")
    with pytest.raises(DataError, match=f"store is damaged.*{month}"):
        backup(store, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_series_beside_a_damaged_one_of_a_backup_are_restored(
    tmp_path: Path, store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = files(store)
    month = store.folder(OTHER) / "2025-02.parquet"
    overwritten(month)
    with monkeypatch.context() as careless:
        careless.setattr(archive, "_sound", Path.read_bytes)
        backup(store, tmp_path / "b.zip")
    month.write_bytes(sound[f"{OTHER}/{month.name}"])
    store.forget(SERIES)
    done = {one.series: one for one in restore(store, tmp_path / "b.zip", NOW)}
    assert files(store) == sound
    assert (done[SERIES].changed, done[SERIES].damaged) == (True, "")
    assert done[OTHER].damaged.startswith(f"{tmp_path / 'b.zip'}: {OTHER}/2025-02.parquet: ")
