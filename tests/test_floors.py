"""The house as `rrdns/__init__.py` draws it: who may import whom, who may touch the world, who loads what.

A new module needs a line in FLOORS. Imports inside functions and under TYPE_CHECKING count like all others.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import rrdns

PACKAGE = Path(rrdns.__file__).parent

APART = -1
"""The workers' half: imports floor 0 and itself, and is as pure as the floors below the fourth."""

FLOORS = {
    0: "chronicle model overrides probes promotions reports resolution wire answers link",
    1: "zonefile health schedulers connections correction slow_start sticky "
    "notify.notices notify.sinks notify.collector notify.queue",
    2: "render hinting hosts schemes substitutes failover fencing carrying hearing isolation",
    3: "roster audit.facts control.counters control.reports control.serials "
    "control.standings control.names_said ui.budget control.measures "
    "recorded counted retold polled rehearsing assumed replay scoring imagined whatif knowledge control.journal_rows",
    4: "audit supervise server control checks directors board settings log texts notify resolver",
    5: "cli __main__ ui",
    APART: "server.respond server.recall server.bodies server.client_network server.table server.settling "
    "server.staging server.rings server.edns server.cookies server.limiter",
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}

# What a pure module may import: nothing here opens a file or a socket, starts anything, or reads a clock.
_PURE = """
    __future__ abc array base64 binascii bisect collections contextlib copy dataclasses decimal difflib enum
    fractions functools hashlib heapq ipaddress itertools json math numbers operator re shlex string struct
    textwrap types typing unicodedata zlib
"""
PURE = set(_PURE.split())
ALSO = {
    "zonefile.director_shapes": {"urllib"},  # urllib.parse: texts
    "notify.sinks": {"urllib"},  # likewise
    "roster.whom": {"fnmatch"},  # texts
    "link": {"marshal"},  # a codec: bytes in, bytes out
    "server.rings": {"ctypes"},  # addresses of the bytes that sendmmsg will gather
}
WORLDLY = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint"}


# ---------------------------------------------------------------- reading the source


@cache
def modules() -> dict[str, Path]:
    """Every module, by its name below `rrdns`; the package itself is ""."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"), str(modules()[name]))


def imports(name: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported; of a `from` import the module, or the submodule it names."""
    package = modules()[name].name == "__init__.py"
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = ["rrdns", *filter(None, name.split("."))]
                up = node.level - package
                base = ".".join([*(here[:-up] if up else here), *filter(None, [base])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner.removeprefix("rrdns.") in modules() else base


def own(target: str) -> str | None:
    """The name below `rrdns` of an imported module of ours, None for others."""
    if target.partition(".")[0] != "rrdns":
        return None
    return target.removeprefix("rrdns").removeprefix(".")


def floor(name: str) -> int | None:
    """`zonefile.rdata` stands where `zonefile` does, unless it has a line of its own; `rrdns` itself is plain data."""
    return FLOOR_OF.get(name, FLOOR_OF.get(name.partition(".")[0])) if name else 0


def where(name: str, line: int) -> str:
    return f"{modules()[name].relative_to(PACKAGE.parent)}:{line}"


NAMES = sorted(modules())
PURE_NAMES = [name for name in NAMES if floor(name) in (APART, 0, 1, 2, 3)]


# ---------------------------------------------------------------- the floors


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_its_floor(name: str) -> None:
    assert floor(name) is not None, (
        f"rrdns/{name.replace('.', '/')}.py stands on no floor: add {name.partition('.')[0]!r} to FLOORS in "
        "tests/test_floors.py (and to the map in rrdns/__init__.py if it is a landmark)"
    )


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_down_only(name: str) -> None:
    mine = floor(name)
    if mine is None:
        pytest.skip("no floor yet, see test_every_module_has_its_floor")
    wrong = []
    for line, target in imports(name):
        inner = own(target)
        if inner is None:
            continue
        its = floor(inner)
        if its is None:
            wrong.append(f"{where(name, line)}: {target} stands on no floor")
        elif mine == APART and its not in (APART, 0):
            wrong.append(f"{where(name, line)}: {target} is of floor {its}; the workers' half needs only floor 0")
        elif its == APART and mine not in (APART, 4, 5):
            wrong.append(f"{where(name, line)}: {target} is the workers' half; pure floors do without it")
        elif mine != APART and its > mine:
            wrong.append(f"{where(name, line)}: {target} is of floor {its}, above floor {mine}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PURE_NAMES)
def test_pure_modules_touch_nothing(name: str) -> None:
    allowed = PURE | ALSO.get(name, set())
    wrong = []
    for line, target in imports(name):
        root = target.partition(".")[0]
        if root in sys.stdlib_module_names and root not in allowed:
            wrong.append(
                f"{where(name, line)}: imports {root}; floors 0-3 have no sockets, files, clocks, threads or chance "
                "(pass the value in; if the module is pure, add it to PURE)"
            )
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORLDLY:
            wrong.append(f"{where(name, node.lineno)}: calls {node.func.id}()")
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            wrong.append(f"{where(name, node.lineno)}: waits for something; floors 0-3 are not async")
    assert not wrong, "\n".join(wrong)


def test_each_package_from_outside_comes_in_by_one_door() -> None:
    doors: dict[str, set[str]] = {}
    for name in NAMES:
        for _, target in imports(name):
            root = target.partition(".")[0]
            if root != "rrdns" and root not in sys.stdlib_module_names:
                doors.setdefault(root, set()).add(name)
    two_sides = {"aiohttp": {"control.api", "directors.web"}}  # a server here, a client there: nothing in common
    many = {package: sorted(names) for package, names in doors.items() if len(names) > 1}
    many = {package: names for package, names in many.items() if set(names) != two_sides.get(package)}
    assert not many, f"imported in more than one module: {many}"


def test_the_map_in_the_package_says_the_same() -> None:
    drawn = {}
    for number, names in re.findall(r"^    (\d)  (\S+(?: {1,2}\S+)*) {3}", rrdns.__doc__ or "", re.M):
        for word in names.split():
            drawn[word.rstrip("/")] = int(number)
    assert {"model", "roster", "cli"} <= drawn.keys()
    assert drawn == {name: FLOOR_OF.get(name) for name in drawn}


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_that_names_a_floor_names_its_own(name: str) -> None:
    said = re.search(r"(?<!only )\b[Ff]loor (\d)", ast.get_docstring(tree(name)) or "")
    if said and name:
        assert int(said[1]) == floor(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(tree(name)), f"{where(name, 1)}: no docstring"


# ---------------------------------------------------------------- what a process loads


def loaded(statement: str) -> set[str]:
    """The modules a fresh interpreter holds after a statement."""
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=120, check=True
    )
    return set(json.loads(done.stdout))


def loaded_by(name: str) -> set[str]:
    if name not in modules():
        pytest.skip(f"rrdns/{name}.py does not exist yet")
    return loaded(f"import rrdns.{name}") - loaded("pass")


def test_a_worker_loads_little() -> None:
    heavy = {"dnslib", "pydantic", "yaml", "aiohttp", "asyncio", "rich", "dns", "sqlite3", "uvloop", "ssl"}
    assert not {one.partition(".")[0] for one in loaded_by("server.worker")} & heavy


def test_a_worker_knows_nothing_of_the_upper_floors() -> None:
    ours = {one.removeprefix("rrdns.") for one in loaded_by("server.worker") if one.startswith("rrdns.")}
    assert not {one for one in ours if floor(one) in (1, 2, 3, 5)}


def test_the_supervisor_is_standard_library_only() -> None:
    roots = {one.partition(".")[0] for one in loaded_by("supervise.supervisor")}
    assert roots - set(sys.stdlib_module_names) <= {"rrdns"}
    assert "asyncio" not in roots


def test_control_loads_little_before_the_files_are_read() -> None:
    """A start with broken files is refused before HTTP, probes, metrics and notifications are loaded."""
    names = loaded_by("control.control")
    assert not {one.partition(".")[0] for one in names} & {"aiohttp", "prometheus_client", "watchfiles", "dns", "rich"}
    assert not {one for one in names if one.startswith(("rrdns.checks", "rrdns.directors", "rrdns.notify"))}


def test_the_command_line_starts_light() -> None:
    """`rrdns status` must not wait for pydantic or aiohttp to load: commands import what they need."""
    roots = {one.partition(".")[0] for one in loaded_by("cli")}
    assert not roots & {"pydantic", "aiohttp", "dnslib", "yaml", "dns", "uvloop", "sqlite3"}
