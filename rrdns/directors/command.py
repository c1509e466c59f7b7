"""The type `command`: the table of `file.py`, as a program prints it. For what has no reader of its own.

Its standard output is the table, its exit code 0; what it says on standard error stands in the Fault if not.
docs/directors.md has an example for Cisco's LocalDirector. Must not know: the table's shape, pools.
"""

from __future__ import annotations

from rrdns.checks.words import plain
from rrdns.directors.file import parsed
from rrdns.directors.reach import Reach
from rrdns.model import Director, DirectorTable


async def read(director: Director, reach: Reach) -> DirectorTable:
    output = await reach.command(director)
    return await parsed(output, f"the output of {plain(director.command[0], 80)}")
