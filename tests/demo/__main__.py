"""`make demo`: from nothing to jobs that ran for real, on a cluster that stays up to look at."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

from tests import install
from tests.cluster import Cluster, ClusterError
from tests.cluster import cluster as clusters
from tests.demo import runs
from tests.demo.screen import elapsed, show, step
from tests.demo.system import DATA_POD, Installed
from tests.demo.systems import SYSTEMS

CLUSTER = "demo"

# The whole demo, once the cluster's programs are built, in seconds.
_PROMISED = 180
_RUN_TIMEOUT = 180


def up(names: list[str]) -> None:
    """Bring everything up, run every task, and show what a user would look at."""
    cluster = Cluster.up(CLUSTER, size="node", say=step)
    here = [Installed(cluster, SYSTEMS[name]) for name in names]
    install.build_operator_image(cluster, step)
    for installed in here:
        installed.build_image(step)
    install.install_chart(cluster)
    step(f"Helm has installed the operator in {install.NAMESPACE}, which enforces the Pod Security level restricted")
    for installed in here:
        _set_up(installed)
    for installed in here:
        _run_all(installed)
    _await_schedule(here)
    for installed in here:
        _show_results(installed)
    show("kubectl get stask -A", cluster.kubectl("get", "stask", "-A"))
    _how_to_go_on(cluster, here)


def down() -> None:
    """Remove the cluster and everything on it."""
    print("the demo's cluster is removed" if clusters.remove(CLUSTER) else "there is no demo running")


def _set_up(here: Installed) -> None:
    here.apply_manifests()
    step(f"{here.namespace}: {here.fill_volume()}")
    for stand_in in here.system.stand_ins:
        here.use(stand_in)
        step(f"{here.namespace}: a stand-in ({stand_in.program}), not the real upstream, answers at {stand_in.url}")
    here.cluster.kubectl(
        *("wait", "scheduledtask", "--all", "-n", here.namespace, "--for=condition=Ready", "--timeout=60s")
    )
    step(f"{here.namespace}: the tasks of {here.system.manifests.relative_to(install.REPOSITORY)} are Ready")


def _run_all(here: Installed) -> None:
    for asks in here.system.asks:
        started = [(ask.task, runs.trigger(here, ask)) for ask in asks]
        step(f"{here.namespace}: asked for " + ", ".join(run for _, run in started))

        def all_ended(statuses: runs.Statuses, started: list[tuple[str, str]] = started) -> bool:
            return all(runs.entry(statuses.get(task, {}), run) for task, run in started)

        statuses = runs.await_statuses(here, "the runs' outcomes", all_ended, _RUN_TIMEOUT)
        for task, run in started:
            _report(here, run, runs.entry(statuses[task], run))


def _report(here: Installed, run: str, ended: runs.Status | None) -> None:
    """Say how a run ended. Raises ClusterError unless it succeeded."""
    assert ended is not None
    step(f"{run}: {ended['outcome']}: {ended.get('message', ended['reason'])}")
    if ended["outcome"] != "Succeeded":
        raise ClusterError(f"{run} did not succeed; see `kubectl describe stask -n {here.namespace}`")


def _await_schedule(installed: list[Installed]) -> None:
    """Wait for the next run that a schedule starts, if one is due before the demo has to end."""
    slots = [(slot, here, task) for here in installed for task, slot in runs.next_slots(here).items()]
    slot, here, task = min(slots, key=lambda row: row[0])
    due = datetime.fromisoformat(slot)
    left = timedelta(seconds=_PROMISED - 25 - elapsed())
    if due - datetime.now(UTC) > left:
        step(
            f"the next run by a schedule is that of {task} at {due:%H:%M} UTC: watch it with `kubectl get stask -A -w`"
        )
        return
    step(f"the schedule's own run of {task} is due at {due:%H:%M} UTC: waiting for it")
    statuses = runs.await_statuses(
        here,
        "a run by the schedule",
        lambda statuses: runs.entry_of_slot(statuses.get(task, {}), slot) is not None,
        left.total_seconds() + 60,
    )
    ended = runs.entry_of_slot(statuses[task], slot)
    assert ended is not None
    _report(here, ended["run"], ended)


def _show_results(here: Installed) -> None:
    task = ("describe", "stask", here.system.asks[0][0].task, "-n", here.namespace)
    show(f"kubectl {' '.join(task)}", here.cluster.kubectl(*task))
    for path in here.system.shown:
        lines = here.read_file(path).decode().splitlines()
        command = f"kubectl exec -n {here.namespace} {DATA_POD} -- cat /data/{path}"
        show(command, "\n".join(line[:150] for line in lines), lines=5)
    compared = here.check()
    if compared:
        print()
        step(compared)


def _how_to_go_on(cluster: Cluster, installed: list[Installed]) -> None:
    namespace = installed[0].namespace
    print(f"""
The cluster stays up, and the tasks go on running on their schedules. Look around:

  export KUBECONFIG={cluster.kubeconfig} KUBECACHEDIR={cluster.directory}/kubectl-cache
  export PATH={cluster.binary("kubectl").parent}:$PATH
  kubectl get stask -A -w
  kubectl explain scheduledtask.spec.retry
  kubectl get jobs,pods -n {namespace}
  kubectl logs -n {namespace} -l job-name --prefix --tail=5
  kubectl logs -n {install.NAMESPACE} deployment/{install.RELEASE}

Clean up: make demo-down""")


def main() -> int:
    """Run `up` or `down`; returns the exit code."""
    parser = argparse.ArgumentParser("python -m tests.demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    to_up = commands.add_parser("up", help="bring up the cluster and the systems, and run their tasks")
    to_up.add_argument("system", nargs="*", default=["match_history"], help=f"of {', '.join(SYSTEMS)}, or all")
    commands.add_parser("down", help="remove the cluster")
    options = parser.parse_args()
    try:
        if options.command == "down":
            down()
            return 0
        names = list(SYSTEMS) if options.system == ["all"] else options.system
        unknown = [name for name in names if name not in SYSTEMS]
        if unknown:
            parser.error(f"no system {unknown[0]!r}; there are {', '.join(SYSTEMS)}, and all")
        up(names)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make demo` goes on from here, `make demo-down` removes what there is", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
