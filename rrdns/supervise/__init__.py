"""The supervisor: the main process, standard library only. `supervisor` is its life, `startup` what may refuse a
start, `crew` and `children` who is replaced when, `handover` how sockets outlive us."""
