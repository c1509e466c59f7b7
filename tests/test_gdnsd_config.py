"""gdnsd's configuration language: the manual's examples, and what it forbids."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needs import needs

from rrdns.ui.gdnsd_config import ConfigFault, Node, read


def plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(one) for key, one in node.value.items()}
    return [plain(one) for one in node.value] if isinstance(node.value, list) else node.value


def parsed(folder: Path, text: str) -> Any:
    (folder / "config").write_text(text)
    return plain(read(folder / "config"))


def test_three_ways_to_say_the_same(tmp_path: Path) -> None:
    wanted = {"options": {"listen": ["192.0.2.1", "192.0.2.2"]}}
    for text in (
        "options = {\n  listen = [ 192.0.2.1, 192.0.2.2 ],\n}",
        '"options" => {\n  listen => [ 192.0.2.1 192.0.2.2 ]\n}',
        "options={listen=[192.0.2.1 192.0.2.2]}",
        "options => { listen => [ 192.0.2.1 ; a comment ]\n 192.0.2.2 # another }\n] }",
    ):
        assert parsed(tmp_path, text) == wanted


@pytest.mark.parametrize(
    ("same", "value"),
    [
        (("example", '"example"', r"ex\097mpl\e", r'"ex\097mpl\e"'), "example"),
        ((r"internal\"doublequote", r'"internal\"doublequote"'), 'internal"doublequote'),
        ((r"white\ space", '"white space"'), "white space"),
        (('"braces{every[where]oh}my"', r"braces\{every\[where\]oh\}my"), "braces{every[where]oh}my"),
        ((r'"\\==="', r'"\092==="', r"\092\=\=\=", r"\\\=\=\="), "\\==="),
        (("2001:db8::1", '"2001:db8::1"'), "2001:db8::1"),
    ],
)
def test_escapes_of_the_manual(same: tuple[str, ...], value: str, tmp_path: Path) -> None:
    for text in same:
        assert parsed(tmp_path, f"k => {text}") == {"k": value}
        assert parsed(tmp_path, f"{text} => v") == {value: "v"}


def test_order_and_places_are_kept(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("b => 1\na => {\n  c => [\n x\n y ] }\n")
    node = read(tmp_path / "config")
    assert list(node.hash) == ["b", "a"]
    assert node.hash["a"].hash["c"].items[1].where == f"{tmp_path}/config:5"


def test_includes(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("[ 127.0.0.1, 127.0.0.2 ]")
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "one").write_text("weighted => {}\nsimplefo => {}")
    (tmp_path / "plugins.d" / "two").write_text('metafo => { x => $include{"../list"} }')
    text = "options => { listen => $include{ list } }\nplugins => { extmon => {}, $include{plugins.d} }"
    found = parsed(tmp_path, text)
    assert found["options"] == {"listen": ["127.0.0.1", "127.0.0.2"]}
    assert list(found["plugins"]) == ["extmon", "weighted", "simplefo", "metafo"]
    assert found["plugins"]["metafo"] == {"x": ["127.0.0.1", "127.0.0.2"]}
    assert parsed(tmp_path, "plugins => { $include{plugins.d/o*} }") == {"plugins": {"weighted": {}, "simplefo": {}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a => {\n b => 1", "config:2: the file ends in the middle: a } or ] is missing"),
        ("a => 1\na => 2", "config:2: the key 'a' stands here for the second time, the first is at "),
        ("a 1", "config:1: after the key 'a' stands => or =, not '1'"),
        ("a => }", "config:1: '}' where a value should stand"),
        ("=> 1", "config:1: '=>' where a key should stand"),
        ('\na => "open', 'config:2: a text that begins with " does not end'),
        ("a => $b", "config:1: a bare text can't begin with $"),
        (r"a => \999", r"config:1: \999 is no byte"),
        ("[ a, b ]", "config:1: a hash ({ key => value }) is wanted here, not an array"),
        ("a => $include{nothing}", "config:1: $include{nothing}: there is no such file"),
        ("a => $include{*}", "config:1: $include{*}: as a value it must be one file, not 2"),
        ("$include{config}", "config:1: $include leads in a circle"),
        ("a => " + "[" * 200, "config:1: nested too deeply"),
        ("a => 1 }", "config:1: '}' where a key should stand"),
        ("a => [ 1, , ]", "config:1: ',' where a value should stand"),
    ],
)
def test_what_is_wrong_has_a_place(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x => 1")
    with pytest.raises(ConfigFault) as failure:
        parsed(tmp_path, text)
    assert message in str(failure.value)


def test_a_single_value_counts_as_a_list_of_it(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a => b\nc => {}")
    node = read(tmp_path / "config")
    assert [one.text for one in node.hash["a"].items] == ["b"]
    for wrong in (lambda: node.hash["c"].items, lambda: node.hash["c"].text, lambda: node.hash["a"].hash):
        with pytest.raises(ConfigFault, match="is wanted here"):
            wrong()


@given(st.binary(max_size=60))
def test_anything_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("vscf") / "config"
    file.write_bytes(data)
    try:
        read(file)
    except ConfigFault as fault:
        assert str(fault).startswith(str(file))


# ---------------------------------------------------------------- gdnsd itself as the judge

PIECES = ["plugins", "=>", "{", "static", "=", "{", "a", "=>", "192.0.2.1", ",", '"b c"', "=>", '"x"', "}", ",",
          "multifo", "=>", "{", "x", "=>", "[", "192.0.2.1", "192.0.2.2", ",", "]", "}", "}"]  # fmt: skip
ODD = [
    "{",
    "}",
    "[",
    "]",
    ",",
    "=>",
    "=",
    "a",
    '"',
    "# comment\n",
    "; comment\n",
    "\\",
    r"\065",
    r"\300",
    "$x",
    "$",
    "\n",
    "",
]
EDITS = st.lists(
    st.tuples(st.integers(0, len(PIECES) - 1), st.sampled_from(ODD), st.booleans()), min_size=0, max_size=3
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDITS, st.sampled_from([" ", "", "\n"]))
def test_gdnsd_and_we_take_the_same_syntax(tmp_path: Path, edits: list[tuple[int, str, bool]], blank: str) -> None:
    """A good file with up to three pieces put in or replaced; gdnsd says `Parse error` exactly where we refuse."""
    needs("gdnsd")
    pieces = list(PIECES)
    for at, piece, replace in edits:
        pieces[at : at + replace] = [piece]
    glue = blank or "\t"  # bare texts need something between them
    (tmp_path / "config").write_text(glue.join(pieces))
    (tmp_path / "zones").mkdir(exist_ok=True)
    done = subprocess.run(["gdnsd", "-c", str(tmp_path), "checkconf"], capture_output=True, text=True, timeout=60)
    theirs = "Parse error" in done.stderr or "at the top level" in done.stderr
    try:
        read(tmp_path / "config")
        ours = ""
    except ConfigFault as fault:
        ours = str(fault)
    assert theirs == bool(ours), f"{pieces}\nwe: {ours}\ngdnsd: {done.stderr}"
