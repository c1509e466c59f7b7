"""The JSON schema for editors: it accepts the good files, marks common mistakes, and knows what the loader knows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rrdns.zonefile import check_shapes, is_pools_file, rdata, schema, shapes, yaml_nodes
from rrdns.zonefile.complaints import Complaints

TESTS = Path(__file__).parent
FILES = [*(TESTS / "zones" / "good").glob("*.yaml"), *(TESTS.parent / "zones").glob("*.yaml")]
SCHEMA = schema()

KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
IGNORED = {"title", "description", "default", "format", "$defs", "$schema", "discriminator"}


class Checker:
    """The few words of JSON schema that ours use; an unknown word fails the test."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

    def fits(self, value: Any, shape: dict[str, Any]) -> bool:
        return all(self.word(word, meant, value, shape) for word, meant in shape.items())

    def word(self, word: str, meant: Any, value: Any, shape: dict[str, Any]) -> bool:
        if word in IGNORED or word in ("then", "properties", "patternProperties", "prefixItems"):
            return word != "properties" or self.properties(value, shape)
        match word:
            case "$ref":
                return self.fits(value, self.root["$defs"][meant.removeprefix("#/$defs/")])
            case "type":
                kinds = meant if isinstance(meant, list) else [meant]
                return any(
                    isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))
                    for kind in kinds
                )
            case "const":
                return bool(value == meant)
            case "enum":
                return value in meant
            case "pattern":
                return not isinstance(value, str) or re.search(meant, value) is not None
            case "minimum":
                return not isinstance(value, int | float) or value >= meant
            case "maximum":
                return not isinstance(value, int | float) or value <= meant
            case "required":
                return not isinstance(value, dict) or set(meant) <= value.keys()
            case "additionalProperties":
                return "properties" in shape or self.properties(value, shape)
            case "items":
                return not isinstance(value, list) or all(self.fits(one, meant) for one in value)
            case "minItems":
                return not isinstance(value, list) or len(value) >= meant
            case "anyOf":
                return any(self.fits(value, one) for one in meant)
            case "oneOf":
                return sum(self.fits(value, one) for one in meant) == 1
            case "allOf":
                return all(self.fits(value, one) for one in meant)
            case "if":
                return not self.fits(value, meant) or self.fits(value, shape["then"])
        raise AssertionError(f"the checker does not know {word}")

    def properties(self, value: Any, shape: dict[str, Any]) -> bool:
        if not isinstance(value, dict):
            return True
        for key, one in value.items():
            if key in shape.get("properties", {}):
                good = self.fits(one, shape["properties"][key])
            elif any(re.search(pattern, key) for pattern in shape.get("patternProperties", {})):
                good = True
            else:
                rest = shape.get("additionalProperties", True)
                good = rest if isinstance(rest, bool) else self.fits(one, rest)
            if not good:
                return False
        return True


def fits(kind: str, text: str | bytes) -> bool:
    out = Complaints("f")
    root = yaml_nodes.read(text.encode() if isinstance(text, str) else text, out)
    assert root is not None and not out.found
    return Checker(SCHEMA[kind]).fits(json.loads(json.dumps(root)), SCHEMA[kind])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_good_files_fit(path: Path) -> None:
    assert fits("pools" if is_pools_file(path.name) else "zone", path.read_bytes())


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("zone", "www: {type: AA, value: 192.0.2.1}"),
        ("zone", "www: {typ: A, value: 192.0.2.1}"),
        ("zone", "www: {type: A, value: 192.0.2.1, tll: 60}"),
        ("zone", "www: {type: CNAME, value: web.example.com}"),
        ("zone", "www: {type: MX, value: {preference: 70000, exchange: a.example.}}"),
        ("zone", "www: {type: POOL, pool: web, wieght: 1}"),
        ("zone", "www: {type: POOL, pool: web, answers: 0}"),
        ("zone", "www: []"),
        ("zone", "$defaults: {tt: 60}"),
        ("pools", "pools: {web: {members: {a: {adress: 192.0.2.1}}}}"),
        ("pools", "pools: {web: {check: web}}"),
        ("pools", "pools: {web: {members: [192.0.2.1], when_down: {}}}"),
        ("pools", "checks: {web: {type: http, fall: 0}}"),
        ("pools", "checks: {web: {type: tcp}}"),
        ("pools", "checks: {web: {type: tcp, port: 80, interval: 5x}}"),
        ("pools", "pool: {}"),
    ],
)
def test_mistakes_do_not(kind: str, text: str) -> None:
    assert not fits(kind, text)


def test_it_is_json() -> None:
    assert set(SCHEMA) == {"zone", "pools"}
    json.dumps(SCHEMA)


def test_every_record_type_is_described() -> None:
    assert {f"{word}Record" for word in rdata.WORDS} <= SCHEMA["zone"]["$defs"].keys()


def test_every_key_of_the_models_is_described() -> None:
    for name, model in (("PoolModel", shapes.PoolModel), ("HttpCheck", check_shapes.HttpCheck)):
        assert SCHEMA["pools"]["$defs"][name]["properties"].keys() == model.model_fields.keys()
