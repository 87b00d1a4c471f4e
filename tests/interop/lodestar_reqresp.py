#!/usr/bin/env python3
"""Req/resp with a real client, both ways and by its own words: what Lodestar answers to `beacon-p2pd request`, and what the daemon
beside it answers to the same, is compared by roots and fields with Lodestar's REST API. Lodestar asks the daemon for status, ping,
metadata and blocks by itself: its metrics of what it asked and got are its own."""

import json
import re

from harness.daemon import Daemon
from harness.lodestar import SLOTS_PER_EPOCH, Lodestar, before_genesis
from harness.proc import Failure, check, main, note, say, scratch, until
from request import CHUNK, call

CAPELLA_EPOCH = 2
FINAL_EPOCHS = 2


def same(what, ours, theirs):
    """JSON of ours against the REST API's: every field of theirs; it may name what ours has and it has not by null only."""
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            check(isinstance(ours, dict) and key in ours, f"{what}: {key} is missing in {str(ours)[:200]}")
            same(f"{what}.{key}", ours[key], value)
        check(set(ours) == set(theirs), f"{what}: fields {sorted(set(ours) ^ set(theirs))} are in one only")
    elif isinstance(theirs, list):
        check(len(ours) == len(theirs), f"{what}: {len(ours)} for {len(theirs)}")
        for i, (a, b) in enumerate(zip(ours, theirs)):
            same(f"{what}[{i}]", a, b)
    else:
        check(str(ours).lower() == str(theirs).lower(), f"{what}: {str(ours)[:100]}, Lodestar says {str(theirs)[:100]}")


def run():
    work = scratch("lodestar-reqresp")
    lodestar = before_genesis(lambda genesis: [Lodestar(work / "lodestar", CAPELLA_EPOCH, genesis)], 1)[0]
    network = lodestar.network_dir(work / "network", with_state=True)
    daemon = Daemon("daemon", network, work / "daemon", ["--boot-nodes", lodestar.enr])
    until(lambda: daemon.peer(lodestar.peer_id), 60, "the daemon is connected with Lodestar")
    enough = (CAPELLA_EPOCH + 1) * SLOTS_PER_EPOCH + 4
    until(lambda: daemon.head_slot() >= enough, 120, lambda: f"blocks across the fork; the daemon's head is {daemon.head_slot()}")

    def ask(peer, *words, code=0):
        out, why = call(code, "request", "--json", "--testnet-dir", network, peer.multiaddr, *words)
        return out if code == 0 else why

    def objects(out):
        """[(line's fields, JSON)]"""
        lines = out.splitlines()
        return [(CHUNK.match(a).groups(), json.loads(b)) for a, b in zip(lines[::2], lines[1::2])]

    counted = {}

    def blocks(who, peer, count, *words):
        found = objects(ask(peer, *words))
        check(len(found) == count, f"{who} {words}: {len(found)} blocks, {count} wanted")
        for (_, _, fork, _, slot, root, _), ours in found:
            theirs = lodestar.get(f"/eth/v2/beacon/blocks/{root}")
            check(theirs and theirs["version"] == fork, f"{who}: Lodestar does not know {root} of {fork} at {slot}")
            same(f"{who} block {slot}", ours, theirs["data"])
        counted[who, words[0]] = counted.get((who, words[0]), 0) + len(found)

    last = lodestar.header("head")["slot"] - 2
    chain = lodestar.chain(last)
    until(lambda: daemon.header(chain[max(chain)]), 20, "the daemon has Lodestar's chain")
    across = [s for s in chain if CAPELLA_EPOCH * SLOTS_PER_EPOCH - 4 <= s < CAPELLA_EPOCH * SLOTS_PER_EPOCH + 4]
    some = [chain[s] for s in (min(chain), across[3], across[5], max(chain))]
    for who, peer in (("Lodestar", lodestar), ("daemon", daemon)):
        blocks(who, peer, len(across), "beacon_blocks_by_range/2", f"start_slot={across[0]}", f"count={across[-1] - across[0] + 1}")
        blocks(who, peer, len(some), "beacon_blocks_by_root/2", *some)
        status = json.loads(ask(peer, "status/1"))
        head = lodestar.header(status["head_root"])
        check(head and head["slot"] == int(status["head_slot"]), f"{who}'s status is {status}, Lodestar's header {head}")
        metadata = json.loads(ask(peer, "metadata/2"))
        check(len(metadata["attnets"]) == 18 and int(metadata["seq_number"]) >= 0, f"{who}'s metadata is {metadata}")
        check(re.fullmatch(r'"\d+"\n', ask(peer, "ping", 1)), f"{who}'s ping")
    identity = lodestar.get("/eth/v1/node/identity")["data"]["metadata"]
    same("Lodestar's metadata", json.loads(ask(lodestar, "metadata/2")), {k: identity[k] for k in ("seq_number", "attnets", "syncnets")})

    until(lambda: lodestar.finalized_epoch() >= FINAL_EPOCHS, 240, lambda: f"finality; slot {lodestar.slot()}, final {lodestar.finalized_epoch()}")
    say(f"finalized at slot {lodestar.slot()}: {counted}")

    # Light clients: Lodestar's answers against its REST; the daemon's against both.
    def newest(path):
        """None: it has none yet, and says so with an error 500."""
        try:
            return (lodestar.get(f"/eth/v1/beacon/light_client/{path}") or {"data": None})["data"]
        except Failure:
            return None

    for path in ("optimistic_update", "finality_update"):
        until(lambda p=path: newest(p), 120, f"Lodestar's REST API has a light-client {path}")

    def unmoved(path, words, who, peer):
        """Asked between two equal answers of the REST API, so that both speak of one moment."""

        def attempt():
            before = newest(path)  # the daemon's come by gossip: it may have none yet
            found = objects(call(None, "request", "--json", "--testnet-dir", network, peer.multiaddr, *words)[0])
            return (found, before) if found and before is not None and newest(path) == before else None

        found, theirs = until(attempt, 60, f"{who}'s {path} stands still for a moment")
        return found[0][1], theirs

    for who, peer in (("Lodestar", lodestar), ("daemon", daemon)):
        for path in ("finality_update", "optimistic_update"):
            def newest_of(path=path, who=who, peer=peer):
                ours, theirs = unmoved(path, [f"light_client_{path}"], who, peer)
                slots = {o["attested_header"]["beacon"]["slot"] for o in (ours, theirs)}
                return (ours, theirs) if len(slots) == 1 else None

            ours, theirs = until(newest_of, 60, f"{who} has the newest {path}")
            same(f"{who}'s {path}", ours, theirs)
            counted[who, path] = 1
    root = lodestar.get("/eth/v1/beacon/states/head/finality_checkpoints")["data"]["finalized"]["root"]
    for who, peer in (("Lodestar", lodestar), ("daemon", daemon)):
        def bootstrap(p=peer):
            out = call(None, "request", "--json", "--testnet-dir", network, p.multiaddr, "light_client_bootstrap", root)[0]
            return objects(out)

        (_, ours), = until(bootstrap, 20, f"{who} has the bootstrap of {root}")
        same(f"{who}'s bootstrap", ours, lodestar.get(f"/eth/v1/beacon/light_client/bootstrap/{root}")["data"])
        # Lodestar answers an error for a period that it has no update of: each is asked alone.
        updates = []
        for period in (0, 1):
            out = call(None, "request", "--json", "--testnet-dir", network, peer.multiaddr, "light_client_updates_by_range",
                       f"start_period={period}", "count=1")[0]  # fmt: skip
            updates += objects(out)
        check(updates, f"{who} has no update of periods 0 and 1")
        for (_, _, _, _, slot, _, _), ours in updates:
            header = lodestar.get(f"/eth/v1/beacon/headers/{slot}")["data"]["header"]["message"]
            same(f"{who}'s update of {slot}", ours["attested_header"]["beacon"], header)
        counted[who, "bootstrap and updates"] = 1 + len(updates)

    score = lodestar.likes(daemon.peer_id)
    check(lodestar.sees(daemon.peer_id), "Lodestar no longer lists the daemon as connected")
    say(str(counted))
    note(f"Lodestar and the daemon beside it asked by the same words: {sum(counted.values())} objects equal to its REST API's; "
         f"its score of us {score['score']:g}")
    daemon.stop()
    lodestar.stop()


if __name__ == "__main__":
    main(run)
