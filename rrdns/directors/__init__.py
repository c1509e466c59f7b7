"""Directors: load balancers whose tables say which servers are in service, with what weight and load.

A file for each type, all with the same two doors:

  parse(data, ...) -> DirectorTable          pure; raises Fault for anything that is no whole, right table
  async read(director, reach) -> DirectorTable   asks once, through `reach.py`'s bounded doors; raises Fault

`poller.py` asks each director every `interval`, never two questions at a time, and hands on the table or the
Fault's reason. `READERS` is the list of types. Must not know: pools, who serves, answers.
"""

from __future__ import annotations


class Fault(Exception):
    """A director could not be read; the text says what, where and what to do, and holds no credentials. `silent`:
    nothing at all came back from it, so that the fault may be our own path."""

    def __init__(self, text: str, silent: bool = False) -> None:
        super().__init__(text)
        self.silent = silent
