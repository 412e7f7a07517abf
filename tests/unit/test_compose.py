from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.conf_options import options
from pipeline.configuration.settings import checked
from pipeline.errors import ConfigError
from tests.conftest import AS_OF
from tests.spine import CONF, composed, own_conf, planned, put


@pytest.fixture
def conf(home: Path) -> Path:
    return own_conf(home)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("market=KRW-SOL", {"market": "KRW-SOL"}),
        ("model.n_estimators=50", {"model.n_estimators": 50}),
        ("++set.model.learning_rate=1e-3", {"set.model.learning_rate": 1e-3}),
        ("+model=majority", {"model": "majority"}),
        (f"as_of={AS_OF}", {"as_of": AS_OF}),
        ("as_of=2025-12-20", {"as_of": "2025-12-20"}),
        ("a.b='x y: z'", {"a.b": "x y: z"}),
        ("a.b=[1,two]", {"a.b": [1, "two"]}),
        ("a.b={c: 1}", {"a.b": {"c": 1}}),
        ("a.b=null", {"a.b": None}),
        ("a.b=true", {"a.b": True}),
        ("a.b=", {"a.b": ""}),
    ],
)
def test_words_are_hydras_grammar(word: str, expected: dict[str, Any]) -> None:
    assert parse_words([word]) == expected


@pytest.mark.parametrize(
    "word",
    [
        "model",
        "",
        "a b=c",
        "model=[",
        "model={",
        "recipe=$(x)",
        "recipe=`x`",
        "model='lightgbm",
        "a.=5",
        "../a=b",
        "seed=" + "1" * 5000,
        "model=" + "(" * 50,
    ],
)
def test_broken_grammar_is_told(word: str) -> None:
    with pytest.raises(ConfigError, match="is not key=value") as caught:
        parse_words(["market=KRW-SOL", word])
    assert word[:20] in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "word", ["model=lightgbm,majority", "seed=range(1,5)", "seed=choice(1,2)", "model=glob(*)"]
)
def test_a_sweep_is_sent_to_dvc(word: str) -> None:
    with pytest.raises(ConfigError, match=r"is a sweep.*dvc exp run --queue"):
        parse_words([word])


@pytest.mark.parametrize("word", ["~model", "~model=lightgbm", "model@heads.direction=majority"])
def test_words_only_choose(word: str) -> None:
    with pytest.raises(ConfigError, match=r"is not key=value.*without ~ and @"):
        parse_words([word])


OWN = "MY-OWN"
MISTAKES = [
    ("recipe=dmeo", "there is no recipe 'dmeo' (conf/recipe/). To do: did you mean demo?"),
    ("exchange=simulate", "(conf/exchange/). To do: did you mean simulated?"),
    ("market=krw-sol", "(conf/market/). To do: did you mean KRW-SOL?"),
    ("features=hourly64", "(conf/features/). To do: did you mean hourly46?"),
    ("label=3class", "(conf/label/). To do: did you mean three_class?"),
    ("model=lightgb", "(conf/model/). To do: did you mean lightgbm?"),
    ("split=holdot", "(conf/split/). To do: did you mean holdout?"),
    ("gate=defaults", "(conf/gate/). To do: did you mean default?"),
    ("recipe.validation=defalt", "(conf/validation/). To do: did you mean default?"),
    ("market=../../etc", "there is no market '../../etc' (conf/market/)"),
    ("model='../market/KRW-SOL'", "there is no model '../market/KRW-SOL'"),
    ("model=null", "there is no model 'None'"),
    ("modle.n_estimators=5", "unknown key 'modle' (set). To do: did you mean model?"),
    ("heads.dir.model.max_depth=5", "unknown key 'dir' (set.heads). To do: did you mean direction"),
    ("heads.direction.modl.x=5", "unknown key 'modl' (set.heads.direction). To do: did you mean"),
    ("heads.direction.model=majority", "set.recipe.heads.HEAD.model=OPTION"),
    ("recipe.heads.direction.modl=x", "unknown key 'heads.direction.modl'"),
    ("recipe.history_dys=5", "did you mean history_days? "),
    (
        "recipe.history_days=0",
        "'history_days' is 0, expected more than 0 (days of candles) (recipe=demo)",
    ),
    ("recipe.heads.Up={features: a}", "'heads.Up' is 'Up', expected text of the form ^[a-z]"),
    ("seed=-1", "'seed' is -1, expected at least 0 (set)"),
    ("seed=true", "'seed' is True, which is no number (set)"),
]


@pytest.mark.parametrize(("word", "told"), MISTAKES, ids=[word for word, _ in MISTAKES])
def test_a_mistake_names_the_nearest_word_and_its_place(home: Path, word: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(word)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_unknown_option_is_told_without_a_home_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="did you mean lightgbm"):
        composed("model=lightgb")


@pytest.mark.parametrize("name", ["A" * 10_000, "x y" * 5000, "a\\nb", "\x1b[2J"])
def test_a_hostile_name_is_an_unknown_name(home: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="there is no market") as caught:
        composed(f"market='{name}'")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


def test_recipe_and_market_mean_their_own(home: Path) -> None:
    run = composed()
    assert (run.choices.market, run.choices.exchange) == ("SIM-BTC", "simulated")
    assert (run.choices.split, run.choices.gate) == ("walk_forward", "default")
    assert run.groups["market"]["name"] == "SIM-BTC"
    assert run.groups["exchange"]["_target_"].endswith(".Simulated")
    assert run.heads["direction"]["model"]["_target_"].endswith(".LightGBM")
    other = composed("market=KRW-SOL", "exchange=replay")
    assert (other.choices.market, other.choices.exchange) == ("KRW-SOL", "replay")


def test_a_market_names_its_own_exchange(conf: Path) -> None:
    put(conf / "market/SIM-ETH.yaml", "exchange", "replay")
    assert composed("market=SIM-ETH", conf=conf).choices.exchange == "replay"


def test_a_recipe_needs_a_head(conf: Path) -> None:
    pair = conf / "recipe/pair.yaml"
    pair.write_text(to_yaml({**read_yaml(pair), "heads": {}}))
    with pytest.raises(ConfigError, match=r"at least one head \(recipe=pair\)"):
        composed("recipe=pair", conf=conf)


def test_a_setting_of_the_recipe_is_what_its_words_mean(conf: Path) -> None:
    run = composed("recipe.market=SIM-ETH", "recipe.timeframe=4h", conf=conf)
    assert (run.choices.market, run.recipe.timeframe) == ("SIM-ETH", "4h")
    assert run.recipe.heads.keys() == {"direction"}


def test_a_given_model_is_every_heads_and_a_head_may_have_its_own(conf: Path) -> None:
    def models(*words: str) -> dict[str, str]:
        heads = composed("recipe=pair", *words, conf=conf).heads
        return {name: head["model"]["_target_"].split(".")[-1] for name, head in heads.items()}

    assert models() == {"entry": "LightGBM", "leave": "LightGBM"}
    assert models("model=majority") == {"entry": "Majority", "leave": "Majority"}
    one = models("set.recipe.heads.leave.model=majority")
    assert one == {"entry": "LightGBM", "leave": "Majority"}


def test_a_setting_reaches_every_head_or_one(conf: Path) -> None:
    run = composed(
        "recipe=pair",
        "set.model.n_estimators=5",
        "set.heads.leave.model.max_depth=2",
        "set.heads.leave.label.horizon_hours=13",
        conf=conf,
    )
    entry, leave = run.heads["entry"], run.heads["leave"]
    assert (entry["model"]["n_estimators"], leave["model"]["n_estimators"]) == (5, 5)
    own = read_yaml(conf / "model/lightgbm.yaml")
    assert (entry["model"]["max_depth"], leave["model"]["max_depth"]) == (own["max_depth"], 2)
    assert leave["label"]["horizon_hours"] == 13 != entry["label"]["horizon_hours"]
    assert entry["model"]["num_leaves"] == leave["model"]["num_leaves"] == own["num_leaves"]


def test_a_heads_own_setting_wins(conf: Path) -> None:
    words = ["set.heads.leave.model.max_depth=2", "set.model.max_depth=9"]
    heads = composed("recipe=pair", *words, conf=conf).heads
    assert [heads[name]["model"]["max_depth"] for name in ("entry", "leave")] == [9, 2]


def test_seed_and_device_are_settings(home: Path) -> None:
    run = composed("seed=11", "set.device=gpu")
    assert (run.root.seed, run.root.device) == (11, "gpu")
    assert composed().root.seed == 7


@pytest.mark.parametrize("path", ["model/mine.yaml", "market/SIM-ADA.yaml", "recipe/mine.yaml"])
def test_an_option_that_only_home_has_needs_git_add(conf: Path, path: str) -> None:
    (conf / path).write_text("x: 1\n")
    group, name = path.removesuffix(".yaml").split("/")
    assert name in options(conf, group)
    with pytest.raises(ConfigError) as caught:
        composed(f"{group}={name}", conf=CONF)
    assert f"git add conf/{path}" in str(caught.value)
    assert "git does not track it" in str(caught.value)


LEAKS = {
    "a value": ("model/lightgbm.yaml", "max_depth", "${oc.env:SECRET}"),
    "text around it": ("market/SIM-BTC.yaml", "source", "key ${oc.env:SECRET} fee"),
    "with a default": ("market/SIM-BTC.yaml", "source", "${oc.env:SECRET,x}"),
    "inside another": ("model/lightgbm.yaml", "max_depth", "${oc.decode:${oc.env:SECRET}}"),
    "a name put together": ("model/lightgbm.yaml", "max_depth", "${oc.${.e}:SECRET}\ne: env"),
    "a reference to it": ("model/lightgbm.yaml", "max_depth", "${.e}\ne: ${oc.env:SECRET}"),
    "the list of defaults": ("recipe/pair.yaml", "market", "a\ndefaults: ['${oc.env:SECRET}']"),
    "a package": ("recipe/pair.yaml", "market", "a\ndefaults: [{/model@x: '${oc.env:SECRET}'}]"),
    "the root": ("config.yaml", "device", "${oc.env:SECRET}"),
    "the clock": ("market/SIM-BTC.yaml", "source", "${now:%Y}"),
}


@pytest.mark.parametrize(("path", "key", "value"), LEAKS.values(), ids=LEAKS)
def test_no_secret_and_no_clock_enters(
    conf: Path, monkeypatch: pytest.MonkeyPatch, path: str, key: str, value: str
) -> None:
    monkeypatch.setenv("SECRET", "41197")
    put(conf / path, key, value)
    with pytest.raises(ConfigError) as caught:
        planned("recipe=pair", conf=conf)
    assert "41197" not in str(caught.value)
    assert "SECRET" in str(caught.value) or "${now:%Y}" in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"market": {"source": "${oc.env:SECRET}"}},
        {"recipe": {"timeframe": "${oc.env:SECRET}"}},
        {"device": "${oc.env:SECRET}"},
        {"model": {"deep": [{"er": "${oc.env:SECRET}"}]}},
        {"model": {"max_depth": "${.n_estimators}"}},
        {"market": {"source": "${broken"}},
    ],
)
def test_a_setting_refers_to_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"references are not followed here \(set\."):
        checked(settings)


@pytest.mark.parametrize("value", [5, None, "majority", [1]])
@pytest.mark.parametrize("group", ["recipe", "model", "split", "heads", "exchange"])
def test_a_group_of_settings_is_a_mapping(group: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"is not a mapping \(set\.{group}\)"):
        checked({group: value})


def test_a_plain_reference_is_followed(conf: Path) -> None:
    put(conf / "model/lightgbm.yaml", "max_depth", "${.num_leaves}")
    model = composed(conf=conf).heads["direction"]["model"]
    assert model["max_depth"] == model["num_leaves"]


BROKEN = {
    "not utf-8": b"a: \xff\n",
    "a tab": b"a:\n\tb: 1\n",
    "a key twice": b"a: 1\na: 2\n",
    "a list": b"- a\n",
    "a number": b"5\n",
    "empty": b"",
    "null": b"null\n",
    "a tree without end": b"a: &a {b: *a}\n",
    "another package": b"# @package _global_\na: 1\n",
    "an unknown default": b"defaults: [nothing]\n",
}


@pytest.mark.parametrize("path", ["model/lightgbm.yaml", "market/SIM-BTC.yaml", "config.yaml"])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_option_is_told(conf: Path, path: str, content: bytes) -> None:
    (conf / path).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        planned(conf=conf) if path != "config.yaml" else composed(conf=conf)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000
    group, _, name = path.removesuffix(".yaml").partition("/")
    places = (path, f"{group}={name}", f"{group}/{name}", f"conf/{group}/")
    assert any(place in str(caught.value) for place in places)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["label.horizon_hours=0.5"], "horizon_hours is no whole number of candles"),
        (["label=high_vol", "label.horizon_hours=1.5"], "horizon_hours is no whole"),
        (["label=triple_barrier", "label.volatility_hours=0.5"], "volatility_hours is no whole"),
        (["label=three_class_scaled", "label.volatility_hours=24.5"], "volatility_hours is no"),
    ],
)
def test_a_label_between_candles_is_refused_before_anything_runs(
    home: Path, words: list[str], told: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{told}.*\(label=\w+ of head direction\)") as refused:
        planned(*words)
    assert "To do: set it to" in str(refused.value)


@pytest.mark.parametrize(
    ("group", "name"), [("features", "hourly46"), ("market", "SIM-BTC"), ("gate", "default")]
)
def test_an_option_calls_itself_as_its_file_does(conf: Path, group: str, name: str) -> None:
    text = (conf / group / f"{name}.yaml").read_text()
    (conf / group / f"{OWN}.yaml").write_text(text)
    with pytest.raises(ConfigError, match="calls itself otherwise than its file") as refused:
        planned(f"{group}={OWN}", conf=conf)
    assert f"Found: name: {name}; expected: name: {OWN}. To do: write" in str(refused.value)
    assert str(conf / group / f"{OWN}.yaml") in str(refused.value)
    put(conf / group / f"{OWN}.yaml", "name", OWN)
    assert planned(f"{group}={OWN}", "exchange=simulated", conf=conf)


def test_a_word_may_rename_a_feature_set(home: Path) -> None:
    assert "other" in planned("features.name=other").stages["features"]["sets"]
