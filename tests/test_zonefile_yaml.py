"""YAML text -> values with places: scalars, keys, aliases, and everything that must end in a message."""

from __future__ import annotations

import importlib.util
import time
from types import ModuleType
from typing import Any

import pytest
import yaml

from rrdns.zonefile import yaml_nodes
from rrdns.zonefile.complaints import Complaints
from rrdns.zonefile.scalars import resolve, written


def read(text: str | bytes, nodes: Any = yaml_nodes) -> tuple[Any, list[str]]:
    out = Complaints("f.yaml")
    found = nodes.read(text.encode() if isinstance(text, str) else text, out)
    return found, [str(problem) for problem in out.sorted()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("no", "no"),
        ("on", "on"),
        ("Y", "Y"),
        ("tRue", "tRue"),
        ("0", 0),
        ("-17", -17),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.10", 1.1),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1e3", -1000.0),
        (".inf", float("inf")),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        (".", "."),
        ("-", "-"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_yaml_1_2_scalars(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value and isinstance(found, type(value))


@pytest.mark.parametrize("text", ["010", "1.10", "0x1F", "+5", "1e3", "-0", "5", "-5", ".inf"])
def test_numbers_remember_how_they_were_written(text: str) -> None:
    assert written(resolve(text)) == text


def test_places() -> None:
    root, problems = read("a: 1\nbb:\n  - x\n  - {c: d}\n")
    assert problems == []
    assert root == {"a": 1, "bb": ["x", {"c": "d"}]}
    assert root.at_key("bb") == (2, 1) and root.at("bb") == (3, 3)
    assert root["bb"].spots == [(3, 5), (4, 5)]
    assert root["bb"][1].at("c") == (4, 9)
    assert root.at("nothing") == (1, 1)


def test_places_count_characters() -> None:
    root, _ = read("\ufeff'ü': x\n")
    assert root.at("ü") == (1, 6)


def test_quoted_is_text() -> None:
    root, _ = read("a: '1'\nb: \"no\"\nc: !!str 1\nd: |\n  1\n")
    assert root == {"a": "1", "b": "no", "c": "1", "d": "1\n"}


def test_aliases_and_merges() -> None:
    root, problems = read("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{x: 9}, *a]}\n'<<': text\n")
    assert problems == []
    assert root == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 9, "y": 2},
        "<<": "text",
    }
    assert root["c"].at("x") == (1, 11)  # where it is written
    assert root["a"].shared and not root["c"].shared


def test_the_first_of_two_equal_keys_counts() -> None:
    root, problems = read("a: 1\na: 2\n")
    assert root == {"a": 1}
    assert problems == ["f.yaml:2:1: a: the same key stands at f.yaml:1:1 already"]


def test_aliases_may_add_much_but_not_everything() -> None:
    values = "a: &a [" + "x, " * 999 + "x]\n"
    assert read(f"{values}b: [{'*a, ' * 1900}]\n")[1] == []
    assert "aliases of this repeat" in read(f"{values}b: [{'*a, ' * 2100}]\n")[1][0]


def test_an_anchor_twice() -> None:
    assert read("a: &x 1\nb: &x 2\n")[1] == ["f.yaml:2:4: the anchor &x is taken since line 1"]


def test_depth_through_aliases() -> None:
    text = "k0: &k0 [x]\n" + "".join(f"k{n}: &k{n} [*k{n - 1}]\n" for n in range(1, 200))
    assert read(text)[0] is None


@pytest.mark.parametrize("text", ["[" * 300000, "- " * 300000, "{a: " * 100000, "? " * 100000, "[a, " * 100000])
def test_bottomless_nesting_is_refused_at_once(text: str) -> None:
    """Without the guard the composer, recursive C, overflows its stack: the process would be gone."""
    began = time.monotonic()
    assert read(text)[1] == [f"f.yaml:1:{read(text)[1][0].split(':')[2]}: nested more than 48 deep"]
    assert time.monotonic() - began < 20


def test_too_large() -> None:
    _, problems = read(b"#" * (yaml_nodes.MAX_BYTES + 1))
    assert problems == ["f.yaml: has 67108865 bytes, at most 67108864 are read: split it into several files"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_line_ends(line_end: str) -> None:
    root, problems = read(line_end.join(["a: 1", "b:", "  c: 2", ""]))
    assert problems == [] and root == {"a": 1, "b": {"c": 2}}
    assert root["b"].at("c") == (3, 6)


def test_utf_16() -> None:
    assert read("a: b\n".encode("utf-16"))[1] == ["f.yaml:1:1: is UTF-16: save it as UTF-8"]


# ---------------------------------------------------------------- without libyaml


@pytest.fixture
def slow_nodes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """yaml_nodes as it is where PyYAML came without libyaml."""
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    spec = importlib.util.spec_from_file_location("slow_yaml_nodes", yaml_nodes.__file__)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module._Base is yaml.SafeLoader
    return module


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, {c: 010}]\n",
        "a: &a {x: 1}\nb: {<<: *a, y: 'no'}\n",
        "a: 1\na: 2\n",
        "",
        "a: !include x\n",
        "a:\n\tb: 1\n",
        "a: 1\n---\nb: 2\n",
        "@: 1\n",
        "*.dev: 1\n",
        "[" * 1000,
        "&a [*a]",
        "a: b: c\n",
    ],
)
def test_the_slow_loader_says_the_same(text: str, slow_nodes: ModuleType) -> None:
    assert read(text, slow_nodes) == read(text)
