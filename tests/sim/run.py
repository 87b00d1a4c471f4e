"""Kept scenarios by the program itself: each holds what it expects; one gives the same bytes, its picture too, in the release and
the dev build. Whether the pictures in the docs are those that the scenarios give is told, and with P2PD_LONG demanded: any change of
what a node sends moves a curve by a pixel, and tests/sim/pictures.py makes them anew.

usage: tests/sim/run.py [FILE.sim ...]     default: tests/sim/scenarios/attacks and traffic
       P2PD_PROGRAM is the program (build/release), P2PD_OTHER the other build's (build/dev)
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from pictures import KEPT, picture_of

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))
OTHER = os.environ.get("P2PD_OTHER", str(TOP / "build/dev/beacon-p2pd"))
SAME = "tests/sim/scenarios/same.sim"  # of both builds: small, with everything in it
PARALLEL = 2
LONG = os.environ.get("P2PD_LONG") == "1"


def start(program, path, seed=None, picture=None):
    command = [program, "sim", str(TOP / path)] + ([] if seed is None else ["--seed", str(seed)])
    return subprocess.Popen(command + ([] if picture is None else ["--picture", str(picture)]), stdout=subprocess.PIPE)


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


def same_bytes(scratch):
    pictures = [scratch / f"{build}.svg" for build in ("release", "dev")]
    runs = [start(PROGRAM, SAME, picture=pictures[0]), start(OTHER, SAME, picture=pictures[1]), start(PROGRAM, SAME, seed=99)]
    release, dev, other_seed = (run.communicate()[0] for run in runs)
    drawn = [picture.read_bytes() for picture in pictures]
    good = len(release) > 1000 and release == dev and release != other_seed and len(drawn[0]) > 1000 and drawn[0] == drawn[1]
    print(f"{'ok' if good else 'FAILED':6} {SAME}: {len(release)} bytes of results and {len(drawn[0])} of a picture, "
          "the same in both builds")
    return good


def same_picture(name, made):
    """The picture in the docs is what the scenario gives."""
    same = picture_of(name).read_bytes() == made.read_bytes()
    if not same:
        print(f"{'FAILED' if LONG else 'note:':6} {picture_of(name).relative_to(TOP)} is of another version: tests/sim/pictures.py")
    return same or not LONG


def run(files, scratch):
    """All scenarios, some at once; True when each holds what it expects."""
    good = True
    for at in range(0, len(files), PARALLEL):
        batch = []
        for path in files[at:at + PARALLEL]:
            name = path.removeprefix("tests/sim/scenarios/").removesuffix(".sim")
            made = scratch / name.replace("/", "-") if name in KEPT else None
            batch.append((path, name, made, start(PROGRAM, path, picture=made)))
        for path, name, made, process in batch:
            good &= judge(path, process)
            good &= made is None or same_picture(name, made)
    return good


def main():
    files = sys.argv[1:] or sorted(str(p.relative_to(TOP)) for d in ("attacks", "traffic")
                                   for p in (TOP / "tests/sim/scenarios" / d).glob("*.sim"))
    with tempfile.TemporaryDirectory() as scratch:
        good = True if sys.argv[1:] else same_bytes(pathlib.Path(scratch))
        good &= run(files, pathlib.Path(scratch))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
