#!/usr/bin/env python3
"""A chain of our own passes every fork, phase0 to heze, and a blob schedule step, an epoch each: one node makes it, a second follows
by gossip under each digest, and a third that comes at the end fetches all of it by range, context bytes of ten digests included."""

import hashlib
import time

from harness.daemon import Daemon
from harness.proc import check, main, note, scratch, until

SLOT_SECONDS, SLOTS_PER_EPOCH = 1, 8  # minimal preset
FORKS = ["phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu", "gloas", "heze"]
EPOCHS = {**{fork: i for i, fork in enumerate(FORKS[:7])}, "gloas": 8, "heze": 9}  # epoch 7: the blob schedule's step
LAST_SLOT = 10 * SLOTS_PER_EPOCH - 2
VALIDATORS = 64


def write_network(path):
    """A testnet directory with the chain maker's validators root, which is what makes it a devnet's."""
    path.mkdir()
    config = [f"PRESET_BASE: minimal\nCONFIG_NAME: all-forks\nMIN_GENESIS_TIME: {int(time.time()) + 10}\nGENESIS_DELAY: 0",
              f"SLOT_DURATION_MS: {SLOT_SECONDS * 1000}", "BLOB_SCHEDULE: [{EPOCH: 7, MAX_BLOBS_PER_BLOCK: 12}]"]
    for i, fork in enumerate(FORKS):
        key = "GENESIS" if i == 0 else fork.upper()
        config.append(f"{key}_FORK_VERSION: 0x{i:02x}666f72")
        if i > 0:
            config.append(f"{key}_FORK_EPOCH: {EPOCHS[fork]}")
    (path / "config.yaml").write_text("\n".join(config) + "\n")
    root = hashlib.sha256(b"p2pd devnet validators" + VALIDATORS.to_bytes(8, "little") + bytes(32)).hexdigest()
    (path / "genesis_validators_root.txt").write_text(f"0x{root}\n")


def fork_of(slot):
    return max((f for f in FORKS if EPOCHS[f] <= slot // SLOTS_PER_EPOCH), key=FORKS.index)


def run():
    base = scratch("forks")
    network = base / "network"
    write_network(network)
    alone = ["--disable-discovery", "--local-network"]
    maker = Daemon("maker", network, base / "maker", [*alone, "--devnet-make-blocks"])
    follower = Daemon("follower", network, base / "follower", [*alone, "--libp2p-addresses", maker.multiaddr])

    until(lambda: min(maker.head_slot(), follower.head_slot()) >= LAST_SLOT, LAST_SLOT * SLOT_SECONDS + 60,
          lambda: f"slot {LAST_SLOT}; maker is at {maker.head_slot()}, follower at {follower.head_slot()}")
    head = maker.header("head")
    until(lambda: follower.header(head["root"]), 20, "the follower has the maker's head")
    late = Daemon("late", network, base / "late", [*alone, "--libp2p-addresses", follower.multiaddr])
    until(lambda: late.header(head["root"]), 60, "the late node has the block of the last slot")

    made = maker.chain(head["root"], 1)
    check(len(made) >= LAST_SLOT / 2, f"only {len(made)} blocks were made in {LAST_SLOT} slots")  # a busy machine skips slots
    seen = set()
    for node in (follower, late):
        chain = node.chain(head["root"], 1)
        check([b["root"] for b in chain] == [b["root"] for b in made], f"{node.name} has another chain")
        for block in chain:
            _, version = node.block_ssz(block["root"])
            check(version == fork_of(block["slot"]), f"{node.name}: slot {block['slot']} is said to be of {version}")
            seen.add(version)
    check(seen == set(FORKS), f"forks seen: {sorted(seen, key=FORKS.index)}")

    # The first blocks may come by range, while the connection is made; every later fork's come by gossip.
    ways = follower.blocks_by_way()
    gossiped = [b for b in made if ways.get(b["root"]) == "gossip"]
    for fork in FORKS[1:]:
        count = sum(fork_of(b["slot"]) == fork for b in gossiped)
        check(count > 0, f"{fork}: no block came to the follower by gossip")
    check(len(gossiped) >= len(made) / 2, f"{len(gossiped)} of {len(made)} blocks came to the follower by gossip")
    fetched = sum(late.blocks_by_way().get(b["root"]) == "range" for b in made)
    check(fetched >= len(made) - SLOTS_PER_EPOCH, f"the late node fetched {fetched} of {len(made)} blocks by range")
    # What a block of gloas promised came by gossip to the follower; the late node asks for it by root.
    promised = [b for b in made if FORKS.index(fork_of(b["slot"])) >= FORKS.index("gloas")]
    for block in promised:
        envelope = maker.envelope_ssz(block["root"])
        check(envelope, f"the maker has no envelope of slot {block['slot']}")
        for node in (follower, late):
            until(lambda n=node, b=block, e=envelope: n.envelope_ssz(b["root"]) == e, 60,
                  f"{node.name} has the maker's envelope of slot {block['slot']}")
    asked = int(late.metrics()["p2pd_envelopes_fetched_total"])
    check(asked >= len(promised) - 2, f"the late node fetched {asked} of {len(promised)} envelopes")
    for node in (late, follower, maker):
        node.stop()
    note(f"{len(made)} blocks of {len(seen)} forks and ten digests; {len(gossiped)} by gossip, {fetched} by range to the late node, with {asked} envelopes by root")


if __name__ == "__main__":
    main(run)
