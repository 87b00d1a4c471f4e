#!/usr/bin/env python3
"""The dashboard in a real browser (Debian's Chromium): each view shows the truth of a running devnet, checked against the API of
the node and of its neighbours; a peer with a hostile agent string among them. Keyboard, dark mode, accessibility (axe-core).

P2PD_SCREENSHOTS=DIR writes the pictures there (docs/ has two of them)."""

import os
import re
import socket
import subprocess
import urllib.request

from harness.daemon import Daemon
from harness.devnet import Devnet
from harness.proc import PEERS, TOP, check, main, node, note, patient, scratch, until

NODES = 4
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>${7*7}\"'&lt;b>"
SHOWN = 1  # the node whose page is looked at

READERS_MAX = 16  # of /p2pd/v1/live; LIVE_MAX in src/api/live.c
GROWTH_MAX = 48 << 20  # bytes: some snapshots of each, and what a loaded machine has meanwhile


def open_live(port, query="views=overview,peers,topics,coverage,blocks,log"):
    """A reader that has read its answer's head and nothing more: (socket, status)."""
    reader = socket.create_connection(("127.0.0.1", port), timeout=patient(30))
    reader.sendall(f"GET /p2pd/v1/live?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return reader, int(re.match(rb"HTTP/1.1 (\d+)", reader.recv(64))[1])


def resident(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=patient(30)) as answer:
        return int(re.search(r"^process_resident_memory_bytes (\d+)", answer.read().decode(), re.MULTILINE)[1])


def readers_that_do_not_read(net):
    """They cost one snapshot each, hold up nobody, and are bounded in number."""
    port = net.ports[SHOWN]
    before = resident(port)
    readers = [open_live(port) for _ in range(READERS_MAX)]
    check(all(status == 200 for _, status in readers), f"{READERS_MAX} readers: {[s for _, s in readers]}")
    refused, status = open_live(port)
    check(status == 503, f"one more reader: {status}")
    wrong, status = open_live(port, "views=overview,weather")
    check(status == 400, f"a view that is none: {status}")
    up = net.get(SHOWN, "/p2pd/v1/view/overview")["uptime_s"]
    until(lambda: net.get(SHOWN, "/p2pd/v1/view/overview")["uptime_s"] >= up + 4, 30, "the node goes on")
    check(resident(port) - before < GROWTH_MAX, f"memory grew by {resident(port) - before}")
    for reader, _ in [*readers, (refused, 0), (wrong, 0)]:
        reader.close()

    def again():
        reader, status = open_live(port)
        reader.close()
        return status == 200

    until(again, 60, "when they have gone others are let in")


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
    readers_that_do_not_read(net)
    pictures = os.environ.get("P2PD_SCREENSHOTS", str(work))
    others = [f"http://127.0.0.1:{net.ports[i]}" for i in range(NODES) if i != SHOWN] + [hostile.rest]
    done = subprocess.run(
        [node(), TOP / "tests/interop/page/drive.mjs", PEERS / "page", f"http://127.0.0.1:{net.ports[SHOWN]}", pictures, HOSTILE,
         *others],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=patient(300), check=False,
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
