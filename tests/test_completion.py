"""What Tab offers, asked of real shells: bash by its own completion functions, zsh in a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import FakeApi
from needs import needs

from rrdns import cli
from rrdns.ui import completion
from rrdns.ui.arguments import COMMANDS


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which `rrdns` is this tree's."""
    program = tmp_path / "bin" / "rrdns"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rrdns "$@"\n')
    program.chmod(0o755)
    root = str(Path(__file__).parent.parent)
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": root,
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


def offered(home: dict[str, str], *words: str) -> list[str]:
    """What bash would offer for the last of the words."""
    needs("bash")
    line = " ".join(words)
    script = f"""
        eval "$(rrdns completion bash)"
        complete -p rrdns >/dev/null || exit 9
        COMP_WORDS=({" ".join(shlex.quote(word) for word in words)})
        COMP_CWORD={len(words) - 1}
        COMP_LINE={shlex.quote(line)}
        COMP_POINT={len(line)}
        _shtab_rrdns
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=home)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def test_bash_offers_commands_and_options(home: dict[str, str]) -> None:
    assert set(offered(home, "rrdns", "")) >= set(COMMANDS)
    assert offered(home, "rrdns", "expl") == ["explain"]
    assert offered(home, "rrdns", "serve", "--log-f") == ["--log-format"]
    assert set(offered(home, "rrdns", "serve", "--log-format", "")) == {"text", "json"}
    assert set(offered(home, "rrdns", "completion", "")) == {"bash", "zsh"}


def test_bash_offers_folders_and_files(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "zones-here").mkdir()
    (tmp_path / "zones-file").touch()
    assert offered(home, "rrdns", "check", f"{tmp_path}/zones") == [f"{tmp_path}/zones-here"]
    assert set(offered(home, "rrdns", "import", f"{tmp_path}/zones")) == {
        f"{tmp_path}/zones-here",
        f"{tmp_path}/zones-file",
    }


STATUS = {
    "pools": {"web": {"members": {"web1": {}, "web2": {}}}, "mail": {"members": {"mx1": {}, "web1": {}}}},
    "services": {"www.lb.example.com.": {}, "imap.lb.example.com.": {}},
}


@pytest.fixture
def server(tmp_path: Path, home: dict[str, str]) -> Iterator[FakeApi]:
    with FakeApi(tmp_path / "control.sock") as api:
        api.status = STATUS
        home["RRDNS_CONTROL"] = str(tmp_path / "control.sock")
        yield api


def test_bash_offers_what_the_server_has(home: dict[str, str], server: FakeApi) -> None:
    assert set(offered(home, "rrdns", "drain", "web")) == {"web1", "web2", "web/web1", "web/web2"}
    assert offered(home, "rrdns", "drain", "mail/m") == ["mail/mx1"]
    assert offered(home, "rrdns", "drain", "web1", "mx") == ["mx1"]
    assert offered(home, "rrdns", "explain", "www") == ["www.lb.example.com"]
    assert offered(home, "rrdns", "events", "--pool", "m") == ["mail"]


def test_without_a_server_nothing_is_offered_and_nothing_is_said(
    home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RRDNS_CONTROL", str(tmp_path / "nobody"))
    assert cli.main(["completion", "--names", "members"]) == 0
    assert capsys.readouterr() == ("", "")
    assert offered({**home, "RRDNS_CONTROL": str(tmp_path / "nobody")}, "rrdns", "drain", "web") == []


def test_names_come_sorted_and_once() -> None:
    assert sorted(set(completion._of("members", STATUS))) == [
        *("mail/mx1", "mail/web1", "mx1", "web/web1", "web/web2", "web1", "web2"),
    ]
    assert list(completion._of("pools", STATUS)) == ["web", "mail"]


def test_which_shell() -> None:
    assert cli.main(["completion"]) == 2
    assert cli.main(["completion", "tcsh"]) == 2


def test_zsh_takes_the_script_and_completes(home: dict[str, str], server: FakeApi, tmp_path: Path) -> None:
    """A zsh at a terminal: `rrdns drain web2<Tab>` becomes web2, `rrdns expl<Tab>` becomes explain."""
    needs("zsh")
    functions = tmp_path / "zfunc"
    functions.mkdir()
    script = subprocess.run(
        ["rrdns", "completion", "zsh"], capture_output=True, text=True, timeout=60, env=home, check=True
    )
    (functions / "_rrdns").write_text(script.stdout)
    (tmp_path / ".zshrc").write_text(
        f"fpath=({functions} $fpath)\nautoload -Uz compinit && compinit -u -D\nPS1='ready> '\nunsetopt beep\n"
    )
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-i"], {**home, "ZDOTDIR": str(tmp_path), "TERM": "vt100"})
    try:
        typed(fd, b"", b"ready> ")
        typed(fd, b"rrdns expl\t", b"explain")
        typed(fd, b"\x15rrdns drain mail/m\t", b"mail/mx1")
    finally:
        os.kill(pid, 9)
        os.close(fd)
        os.waitpid(pid, 0)


def typed(fd: int, keys: bytes, expected: bytes, seconds: float = 40.0) -> None:
    os.write(fd, keys)
    end = time.monotonic() + seconds
    seen = b""
    while expected not in seen:
        assert time.monotonic() < end, f"no {expected!r} in {seen!r}"
        if select.select([fd], [], [], 0.2)[0]:
            seen += os.read(fd, 4096)
