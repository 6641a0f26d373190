"""Workers, clients, time and every kind of fault on one thread, over a real PostgreSQL; each run follows from its seed.

with scratch_database(server_url) as database:
    for run in simulate_component(database, Component(wasm, data='{"n": 3}'), seed=1, runs=100):
        assert run.problem is None, "\\n".join([f"seed {run.seed}: {run.problem}", *run.trace])
"""

from workers.simulation.component_simulation import Component
from workers.simulation.database import SimulatedDatabase, scratch_database
from workers.simulation.invariants import Violation
from workers.simulation.runs import RunResult, simulate_component, simulate_engine

__all__ = [
    "Component", "RunResult", "SimulatedDatabase", "Violation", "scratch_database", "simulate_component",
    "simulate_engine",
]  # fmt: skip
