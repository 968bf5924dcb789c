"""The chaos suite's world, on a distributed Airflow."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runs import PATIENCE, Line, Report, Run, World
from distributed_stack import DistributedStack
from processes import ManagedProcess
from sandbox_process import SandboxProcess


class DistributedWorld(World):
    """As the chaos suite's world; ``stack`` has more components."""

    stack: DistributedStack

    def __init__(self, stack: DistributedStack, sandbox: SandboxProcess, report: Report) -> None:
        super().__init__(stack, sandbox, report)

    def on_the_phone(self, runs: Iterable[Run]) -> int:
        """Return how many callees of these runs are talking."""
        return sum(len(run.calls(live=True)) for run in runs)

    def prove_nobody_was_cut_off(self, what: str, runs: Iterable[Run]) -> None:
        """
        Insist that all of the runs' calls are live still. Then let them end, insist on normal results, and report.

        :param what: what was done, in words.
        :param runs: runs of one call each, under way.
        """
        chosen = list(runs)
        live = self.on_the_phone(chosen)
        if live == len(chosen):
            for run in chosen:
                run.end_calls()
            for run in chosen:
                run.finished("success")
                assert run.outcome() == "answered"
        hung_up = sum(run.hung_up() for run in chosen)
        line = Line(what, len(chosen), sum(run.rings() for run in chosen), ", ".join(map(str, chosen)), (0, hung_up))
        self.report.add(line)
        assert line.good, line
        assert live == len(chosen), f"{what}: {live} of {len(chosen)} callees were on the line still"

    def start_talking(self, *dag_ids: str) -> list[Run]:
        """Start a run of each DAG, and wait until its callee is on the line and its task waits."""
        runs = [self.run(dag_id) for dag_id in dag_ids]
        for run in runs:
            run.wait_for_call(-1, "running" if run.dag_id.endswith("sync") else "deferred")
        return runs

    def components(self, *names: str) -> list[ManagedProcess]:
        """Return components by name."""
        return [self.stack.component(name) for name in names]

    def wait_for_new_owner(self, run: Run, of: object) -> None:
        """Wait until another triggerer than ``of`` has a deferred run's trigger."""
        self.stack.wait(
            lambda: (run.instance()["triggerer_job"] or {}).get("id"),
            PATIENCE,
            f"another triggerer to take {run} over",
            accept=lambda job: job and job != of,
        )
