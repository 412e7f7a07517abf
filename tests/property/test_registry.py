"""What holds of the registry for any name, any content and any order of commands."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry import pointers
from registry.errors import RegistryError
from registry.history import Mode
from registry.manifest import Manifest
from registry.slots import Slot
from registry.versions import Added, Registry
from tests.volume import volume

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
PIECES = [*"aB1.-_/@\\ ~\x00\n", "..", "../", "a/", "b@c", "KRW-SOL", "é", "manifest.json"]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
NAMES = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,2}){0,2}", fullmatch=True)
MODES: st.SearchStrategy[Mode] = st.sampled_from(["observe", "trade"])


@settings(max_examples=volume(300), deadline=None)
@given(text=HOSTILE | st.text(max_size=20))
def test_a_slot_is_refused_or_stays_two_folders_below_the_root(text: str) -> None:
    root = Path("/registry/root")
    try:
        slot = Slot.parse(text)
    except RegistryError:
        return
    assert str(slot) == text
    assert Slot(slot.recipe, slot.market, slot.exchange) == slot
    assert slot.folder(root).parents[1] == root
    assert not any(part.startswith(".") for part in Path(text).parts)


@settings(max_examples=volume(60), deadline=None)
@given(files=st.dictionaries(HOSTILE | NAMES, st.binary(max_size=20), max_size=3))
def test_files_are_refused_or_stay_in_their_version(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder) / "registry")
        try:
            added = registry.add(SLOT, files, AT)
        except RegistryError:
            assert list(Path(folder).iterdir()) == []
            return
        place = SLOT.folder(registry.root)
        assert dict(registry.open(SLOT, added.version).contents) == files
        written = {path for path in Path(folder).rglob("*") if path.is_file()}
        inside = {place / added.version / name for name in (*files, "manifest.json")}
        assert written == inside | {place / "v0001.events.jsonl", place / ".lock"}


@settings(max_examples=volume(60), deadline=None)
@given(files=st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=3))
def test_a_manifest_reads_back_and_its_digest_tells_contents_apart(files: dict[str, bytes]) -> None:
    try:
        manifest = Manifest.of(files)
    except RegistryError:
        assert any(f"{name}/" in other for name in files for other in files)
        return
    assert Manifest.parse(manifest.to_bytes(), "") == manifest
    name = min(files)
    others = [{**files, name: files[name] + b"x"}, {**files, "zzzz": b""}]
    assert manifest.digest not in {Manifest.of(other).digest for other in others}


class RegistryMachine(RuleBasedStateMachine):
    """Commands in any order against a model: a list of contents and a stack of champions."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.registry = Registry(self.root)
        self.contents: list[bytes] = []
        self.stack: list[tuple[str, Mode]] = []
        self.generation = 0

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(content=st.sampled_from([b"a", b"b", b"c", b"d"]))
    def add(self, content: bytes) -> None:
        created = content not in self.contents
        if created:
            self.contents.append(content)
        version = f"v{self.contents.index(content) + 1:04d}"
        assert self.registry.add(SLOT, {"model": content}, AT) == Added(version, created)

    @precondition(lambda self: self.contents)
    @rule(number=st.integers(0, 3), mode=MODES)
    def promote(self, number: int, mode: Mode) -> None:
        version = f"v{number % len(self.contents) + 1:04d}"
        pointers.move(
            self.root, SLOT, version, mode, reason="", who="", at=AT,
            expected_generation=self.generation,
        )  # fmt: skip
        if self.stack[-1:] == [(version, mode)]:
            return
        if self.stack and self.stack[-1][0] == version:
            self.stack.pop()
        self.stack.append((version, mode))
        self.generation += 1

    @precondition(lambda self: self.contents)
    @rule()
    def roll_back(self) -> None:
        if len(self.stack) > 1:
            self.stack.pop()
            self.generation += 1
            pointers.rollback(self.root, SLOT, AT, "", "")
            return
        try:
            pointers.rollback(self.root, SLOT, AT, "", "")
        except RegistryError:
            return
        raise AssertionError("rolled back to nothing")

    @precondition(lambda self: self.stack)
    @rule()
    def promote_is_cut_short(self) -> None:
        place = SLOT.folder(self.root)
        version, mode = self.stack[-1]
        before = (place / "champion.json").read_bytes()
        other: Mode = "trade" if mode == "observe" else "observe"
        cut = pointers.move(self.root, SLOT, version, other, reason="", who="", at=AT)
        (place / "champion.json").write_bytes(before)
        assert cut.generation > self.generation

    @invariant()
    def the_champion_is_the_model_s(self) -> None:
        champion = pointers.champion(self.root, SLOT)
        if not self.stack:
            assert champion is None
            return
        assert champion is not None
        assert (champion.version, champion.mode) == self.stack[-1]
        assert champion.generation >= self.generation
        self.generation = champion.generation
        assert self.registry.open(SLOT).version == champion.version
        assert self.registry.verify() == []


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(
    max_examples=volume(12), stateful_step_count=15, deadline=None
)
