#!/usr/bin/env python3
"""Shown by, 1: the embedded default. `beacon-p2pd devnet` makes a network of 8 nodes; each finds at least 5 peers by discv5, all
have the same head, one joins late and fetches what it missed, and Ctrl-C stops all of it without a trace. With
--disable-tcp the same over QUIC alone."""

import os
import re
import sys
import time

from harness.devnet import SECONDS_PER_SLOT, Devnet
from harness.proc import LONG, check, main, note, scratch, until

NODES = 8
PEERS_BY_DISCV5 = 5
LATE_AFTER = 12  # slots, so that the late joiner has an epoch and a half to fetch
READY_SECONDS = 120  # of a quiet machine
WATCH_SLOTS = 600 if LONG else 10


def children(pid):
    """Every process below pid, its threads' children included."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in map(int, file.read().split()):
                found += [child, *children(child)]
    return found


def walk_to_genesis(net, i):
    """How many blocks node i has from its head down to the first, each the parent of the one before."""
    root, walked = net.head(i)["root"], 0
    while True:
        header = net.get(i, f"/eth/v1/beacon/headers/{root}")
        check(header, f"node {i} misses block {root}, {walked} below its head")
        message = header["header"]["message"]
        walked += 1
        if int(message["slot"]) <= 1:
            return walked
        root = message["parent_root"]


def run():
    begin = time.monotonic()
    quic_only = "--disable-tcp" in sys.argv
    flags = ["--disable-tcp"] if quic_only else []
    net = Devnet(NODES, scratch("devnet-quic" if quic_only else "devnet"), ["--late-after", LATE_AFTER, *flags])
    early, all_of_them = range(NODES - 1), range(NODES)

    until(lambda: all(net.identity(i) for i in early), 30, "seven nodes answer")
    until(
        lambda: all(len(net.peers(i)) >= PEERS_BY_DISCV5 for i in early),
        READY_SECONDS,
        lambda: f"each node has {PEERS_BY_DISCV5} peers; they have {[len(net.peers(i)) for i in early]}",
    )
    before = [-1]  # heads of the others before the last one is there

    def late():
        head = net.head_slot(0)
        if net.identity(NODES - 1):
            return True
        before.append(head)

    until(late, READY_SECONDS, "the late node joins")
    missed = max(before)
    check(missed >= LATE_AFTER / 2, f"the last node did not join late: the head was at slot {missed}")
    until(
        lambda: all(len(net.peers(i)) >= PEERS_BY_DISCV5 for i in all_of_them),
        READY_SECONDS,
        lambda: f"each of 8 nodes has {PEERS_BY_DISCV5} peers; they have {[len(net.peers(i)) for i in all_of_them]}",
    )
    until(net.same_head, 30, lambda: f"all nodes have the same head; they have {net.heads()}")
    ready = time.monotonic() - begin

    # Of a pair only one dials, yet each finds the other's record: `source` tells how a peer was first known.
    found = [sum(p.get("source") == "discv5" for p in net.peers(i)) for i in all_of_them]
    check(
        min(found) >= PEERS_BY_DISCV5,
        f"peers found by discv5, by node: {found}; wanted {PEERS_BY_DISCV5} of each",
    )

    # QUIC is preferred where both are there.
    wires = {p["last_seen_p2p_address"] for i in all_of_them for p in net.peers(i)}
    over_quic = [w for w in wires if w.endswith("/quic-v1")]
    check(
        len(over_quic) == len(wires) if quic_only else 2 * len(over_quic) > len(wires),
        f"connections: {sorted(wires)}",
    )

    walked = walk_to_genesis(net, NODES - 1)
    check(net.head_slot(NODES - 1) >= missed and walked >= LATE_AFTER / 2, f"the late node has {walked} blocks; {missed} slots had passed before it came")

    start = net.head_slot(0)
    until(
        lambda: net.head_slot(0) >= start + WATCH_SLOTS and net.same_head(),
        WATCH_SLOTS * SECONDS_PER_SLOT * 2 + 30,
        lambda: f"{WATCH_SLOTS} more slots with one head; heads {net.heads()}",
    )
    table = "\n".join(net.process.lines)
    for word in ("peers", "mesh", "head slot", "delay"):
        check(word in table, f"the table does not show {word}")
    below = children(net.process.child.pid)
    check(len(below) == NODES, f"devnet has {len(below)} child processes, not {NODES}")
    code = net.stop()
    check(code == 0, f"devnet ended with code {code} after Ctrl-C")
    alive = [p for p in below if os.path.exists(f"/proc/{p}")]
    check(not alive, f"processes {alive} outlived Ctrl-C")
    check(not re.search(r"killed|has ended", "\n".join(net.process.lines)), "a node ended by itself")
    note(
        f"8 nodes with one head after {ready:.0f} s; found by discv5 per node: {sorted(found)}; the late node walked {walked} blocks"
    )


if __name__ == "__main__":
    main(run)
