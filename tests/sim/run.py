"""Kept scenarios by the program itself: each holds what it expects; one gives the same bytes in the release and the dev build.

usage: tests/sim/run.py [FILE.sim ...]     default: tests/sim/scenarios/attacks and traffic
       P2PD_PROGRAM is the program (build/release), P2PD_OTHER the other build's (build/dev)
"""

import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))
OTHER = os.environ.get("P2PD_OTHER", str(TOP / "build/dev/beacon-p2pd"))
SAME = "tests/sim/scenarios/same.sim"  # of both builds: small, with everything in it
PARALLEL = 2


def start(program, path, seed=None):
    command = [program, "sim", str(TOP / path)] + ([] if seed is None else ["--seed", str(seed)])
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def say_spread(line):
    print(f"     {line['topic']}: {line['reached']} of {line['wanted']} arrived, half within {line['median_ms']} ms, "
          f"99 % within {line['p99_ms']} ms")


def judge(path, process):
    """Prints what it gave; True when all holds."""
    out, _ = process.communicate()
    lines = [json.loads(line) for line in out.splitlines()]
    expects = [line for line in lines if line["event"] == "expect"]
    good = process.returncode == 0 and expects and all(line["holds"] for line in expects)
    print(f"{'ok' if good else 'FAILED':6} {path}")
    for line in lines:
        if line["event"] == "spread":
            say_spread(line)
    for line in expects:
        if not line["holds"]:
            print(f"     does not hold: {line['what']}")
    return bool(good)


def same_bytes():
    runs = [start(PROGRAM, SAME), start(OTHER, SAME), start(PROGRAM, SAME, seed=99)]
    release, dev, other_seed = (run.communicate()[0] for run in runs)
    good = len(release) > 1000 and release == dev and release != other_seed
    print(f"{'ok' if good else 'FAILED':6} {SAME}: {len(release)} bytes of results, the same in both builds")
    return good


def main():
    files = sys.argv[1:] or sorted(str(p.relative_to(TOP)) for d in ("attacks", "traffic")
                                   for p in (TOP / "tests/sim/scenarios" / d).glob("*.sim"))
    good = True if sys.argv[1:] else same_bytes()
    for at in range(0, len(files), PARALLEL):
        batch = [(f, start(PROGRAM, f)) for f in files[at:at + PARALLEL]]
        for path, process in batch:
            good &= judge(path, process)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
