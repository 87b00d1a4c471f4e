"""The pictures of kept scenarios in docs/internals/sim. tests/sim/pictures.py makes them all; tests/sim/run.py compares them with what
the scenarios give. Those of peers are tests/sim/peers.py's."""

import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))
KEPT = ["traffic/block", "traffic/columns", "traffic/attestations", "traffic/cells", "attacks/degrade", "attacks/flash"]


def picture_of(name):
    return TOP / "docs/internals/sim" / (name.replace("/", "-") + ".svg")


def main():
    bad = 0
    for name in KEPT:
        svg = picture_of(name)
        command = [PROGRAM, "sim", str(TOP / "tests/sim/scenarios" / (name + ".sim")), "--picture", str(svg)]
        bad += subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        print(f"{svg.relative_to(TOP)}: {svg.stat().st_size} bytes", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
