"""Behind scripts/faults: one row a fault, made on purpose, and what rrdns did, beside what other servers did.

One module a family of rows; a row is a function with `@row(id, title, target, ...)`, takes a `Run`, and gives its
checks. The same functions run as tests (tests/test_fault_rows.py), where only behaviour counts, no time.

    processes  R3 R4 R5 R6 R29   killed, stopped        members   R17 R18 R19   hosts that fail, all at once, flapping
    reloads    R7 R8 R9          edits, good and bad    packets   R21 R22 R25   malformed, every type, forged sources
    disk       R10 R11           state damaged, full    slow      R23 R24       TCP that drips, descriptors used up
    clocks     R12               steps of the clock     load      R1 R2 R26     held, three times too much, memory
    checker    R13 R14 R20       paused, killed, busy   network   R27           loss, delay, link down (namespaces)
    walls      R28               privileges            directors  R15 R16       a table that lies, eleven that babble

To add a row: write its function in a module here and name the module in `FAMILIES` (rows.py). Nothing else knows it.
What they share: `rows` (the registry, checks, verdicts), `ground` (a server and hosts to check, figures of processes),
`others` (gdnsd in the same test), `report` (table, JSON). Rules: loopback, or namespaces made and removed here;
everything is bounded in time; processes are ended by their id.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
for _folder in (
    _ROOT / "scripts",
    _ROOT / "scripts" / "benchmark",
    _ROOT / "tests",
):  # both have a `pacer`: the one of the tests is meant
    if str(_folder) in sys.path:
        sys.path.remove(str(_folder))
    sys.path.insert(0, str(_folder))
