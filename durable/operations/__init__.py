"""What a client does, without I/O: each operation is a generator that yields steps and receives their
answers.

The drivers in `durable/drivers/` carry the steps out, in a thread or in an event loop. So the logic is here
once.
"""
