"""The one stateful object: `roster` has the doors by which something changes, `in_force` those that are read,
`deciding` one step, `duty` is one pool at work, `pools` puts all of them to work, `verdicts` what is believed of
targets, `directors` what directors said (`feed` of one, `following` what it means for a pool, `entries` the
rows of a table, `followed` what is in force), `balance` what decides beside the weights (`meter` what is
counted, `balancing` all pools'), `statics` the zones' table, `services` and `hinted` the rings (`pages` of long
ones), `overriding` operators' words (`whom` they mean, `spoken` in a pool, `frozen` what holds keep over a
restart), `company` pools that have to do with one another; `telling`, `succession`, `snapshot` and `explanation`
put it in words."""
