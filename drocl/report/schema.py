"""Check claims.json against its schema, with the part of JSON Schema that the schema uses and no further dependency."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("claims.schema.json")
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_WORDS = {
    "$schema",
    "$id",
    "$ref",
    "$defs",
    "title",
    "description",
    "type",
    "const",
    "enum",
    "anyOf",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "pattern",
}


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The schema of claims.json."""
    read: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return read


def validate(data: Any) -> None:
    """Check the content of a claims.json.

    Args:
        data: what `json.load` gave.

    Raises:
        ValueError: naming up to five places that do not fit, and what was expected there.
    """
    faults = list(_faults(data, schema(), "claims.json"))
    if not faults:
        names = [claim["id"] for claim in data["claims"]]
        twice = sorted({name for name in names if names.count(name) > 1})
        faults = [f"claims.json.claims: id {name!r} occurs twice" for name in twice]
    if faults:
        more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
        raise ValueError("; ".join(faults[:5]) + more)


def _faults(value: Any, rule: dict[str, Any], where: str) -> Iterator[str]:
    """What does not fit, most basic first; nothing below a value of the wrong type is looked at."""
    if unknown := set(rule) - _WORDS:
        raise NotImplementedError(f"schema words {sorted(unknown)}")
    if "$ref" in rule:
        yield from _faults(value, schema()["$defs"][rule["$ref"].rpartition("/")[2]], where)
        return
    if "anyOf" in rule:
        tries = [list(_faults(value, option, where)) for option in rule["anyOf"]]
        if all(tries):
            yield f"{where} = {_brief(value)} fits no alternative ({tries[-1][0]})"
        return
    if "const" in rule and value != rule["const"]:
        yield f"{where} = {_brief(value)} must be {rule['const']!r}"
        return
    if "enum" in rule and value not in rule["enum"]:
        yield f"{where} = {_brief(value)} must be one of {', '.join(map(repr, rule['enum']))}"
        return
    named = rule.get("type", [])
    allowed = [named] if isinstance(named, str) else named
    if allowed and not any(_is(value, name) for name in allowed):
        yield f"{where} = {_brief(value)} must be of type {' or '.join(allowed)}"
        return
    if isinstance(value, str) and "pattern" in rule and not re.search(rule["pattern"], value):
        yield f"{where} = {_brief(value)} must match {rule['pattern']}"
    if isinstance(value, (int, float)) and value < rule.get("minimum", -float("inf")):
        yield f"{where} = {_brief(value)} must be at least {rule['minimum']}"
    if isinstance(value, dict):
        yield from _object_faults(value, rule, where)
    if isinstance(value, list):
        if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", float("inf")):
            limits = f"{rule.get('minItems', 0)} to {rule.get('maxItems', 'any number')}"
            yield f"{where} has {len(value)} entries, must have {limits}"
        for i, entry in enumerate(value):
            yield from _faults(entry, rule.get("items", {}), f"{where}[{i}]")


def _object_faults(value: dict[str, Any], rule: dict[str, Any], where: str) -> Iterator[str]:
    for name in rule.get("required", []):
        if name not in value:
            yield f"{where} lacks {name!r}"
    for name, entry in value.items():
        inner = rule.get("properties", {}).get(name, rule.get("additionalProperties", {}))
        yield from _faults(entry, inner, f"{where}.{name}")


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):  # a bool is an int to Python, not to JSON
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _brief(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
