"""The control process: `control` wires it, `desk` is where inputs meet the roster, `publisher` brings rings to the
workers, `store` keeps what a restart needs, `api` speaks to people."""
