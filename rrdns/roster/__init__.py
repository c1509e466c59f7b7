"""The one stateful object: `roster` has the doors, `duty` is one pool at work, `verdicts` what is believed of
targets, `statics` the zones' table; `telling`, `snapshot` and `explanation` put it in words."""
