"""What is shipped beside the package says the truth: the example settings, the Containerfile, the sysusers line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rrdns import cli
from rrdns.settings import Settings
from rrdns.ui import arguments, config

PACKAGING = Path(__file__).parent.parent / "packaging"
EXAMPLE = PACKAGING / "rrdns.yaml"


@pytest.fixture
def uncommented(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Every key of the example, read as the server would; whether the user exists here does not matter."""
    monkeypatch.setattr(config, "user_name", str)
    monkeypatch.setattr(config, "group_name", str)
    text = re.sub(r"^#(?=\S)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    return config.parse("/etc/rrdns/rrdns.yaml", text.encode())


def test_the_example_as_it_is_changes_nothing() -> None:
    assert config.parse(str(EXAMPLE), EXAMPLE.read_bytes()) == {}


def test_the_example_names_every_key_once(uncommented: dict[str, object]) -> None:
    written = re.findall(r"^#(\w+):", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert sorted(written) == sorted(set(written))
    assert set(written) == {*config.KEYS, "notify"} == set(uncommented)


@pytest.mark.parametrize("key", sorted([*config.KEYS, "notify"]))
def test_the_example_says_the_true_default(key: str, uncommented: dict[str, object]) -> None:
    """The value written, or, where the default is "nothing said", a sentence about it above."""
    text = EXAMPLE.read_text()
    above = text.split(f"\n#{key}:")[0].rsplit("\n\n", 1)[-1]
    assert above.startswith("# ") and len(above) > 10, f"{key} is not explained"
    default = getattr(Settings(), key)
    if default in ("", ()):
        assert "Default: " in above, f"{key} has no default that could be written, so say it in words"
    else:
        shown = uncommented[key]
        if key == "zones":
            shown = str(Path(str(shown)).relative_to("/etc/rrdns"))
        assert shown == default
        assert "Default: " not in above


# ---------------------------------------------------------------- the container


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (PACKAGING / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def test_the_containerfile_runs_an_unprivileged_server_directly() -> None:
    found = instructions()
    words = [word for word, _ in found]
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL"}
    assert set(words) <= known | {"ENTRYPOINT", "CMD"}
    last = dict(found)
    assert words.index("USER") < words.index("ENTRYPOINT") and last["USER"] == "5300:5300"
    for word, value in (("ENTRYPOINT", last["ENTRYPOINT"]), ("HEALTHCHECK", last["HEALTHCHECK"].split("CMD ", 1)[1])):
        command = [one.rstrip(",") for one in shlex.split(value.strip("[] "))]
        assert value.startswith("["), f"{word} is not in exec form"
        assert command[0] == "rrdns"
        more = [one.rstrip(",") for one in shlex.split(last["CMD"].strip("[] "))] if word == "ENTRYPOINT" else []
        args = arguments.build().parse_args([*command[1:], *more])
        assert callable(cli.command(args.target))
    for word, value in found:
        if word == "COPY" and "--from" not in value:
            for source in value.split()[:-1]:
                assert (PACKAGING.parent / source).exists(), source
    ignored = (PACKAGING / "Containerfile.containerignore").read_text().splitlines()
    assert ignored[0] == "*" and "!rrdns" in ignored


def test_the_unit_and_the_sysusers_line_mean_the_same_user() -> None:
    unit = (PACKAGING / "rrdns.service").read_text()
    line = next(one for one in (PACKAGING / "rrdns.sysusers").read_text().splitlines() if not one.startswith("#"))
    assert line.split()[:2] == ["u", "rrdns"] and "\nUser=rrdns\n" in unit
    for command in re.findall(r"^Exec\w+=/opt/rrdns/bin/(.*)$", unit, flags=re.MULTILINE):
        arguments.build().parse_args(shlex.split(command)[1:])
