"""durable beside other engines on PostgreSQL: `make bench-peers`, or `python -m benchmarks.peers NAME…`.

All run on one server with the same settings, interleaved, each with what its manual recommends. Peers live in
environments of their own, made from pinned requirements; what they run are programs as their users would write them.
"""
