#!/usr/bin/env python3
"""The example network of docs/examples/network, with its one command: a pool of transactions by gossip and by messages, both ways
with a node on go-libp2p, and the loss of each node in its turn.
"""

import os
import re
import subprocess
import sys

from harness.daemon import PROGRAM
from harness.proc import TOP, check, main, note, patient


def example_network():
    env = dict(os.environ, BEACON_P2PD=PROGRAM, EXAMPLE_WS=str(TOP / "build/peers/bin/example-ws"))
    run = [sys.executable, str(TOP / "docs/examples/network/run.py")]
    done = subprocess.run(run, capture_output=True, text=True, env=env, timeout=patient(900), check=False)
    lines = done.stdout.splitlines()
    check(done.returncode == 0 and lines, f"exit {done.returncode}: {lines[-2:]} {done.stderr[-800:]}")
    for name in ("node1", "node2", "node3", "node4", "go"):
        for words in ("is lost: the others go on", "is back, with nothing but its name: it has caught up"):
            check(f"{name} {words}" in lines, f"{name} {words}: not shown")
        check(f"and {name} is heard" in lines, f"{name} is not heard any more")
    (ways,) = [m for m in (re.match(r"our nodes got (\d+) transactions by gossip, (\d+) by messages", line) for line in lines) if m]
    note(f"{lines[-1]}; before the losses {ways[1]} came by gossip, {ways[2]} by messages")


if __name__ == "__main__":
    main(example_network)
