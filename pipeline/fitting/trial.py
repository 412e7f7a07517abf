"""One configuration on its way to the slot's ledger: compose names it, who fits it counts it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pipeline.config import Node, Record
from registry.files import sha256
from registry.slots import Slot
from registry.trials import Trial, record_trial

LOCAL_KEY = "trial"
REGISTRY = Path("models/registry")
# The data's moment, what judges a result, words, and what the market costs. The profile of a
# backtest is tried: it leaves the model as it is, but the best of many profiles has a high Sharpe
# ratio by luck, which the deflated one takes back by this count.
NOT_TRIED = ("as_of", "gate", "meanings", "traded")


class TrialFacts(Record):
    """What a run needs to count its configuration; no stage depends on it.

    `origin` is the slot whose tune lies under the run, where that is another one.
    """

    slot: str
    digest: str
    model: str
    choices: Node
    origin: str = ""

    @classmethod
    def of_local(cls, local: Node, where: str) -> Self:
        """Read the facts that stand beside a run's configuration."""
        return cls.parse(local.get(LOCAL_KEY, {}), f"{where}: {LOCAL_KEY}")

    def count(self, registry: Path, source: str) -> bool:
        """Write the configuration into the ledger; False when it stands there already.

        Raises
        ------
        RegistryError
            When the ledger cannot be written.
        """
        trial = Trial(self.digest, self.model, self.choices, source, self.origin)
        return record_trial(registry, Slot.parse(self.slot), trial)


def digest_of(stages: Mapping[str, Node]) -> str:
    """Digest of all that a result follows from: what the stages are told, but for the moment.

    Examples
    --------
    >>> one = digest_of({"train": {"seed": 7, "as_of": "2025-12-20"}})
    >>> one == digest_of({"train": {"as_of": "2025-12-21", "seed": 7}})
    True
    >>> one == digest_of({"train": {"seed": 8}})
    False
    """
    lasting = {
        stage: {key: value for key, value in config.items() if key not in NOT_TRIED}
        for stage, config in stages.items()
    }
    return sha256(json.dumps(lasting, sort_keys=True, allow_nan=False).encode())
