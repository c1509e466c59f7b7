"""The man pages: everything that can be said is in them, and man, groff and mandoc have nothing to complain of."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from needs import needs

from rrdns import zonefile
from rrdns.ui.arguments import COMMANDS, build
from rrdns.ui.config import KEYS

SCRIPTS = Path(__file__).parent.parent / "scripts"
PAGES = ("rrdns.1", "rrdns.yaml.5", "rrdns-zones.5")


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("manpages", SCRIPTS / "manpages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man")
    assert maker.main(folder) == 0
    assert sorted(one.name for one in folder.iterdir()) == sorted(PAGES)
    return folder


def text(file: Path) -> str:
    """As a reader sees it."""
    needs("groff")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=200n", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.replace("\u2010", "-").replace("\u2212", "-")


def test_every_command_and_option(made: Path) -> None:
    shown = text(made / "rrdns.1")
    choices = next(action.choices for action in build()._actions if isinstance(action.choices, dict))
    assert set(choices) == set(COMMANDS)
    for name, parser in choices.items():
        part = shown.split(f"\n   rrdns {name}: ")[1].split("\n   rrdns ")[0]
        for action in [one for one in parser._actions if one.help != argparse.SUPPRESS]:
            for option in action.option_strings:
                assert option in part or action.dest == "help", f"{name} {option}"
        for line in parser.epilog.splitlines()[1:]:
            assert line.strip() in part


def test_every_setting(made: Path) -> None:
    shown = text(made / "rrdns.yaml.5")
    for key in KEYS:
        assert f"\n       {key}" in shown, key
        assert f": {key}: " in shown, f"{key} has neither default nor example"


def test_every_key_of_zones_and_pools(made: Path) -> None:
    shown = text(made / "rrdns-zones.5")
    for name, one in zonefile.schema()["pools"]["$defs"].items():
        for key in one["properties"] if name != "ListedMember" else ():
            assert key == "type" or f"\n       {key}" in shown, f"{name}.{key}"
        kind = one["properties"].get("type", {})
        for word in kind.get("enum", [kind["const"]] if "const" in kind else []):
            assert any(word in line for line in shown.splitlines() if line.startswith("   type: ")), word
    assert "'*.dev': {type: CNAME, value: www.lb.example.com.}" in shown
    assert "as TYPEnnn with the value \\# LENGTH HEX" in shown


@pytest.mark.parametrize("name", PAGES)
def test_nothing_to_complain_of(name: str, made: Path) -> None:
    needs("man", "mandoc")
    file = str(made / name)
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""}
    for command in (
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", file],
        ["mandoc", "-T", "lint", "-W", "warning", file],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
        said = done.stderr + (done.stdout if command[0] == "mandoc" else "")
        assert (done.returncode, said) == (0, ""), command[0]


def test_roff_does_not_read_our_words(maker: ModuleType, tmp_path: Path) -> None:
    words = ".SH no section\n'no request\nC:\\new \\fBno bold\\fP -- a-b 'quoted' `ticked` ^ ~"
    (tmp_path / "x.1").write_text(maker.page("x", 1, "y", maker.code(words)))
    shown = text(tmp_path / "x.1")
    for line in words.splitlines():
        assert line in shown
