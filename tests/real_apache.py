"""A private Apache: what any configuration needs before its own lines."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import real_directors as real
from needs import needs

MODULES = Path("/usr/lib/apache2/modules")
_BASE = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
Mutex posixsem
User nobody
Group nogroup
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
{modules}
"""


@contextlib.contextmanager
def apache(port: int, lines: str, *modules: str, **files: str) -> Iterator[real.Program]:
    """Runs until the page / answers, with whatever status."""
    needs("apache2")
    missing = [one for one in modules if not (MODULES / f"mod_{one}.so").exists()]
    if missing:
        lack = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        lack(f"Apache has no module {missing} here (Debian: libapache2-mod-jk)")
    load = "\n".join(f"LoadModule {one}_module {MODULES}/mod_{one}.so" for one in ("mpm_event", "authz_core", *modules))
    ready = "<Location /ready>\nSetHandler default-handler\n</Location>\nDocumentRoot {folder}\n"
    conf = _BASE.replace("{port}", str(port)).replace("{modules}", load) + ready + lines
    everything = {"apache.conf": conf, "ready": "yes", **{name.replace("_", "."): text for name, text in files.items()}}
    argv = ("apache2", "-f", "{folder}/apache.conf", "-DFOREGROUND")
    with real.program(*argv, files=everything, ready=f"http://127.0.0.1:{port}/ready") as program:
        yield program
