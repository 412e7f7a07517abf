"""The registry's one error."""

from __future__ import annotations


class RegistryError(Exception):
    """A version, pointer or file of the registry is missing, damaged or in the way."""

    exit_code = 6
