"""The page of ``dvc plots``, which draws without a network."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc_render import VegaRenderer, render_html

from pipeline.config import read_yaml
from tests.conftest import CHECKOUT
from tests.pages import parse

TEMPLATE = CHECKOUT / ".dvc" / "plots.html"
ASK = (
    "process.stdout.write(JSON.stringify("
    "JSON.parse(require('fs').readFileSync(0)).map(module.exports.draw)))"
)


def test_plots_page_loads_nothing() -> None:
    text = TEMPLATE.read_text()
    assert text.count("{plot_divs}") == text.count("{refresh_tag}") == 1
    assert "{scripts}" not in text, "DVC would put scripts of the network there"
    assert not re.search(r"https?:|src=|@import|url\(|fetch\(|XMLHttp", text)
    config = (CHECKOUT / ".dvc" / "config").read_text()
    assert re.search(r"\[plots\]\s+html_template = plots\.html", config)


def points(name: str) -> list[dict[str, str]]:
    revisions = ("workspace", "<b>exp</b>")
    if name == "confusion":
        pairs = [("d", "sell", "buy"), ("d", "sell", "sell"), ("d", "hold", "sell")]
        pairs += [("exit", "no", "yes"), ("exit", "yes", "yes")]
        return [
            {"head": head, "happened": happened, "predicted": predicted, "rev": rev}
            for rev in revisions
            for head, happened, predicted in pairs
        ]
    if name == "loss":
        return [
            {
                "head": "d",
                "fit": fit,
                "part": "lstm",
                "epoch": str(epoch),
                "loss": str(1 / epoch),
                "kind": kind,
                "rev": rev,
            }
            for rev in revisions
            for fit in ("fold 0", "refit")
            for kind in ("training", "validation")
            for epoch in range(1, 11)
        ]
    if name == "equity":
        return [
            {
                "time": f"2025-10-{day:02d}T05:00Z",
                "series": series,
                "equity": str(worth),
                "rev": rev,
            }
            for rev in revisions
            for day, worth in ((1, 1.0), (11, 1.5), (31, 2.0))
            for series in ("traded", "buy and hold")
        ]
    return [
        {
            "head": "d",
            "column": f"c{k}",
            "increase": str((k - 10) / 100),
            "error": "0.1",
            "rev": rev,
        }
        for rev in revisions
        for k in range(30)
    ]


def renderers() -> list[VegaRenderer]:
    declared = read_yaml(CHECKOUT / "dvc.yaml")["stages"]["evaluate"]["plots"]
    where = CHECKOUT / ".dvc" / "plots"
    return [
        VegaRenderer(points(path.rpartition("/")[2][:-4]), path, template_dir=where, **properties)
        for node in declared
        for path, properties in node.items()
    ]


def test_dvc_fills_the_page(tmp_path: Path) -> None:
    out = tmp_path / "plots" / "index.html"
    render_html(renderers(), out, html_template=TEMPLATE)
    page = out.read_text()
    assert page.count("vegaEmbed('#") == 4
    assert not re.search(r"\{(plot_divs|refresh_tag|scripts)\}", page)
    assert "cdn" not in page
    without = re.sub(r'"\$schema": "[^"]*"', "", page)
    assert "http" not in without.replace("http-equiv", "")


def drawn(specs: list[dict[str, Any]]) -> list[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the drawing of plots is not tested")
    (script,) = re.findall(r"<script>(.*?)</script>", TEMPLATE.read_text(), flags=re.DOTALL)
    run = subprocess.run(
        [node, "-e", f"{script};{ASK}"],
        input=json.dumps(specs),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: list[str] = json.loads(run.stdout)
    return found


def test_plots_are_drawn_as_dvc_declares_them() -> None:
    confusions, losses, importances, equities = map(
        parse, drawn([renderer.get_filled_template() for renderer in renderers()])
    )
    panels = [f"{head} · {rev}" for rev in ("workspace", "<b>exp</b>") for head in ("d", "exit")]
    assert [each.text for each in confusions.all("h3")] == panels
    direction, leave, *_ = confusions.all("table")
    assert [each.text for each in leave.all("td")] == ["0 %0", "100 %1", "0 %0", "100 %1"]
    cells = [each.text for each in direction.all("td")]
    assert cells == ["0 %0", "0 %0", "0 %0", "0 %0", "0 %0", "100 %1", "50 %1", "0 %0", "50 %1"]
    assert [each.text for each in losses.all("h3")] == ["d · workspace", "d · <b>exp</b>"]
    curves = losses.all("path", "curve")
    assert len(curves) == 8
    assert curves[0].attributes["d"].startswith("M0 5")
    assert len({each.attributes["stroke"] for each in curves}) == 2
    assert len({each.attributes["stroke-dasharray"] for each in curves}) == 2
    assert [each.text for each in losses.all("li")] == ["fold 0", "refit", "training", "validation"]
    names = [each.text for each in importances.all("span", "first")]
    assert names == [f"c{k}" for k in reversed(range(30))]
    assert len(importances.all("rect")) == 60
    assert importances.all("summary")[0].text == "10 more"
    assert [each.text for each in equities.all("li")] == ["traded", "buy and hold"]
    curve, *_ = equities.all("path", "curve")
    xs = [float(pair.split()[0].lstrip("M")) for pair in curve.attributes["d"].split("L")]
    assert xs == [0, 333, 1000], "moments stand where they were, not one beside the other"
    assert "2025-10-" in equities.text


def test_names_stay_text() -> None:
    hostile = "<script>alert('1')</script>&\""
    rows = [{"y": hostile, "x": hostile, "z": "1", "rev": hostile}]
    told = {"x": "x", "y": "y", "title": hostile, "x_label": hostile, "y_label": hostile}
    confusions = VegaRenderer(copy.deepcopy(rows), "one", template="confusion", **told)
    bars = VegaRenderer(rows, "two", template="bar_horizontal", **{**told, "x": "z"})
    for markup in drawn([confusions.get_filled_template(), bars.get_filled_template()]):
        assert "script>alert" not in markup
        tree = parse(markup)
        assert not tree.all("script")
        assert tree.all("h2")[0].text == hostile
        assert tree.text.count(hostile) >= 3


def test_templates_of_dvc_are_drawn_or_declined() -> None:
    rows = [{"step": str(k), "a.b": str(k * k), "rev": "<i>"} for k in range(5)]
    names = ["linear", "simple", "smooth", "scatter", "bar_horizontal"]
    specs = [
        VegaRenderer(
            copy.deepcopy(rows), "one", template=name, x="step", y="a.b"
        ).get_filled_template()
        for name in names
    ]
    empty = VegaRenderer([], "none", template="linear").get_filled_template()
    strange = {"mark": "arc", "data": {"values": rows}, "encoding": {}}
    *known, nothing, declined = map(parse, drawn([*specs, empty, strange]))
    for name, each in zip(names, known, strict=True):
        marks = [*each.all("path"), *each.all("circle"), *each.all("rect")]
        assert len(marks) == {"scatter": 5, "bar_horizontal": 5}.get(name, 1), name
        assert not each.all("i")
    assert "nothing to draw" in nothing.text
    assert "not drawn here: arc" in declined.text
