"""Every command of the README's section on use, typed in order in a clone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, clone
from tests.e2e.commands import run

REFUSED = 3


@pytest.mark.dvc
@pytest.mark.real
def test_commands_of_the_readme(tmp_path: Path, real_data: Path) -> None:
    folder = clone(tmp_path)
    section = (CHECKOUT / "README.md").read_text().split("## Use")[1].split("## How")[0]
    blocks = re.findall(r"```\n(.*?)```", section, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    commands = [
        line
        for line in lines
        if not line.startswith(("vintage registry rollback", "vintage doctor"))
    ]
    assert len(commands) >= 10
    for line in commands:
        words = line.replace("/path/to/files", f"{real_data}/upbit").split()
        run(folder, *words)
    slots = json.loads(run(folder, "vintage", "registry", "list", "--json"))
    made = {told["slot"] for told in slots if told["versions"]}
    assert made == {"demo/SIM-BTC", "upbit_hourly@replay/KRW-SOL"}
    tried = {told["slot"]: told["trials"] for told in slots}
    assert tried["demo@simulated/KRW-SOL"] >= 2, "experiments count where they were made"
    run(folder, "vintage", "retrain", "recipe=demo", "model=majority")
    told = run(folder, "vintage", "registry", "rollback", "demo/SIM-BTC")
    assert "v0001 is champion" in told
