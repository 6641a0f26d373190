"""Programs of the peers' own users: each runs in the environment of its peer, and knows nothing of durable.

`PROGRAM schema`, `PROGRAM fill WORKFLOW COUNT`, `PROGRAM probe COUNT` and, where the peer has no command for it,
`PROGRAM work`. The database is in the variables PEER_URL and, for programs that use them, PG….
"""
