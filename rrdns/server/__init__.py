"""A worker: the process that answers. `worker` is its loop; `udp` and `tcp` the two ways in; `respond`, `table`
and `rings`, from a packet to its reply, are pure and need only floor 0."""
