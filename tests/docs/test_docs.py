"""What the documents say is true of the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.__main__ import VERBS
from pipeline.configuration.choices import GROUPS
from tests.conftest import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#:]+)\)")


def _commands(page: Path) -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("vintage ", "dvc ", "make "))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_exist(page: Path) -> None:
    told = re.findall(r"`vintage (\w+)|^vintage (\w+)", page.read_text(), flags=re.MULTILINE)
    verbs = {first or second for first, second in told} - {"VERB"}
    assert verbs <= set(VERBS), f"{page.name} names a verb that does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert {first or second for first, second in told} <= targets


def test_every_option_is_told() -> None:
    page = (CHECKOUT / "docs" / "configuration.md").read_text()
    options = list((CHECKOUT / "conf").glob("*/*.yaml"))
    assert options
    own = [path for path in options if path.parent.name == "tune" and path.stem != "none"]
    told = [path for path in options if path not in own]  # what a user adopted explains itself
    assert [str(path) for path in told if f"`{path.stem}`" not in page] == []
    assert [group for group in GROUPS if f"`{group}`" not in page] == []


def test_every_yaml_explains_its_keys() -> None:
    silent = [
        path.name
        for path in (CHECKOUT / "conf").glob("*/*.yaml")
        if "#" not in path.read_text() and len(path.read_text().splitlines()) > 1
    ]
    assert silent == []


def test_licences_are_those_of_the_locks() -> None:
    page = (CHECKOUT / "docs" / "licences.md").read_text()
    told = set(re.findall(r"^\| ([\w.-]+) \| ([\w.]+) \|", page, flags=re.MULTILINE))
    locked = set()
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (CHECKOUT / name).read_text()
        locked |= set(re.findall(r"^([\w.-]+)==([\w.]+)", text, flags=re.MULTILINE))
    assert locked <= told


def test_locks_pin_exactly_and_name_no_address() -> None:
    for path in CHECKOUT.glob("requirements*.lock"):
        lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        assert lines
        assert [line for line in lines if not re.match(r"^[\w.\[\]-]+==[\w.]+( ;.*)?$", line)] == []


def test_readme_shows_the_two_commands_first() -> None:
    assert _commands(CHECKOUT / "README.md")[:2] == ["make retrain", "make test"]
