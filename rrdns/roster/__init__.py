"""The one stateful object: `roster` has the doors, `duty` is one pool at work, `verdicts` what is believed of
targets, `directors` what directors said (`feed` of one, `following` what it means for a pool, `entries` the
rows of a table, `followed` what is in force), `balance` what decides beside the weights (`meter` what is
counted, `balancing` all pools'), `statics` the zones' table, `overriding` operators' words (`whom` they mean,
`spoken` in a pool, `frozen` what holds keep over a restart), `company` pools that have to do with one another;
`telling`, `succession`, `snapshot` and `explanation` put it in words."""
