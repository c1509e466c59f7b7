"""The command line: what each command sends and prints, its exit code, and what it costs to ask for help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi

from rrdns import cli, wire, zonefile
from rrdns.control import files
from rrdns.settings import Settings
from rrdns.ui.arguments import COMMANDS, build
from rrdns.ui.serve import BEGIN, environment

HEAVY = ("aiohttp", "pydantic", "dns", "dnslib", "rich.live", "rich.console", "yaml", "uvloop", "h11")
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("RRDNS_")}


def rrdns(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rrdns", *arguments], capture_output=True, text=True, timeout=60, env=PLAIN, **more
    )


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command run in this process."""
    code = cli.main(arguments)
    caught = capsys.readouterr()
    return code, caught.out, caught.err


# ---------------------------------------------------------------- help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = said(capsys, command, "--help")
    assert code == 0
    assert "examples:" in text and f"rrdns {command}" in text.split("examples:")[1]


def test_the_commands_are_those_listed_and_each_has_someone_to_do_it() -> None:
    parser = build()
    choices = next(action.choices for action in parser._actions if isinstance(action.choices, dict))
    assert tuple(choices) == COMMANDS
    for one in choices.values():
        assert callable(cli.command(one.get_default("target")))


def test_help_loads_nothing_heavy() -> None:
    for arguments in (["check", "--help"], ["--help"], ["version"]):
        script = (
            f"import sys; from rrdns.cli import main; main({arguments!r}); print(*sorted(sys.modules), file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=PLAIN)
        loaded = set(done.stderr.split())
        heavy = [name for name in HEAVY if name in loaded and not (name == "rich.console" and "--help" in arguments)]
        assert not heavy, f"{arguments} loads {heavy}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stauts"], "there is no command 'stauts', did you mean 'status'?"),
        (["drain"], "MEMBER"),
        (["drain", "web1", "--for", "soon"], "'soon' is no duration; write 30s"),
        (["drain", "web1", "--for", "0s"], "more than 0, and at most ten years"),
        (["hold", "--for", "5000d"], "more than 0, and at most ten years"),
        (["serve", "--listen", "localhost:53"], "'localhost' is no IP address; write 192.0.2.53:53"),
        (["serve", "--workers", "many"], "'many' is not a number between 0 and 512"),
        (["serve", "--user", "nobody-of-this-name"], "there is no user"),
        (["events", "--limit", "0"], "not a number between 1"),
        (["schema", "--kind", "zones"], "invalid choice"),
        (["status", "--jsn"], "unrecognized arguments: --jsn"),
        (["explain", "a..b"], "empty label"),
    ],
)
def test_usage_errors_exit_2_and_say_what_to_do(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = said(capsys, *arguments)
    assert code == 2 and words in error, error


def test_without_a_command_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = said(capsys)
    assert code == 0 and "rrdns demo" in text and "exit codes:" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version")[1].startswith("rrdns 0.")
    assert said(capsys, "version")[1].startswith("rrdns 0.")
    assert json.loads(said(capsys, "version", "--json")[1])["libraries"]["dnslib"]


# ---------------------------------------------------------------- acting on a server


def test_drain_says_what_it_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = (200, {"ok": True, "changed": ["web/web1", "img/web1"], "saved": True})
        code, text, _ = said(
            capsys, "drain", "web1", "--for", "2h", "--reason", "kernel", "--force", "--control", api.path
        )
        assert code == 0 and text == "drained for 2h: web/web1, img/web1\n"
        expected = {"members": ["web1"], "word": "drain", "for": 7200.0, "reason": "kernel", "force": True}
        assert api.asked[-1][3] == expected
        code, text, _ = said(capsys, "enable", "web1", "a/b", "--control", api.path, "--json")
        assert code == 0 and json.loads(text)["changed"] == ["web/web1", "img/web1"]
        assert api.asked[-1][3]["word"] == "enable" and api.asked[-1][3]["members"] == ["web1", "a/b"]


def test_in_force_but_not_saved_is_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = (200, {"ok": True, "changed": ["web/web1"], "saved": False})
        code, text, error = said(capsys, "disable", "web1", "--control", api.path)
    assert code == 4 and "disabled: web/web1" in text and "NOT saved" in error


def test_a_refusal_is_1_with_the_servers_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = (404, {"error": "no member is called web9; did you mean web1?"})
        code, text, error = said(capsys, "drain", "web9", "--control", api.path)
        assert code == 1 and text == "" and error == "rrdns: no member is called web9; did you mean web1?\n"
        code, text, error = said(capsys, "drain", "web9", "--control", api.path, "--json")
        assert code == 1 and "web9" in json.loads(text)["error"]


def test_reload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/reload"] = (200, {"ok": True, "problems": [], "changed": {"zones": 1, "names": 0}})
        assert said(capsys, "reload", "--control", api.path)[:2] == (0, "reloaded: zones 1\n")
        problems = ["zones/a.yaml:1:2: x", "zones/a.yaml:3:4: y"]
        for code in (200, 409):
            api.answers["POST", "/reload"] = (code, {"ok": False, "problems": problems, "changed": {}})
            exit_code, text, error = said(capsys, "reload", "--force", "--control", api.path)
            assert exit_code == 1 and text.splitlines() == problems and "stays in force" in error
        assert api.asked[-1][3] == {"force": True}


def test_an_unreachable_server_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["drain", "web1"], ["reload"], ["events"], ["explain", "a.b"], ["status"], ["export"]):
        code, _, error = said(capsys, *command, "--control", str(tmp_path / "none"))
        assert code == 3 and "no rrdns answers at" in error, command
    code, text, _ = said(capsys, "events", "--json", "--control", str(tmp_path / "none"))
    assert code == 3 and "no rrdns answers" in json.loads(text)["error"]


# ---------------------------------------------------------------- files


def zones(folder: Path, pools: str = "pools: {web: {members: [192.0.2.1, 192.0.2.2]}}\n") -> Path:
    (folder / "zones").mkdir()
    (folder / "zones" / "lb.example.com.yaml").write_text(
        "'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 192.0.2.53}\nwww: {type: POOL, pool: web}\n"
    )
    (folder / "zones" / "pools.yaml").write_text(pools)
    return folder / "zones"


CHECKED = "checks: {web: {type: http, port: 80}}\npools: {web: {check: web, members: [192.0.2.1, 192.0.2.2]}}\n"


def test_check_says_fine_and_what_a_failure_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = said(capsys, "check", str(zones(tmp_path, CHECKED)))
    assert code == 0 and "1 zone, 1 pool, 2 members, 1 check: fine" in text
    assert "out of our answers after 11.7 s at most, and out of caches after 27.5 s at most" in text
    told = json.loads(said(capsys, "check", str(tmp_path / "zones"), "--json")[1])
    assert told["ok"] and told["services"]["www.lb.example.com."]["failover"]["worst"] == 27.5


def test_check_lists_every_problem_on_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = zones(tmp_path, "pools: {web: {membrs: [192.0.2.1], quorum: no}}\n")
    code, text, _ = said(capsys, "check", str(folder))
    lines = [line for line in text.splitlines() if line.startswith(f"{folder}/pools.yaml:1:")]
    assert code == 1 and len(lines) >= 2 and "membrs" in text and "would not be served" in text
    told = json.loads(said(capsys, "check", str(folder), "--json")[1])
    assert not told["ok"] and told["problems"][0]["line"] == 1


def test_check_says_what_weights_come_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = zones(tmp_path, "pools: {web: {members: {a: {address: 192.0.2.1, weight: 3}, b: 192.0.2.2}}}\n")
    text = said(capsys, "check", str(folder))[1]
    assert "www.lb.example.com. share of first places: a 75%, b 25%\n" in text
    assert "no check, so a dead host is answered until someone drains it" in text
    with (folder / "lb.example.com.yaml").open("a") as file:
        file.write("one: {type: POOL, pool: web, answers: 1}\n")
    assert "one.lb.example.com. share of answers: a 75%, b 25%\n" in said(capsys, "check", str(folder))[1]


def test_check_of_no_directory_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = said(capsys, "check", str(tmp_path / "none"))
    assert code == 2 and "there is no such directory" in text


def test_a_pipe_that_closes_is_no_error(tmp_path: Path) -> None:
    folder = zones(tmp_path, CHECKED)
    process = subprocess.Popen(
        [sys.executable, "-m", "rrdns", "check", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=PLAIN
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 141 and process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("words", [("check",), ("check", "--json"), ("version",)])
def test_a_disk_that_is_full_is_said_in_words(tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = [str(zones(tmp_path, CHECKED))] if words[0] == "check" else []
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "rrdns", *words, *folder]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=PLAIN, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr == "rrdns: the output can't be written: No space left on device\n"


def test_check_tells_of_files_that_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = zones(tmp_path, CHECKED)
    (folder / "pools.yml").write_text("pools: {}\n")
    assert cli.main(["check", str(folder)]) == 0
    assert "pools.yml: warning: is not read: only files whose names end in .yaml are" in capsys.readouterr().out


def test_serve_without_zones_tells_how_to_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = said(capsys, "serve", str(tmp_path / "none"), "--state", "none")
    assert code == 2 and "there is no such directory" in error and "pools.yaml" in error and "rrdns demo" in error


def test_the_example_to_begin_with_is_right() -> None:
    found: dict[str, bytes] = {}
    name = ""
    for line in BEGIN.format(zones="zones").splitlines():
        if line.startswith("  zones/"):
            name = line.strip()
        elif line.startswith("    "):
            found[name] = found.get(name, b"") + line[4:].encode() + b"\n"
    loaded = zonefile.load(found)
    assert len(found) == 2 and loaded.dataset is not None, loaded.problems


def test_serve_becomes_the_supervisor_with_these_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *what: became.append(what))
    folder = zones(tmp_path)
    (tmp_path / "rrdns.yaml").write_text("workers: 7\ntcp_idle: 3s\n")
    arguments = ["serve", str(folder), "--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--workers", "2", "--strict"]
    cli.main(
        [
            *arguments,
            "--config",
            str(tmp_path / "rrdns.yaml"),
            "--state",
            str(tmp_path / "state"),
            "--log-format",
            "json",
        ]
    )
    _, argv, env = became[0]
    settings = Settings.from_json(env["RRDNS_SETTINGS"])
    assert argv[1:] == ["-m", "rrdns.supervise.supervisor"]
    assert settings.listen == (("127.0.0.1", 0), ("::1", 0)) and settings.workers == 2 and settings.strict
    assert settings.tcp_idle == 3 and settings.zones == str(folder) and settings.log_format == "json"
    assert settings.control and settings.state == str(tmp_path / "state")


def test_the_server_imports_nothing_from_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')\n")
    env = environment(Settings())
    done = subprocess.run(
        [sys.executable, "-c", "import json, rrdns; print(rrdns.__file__)"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.strip() == str(Path(cli.__file__).parent / "__init__.py"), done.stderr


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(said(capsys, "schema")[1])
    for kind in ("zone", "pools"):
        assert json.loads(said(capsys, "schema", "--kind", kind)[1]) == whole[kind]


def test_import_then_check_then_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master = tmp_path / "db.example.com"
    master.write_text(
        "$TTL 300\n@ SOA ns1 hostmaster 7 3600 600 1209600 60\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n"
    )
    out = tmp_path / "out"
    code, text, _ = said(capsys, "import", str(master), "--out", str(out))
    assert code == 0 and "example.com" in text
    assert said(capsys, "check", str(out))[0] == 0
    code, text, _ = said(capsys, "export", str(out))
    assert code == 0 and "192.0.2.1" in text and "SOA" in text
    assert said(capsys, "export", str(out), "--out", str(tmp_path / "again"))[0] == 0
    assert (
        said(capsys, "import", str(tmp_path / "again" / "example.com.zone"), "--out", str(tmp_path / "third"))[0] == 0
    )
    first, third = (zonefile.load(files.read(str(one)).files).dataset for one in (out, tmp_path / "third"))
    assert first is not None and third is not None and first.zones.keys() == third.zones.keys()
    for name, zone in first.zones.items():
        assert set(zone.rrsets) == set(third.zones[name].rrsets), "nothing was lost on the way there and back"


def test_export_of_files_takes_all_members_to_be_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "export", str(zones(tmp_path, CHECKED)))[1]
    assert "192.0.2.1" in text and "192.0.2.2" in text and "POOL web" in text
    code, _, error = said(capsys, "export", str(tmp_path / "none"))
    assert code == 2 and "no such directory" in error


def test_export_of_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apex, www = wire.name_from_text("example.com.").hex(), wire.name_from_text("www.example.com.").hex()
    ns = wire.name_from_text("ns1.example.com.").hex()
    rrsets = [[apex, 2, 300, [ns]], [www, 1, 20, ["c0000201", "c0000202"]]]
    with FakeApi(tmp_path / "s") as api:
        api.answers["GET", "/export"] = (200, {"zones": {"example.com.": {"rrsets": rrsets}}})
        code, text, _ = said(capsys, "export", "--control", api.path)
        told = json.loads(said(capsys, "export", "--json", "--control", api.path)[1])
    assert code == 0 and "$ORIGIN example.com." in text and told["zones"].keys() == {"example.com."}
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("www")] == ["192.0.2.1", "192.0.2.2"]
