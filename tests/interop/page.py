#!/usr/bin/env python3
"""The dashboard in a real browser (Debian's Chromium): each view shows the truth of a running devnet, checked against the API of
the node and of its neighbours; a peer with a hostile agent string among them. Keyboard, dark mode, accessibility (axe-core).

P2PD_SCREENSHOTS=DIR writes the pictures there (docs/ has two of them)."""

import os
import subprocess

from harness.daemon import Daemon
from harness.devnet import Devnet
from harness.proc import PEERS, TOP, check, main, node, note, scratch, until

NODES = 5
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>${7*7}\"'&lt;b>"
SHOWN = 1  # the node whose page is looked at


def run():
    work = scratch("page")
    net = Devnet(NODES, work / "net", ["--late-after", 0])
    enr = net.boot_enr()
    hostile = Daemon(
        "hostile", net.network, work / "hostile",
        ["--boot-nodes", enr, "--local-network", "--agent-string", HOSTILE, "--target-peers", 8],
    )
    until(
        lambda: len(net.peers(SHOWN)) >= NODES - 1 and hostile.peer_id in [p["peer_id"] for p in net.peers(SHOWN)],
        60, lambda: f"the node meets all others; it has {len(net.peers(SHOWN))} peers",
    )
    until(lambda: net.head_slot(SHOWN) >= 2, 60, "the first blocks come")
    pictures = os.environ.get("P2PD_SCREENSHOTS", str(work))
    others = [f"http://127.0.0.1:{net.ports[i]}" for i in range(NODES) if i != SHOWN] + [hostile.rest]
    done = subprocess.run(
        [node(), TOP / "tests/interop/page/drive.mjs", PEERS / "page", f"http://127.0.0.1:{net.ports[SHOWN]}", pictures, HOSTILE,
         *others],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )
    print(done.stdout[-6000:], flush=True)
    check(done.returncode == 0, "the page does not show what is: " + next((l for l in done.stdout.splitlines() if "Error" in l), "no word")[:400])
    notes = [line[6:] for line in done.stdout.splitlines() if line.startswith("note: ")]
    check(notes, "the driver has said nothing")
    hostile.stop()
    code = net.stop()
    check(code == 0, f"devnet ended with code {code}")
    for line in notes:
        note(line)


if __name__ == "__main__":
    main(run)
