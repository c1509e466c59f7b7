"""The command line of what turns files into files: import, export, schema. As `arguments`, of which it is a part.

Must not know: how anything is done.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

Add = Callable[..., argparse.ArgumentParser]


def add_to(add: Add) -> None:
    """Their commands, in the order of `arguments.COMMANDS`."""
    _import(add)
    _export(add)
    _schema(add)


def _import(add: Add) -> None:
    importer = add(
        "import",
        "BIND master files, or gdnsd's configuration, to zone files",
        "Writes one zone YAML file per master file. The zone is the SOA's owner.\n"
        "Of gdnsd: its zones with DYNA and DYNC as POOL, its resources and service types as pools and checks. What\n"
        "has no counterpart is listed with its place; the exit code is 0 all the same if a zone could be written.",
        ("rrdns import db.example.com", "rrdns import /etc/bind/db.* --out zones/",
         "rrdns import --from gdnsd /etc/gdnsd --out zones/"),
        "commands:import_files",
        json=False,
    )  # fmt: skip
    importer.add_argument("files", metavar="FILE", nargs="+", help="master files, or gdnsd's folder")
    importer.add_argument(
        "--from", dest="source", choices=("bind", "gdnsd"), help="whose they are (default: told by what is there)"
    )
    importer.add_argument("--out", metavar="DIR", help="where to write (default: one file to standard output)")
    importer.add_argument("--origin", metavar="NAME", help="the zone, where one file does not say it")
    importer.add_argument("--force", action="store_true", help="overwrite files that exist")


def _export(add: Add) -> None:
    export = add(
        "export",
        "the answers of this moment as BIND master files",
        "Without ZONES from the running server; with ZONES from those files, all members taken to be up.",
        ("rrdns export", "rrdns export zones/ --out /var/lib/nsd/"),
        "commands:export",
        talks=True,
    )
    export.add_argument(
        "zones", metavar="ZONES", nargs="?", help="directory of zone files; without it the running server is asked"
    )
    export.add_argument("--out", metavar="DIR", help="write one file per zone there (default: standard output)")


def _schema(add: Add) -> None:
    schema = add(
        "schema",
        "JSON schema of the files, for editors",
        "Prints the JSON schema of zone files and pools files.",
        ("rrdns schema --kind pools > pools.schema.json",),
        "commands:schema",
        json=False,
    )
    schema.add_argument("--kind", choices=("zone", "pools"), help="only this kind (default: both)")
