"""What share of the clients really arrives at each host, behind resolvers that cache: in pretend time.

    resolvers of very unequal size (Zipf), which keep an answer for its TTL
    clients behind them: some take the first address, some sort (RFC 6724 rule 9: the address most like their own), so
    that some hosts get more than their share for ever
    a director that counts connections, polled every two seconds
    the real decision code: rrdns.roster.roster.Roster, with the files it would be given

Two questions: does `correct: true` bring the shares to the weights, through a failure and a return? And is `wlc`
better than sending every answer to whoever has fewest connections at the moment? `world.py` is the outside world,
`server.py` our side of it, `trials.py` the two questions, `picture.py` the drawing.
"""
