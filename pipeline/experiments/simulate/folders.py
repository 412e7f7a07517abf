"""Where simulations keep what they made, and how each use of it is marked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.files import write_atomic

SIMULATIONS = Path("build/simulations")
DESCRIBED = "procedure.json"
SHORT = 16  # letters of a digest in a name


def open_folder(home: Path, digest: str, told: Mapping[str, Any]) -> Path:
    """Folder of all that one procedure makes; marked as used, so that it is not cleaned away.

    Parameters
    ----------
    digest
        Of the procedure.
    told
        What the folder's description says of it.
    """
    folder = home / SIMULATIONS / digest[:SHORT]
    file = folder / DESCRIBED
    if file.is_file():
        file.touch()
    else:
        write_atomic(file, json.dumps(told, indent=1, sort_keys=True).encode() + b"\n")
    return folder
