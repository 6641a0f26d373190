"""The command `durable`. The only place that wires everything together; one command group per file."""
