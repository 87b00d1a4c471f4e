#!/usr/bin/env python3
"""Shown by, 1: the embedded default. `beacon-p2pd devnet` makes a network of 8 nodes; each finds at least 5 peers by discv5, all
have the same head, one joins late and fetches what it missed, and Ctrl-C stops all of it without a trace."""

import os
import re
import signal
import time

from harness.daemon import PROGRAM, http_json
from harness.proc import LONG, Process, check, free_port, main, note, say, scratch, until

NODES = 8
PEERS_BY_DISCV5 = 5
LATE_AFTER = 12      # slots, so that the late joiner has an epoch and a half to fetch
READY_SECONDS = 120  # the two minutes
WATCH_SLOTS = 600 if LONG else 10


def free_range(n):
    """A first port of n neighbours that are free just now."""
    while True:
        first = free_port()
        if first + n < 65536 and all(http_json(f"http://127.0.0.1:{first + i}/", 0.2) is None for i in range(n)):
            return first


def get(port, path):
    answer = http_json(f"http://127.0.0.1:{port}{path}", 5)
    return answer and answer["data"]


def peers(port):
    return [p for p in get(port, "/eth/v1/node/peers") or [] if p["state"] == "connected"]


def heads(ports):
    return [(get(p, "/eth/v1/beacon/headers/head") or {}).get("root") for p in ports]


def head_slot(port):
    head = get(port, "/eth/v1/beacon/headers/head")
    return int(head["header"]["message"]["slot"]) if head else -1


def children(pid):
    """Every process below pid, its threads' children included."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            for child in map(int, file.read().split()):
                found += [child, *children(child)]
    return found


def same_head(ports):
    """One head on all nodes; they may differ for the moment in which a block travels."""
    seen = heads(ports)
    return len(set(seen)) == 1 and seen[0] is not None


def run():
    data, first = scratch("devnet"), free_range(NODES)
    ports = [first + i for i in range(NODES)]
    early = ports[:-1]
    begin = time.monotonic()
    net = Process("devnet", [PROGRAM, "devnet", "--nodes", NODES, "--datadir", data, "--http-port", first, "--late-after", LATE_AFTER])

    until(lambda: all(get(p, "/eth/v1/node/identity") for p in early), 30, "seven nodes answer")
    until(lambda: all(len(peers(p)) >= PEERS_BY_DISCV5 for p in early), READY_SECONDS,
          lambda: f"each node has {PEERS_BY_DISCV5} peers; they have {[len(peers(p)) for p in early]}")
    missed = until(lambda: head_slot(first) if head_slot(first) >= LATE_AFTER - 2 else 0, READY_SECONDS, "the first slots pass")
    until(lambda: get(ports[-1], "/eth/v1/node/identity"), 60, "the late node joins")
    until(lambda: all(len(peers(p)) >= PEERS_BY_DISCV5 for p in ports), READY_SECONDS,
          lambda: f"each of 8 nodes has {PEERS_BY_DISCV5} peers; they have {[len(peers(p)) for p in ports]}")
    until(lambda: same_head(ports), 30, lambda: f"all nodes have the same head; they have {heads(ports)}")
    ready = time.monotonic() - begin
    check(ready < READY_SECONDS, f"took {ready:.0f} s to be complete, more than two minutes")

    found = {}
    for port in ports:
        rows = peers(port)
        # Node 0 is everybody's boot ENR; whoever dialled is a "discv5" peer of the dialler and "inbound" here, yet known by its record.
        known = [p for p in rows if p.get("source") in ("discv5", "boot", "inbound")]
        check(len(known) == len(rows), f"node at {port} has peers of unknown source: {rows}")
        found[port] = sum(p.get("source") == "discv5" for p in rows)
    # Of a pair only one dials. So each node must have found five by discv5, dialled by it or, found both ways, dialling it.
    few = {p: n for p, n in found.items() if n < PEERS_BY_DISCV5}
    check(not few, f"fewer than {PEERS_BY_DISCV5} peers found by discv5, by port: {few}")

    # The late node has the blocks from before it came, linked to the first.
    late, root = ports[-1], (get(ports[-1], "/eth/v1/beacon/headers/head") or {})["root"]
    walked = 0
    while True:
        header = get(late, f"/eth/v1/beacon/headers/{root}")
        check(header, f"the late node misses block {root}, {walked} below its head")
        message = header["header"]["message"]
        walked += 1
        if int(message["slot"]) <= 1:
            break
        root = message["parent_root"]
    check(walked > missed, f"the late node has {walked} blocks; {missed} slots had passed before it came")

    start = head_slot(first)
    until(lambda: head_slot(first) >= start + WATCH_SLOTS and same_head(ports), WATCH_SLOTS * 6 + 30,
          lambda: f"{WATCH_SLOTS} more slots with one head; heads {heads(ports)}")
    table = "\n".join(net.lines)
    for word in ("peers", "mesh", "head slot", "delay"):
        check(word in table, f"the table does not show {word}")
    below = children(net.child.pid)
    check(len(below) == NODES, f"devnet has {len(below)} child processes, not {NODES}")
    code = net.stop(signal.SIGINT, 20)
    check(code == 0, f"devnet ended with code {code} after Ctrl-C")
    alive = [p for p in below if os.path.exists(f"/proc/{p}")]
    check(not alive, f"processes {alive} outlived Ctrl-C")
    check(not re.search(r"killed|has ended", table), "a node ended by itself")
    say(net.lines[-1])
    note(f"8 nodes with one head after {ready:.0f} s, found by discv5 per node: {sorted(found.values())}, late node walked {walked} blocks")


if __name__ == "__main__":
    main(run)
