from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from pipeline.config import Record, RunOnlyPath, home, read_yaml, to_yaml
from pipeline.errors import (
    ConfigError,
    DataError,
    GateError,
    RetryLater,
    StageError,
    VintageError,
    nearest,
    paragraph,
    told_by_stage,
)
from tests.volume import volume


class Inner(Record):
    depth: Annotated[int, Field(ge=1)] = 1


class Tree(Record):
    max_depth: Annotated[int, Field(ge=1, le=64)]
    rate: float = 0.1
    limit: int | None = None
    verbose: bool = False
    name: str = "tree"
    inner: Inner = Inner()
    root: RunOnlyPath | None = None
    cache: RunOnlyPath = Path("cache")


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ({"max_depht": 3}, ["'max_depth' is missing", "unknown key 'max_depht'", "max_depth?"]),
        ({"max_depth": 3, "NAME": "x"}, ["unknown key 'NAME'", "did you mean name?"]),
        ({"max_depth": 3, "zzz": 1}, ["unknown key 'zzz'", "Valid: cache, inner, limit"]),
        ({"max_depth": 3, "inner": {"dept": 1}}, ["unknown key 'inner.dept'"]),
        (
            {"max_depth": 3, "inner": {"depth": 0}},
            ["'inner.depth' is 0, expected at least 1 (conf"],
        ),
        ({"max_depth": 3, "inner": 5}, ["'inner' is 5, expected keys below it"]),
        ({"max_depth": 3, "inner": {"depth": True}}, ["in 'inner': 'depth' is True, which"]),
        ({"max_depth": 3, "verbose": "maybe"}, ["'verbose' is 'maybe', expected true or false"]),
        ({}, ["'max_depth' is missing"]),
        ({"max_depth": "deep"}, ["'max_depth' is 'deep', expected a whole number (conf"]),
        ({"max_depth": 2.5}, ["'max_depth' is 2.5, expected a whole number"]),
        ({"max_depth": None}, ["'max_depth' is None"]),
        ({"max_depth": [3]}, ["'max_depth' is [3]"]),
        ({"max_depth": 0}, ["'max_depth' is 0, expected at least 1"]),
        ({"max_depth": 65}, ["is 65, expected at most 64"]),
        ({"max_depth": 10**30}, ["expected at most 64"]),
        ({"max_depth": True}, ["'max_depth' is True, which is no number"]),
        ({"max_depth": 3, "rate": False}, ["'rate' is False, which is no number"]),
        ({"max_depth": 3, "limit": True}, ["'limit' is True, which is no number"]),
        ({"max_depth": 3, "rate": math.nan}, ["'rate' is nan", "finite"]),
        ({"max_depth": 3, "rate": math.inf}, ["'rate' is inf", "finite"]),
        ({"max_depth": 3, "name": 5}, ["'name' is 5, expected text"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_nearest_word(
    node: dict[str, Any], told: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        Tree.parse(node, "conf/model/tree.yaml")
    assert "(conf/model/tree.yaml). To do: " in str(caught.value)
    for part in told:
        assert part in str(caught.value)
    assert caught.value.exit_code == 2


def test_truth_is_truth_where_truth_is_asked_for() -> None:
    assert Tree.parse({"max_depth": 3, "verbose": True}, "here").verbose is True


def test_a_record_is_frozen() -> None:
    tree = Tree.parse({"max_depth": 3}, "here")
    with pytest.raises(ValidationError):
        tree.max_depth = 4  # type: ignore[misc]


def test_at_most_three_mistakes_are_told_and_no_value_at_length() -> None:
    with pytest.raises(ConfigError) as caught:
        Tree.parse({"max_depth": "x" * 10_000, "a": 1, "b": 1, "c": 1}, "here")
    assert str(caught.value).count("'") < 12
    assert len(str(caught.value)) < 700


def test_run_only_fields_are_known_by_their_mark() -> None:
    assert Tree.run_only_fields() == {"root", "cache"}
    assert Inner.run_only_fields() == frozenset()


BROKEN = {
    "not utf-8": b"recipe: \xff\xfe\n",
    "utf-16": "recipe: demo\n".encode("utf-16"),
    "a tab": b"recipe:\n\tdemo: 1\n",
    "a key twice": b"recipe: demo\nrecipe: other\n",
    "a list": b"- recipe\n",
    "a number": b"5\n",
    "two documents": b"a: 1\n---\na: 2\n",
    "a tag that runs code": b"a: !!python/object/apply:os.system [id]\n",
    "a tree without end": b"a: &a {b: *a}\n",
    "five thousand brackets": b"a: " + b"[" * 5000,
    "a broken reference": b"a: ${b\n",
    "a number of five thousand digits": b"a: " + b"1" * 5000,
    "a null byte": b"a: \x00\n",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"params\.yaml") as caught:
        read_yaml(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file not found"):
        read_yaml(tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("content", ["", "# nothing\n", "null\n", "{}\n"])
def test_an_empty_file_is_an_empty_mapping(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    assert read_yaml(tmp_path / "a.yaml") == {}


@pytest.mark.parametrize(
    "text", ["2025-12-20", "2025-12-20T00:00Z", "2025-12-20 00:00:00", "2025-12-20T00:00:00+09:00"]
)
def test_dates_stay_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(f"as_of: {text}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"as_of": text}


def test_references_are_read_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "canary")
    (tmp_path / "a.yaml").write_text("a: ${oc.env:SECRET}\nb: ${a}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": "${oc.env:SECRET}", "b": "${a}"}


LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))
WORDS = st.text(LETTERS, max_size=12).filter(lambda text: "${" not in text)
LOOKALIKES = st.sampled_from(
    ["yes", "null", "~", "1e5", "0x1F", "1_000", "2025-12-20", "12:30", "", " a", "a: b", "# a"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | LOOKALIKES
)
TREES = st.dictionaries(
    WORDS | LOOKALIKES,
    st.recursive(
        LEAVES,
        lambda below: (
            st.lists(below, max_size=3) | st.dictionaries(WORDS | LOOKALIKES, below, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


@given(tree=TREES)
@settings(max_examples=volume(80))
def test_what_is_written_is_read_back(tree: dict[str, Any], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(to_yaml(tree), encoding="utf-8")
    assert typed(read_yaml(path)) == typed(tree)


def typed(value: Any) -> Any:
    """Values with their types, so that 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {key: typed(below) for key, below in value.items()}
    if isinstance(value, list):
        return [typed(below) for below in value]
    return type(value), value


def test_the_same_values_are_the_same_text() -> None:
    one, other = {"b": {"d": 1, "c": 2}, "a": 1e-5}, {"a": 1e-5, "b": {"c": 2, "d": 1}}
    assert to_yaml(one) == to_yaml(other) == "a: 1.0e-05\nb:\n  c: 2\n  d: 1\n"


@pytest.fixture
def nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    deep = tmp_path / "one" / "two"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path


def test_home_is_the_nearest_folder_with_params(nested: Path) -> None:
    (nested / "params.yaml").write_text("")
    assert home() == nested
    (nested / "one" / "params.yaml").write_text("")
    assert home() == nested / "one"


def test_a_folder_named_params_is_no_home(nested: Path) -> None:
    (nested / "params.yaml").write_text("")
    (nested / "one" / "params.yaml").mkdir()
    assert home() == nested


def test_named_homes_go_first(nested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nested / "params.yaml").write_text("")
    for name in ("vintage", "dvc"):
        (nested / name).mkdir()
    monkeypatch.setenv("DVC_ROOT", str(nested / "dvc"))
    assert home() == nested / "dvc"
    monkeypatch.setenv("VINTAGE_HOME", str(nested / "vintage"))
    assert home() == nested / "vintage"
    monkeypatch.setenv("VINTAGE_HOME", "")
    assert home() == nested / "dvc"


def test_a_relative_home_starts_here(nested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VINTAGE_HOME", "..")
    assert home() == nested / "one"


@pytest.mark.parametrize("variable", ["VINTAGE_HOME", "DVC_ROOT"])
def test_a_home_that_does_not_exist_is_named(
    nested: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(nested / "nowhere"))
    with pytest.raises(ConfigError, match=f"{variable} names a folder.*nowhere"):
        home()


def test_without_any_home_the_fix_is_told(nested: Path) -> None:
    with pytest.raises(ConfigError, match=r"no params\.yaml.*set VINTAGE_HOME"):
        home()


def test_a_message_is_one_short_printable_paragraph() -> None:
    told = paragraph("a\nb\x1b[31m\x00", found="x" * 10_000, fix="\udcff")
    assert told.isprintable()
    assert told.startswith("a b\\x1b[31m\\x00. Found: xxx")
    assert "xxx … xxx" in told
    assert len(told) < 700


@pytest.mark.parametrize(
    ("word", "expected"),
    [("krw-sol", "did you mean KRW-SOL?"), ("KRW-SLO", "did you mean KRW-SOL?"), ("zzz", "Valid:")],
)
def test_the_nearest_word_is_found_in_any_case(word: str, expected: str) -> None:
    assert nearest(word, ["SIM-BTC", "KRW-SOL"]).startswith(expected)


def test_exit_codes_tell_what_to_do() -> None:
    codes = {kind: kind("what").exit_code for kind in VintageError.__subclasses__()}
    assert codes == {ConfigError: 2, GateError: 3, DataError: 4, RetryLater: 5, StageError: 7}


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2, ConfigError), (3, GateError), (4, DataError), (5, RetryLater), (1, StageError)],
)
def test_a_stage_keeps_the_meaning_of_its_error(code: int, kind: type[VintageError]) -> None:
    error = told_by_stage("no candles (KRW-SOL).", code)
    assert type(error) is kind
    assert str(error) == "no candles (KRW-SOL)."
