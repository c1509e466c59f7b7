"""`rrdns serve`: settles the settings, looks at what must be there, and becomes the supervisor.

Must not know: what the supervisor does.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

import rrdns
from rrdns.settings import Settings
from rrdns.ui import config
from rrdns.ui.config import ConfigError

BEGIN = """\
To begin, two short files:

  {zones}/lb.example.com.yaml
    '':  {{type: NS, value: ns1.lb.example.com.}}
    ns1: {{type: A, value: 192.0.2.53}}
    www: {{type: POOL, pool: web, ttl: 20}}

  {zones}/pools.yaml
    checks: {{web: {{type: http, port: 80, path: /}}}}
    pools:  {{web: {{check: web, members: {{web1: 192.0.2.11, web2: 192.0.2.12}}}}}}

Have master files already? `rrdns import FILE... --out {zones}`.  To see it work first: `rrdns demo`."""


def run(args: argparse.Namespace) -> int:
    settings = config.settings(args)
    check_zones(settings)
    become_supervisor(settings)


def check_zones(settings: Settings) -> None:
    """ConfigError when there is nothing to serve. With a load kept from before, control knows what to do."""
    zones = Path(settings.zones)
    if zones.is_dir() or (_has_kept(settings) and not settings.strict):
        return
    if zones.exists():
        raise ConfigError(f"{zones} is no directory; give the directory of your zone files")
    raise ConfigError(f"{zones}: there is no such directory.\n{BEGIN.format(zones=zones)}")


def _has_kept(settings: Settings) -> bool:
    from rrdns.control.files import Accepted

    return settings.state != "none" and Accepted(Path(settings.state)).read(settings.zones) is not None


def become_supervisor(settings: Settings) -> NoReturn:
    """This process goes on as `python -m rrdns.supervise.supervisor`."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "rrdns.supervise.supervisor"], environment(settings))


def environment(settings: Settings) -> dict[str, str]:
    """The environment of the server: this very package is found, and nothing in the current directory is imported."""
    env = dict(os.environ, RRDNS_SETTINGS=settings.to_json(), PYTHONSAFEPATH="1")
    home = Path(rrdns.__file__).resolve().parent.parent
    if not {"site-packages", "dist-packages"} & set(home.parts):
        before = env.get("PYTHONPATH")
        env["PYTHONPATH"] = f"{home}{os.pathsep}{before}" if before else str(home)
    return env
