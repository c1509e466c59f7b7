"""The bench behind scripts/bench: what rrdns costs and how it behaves under load, beside the servers it is measured by.

One module a kind of figure, each with TITLE and `run(bench) -> Row`:

    cpu       CPU time per answered UDP query, five servers side by side       latency   at 20,000 and 50,000 q/s
    workers   two workers on two cores against one on one                     growth    more members, more names
    loading   100,000 RRsets in 1,000 files: time, memory; one change          cnames    100,000 CNAMEs, one flapping
    pauses    longest gap between answers during a reload, and a mass flap     targets   20,000 health checks
    tcp       queries a second, one and a hundred to the connection

What they share: `servers` (each server's configuration, started and ended here), `data` (the zones and the questions),
`targets_server` (one nginx that plays all members), `load` (dnsperf), `pacer` (a paced client with the kernel's time
stamps), `machine` (CPU time, memory, pinning), `figures` (targets, verdicts, tables), `chart` (the SVG).

Rules: servers compared run in the same minutes, in alternating rounds, and the figure is the median; server processes
are pinned to the first CPU and the load to the last, unless a row says otherwise; every process is ended by its id.
"""
