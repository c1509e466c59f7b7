"""What decays silently: things no alarm shows, looked for now and then by `rrdns audit`. Floor 4.

    facts       what a server knows of itself that `status` does not tell (pure)
    asking      members asked for what they must refuse, and for their certificates (in the control process)
    findings    status, events and facts -> what is found (pure)
    outside     the delegation as the world sees it: aiodns, and `referral` for what it can't read
    delegation  that against our own zones -> what is found (pure)

A finding is one thing that somebody should see to; what can't be known is said as well, for silence is no proof.
"""
