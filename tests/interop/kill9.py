#!/usr/bin/env python3
"""A daemon killed with -9 twenty times during its own sync ends with the same chain as one that was not: its store opens each time,
what it had on disk is not fetched again, and its record's seq never goes back."""

import random

from harness.daemon import Daemon
from harness.devnet import write_network
from harness.proc import LONG, check, main, note, scratch, until

SEED = 9
KILLS = 60 if LONG else 20
SLOT_MS = 100  # the shortest: a long chain in little time
BLOCKS = 400
RATE = 40  # blocks a second that the maker gives: kills come during the sync, however late this program is


def chain_of(node, root):
    return [b["root"] for b in node.chain(root, 1)]


def run():
    rng, base = random.Random(SEED), scratch("kill9")
    network, alone = base / "network", ["--disable-discovery", "--local-network"]
    write_network(network, "kill9", SLOT_MS)
    maker = Daemon("maker", network, base / "maker", [*alone, "--devnet-make-blocks", "--inbound-rate-limiter-protocols", f"beacon_blocks_by_range:{RATE}/1"])
    until(lambda: maker.head_slot() >= BLOCKS, BLOCKS * SLOT_MS // 1000 + 120, f"a chain of {BLOCKS} slots")
    head = maker.header("head")
    made = chain_of(maker, head["root"])
    check(len(made) >= BLOCKS // 2, f"only {len(made)} blocks in {head['slot']} slots")

    killed, seq, kept, during_sync = "victim", 0, -1, 0
    for i in range(KILLS):
        # Alone first: what it has is what was on disk.
        node = Daemon(killed, network, base / killed, alone)
        now_seq, opened = int(node.identity()["metadata"]["seq_number"]), node.head_slot()
        check(now_seq >= seq, f"round {i}: metadata's seq went back from {seq} to {now_seq}")
        check(opened >= kept, f"round {i}: the store had the blocks to slot {kept}, now to slot {opened}")
        if opened > 0:
            chain_of(node, "head")  # every link down to the first block
        seq, kept, during_sync = now_seq, opened, during_sync + (opened < head["slot"])
        node.process.kill()
        node = Daemon(killed, network, base / killed, [*alone, "--libp2p-addresses", maker.multiaddr])
        wanted = min(rng.randrange(1, len(made) // 2), head["slot"] - max(opened, 0))
        until(lambda n=node, k=wanted: len(n.said("block")) >= k, 30, f"round {i}: {wanted} blocks come", every=0.001)
        node.process.kill()

    node = Daemon(killed, network, base / killed, [*alone, "--libp2p-addresses", maker.multiaddr])
    until(lambda: node.header(head["root"]), 60, "the daemon has the whole chain")
    check(chain_of(node, head["root"]) == made, "the chain differs from the maker's")
    node.stop()
    again = Daemon(killed, network, base / killed, alone)
    check(chain_of(again, head["root"]) == made, "after a clean stop the store has another chain")
    again.stop()
    maker.stop()
    check(during_sync >= 3 and kept > 0, f"{during_sync} kills came during the sync, {kept} slots were on disk at the last")
    note(f"seed {SEED}: {KILLS} kills, {during_sync} of them during the sync, then {len(made)} blocks as the maker's; {kept} slots were on disk before the last kill")


if __name__ == "__main__":
    main(run)
