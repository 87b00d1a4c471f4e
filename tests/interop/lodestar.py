#!/usr/bin/env python3
"""Real input, 1: a real client. Lodestar runs a finalizing devnet, bellatrix -> capella; the daemon is given its ENR and a
network directory and nothing else (or, with --they-dial, Lodestar is given the daemon's ENR and nothing else).

Both ways: connected as Lodestar itself sees it, status agreed, blocks by gossip, every root equal to Lodestar's.
First way, besides: five minutes across the fork with a score that is not negative, all blocks of those minutes by gossip, the
chain from genesis by range and linked, and a second daemon that gets it all from the first one alone.
"""

import sys
import time

from harness.daemon import Daemon
from harness.lodestar import SECONDS_PER_SLOT, SLOTS_PER_EPOCH, Lodestar, before_genesis, run_directory_genesis
from harness.proc import LONG, check, main, note, patient, say, scratch, until

CAPELLA_EPOCH = 8  # slot 64: two minutes in, well after the mesh stands and well before the end
WATCH_SECONDS = 1800 if LONG else 300
LATE_SLOTS = 10  # the daemon comes when there is already a chain to fetch
SETTLE_SLOTS = 3  # from the first block by gossip, until which a block may have come either way


def connected(daemon, lodestar):
    """Wait until both sides list each other as connected; returns our row and theirs."""

    def identified():
        row = daemon.peer(lodestar.peer_id)
        return row if row and row["agent"] else None

    ours = until(
        identified, 60, lambda: f"{daemon.name} lists Lodestar as connected; it lists {daemon.peers(None)}"
    )
    theirs = until(lambda: lodestar.sees(daemon.peer_id), 30, "Lodestar lists the daemon as connected")
    return ours, theirs


def compare_roots(daemon, chain, first, last):
    """Every canonical block of Lodestar's in [first, last] is in the daemon with that root; returns how many."""
    missing, different = [], []
    for slot, root in sorted(chain.items()):
        if not first <= slot <= last:
            continue
        header = daemon.header(root)
        if header is None:
            missing.append(slot)
        elif header["slot"] != slot or header["root"] != root:
            different.append((slot, root, header))
        by_slot = daemon.header(slot)
        if by_slot is not None and by_slot["root"] != root:
            different.append((slot, root, by_slot))
    check(not different, f"{daemon.name}: roots differ from Lodestar's: {different[:3]}")
    check(
        not missing,
        f"{daemon.name}: blocks of slots {missing[:20]} are missing ({len(missing)} of {last - first + 1})",
    )
    return sum(first <= s <= last for s in chain)


def linked_to_genesis(daemon, chain):
    """From the head, parent by parent, down to slot 1: exactly Lodestar's chain."""
    last = max(chain)  # our head may have moved on since Lodestar was asked
    blocks = daemon.chain()
    seen = [b["root"] for b in blocks if 1 <= b["slot"] <= last]
    head_slot = blocks[0]["slot"]
    wanted = [root for slot, root in sorted(chain.items(), reverse=True) if slot <= head_slot]
    check(
        seen == wanted,
        f"{daemon.name}: the chain walked by parent roots has {len(seen)} blocks, Lodestar's {len(wanted)}",
    )


def still_liked(daemon, lodestar):
    row, score = lodestar.sees(daemon.peer_id), lodestar.likes(daemon.peer_id)
    check(row is not None, "Lodestar no longer lists the daemon as connected")
    return row, score


def gossiping(daemon, lodestar):
    """The slot from which on blocks come by gossip: the mesh stands."""
    until(lambda: "gossip" in daemon.blocks_by_way().values(), 60, "a block comes by gossip")
    return lodestar.slot()


def watch(daemon, lodestar, seconds):
    """Stay connected for so long, and until the fork is final; looked at each slot."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 or (left > -patient(seconds) and lodestar.finalized_epoch() <= CAPELLA_EPOCH):
        daemon.process.must_run()
        lodestar.process.must_run()
        still_liked(daemon, lodestar)
        time.sleep(SECONDS_PER_SLOT)


def we_dial():
    work = scratch("lodestar")
    lodestar = before_genesis(lambda genesis: [Lodestar(work / "lodestar", CAPELLA_EPOCH, genesis)], 1)[0]
    network = lodestar.network_dir(work / "network", with_state=True)
    until(lambda: lodestar.slot() >= LATE_SLOTS, 60, "some slots to fetch")

    daemon = Daemon("daemon", network, work / "d1", ["--boot-nodes", lodestar.enr])
    ours, theirs = connected(daemon, lodestar)
    met = lodestar.slot()
    joined = gossiping(daemon, lodestar)
    say(f"connected at slot {met}, blocks by gossip at {joined}: we list {ours}, Lodestar lists {theirs}")
    check(
        ours.get("source") in ("discv5", "boot"),
        f"the daemon's source of Lodestar is {ours.get('source')}, not discv5",
    )
    check(ours["direction"] == "outbound", "we were given the ENR, so we dial")
    check("lodestar" in ours.get("agent", ours.get("agent_version", "lodestar")).lower(), f"agent of {ours}")

    watch(daemon, lodestar, WATCH_SECONDS)
    _, score = still_liked(daemon, lodestar)
    last = lodestar.slot() - 1
    check(last > (CAPELLA_EPOCH + 1) * SLOTS_PER_EPOCH, "the watch ended before the fork")
    finalized = lodestar.finalized_epoch()
    check(finalized > CAPELLA_EPOCH, f"Lodestar has finalized epoch {finalized} only: no healthy devnet")
    until(
        lambda: daemon.head_slot() >= last,
        10,
        lambda: f"our head is {daemon.header('head')}, Lodestar is at {last}",
    )

    chain = lodestar.chain(last)
    count = compare_roots(daemon, chain, 1, last)
    linked_to_genesis(daemon, chain)
    ways = daemon.blocks_by_way()
    late = [s for s in chain if s >= joined + SETTLE_SLOTS and ways.get(chain[s]) != "gossip"]
    check(
        not late,
        f"blocks of slots {late[:20]} came not by gossip but {[ways.get(chain[s]) for s in late[:5]]}",
    )
    early = [s for s in chain if s < met - 1 and ways.get(chain[s]) != "range"]
    check(
        not early,
        f"blocks of slots {early[:20]} came not by range but {[ways.get(chain[s]) for s in early[:5]]}",
    )
    by = {way: sum(ways.get(r) == way for r in chain.values()) for way in ("gossip", "range", "root")}
    note(
        f"{count} blocks of Lodestar, {by['gossip']} by gossip, {by['range']} by range, {by['root']} by root, no root differed; "
        f"finalized epoch {finalized}; Lodestar's score of us {score['score']:g} (gossip {score['gossip']:.2f}) after {WATCH_SECONDS} s"
    )

    # Lodestar is gone: all the second daemon can learn, it learns from the first.
    lodestar.stop()
    second = Daemon("second daemon", network, work / "d2", ["--boot-nodes", daemon.enr])
    until(lambda: second.peer(daemon.peer_id), 60, "the second daemon finds the first by discv5 and connects")
    head = daemon.header("head")
    until(
        lambda: (second.header("head") or {}).get("root") == head["root"],
        90,
        lambda: f"the second daemon's head is {second.header('head')}, the first's is {head}",
    )
    compare_roots(second, chain, 1, last)
    linked_to_genesis(second, chain)
    note(f"a second daemon has all {count} through the first")
    second.stop()
    daemon.stop()


def they_dial():
    work = scratch("lodestar-dials")
    network = work / "network"
    genesis = run_directory_genesis(work / "first", 2, network)
    # Without --enable-private-discovery it answers discv5 but dials nobody on loopback: so it is Lodestar who dials.
    daemon = Daemon("daemon", network, work / "d1", private=False)
    lodestar = Lodestar(work / "lodestar", 2, genesis)
    lodestar.start(boot_enr=daemon.enr)
    ours, theirs = connected(daemon, lodestar)
    met = lodestar.slot()
    check(ours["direction"] == "inbound", f"Lodestar was given our ENR, so it dials; we list it as {ours}")
    check(theirs["direction"] == "outbound", f"Lodestar lists us as {theirs}")

    joined = gossiping(daemon, lodestar)
    until(lambda: lodestar.slot() >= 40, 150, "two epochs after the fork")
    still_liked(daemon, lodestar)
    last = lodestar.slot() - 1
    chain = lodestar.chain(last)
    until(
        lambda: daemon.head_slot() >= last,
        10,
        lambda: f"our head is {daemon.header('head')}, Lodestar is at {last}",
    )
    count = compare_roots(daemon, chain, 1, last)
    linked_to_genesis(daemon, chain)
    ways = daemon.blocks_by_way()
    late = [s for s in chain if s >= joined + SETTLE_SLOTS and ways.get(chain[s]) != "gossip"]
    check(not late, f"blocks of slots {late[:20]} came not by gossip")
    note(
        f"found and dialled by Lodestar at slot {met}; {count} blocks, {sum(w == 'gossip' for w in ways.values())} by gossip, "
        "no root differed"
    )
    # A clean stop says goodbye: Lodestar drops us at once, not by a time-out.
    daemon.stop()
    until(lambda: lodestar.sees(daemon.peer_id) is None, 5, "Lodestar has seen our goodbye")
    lodestar.stop()


if __name__ == "__main__":
    main(they_dial if "--they-dial" in sys.argv[1:] else we_dial)
