#!/usr/bin/env python3
"""Plays some cases on a real control plane anew and compares what its controllers do with the simulated ones.

  KUBEBUILDER_ASSETS=DIR tools/compare.py [--all | NAME...]

Without names: those below, one or more of each controller, in about a minute, more where cases are played again. A case fails
when the simulated controllers did what none of eight runs of the real ones showed: these race with each other, so that every
other roll-out takes another way, and a machine with other work shows races that a calm one does not. Where Pods fail at one
instant, as in max-failed-indexes, and where the scheduler tries a Pod again whose claim has no volume, as in
stateful-set-claims-deleted, the race is the machine's: these are left to --all. When the machine is that busy, what differs
is shown and the result is 0 all the same; 1 otherwise."""
import os, re, subprocess, sys, tempfile, time
from pathlib import Path

import yaml

TOOLS = Path(__file__).resolve().parent
CASES = """
    job-succeeds job-past-its-deadline job-with-ttl job-suspended-and-resumed job-fails-after-its-back-off-limit indexed-job
    parallelism-changes failure-policy-counts failure-policy-fails-the-job success-policy-by-count
    deployment-rolls-out deployment-rolled-back deployment-past-its-progress-deadline deployment-min-ready
    deployment-history-limit replica-set-scales replica-set-adopts-and-releases stateful-set-rolls-out stateful-set-on-delete
    stateful-set-min-ready daemon-set-rolls-out daemon-set-on-delete
""".split()
RUNS = 8
# More than so many tasks a processor want to run: nothing that is a matter of milliseconds can be relied on.
BUSY = 1.5


def record(names, folder):
    """Adds a run of each case to the folder."""
    done = subprocess.run([TOOLS / "record.py", "--into", folder, *names], stdout=subprocess.DEVNULL)
    return done.returncode == 0


def differing(folder):
    """The cases in which the simulated controllers did what no run in the folder showed, and how that is told."""
    environment = {**os.environ, "WAVETANK_RECORDINGS": str(folder), "RUST_BACKTRACE": "0"}
    command = ["cargo", "test", "--locked", "-p", "wavetank-workload", "--test", "timelines", "the_simulated_controllers"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return [], ""
    names = re.findall(r"^== (\S+)$", done.stdout, re.M)
    if not names:
        sys.exit(f"the comparison did not run:\n{done.stdout}")
    return names, done.stdout


def main():
    wanted = sys.argv[1:] or CASES
    if wanted == ["--all"]:
        wanted = [case["name"] for case in yaml.safe_load((TOOLS.parent / "tests/recorded/cases.yaml").read_text())]
    start, loads = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="controllers-") as folder:
        names, told = wanted, ""
        for run in range(1, RUNS + 1):
            recorded = record(names, folder)
            loads.append(os.getloadavg()[0] / (os.cpu_count() or 1))
            if not recorded:
                print(f"run {run}: the control plane could not be recorded", file=sys.stderr)
                continue
            names, told = differing(folder)
            print(f"run {run}: {len(names)} of {len(wanted)} cases differ {' '.join(names)}".rstrip(), flush=True)
            if not names:
                print(f"{len(wanted)} cases agree, {time.monotonic() - start:.0f} s")
                return 0
    print(told)
    if max(loads) > BUSY:
        print(f"!!!! NOT JUDGED: {max(loads):.1f} tasks a processor want to run; try again on a calm machine")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
