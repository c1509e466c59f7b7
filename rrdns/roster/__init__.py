"""The one stateful object: `roster` has the doors, `duty` is one pool at work, `verdicts` what is believed of
targets, `directors` what directors said (`feed` of one, `following` what it means for a pool, `entries` the rows of a
table, `followed` what is in force), `statics` the zones' table, `overriding` operators' words; `telling`, `snapshot`
and `explanation` put it in words."""
