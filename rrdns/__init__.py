"""rrdns: an authoritative round-robin DNS server that knows which hosts are healthy, and can say why.

The one idea: *everything is decided when something changes; a query only takes the next ready answer.*
A name's answer is a ring of finished wire bytes in an order already worked out. Weights, health and
overrides decide which bytes stand in the ring and how often. Answering is: parse the question, find
the ring, take the slot under the cursor, move the cursor, send.

The floors. A module imports only from lower ones (`tests/test_floors.py` holds that); floors 0-3 are
pure: no socket, no file, no clock, no await, `now` is an argument.

    5  cli  top  status  explain  demo  importer  exporter        what people touch
    4  supervisor  worker  server/  checks/  control  api  store  watcher   sockets, files, clocks
    3  roster                                                     the one stateful object
    2  render  failover  isolation                                who serves, and the bytes for it
    1  zonefile/  health  schedulers                              YAML -> model, rise/fall, ring order
    0  model  wire  answers  link                                 facts, names, questions, rings

`respond` stands apart: it is the workers' half and needs only floor 0.

The words: a *Pool* has *Members*; a *Service* is a name whose addresses come from a pool; a *Check*
aimed at an address is a *Target*; one attempt gives a *Result*; results make *Health*; the *Roster*
decides who serves, and renders each (name, type) into an *AnswerSet*, the ring. See `model.py`.

Paths worth knowing:
  a query          server/udp.py -> respond.py (memo, ring, slot) -> sendmmsg
  a probe          checks/prober.py -> control.py -> roster.observe -> changed AnswerSets -> link -> workers
  an edit          watcher.py -> control.py -> zonefile.load -> roster.load -> link -> workers
  a deadline       control.py -> roster.advance
  `rrdns top`      top.py -> control socket -> api.py -> roster.snapshot
"""

__version__ = "0.1.0"
