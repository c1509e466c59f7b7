"""rrdns: an authoritative round-robin DNS server that knows which hosts are healthy, and can say why.

The one idea: *everything is decided when something changes; a query only takes the next ready answer.*
A name's answer is a ring of finished wire bytes in an order already worked out. Weights, health and
overrides decide which bytes stand in the ring and how often. Answering is: parse the question, find
the ring, take the slot under the cursor, move the cursor, send.

The floors. A module imports only from lower ones (`tests/test_floors.py` holds that); floors 0-3 are
pure: no socket, no file, no clock, no await, `now` is an argument.

    5  cli  ui/                                    what people touch: a module a command, top, the demo
    4  supervise/  control/  server/              the three processes: sockets, files, clocks
       checks/  directors/  notify/                probes, tables that are read, what is sent out
       board  settings  log  texts  resolver       what they share
    3  roster/                                     the one stateful object
    2  render  hinting                             the bytes of an answer
       hosts  schemes  substitutes  failover       one member; who is on duty; who helps out; who serves
       fencing                                     who may be answered before others are promoted
       carrying                                    whether they can carry it
       isolation  hearing                          whether it is us
    1  zonefile/  health                           YAML -> model, rise/fall
       schedulers  sticky  connections             ring order; who gets how much of it
       correction  slow_start
    0  model  probes  wire  answers  link          facts, names, questions, rings
       chronicle                                   events that two have kept

`server/respond`, `recall`, `bodies`, `client_network`, `table`, `staging`, `settling`, `rings`, `edns`, `cookies` and
`limiter` stand apart: the workers' half, pure, and need only floor 0.

The words: a *Pool* has *Members*; a *Service* is a name whose addresses come from a pool; a *Check*
aimed at an address is a *Target*; one attempt gives a *Result*; results make *Health*; the *Roster*
decides who serves, and renders each (name, type) into an *AnswerSet*, the ring. See `model.py`.

Paths worth knowing:
  a start          supervise/supervisor -> control/control -> beginning (loading: the files) -> wiring (all the rest)
  a query          server/udp -> server/recall, respond (memo, ring, slot) -> sendmmsg
  a probe          checks/prober -> control/desk -> roster.observe -> changed AnswerSets
                   -> control/publisher -> link -> server/worker
  a report         directors/poller -> control/desk -> roster.hear (roster/directors -> following -> entries)
                   -> the same way on; other members: their targets go to checks/prober;
                   what members carry: roster/balancing -> meter, balance -> the weights of the ring
  a member's name  control/resolving (resolver) -> control/desk -> roster.learn (roster/names -> resolved)
                   -> other addresses: as with other members
  an edit          control/watcher -> control/reloading -> loading -> zonefile (load, or again: only what changed)
                   -> control/desk -> roster.load
                   -> the same way on; server/table puts it in force in one step, and settles it bit by bit
  an operator      ui/commands -> control/doors (roster/whom: who is meant) -> control/desk -> roster.speak
                   (roster/overriding, spoken) -> the same way on
  a deadline       control/desk -> roster.advance
  a promotion      roster/promoting (waits) -> control/promoting (before_promote) -> control/desk -> roster.promoted
  what was         control/events -> store, control/event_reading, chronicle (each event once) -> ui/events
                   control/journal (beside the desk) -> control/journal_reading -> replay -> scoring -> ui/replay
  what might be    control/doors (knowledge) or files (imagined) -> whatif -> ui/whatif
  a notification   control/desk -> notify/office -> collector, queue -> a mail, a webhook, a program
  a death          supervise/supervisor -> crew -> a successor with the same sockets
  `rrdns top`      ui/top -> control socket -> control/api -> control/overview -> roster.snapshot
"""

__version__ = "0.1.0"
