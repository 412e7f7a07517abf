"""A record's mistakes in plain words: which key, what was found, what is expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pipeline.errors import nearest

LONGEST_VALUE = 160  # characters of one value in a message
KEY_ITSELF = "[key]"
OWN_WORDS = "value_error"
TAGGED = ("union_tag_invalid", "union_tag_not_found")
QUOTE = "'"
HOLDERS = (dict, list, tuple)  # what lies in them has keys of its own
KEYS_BELOW = "keys below it, each with a value"
LIST, TEXT, WHOLE, NUMBER, TRUTH = (
    "a list, such as [1, 2]",
    "text",
    "a whole number",
    "a number",
    "true or false",
)
EXPECTED: dict[str, str] = {
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": WHOLE,
    "int_from_float": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": "a finite number",
    "bool_type": TRUTH,
    "bool_parsing": TRUTH,
    "string_type": f"{TEXT}; put figures into quotes where they are meant as text",
    "path_type": "a path",
    "list_type": LIST,
    "tuple_type": LIST,
    "dict_type": KEYS_BELOW,
    "model_type": KEYS_BELOW,
    "model_attributes_type": KEYS_BELOW,
    "mapping_type": KEYS_BELOW,
}
LIMITED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda limit: f"more than {limit['gt']:g}",
    "greater_than_equal": lambda limit: f"at least {limit['ge']:g}",
    "less_than": lambda limit: f"less than {limit['lt']:g}",
    "less_than_equal": lambda limit: f"at most {limit['le']:g}",
    "string_pattern_mismatch": lambda limit: f"{TEXT} of the form {limit['pattern']}",
    "string_too_short": lambda limit: f"at least {_letters(limit['min_length'])}",
    "string_too_long": lambda limit: f"at most {_letters(limit['max_length'])}",
    "too_short": lambda limit: f"at least {_entries(limit['min_length'])}",
    "too_long": lambda limit: f"at most {_entries(limit['max_length'])}",
    "literal_error": lambda limit: str(limit["expected"]),
}


def told(record: type[BaseModel], node: Mapping[str, Any], detail: ErrorDetails) -> str:
    """One mistake as a clause.

    Examples
    --------
    >>> from pydantic import Field, ValidationError, create_model
    >>> tree = create_model("Tree", depth=(int, Field(ge=1, description="levels")))
    >>> try:
    ...     tree(depth=0)
    ... except ValidationError as error:
    ...     print(told(tree, {"depth": 0}, error.errors()[0]))
    'depth' is 0, expected at least 1 (levels)
    """
    path = _path(detail, node)
    if detail["type"] == "extra_forbidden":
        key, valid = str(detail["loc"][-1]), fields_at(record, detail["loc"][:-1])
        hint = nearest(key, valid) if valid is not None else "this key does not exist there"
        return f"unknown key '{path}': {hint}"
    if detail["type"] == "missing":
        return f"'{path}' is missing"
    if detail["type"] == OWN_WORDS:
        return _own_words(path, detail)
    if detail["type"] in TAGGED:
        return _tagged(path, detail)
    expected = _expected(detail, _description(record, detail["loc"]))
    return f"'{path}' is {_short(detail['input'])}, expected {expected}"


def fields_at(record: type[BaseModel], loc: tuple[int | str, ...]) -> list[str] | None:
    """Keys that are valid below a place of a record; None where no record lies there."""
    place: type[BaseModel] | None = record
    candidates: list[type[BaseModel]] = []
    for part in loc:
        if place is None:
            place = next((each for each in candidates if _has_tag(each, part)), None)
        elif part in place.model_fields:
            candidates = list(_records(place.model_fields[str(part)].annotation))
            place = candidates[0] if len(candidates) == 1 else None
        else:
            return None
    return None if place is None else [name for name in place.model_fields if name[0] != "_"]


def _own_words(path: str, detail: ErrorDetails) -> str:
    own = detail["msg"].removeprefix("Value error, ")
    own = f"{own[0].lower()}{own[1:]}"
    if not path:
        return own
    if isinstance(detail["input"], Mapping):
        return f"in '{path}': {own}"
    return f"'{path}' is {_short(detail['input'])}: {own}"


def _tagged(path: str, detail: ErrorDetails) -> str:
    """A mistake in the key that says which keys stand beside it."""
    limit = detail.get("ctx", {})
    key = f"{path}.{limit['discriminator'].strip(QUOTE)}"
    if detail["type"] == "union_tag_not_found":
        return f"'{key}' is missing"
    return f"'{key}' is '{limit['tag']}', expected one of {limit['expected_tags']}"


def _expected(detail: ErrorDetails, meaning: str) -> str:
    kind = detail["type"]
    if kind == "string_pattern_mismatch" and meaning:
        return f"{TEXT} such as {meaning}"
    plain = detail["msg"].removeprefix("Input should be ")
    found = EXPECTED.get(kind, plain[0].lower() + plain[1:])
    if kind in LIMITED:
        found = LIMITED[kind](detail.get("ctx", {}))
    return f"{found} ({meaning})" if meaning else found


def _description(record: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    field = record.model_fields.get(str(loc[0])) if len(loc) == 1 else None
    parts = [] if field is None else [field, *_marks(field.annotation)]
    texts = [text for part in parts if (text := getattr(part, "description", None))]
    return texts[0] if texts else ""


def _marks(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        yield from getattr(part, "__metadata__", ())


def _records(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if get_origin(annotation) not in HOLDERS:
        for part in get_args(annotation):
            yield from _records(part)


def _has_tag(record: type[BaseModel], tag: int | str) -> bool:
    return any(tag in get_args(field.annotation) for field in record.model_fields.values())


def _path(detail: ErrorDetails, node: Any) -> str:
    """The dotted path, without what pydantic adds for a union and is no key of the mapping."""
    kept, below = [], node
    for number, part in enumerate(detail["loc"], 1):
        held = isinstance(below, Mapping) and part in below
        if held or isinstance(below, list | tuple):
            kept.append(str(part))
            below = below[part]
        elif number == len(detail["loc"]) and part != KEY_ITSELF:
            kept.append(str(part))
    return ".".join(kept)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]} …"


def _letters(count: int) -> str:
    return f"{count} {'letter' if count == 1 else 'letters'}"


def _entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"
