#!/usr/bin/env python3
"""A real client syncs out of our store. A Lodestar with validators makes a chain that finalizes; the daemon follows it; the maker
is stopped. A second Lodestar knows the daemon and nobody else: it must come to the maker's head, by its own state transition.

On the way the maker is the Beacon API that another daemon begins at: its finalized block, as JSON (Lodestar 1.5 gives blocks so), the
block's real state beside it."""

import time

from harness.daemon import Daemon, http_bytes
from harness.lodestar import SECONDS_PER_SLOT, SLOTS_PER_EPOCH, Lodestar, before_genesis
from harness.proc import LONG, check, main, note, say, scratch, until

CAPELLA_EPOCH = 2  # the chain crosses a fork
MADE_SLOTS = 40 if not LONG else 400  # five epochs, of which two are final


def begin_at(maker, network, work):
    """A daemon that begins at the maker's finalized block, whose state has the root that the block names."""
    trusted = until(lambda: maker.header("finalized"), 20, "the maker tells its finalized block")
    state = work / "state.ssz"
    state.write_bytes(http_bytes(f"{maker.rest}/eth/v2/debug/beacon/states/{trusted['slot']}", "application/octet-stream", 60))
    node = Daemon("late", network, work / "late", ["--disable-discovery", "--checkpoint-sync-url", maker.rest, "--checkpoint-root",
                  trusted["root"], "--checkpoint-state", state])
    check(node.header("finalized") == trusted, f"finalized is {node.header('finalized')}, the maker's is {trusted}")
    node.stop()
    return trusted


def run():
    work = scratch("lodestar-syncs")
    maker = before_genesis(lambda genesis: [Lodestar(work / "maker", CAPELLA_EPOCH, genesis)], 1)[0]
    network = maker.network_dir(work / "network", with_state=True)
    daemon = Daemon("daemon", network, work / "daemon", ["--boot-nodes", maker.enr])
    until(lambda: daemon.peer(maker.peer_id), 60, "the daemon is connected with the maker")
    until(
        lambda: maker.slot() >= MADE_SLOTS and maker.finalized_epoch() >= 2,
        MADE_SLOTS * SECONDS_PER_SLOT + 120,
        lambda: f"{MADE_SLOTS} slots pass and two epochs are final; slot {maker.slot()}, final {maker.finalized_epoch()}",
    )
    trusted = begin_at(maker, network, work)
    head = until(lambda: maker.header("head"), 10, "the maker tells its head")
    chain = maker.chain(head["slot"])
    finalized = maker.finalized_epoch()
    until(lambda: daemon.header(head["root"]), 20, f"the daemon has the maker's head of slot {head['slot']}")
    maker.stop()
    # What the maker made between our question and its end is the daemon's head now.
    last = daemon.header("head")
    say(f"the maker is stopped at slot {last['slot']}, {len(chain)} blocks, finalized epoch {finalized}")

    follower = Lodestar(work / "follower", CAPELLA_EPOCH, maker.genesis_time, own=(), name="follower")
    follower.start(boot_enr=daemon.enr)
    began = time.monotonic()
    until(lambda: follower.sees(daemon.peer_id), 60, "the second Lodestar is connected with the daemon")
    peers = [p["peer_id"] for p in follower.get("/eth/v1/node/peers?state=connected")["data"]]
    check(peers == [daemon.peer_id], f"the second Lodestar has other peers than the daemon: {peers}")
    until(
        lambda: (follower.header("head") or {}).get("root") == last["root"],
        180,
        lambda: f"the second Lodestar's head is {last}; it is {follower.header('head')}",
    )
    seconds = time.monotonic() - began
    got = follower.chain(head["slot"])
    check(got == chain, f"its chain has {len(got)} blocks, the maker's {len(chain)}")
    check(follower.finalized_epoch() >= finalized, "it has finalized less than the maker")
    check(head["slot"] > CAPELLA_EPOCH * SLOTS_PER_EPOCH, "the chain ended before the fork")
    score = follower.likes(daemon.peer_id)
    note(f"a Lodestar with us as its only peer came from genesis to slot {last['slot']} in {seconds:.0f} s: {len(got)} blocks as the maker's, "
         f"finalized epoch {follower.finalized_epoch()}, its score of us {score['score']:g}; its "
         f"block of slot {trusted['slot']}, with its state, was a beginning for us")
    daemon.stop()
    follower.stop()


if __name__ == "__main__":
    main(run)
