"""The pictures of kept scenarios in docs/internals/sim: tests/sim/pictures.py makes them all."""

import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))
KEPT = ["traffic/block", "traffic/columns", "traffic/attestations", "attacks/degrade", "attacks/flash"]


def main():
    (TOP / "docs/internals/sim").mkdir(exist_ok=True)
    bad = 0
    for name in KEPT:
        svg = TOP / "docs/internals/sim" / (name.replace("/", "-") + ".svg")
        command = [PROGRAM, "sim", str(TOP / "tests/sim/scenarios" / (name + ".sim")), "--picture", str(svg)]
        bad += subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        print(f"{svg.relative_to(TOP)}: {svg.stat().st_size} bytes")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
