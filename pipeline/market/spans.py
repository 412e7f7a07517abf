"""Spans of a series, as a list in a JSON file beside its months."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pipeline.errors import DataError

Item = TypeVar("Item")


def read_spans(
    path: Path, name: str, parsed: Callable[[dict[str, str]], Item], loss: str
) -> list[Item]:
    """Read the spans of a file, in its order; none where there is no file.

    Parameters
    ----------
    name
        Of the list in the file.
    loss
        What deleting the file means.

    Raises
    ------
    DataError
        When the file holds something else.
    """
    try:
        return [parsed(span) for span in json.loads(path.read_bytes())[name]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"is no list of {name} spans",
            where=str(path),
            found=" ".join(str(error).split()),
            fix=f"delete that file; {loss}",
        ) from None


def encode_spans(name: str, spans: Iterable[Mapping[str, str]]) -> bytes:
    """Bytes of such a file; equal spans give equal bytes."""
    return (json.dumps({name: [dict(span) for span in spans]}, indent=1) + "\n").encode()
