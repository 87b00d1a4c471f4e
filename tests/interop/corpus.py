#!/usr/bin/env python3
"""Real input, 2: today's forks. A js-libp2p 3 peer (yamux, gossipsub 1.2) holds the corpus' verified chain deneb -> electra -> fulu
and gossips blocks, columns and attestations as the clock passes, over both fork boundaries and both blob-parameter steps. The
daemon takes all of it and hands it on, while it comes, to a listener that only it knows; at the end it serves the whole chain to
that listener, which has nothing.

The clock: payload timestamps of the corpus are fixed (genesis in 2023), so the daemon and the peers begin at another wall time
and go on at the natural speed; slots last two seconds as the corpus' config says, which makes 94 seconds for the whole chain.
The daemon begins at slot 10: what was before comes by range, what comes after by gossip.
"""

import hashlib
import json

from harness.corpus import CORPUS, Clock, JsPeer, blocks, network_dir
from harness.daemon import Daemon
from harness.peers import order
from harness.proc import check, main, note, say, scratch, until

START_SLOT = 8
SETTLE_SLOTS = 4  # after the first connection a block may come either way until the mesh stands


def compare_with_manifest(daemon, chain):
    until(lambda: all(daemon.header(b["root"]) for b in chain), 30, "the daemon has the whole chain")
    for block in chain:
        header = daemon.header(block["root"])
        check(header is not None, f"the daemon misses the block of slot {block['slot']}")
        check(
            header["slot"] == block["slot"] and header["root"] == block["root"],
            f"slot {block['slot']}: {header}, manifest {block['root']}",
        )
        by_slot = daemon.header(block["slot"])
        check(by_slot and by_slot["root"] == block["root"], f"by slot {block['slot']}: {by_slot}")
    walked = [b["root"] for b in daemon.chain() if b["slot"] >= 1]
    check(
        walked == [b["root"] for b in reversed(chain)],
        f"the chain walked by parents has {len(walked)} blocks of {len(chain)}",
    )
    ssz, version = daemon.block_ssz(chain[-1]["root"])
    check(ssz == (CORPUS / chain[-1]["file"]).read_bytes(), "/eth/v2/beacon/blocks gives other bytes")
    check(version == "fulu", f"Eth-Consensus-Version is {version}")


def compare_answer(chunks, chain, digest_of):
    """Response chunks are the chain's blocks, byte by byte and in order, each with the context of its slot."""
    check(
        [c["sha256"] for c in chunks] == [b["sha256"] for b in chain],
        f"{len(chunks)} chunks for {len(chain)} blocks, or other bytes",
    )
    for chunk, block in zip(chunks, chain):
        check(
            chunk["context"] == digest_of(block["slot"]), f"slot {block['slot']}: context {chunk['context']}"
        )


def compare_gossip(holder, listener, last_slot, joined):
    """What the holder published after the mesh stood, the listener has, from the daemon and nobody else; returns counts."""
    counts = {}
    for kind in ("block", "attestation", "aggregate", "column"):
        first = joined + SETTLE_SLOTS
        sent = [
            e
            for e in holder.all("published", kind=kind)
            if first <= e["slot"] < last_slot and e["recipients"] > 0
        ]
        nobody = [
            e
            for e in holder.all("published", kind=kind)
            if first <= e["slot"] < last_slot and e["recipients"] == 0
        ]
        check(not nobody, f"{kind}s that nobody was subscribed to: {nobody[:2]}")
        got = [e for e in listener.all("gossip", kind=kind) if first <= e["slot"] < last_slot]
        check(len(sent) > 0, f"no {kind} was published to the daemon")
        check(len(got) == len(sent), f"{len(sent)} {kind}s sent to the daemon, {len(got)} came through it")
        wrong = [e for e in got if not e["right_digest"]]
        check(not wrong, f"{kind}s under a wrong digest: {wrong[:2]}")
        counts[kind] = len(got)
    unknown = listener.all("gossip", kind="unknown")
    check(not unknown, f"the daemon forwarded what nobody sent: {unknown[:2]}")
    return counts


def serve_columns(listener, digest_of):
    """By range, the columns that came by gossip come again as they were; returns how many."""
    manifest = {
        m["slot"]: m
        for m in json.loads((CORPUS / "manifest.json").read_text())
        if m["kind"] == "DataColumnSidecars"
    }
    wanted = []
    for event in sorted(listener.all("gossip", kind="column"), key=lambda e: (e["slot"], e["index"])):
        m, i = manifest[event["slot"]], event["index"]
        data = (CORPUS / m["file"]).read_bytes()[i * m["size_each"] : (i + 1) * m["size_each"]]
        wanted.append((event["slot"], hashlib.sha256(data).hexdigest()))
    indices = sorted({e["index"] for e in listener.all("gossip", kind="column")})
    chunks = listener.ask("columns_by_range", start=1, count=64, columns=indices)
    check(
        [c["sha256"] for c in chunks] == [sha for _, sha in wanted],
        f"{len(chunks)} columns served, {len(wanted)} had come",
    )
    check(
        all(c["context"] == digest_of(slot) for c, (slot, _) in zip(chunks, wanted)),
        "columns with wrong context bytes",
    )
    return len(chunks)


REQ = "/eth2/beacon_chain/req/"
LATE_SLOTS = 8  # so far behind the head sidecars are asked for by range
LAST_WITHOUT_BLOBS = 31  # the corpus has the block of this slot, not its two blobs


def fetch_sidecars(daemon, network, work, clock, chain):
    """The first daemon has asked the holder for the blobs of the blocks before fulu; of one block the holder has none, so nothing
    up to its slot is claimed. A daemon that comes when gossip is over begins behind it, at a checkpoint, with a peer that gives all
    blocks and, by range, a column with a wrong proof: that one pays, and what is missing comes by root from the first daemon, a
    custodian of all columns by its node id. A third, with honest peers only, gets all of them by range."""
    rows = json.loads((CORPUS / "manifest.json").read_text())
    blobs = sum(m["kind"] == "BlobSidecar" for m in rows)
    columns = sum(m["count"] for m in rows if m["kind"] == "DataColumnSidecars")

    def fetched(node):
        return node.metrics()["p2pd_sidecars_fetched_total"]

    until(lambda: daemon.metrics()["p2pd_earliest_available_slot"] == LAST_WITHOUT_BLOBS + 1, 30,
          lambda: f"the daemon claims all from slot {LAST_WITHOUT_BLOBS + 1} on: {daemon.get('/eth/v1/node/syncing')}")
    check(fetched(daemon) >= blobs, f"the daemon has fetched {fetched(daemon):.0f} sidecars, gossip brought no blob")
    trusted = max((b for b in chain if b["slot"] <= LAST_WITHOUT_BLOBS + 2), key=lambda b: b["slot"])
    clock.sleep_until_slot(max(m["slot"] for m in rows if m["kind"] == "DataColumnSidecars") + LATE_SLOTS + 1)

    def begin(name, peer):
        node = Daemon(name, network, work / name, [
            "--disable-discovery", "--libp2p-addresses", peer, "--local-network", "--supernode",
            "--checkpoint-root", trusted["root"], "--test-wall-time", clock.whole_second()])
        until(lambda: node.header(chain[-1]["root"]), 60, f"{name} is at the head")
        return node

    def came(node, way):
        return node.metric("p2pd_response_chunks_received_total", protocol=f"{REQ}data_column_sidecars_by_{way}/1/ssz_snappy")

    def fetches_all(node):
        until(lambda: fetched(node) == columns, 90, lambda: f"{node.name} has fetched {fetched(node):.0f} of {columns} columns")

    liar = JsPeer("liar", work, clock, holds=True, lies=True)
    late = begin("late", liar.addr)
    until(lambda: late.said("answer of no use", peer=liar.peer_id, reason="E_SSZ_PROOF"), 60, "the liar is blamed for its column")
    order(late, "add", daemon.multiaddr)
    fetches_all(late)
    check(came(late, "range") > 0 and came(late, "root") > 0, "after a wrong column by range others are asked for by root")
    liar.stop()
    last = begin("last", late.multiaddr)
    fetches_all(last)
    check((came(last, "range"), came(last, "root")) == (columns, 0), f"by range all {columns}: {came(last, 'range')}, {came(last, 'root')}")
    last.stop()
    return late, blobs, columns


def digest_function():
    info = json.loads((CORPUS / "chain.json").read_text())
    steps = sorted((int(epoch), d["digest"][2:]) for epoch, d in info["fork_digests_by_epoch"].items())
    return steps, lambda slot: [d for epoch, d in steps if epoch <= slot // 8][-1]


def run():
    work, chain = scratch("corpus"), blocks()
    last_slot = chain[-1]["slot"]
    steps, digest_of = digest_function()
    network = network_dir(work / "network")
    clock = Clock(CORPUS, START_SLOT)
    holder = JsPeer("holder", work, clock, holds=True)
    listener = JsPeer("listener", work, clock, holds=False, columns=range(128))

    wall = clock.whole_second()
    started = clock.slot()
    daemon = Daemon(
        "daemon",
        network,
        work / "d",
        [
            "--disable-discovery",
            "--libp2p-addresses",
            holder.addr,
            "--local-network",
            "--subscribe-all-subnets",
            "--supernode",
            "--validation",
            "structural",
            "--test-wall-time",
            wall,
        ],
    )
    until(
        lambda: daemon.peer(holder.peer_id),
        20,
        lambda: f"the daemon connects to the peer it was given; it lists {daemon.peers(None)}",
    )
    listener.command("dial", to=daemon.multiaddr)
    dialled = listener.wait("dialled", 15)
    check(dialled["muxer"] == "/yamux/1.0.0", f"the muxer is {dialled['muxer']}")
    joined = clock.slot()
    say(f"both peers connected in slot {joined}")

    before = [b for b in chain if b["slot"] < joined]
    until(
        lambda: all(daemon.header(b["root"]) for b in before),
        20,
        "the daemon fetches what was before it came",
    )
    compare_answer(listener.ask("blocks_by_range", start=1, count=joined - 1), before, digest_of)

    for epoch, digest in steps:
        clock.sleep_until_slot(epoch * 8 + 1)
        for peer in (holder, listener):
            peer.process.must_run()
        if epoch * 8 > joined:
            topic = f"/eth2/{digest}/beacon_block/ssz_snappy"
            until(
                lambda t=topic: t in holder.all("subscriptions")[-1]["topics"],
                1,
                f"the daemon is subscribed to {topic} at the boundary",
            )
    clock.sleep_until_slot(last_slot + 1)
    compare_with_manifest(daemon, chain)
    counts = compare_gossip(holder, listener, last_slot, joined)

    ways = daemon.blocks_by_way()
    settled = [b["root"] for b in chain if b["slot"] >= joined + SETTLE_SLOTS]
    gossiped = sum(ways.get(root) == "gossip" for root in settled)
    # On a machine that is busy elsewhere one comes after its child, and by root before.
    check(2 * gossiped > len(settled), f"{gossiped} of {len(settled)} blocks came by gossip: {ways}")
    early = [b["slot"] for b in chain if b["slot"] < started and ways.get(b["root"]) != "range"]
    check(not early, f"blocks of slots {early} came not by range")

    # The listener asks for everything: requests of the newest versions, and the whole chain.
    status = listener.ask("status")[0]["data"]
    check(len(status) == 2 * 92 and status[:8] == digest_of(last_slot), f"status/2 is {status}")
    check(status[88:152] == chain[-1]["root"][2:], f"head root in status/2 is {status[88:152]}")
    metadata = listener.ask("metadata")[0]["data"]
    check(len(metadata) == 2 * 25, f"metadata/3 has {len(metadata) // 2} bytes")
    listener.ask("ping")
    compare_answer(listener.ask("blocks_by_range", start=1, count=128), chain, digest_of)
    some = [chain[3], chain[20], chain[-1]]
    answer = listener.ask("blocks_by_root", roots=[b["root"][2:] for b in some])
    check(
        sorted(c["sha256"] for c in answer) == sorted(b["sha256"] for b in some),
        "blocks by root: other blocks",
    )
    columns = serve_columns(listener, digest_of)
    late, blobs, fetched = fetch_sidecars(daemon, network, work, clock, chain)
    said = len(listener.events)
    listener.command("dial", to=late.multiaddr)  # its requests go there from now on
    listener.wait("dialled", 15, said, peer=late.peer_id)
    check(serve_columns(listener, digest_of) == columns, "the late daemon serves other columns")
    check(not [e for p in (holder, listener) for e in p.all("disconnected")], "a peer was disconnected")

    late.stop()
    daemon.stop()
    for peer in (holder, listener):
        peer.wait("goodbye", 5)
        peer.wait("disconnected", 10)
        check(peer.stop() == 0, f"{peer.name} ended badly")
    by = {way: sum(w == way for w in ways.values()) for way in ("gossip", "range")}
    note(
        f"{len(chain)} blocks deneb..fulu: {by['gossip']} by gossip, {by['range']} by range, no root differed; forwarded "
        + ", ".join(f"{n} {kind}s" for kind, n in counts.items())
        + f" under {len(steps)} digests; all {len(chain)} and {columns} columns served to a peer with nothing; "
        + f"{blobs} blobs fetched by root; {fetched} columns fetched by a late daemon past a liar, and by range by another, and served again"
    )


if __name__ == "__main__":
    main(run)
