#!/usr/bin/env python3
"""A disk that fills up during the sync, and is given room again. Meanwhile the daemon says once that nothing is kept, follows the
network and claims nothing that it has not; afterwards what was missed is fetched, and a restart finds all of it."""

import subprocess

from harness.daemon import Daemon
from harness.devnet import write_network
from harness.proc import check, main, note, scratch, until

SLOT_MS = 100
BLOCKS = 300
LIMIT_KIB = 600  # of one file: a third of the chain, as LMDB keeps it
# A write past the limit fails with EFBIG, as one on a full disk fails with ENOSPC.
LIMITED = ["sh", "-c", f'trap "" XFSZ; ulimit -S -f {LIMIT_KIB * 2}; exec "$@"', "sh"]  # dash counts in 512 bytes


def head_of(node):
    """Its head, whose block it need not have."""
    return int(node.metrics()["beacon_head_slot"])


def run():
    work = scratch("full-disk")
    network, alone = work / "network", ["--disable-discovery", "--local-network"]
    write_network(network, "full", SLOT_MS)
    maker = Daemon("maker", network, work / "maker", [*alone, "--devnet-make-blocks"])
    until(lambda: maker.head_slot() >= BLOCKS, BLOCKS * SLOT_MS // 1000 + 120, f"a chain of {BLOCKS} slots")

    peer = ["--libp2p-addresses", maker.multiaddr]
    node = Daemon("victim", network, work / "victim", [*alone, *peer], wrapper=LIMITED)
    until(lambda: node.metrics()["p2pd_store_stopped"] == 1, 60, "the disk is full")
    full_at = head_of(node)
    for _ in range(3):  # it follows the network, and claims nothing
        slot = maker.head_slot()
        until(lambda s=slot: head_of(node) > s, 20, lambda s=slot: f"the head goes on from {s}; it is {head_of(node)}")
        head, claims = head_of(node), node.metrics()["p2pd_earliest_available_slot"]
        check(claims > head - 10, f"it claims slot {claims:.0f} on with a full disk; its head is {head}")
    said = node.said("nothing is kept any more: make room in --datadir; the network goes on meanwhile")
    check(len(said) == 1, f"a full disk was told {len(said)} times")
    check(node.peer(maker.peer_id), "it lost its peer")

    subprocess.run(["prlimit", "--pid", str(node.process.child.pid), "--fsize=unlimited"], check=True)
    until(lambda: node.metrics()["p2pd_store_stopped"] == 0, 60, "blocks are kept again")
    until(
        lambda: node.metrics()["p2pd_earliest_available_slot"] == 0,
        60,
        lambda: f"what was missed is fetched; whole from slot {node.metrics()['p2pd_earliest_available_slot']:.0f} on",
    )
    head = node.header("head")
    made = [b["root"] for b in maker.chain(head["root"], 1)]
    check([b["root"] for b in node.chain(head["root"], 1)] == made, "the chain differs from the maker's")
    node.stop()
    again = Daemon("again", network, work / "victim", alone)
    check([b["root"] for b in again.chain(head["root"], 1)] == made, "after a restart the chain differs from the maker's")
    again.stop()
    maker.stop()
    note(f"full at slot {full_at}: told once, the head went on, nothing was claimed; then all {len(made)} blocks are there, also after a restart")


if __name__ == "__main__":
    main(run)
