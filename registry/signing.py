"""Signatures of versions: HMAC-SHA256 over what a version is called and what it consists of.

A signature stands in the version's journal, outside its manifest, so that the same run writes the
same bytes with and without a key. Where a key is configured, only what it signed is read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from registry.files import refused

KEY, KEY_FILE = "VINTAGE_REGISTRY_KEY", "VINTAGE_REGISTRY_KEY_FILE"
SIGNED = "signed"
_LEAST_BYTES = 16
_PURPOSE = b"vintage registry version 1"


def configured_key() -> bytes | None:
    """Read the key from the environment, or the file that it names; None where there is none.

    Raises
    ------
    RegistryError
        When the file cannot be read or the key is too short to be one.
    """
    text, file = os.environ.get(KEY), os.environ.get(KEY_FILE)
    if text is None and file is None:
        return None
    where, key = (KEY, text.encode()) if text is not None else (KEY_FILE, _from_file(file or ""))
    if len(key.strip()) < _LEAST_BYTES:
        raise refused(
            "the key of the registry is too short",
            where=where,
            found=f"{len(key.strip())} bytes",
            expected=f"at least {_LEAST_BYTES}",
            fix="take 32 random bytes: python -c 'import secrets; print(secrets.token_hex())'",
        )
    return key.strip()


def signature_of(key: bytes, slot: str, version: str, digest: str) -> str:
    """Sign a version's digest; another slot's or version's signature is another one (RFC 2104).

    Examples
    --------
    >>> signature_of(b"k" * 16, "a/KRW-SOL", "v0001", "00")[:16]
    '4a2ccf57473cacfc'
    """
    told = b"\0".join([_PURPOSE, slot.encode(), version.encode(), digest.encode()])
    return hmac.new(key, told, hashlib.sha256).hexdigest()


def signed_record(slot: str, version: str, digest: str) -> dict[str, str]:
    """Key `signature` for a record of the journal; empty where no key is configured."""
    key = configured_key()
    return {} if key is None else {"signature": signature_of(key, slot, version, digest)}


def check_signature(
    slot: str, version: str, digest: str, records: Iterable[Mapping[str, Any]]
) -> None:
    """Refuse a version that the configured key did not sign; without a key everything passes.

    Raises
    ------
    RegistryError
        Naming whether the signature is missing or wrong.
    """
    key = configured_key()
    if key is None:
        return
    right = signature_of(key, slot, version, digest).encode()
    found = [str(record["signature"]) for record in records if "signature" in record]
    if any(hmac.compare_digest(each.encode(), right) for each in found):
        return
    told = "the version is signed by another key" if found else "the version is not signed"
    raise refused(
        told,
        where=f"{slot} {version}",
        expected=f"a signature by the key of {KEY} or {KEY_FILE}",
        fix=f"if you know where it comes from: vintage registry sign {slot} {version}",
    )


def _from_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        found = str(error.strerror)
        raise refused("the key cannot be read", where=path, found=found) from error
