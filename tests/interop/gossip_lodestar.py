#!/usr/bin/env python3
"""Lodestar, the daemon, rust-libp2p and js-libp2p in one gossip network: a devnet's blocks and aggregates reach the two libp2p peers,
which know only the daemon, each of them once and under the same id; Lodestar's score of the daemon stays at zero or above.
"""

import hashlib

from harness.daemon import Daemon
from harness.gossip import GossipPeer
from harness.lodestar import SECONDS_PER_SLOT, Lodestar, before_genesis, start_seconds
from harness.proc import LONG, check, main, note, say, scratch, until

SLOTS = 200 if LONG else 12  # watched once everything is connected
NAMES = ("beacon_block", "beacon_aggregate_and_proof")


def digest(lodestar):
    """compute_fork_digest: the first bytes of the root of the version and the genesis validators' root."""
    version = bytes.fromhex(lodestar.spec()["BELLATRIX_FORK_VERSION"][2:])
    genesis = until(lambda: lodestar.get("/eth/v1/beacon/genesis"), 30, "Lodestar's genesis")["data"]
    root = bytes.fromhex(genesis["genesis_validators_root"][2:])
    return hashlib.sha256(version.ljust(32, b"\0") + root).hexdigest()[:8]


def test():
    work = scratch("gossip-lodestar")
    lodestar = before_genesis(lambda genesis: [Lodestar(work / "lodestar", 1000, genesis)], 3)[0]
    network = lodestar.network_dir(work / "network", with_state=True)
    daemon = Daemon("daemon", network, work / "d", ["--boot-nodes", lodestar.enr, "--local-network"])
    until(lambda: lodestar.sees(daemon.peer_id), 60, "Lodestar lists the daemon as connected")
    peers = [GossipPeer("rust", "rust", "--eth"), GossipPeer("js", "js", "--eth")]
    topics = [f"/eth2/{digest(lodestar)}/{name}/ssz_snappy" for name in NAMES]
    for peer in peers:
        for topic in topics:
            peer.join(topic)
        peer.say(f"dial {daemon.multiaddr}")
        for topic in topics:
            peer.wait("subscribed", 30, peer=daemon.peer_id, topic=topic)
    until(
        lambda: all((p.stats()["peers"].get(daemon.peer_id) or {}).get("mesh") == len(topics) for p in peers),
        30,
        lambda: f"the daemon in their meshes: {[p.stats()['peers'] for p in peers]}",
    )
    until(lambda: lodestar.slot() > 0, start_seconds(3), "genesis")
    until(lambda: (lodestar.header("head") or {}).get("slot"), 60, "Lodestar's first block")
    first = lodestar.slot() + 1
    say(f"meshes stand at slot {first - 1}")
    until(lambda: lodestar.slot() > first, 3 * SECONDS_PER_SLOT, "the next slot")
    before = [dict(p.messages) for p in peers]
    def watched():  # a busy machine skips slots
        wanted = lodestar.slot()
        slots = sum(first + 1 <= s < wanted for s in lodestar.chain(wanted - 1)) if wanted >= first + SLOTS else 0
        return slots if slots > SLOTS / 2 else 0

    slots = until(watched, (SLOTS + 20) * SECONDS_PER_SLOT, "the slots to watch", every=SECONDS_PER_SLOT)
    got = []
    for peer, old in zip(peers, before):
        bad = {k: v for k, v in peer.messages.items() if v != 1}
        check(not bad, f"{peer.name} was given messages more than once: {bad}")

        def count(p=peer, o=old):
            return {t: sum(k[0] == t and k not in o for k in list(p.messages)) for t in topics}

        until(lambda c=count: c()[topics[0]] >= slots - 1, 10, lambda c=count: f"{slots} blocks come: {c()}")
        counts = count()
        check(counts[topics[1]] > 0, f"{peer.name} has no aggregate")
        row = peer.stats()["peers"][daemon.peer_id]
        check(row["score"] >= 0, f"{peer.name}'s score of the daemon: {row}")
        got.append(counts)
    both = set(peers[0].ids.values()) & set(peers[1].ids.values())
    check(len(both) >= slots, f"rust and js have {len(both)} message ids in common only")
    score = lodestar.likes(daemon.peer_id)
    note(
        f"{slots} slots of Lodestar's through the daemon: rust has {list(got[0].values())}, js {list(got[1].values())} blocks and aggregates, "
        f"each once, {len(both)} ids compared; Lodestar's score of the daemon {score['score']:g}"
    )
    for peer in peers:
        peer.stop()
    daemon.stop()
    lodestar.stop()


if __name__ == "__main__":
    main(test)
