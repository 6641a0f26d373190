"""Figures of this machine: `make bench`, or `python -m benchmarks NAME…` for some of them.

Each module measures one thing with the real service (`durable supervise`) on a PostgreSQL of its own with fsync on. How
to read the figures: docs/performance.md.
"""
