"""Carry out the steps of `durable/operations/` against PostgreSQL: blocking, or in an event loop."""
