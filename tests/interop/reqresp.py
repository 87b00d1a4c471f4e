#!/usr/bin/env python3
"""Every req/resp protocol of today and tomorrow with peers on rust-libp2p and js-libp2p, byte for byte and both ways.

The peers hold the corpus chain (deneb -> electra -> fulu, two blob-parameter steps), its columns and blob sidecars, and light-client
objects. The daemon fetches the chain from the peer; then each case is asked twice: of the peer by `beacon-p2pd request`, whose saved
files are compared, and of the daemon by the peer. Framing, snappy and checksums on the far side are not ours.
A second daemon makes a chain in heze: its envelopes go the same two ways.
"""

import re
import struct
import sys

from harness.corpus import CORPUS, network_dir
from harness.daemon import Daemon
from harness.proc import check, main, note, say, scratch, until
from harness.reqresp import Book, Peer, bytes_of, corpus_book, fill_store, u64
from request import BLOCKS, call, write_network

import json

SLOT_SECONDS = 2
MADE = [  # kind in the store, type, slot, index, the book's kind
    ("bootstrap", "LightClientBootstrap", 41, 0, "bootstrap"),
    ("update", "LightClientUpdate", 20, 0, "update"),
    ("update", "LightClientUpdate", 46, 1, "update"),
    ("update", "LightClientFinalityUpdate", 45, 90, "light_client_finality_update"),
    ("update", "LightClientOptimisticUpdate", 46, 91, "light_client_optimistic_update"),
]


def prepare(work, network, book):
    """The daemon's store gets what it cannot fetch from one peer; the book gets what was made."""
    lines = [
        f"put {kind} {o['slot']} {o['root']} {o['index']} {'0' * 64} {o['file']} {o['offset']} {o['size']}"
        for kind in ("blob", "column")
        for o in book.of(kind)
    ]
    lines += [f"make {kind} {name} {slot} {index} {work / f'{name}-{index}.ssz'}" for kind, name, slot, index, _ in MADE]
    roots = fill_store(work / "d", network, lines)
    for (_, name, slot, index, kind), root in zip(MADE, roots):
        file = work / f"{name}-{index}.ssz"
        book.add(kind, slot, root, index, file, 0, file.stat().st_size)


def cases(book):
    """(method, the words of `beacon-p2pd request`, the request's bytes)"""
    blocks, roots = book.of("block"), [b["root"] for b in book.of("block")]
    some = [roots[3], "11" * 32, roots[20], roots[-1]]
    with_columns = sorted({c["root"] for c in book.of("column")})
    columns = b"".join(
        struct.pack("<I", 8 + i * 52) for i in range(2)
    ) + b"".join(bytes.fromhex(r) + struct.pack("<I", 36) + u64(3, 127) for r in with_columns)
    blobs = [(b["root"], b["index"]) for b in book.of("blob")]
    bootstrap = book.of("bootstrap")[0]["root"]
    found = [
        ("beacon_blocks_by_range/2", "start_slot=1 count=64", u64(1, 64, 1)),
        ("beacon_blocks_by_range/2", "start_slot=30 count=4", u64(30, 4, 1)),
        ("beacon_blocks_by_range/2", "start_slot=7 count=1", u64(7, 1, 1)),
        ("beacon_blocks_by_root/2", " ".join("0x" + r for r in some), bytes.fromhex("".join(some))),
        ("beacon_blocks_by_head/1", f"beacon_root=0x{roots[-1]} count=20", bytes.fromhex(roots[-1]) + u64(20)),
        ("beacon_blocks_by_head/1", f"beacon_root=0x{roots[2]} count=100", bytes.fromhex(roots[2]) + u64(100)),
        ("data_column_sidecars_by_range/1", "start_slot=32 count=16 columns=0,5,127",
         u64(32, 16) + struct.pack("<I", 20) + u64(0, 5, 127)),
        ("data_column_sidecars_by_root/1", " ".join(f"0x{r}/3,127" for r in with_columns), columns),
        ("light_client_bootstrap/1", "0x" + bootstrap, bytes.fromhex(bootstrap)),
        ("light_client_updates_by_range/1", "start_period=0 count=5", u64(0, 5)),
        ("light_client_finality_update/1", "", None),
        ("light_client_optimistic_update/1", "", None),
        ("blob_sidecars_by_range/1", "start_slot=1 count=40", u64(1, 40)),
        ("blob_sidecars_by_root/1", " ".join(f"0x{r}/{i}" for r, i in blobs) or f"0x{roots[0]}/0",
         b"".join(bytes.fromhex(r) + u64(i) for r, i in blobs) or bytes.fromhex(roots[0]) + u64(0)),
    ]  # fmt: skip
    check(blocks, "the corpus has blocks")
    return found


def we_ask(peer, network, book, digest, work, case):
    name, words, request = case
    into = work / f"{peer.kind}-{name.replace('/', '-')}-{len(list(work.iterdir()))}"
    start = len(peer.events)
    out, _ = call(0, "request", "--testnet-dir", network, "--digest", digest, "--save", into, peer.addr, name, *words.split())
    wanted = book.answer(name, request or b"")
    asked = peer.wait("asked", 5, start, name=name)
    check(asked["request"] == (request or b""), f"{name} {words}: our request is {asked['request'].hex()}, wanted {(request or b'').hex()}")
    got = [(into / f"{name.split('/')[0]}-{i + 1}.ssz").read_bytes() for i in range(len(wanted))]
    check(len(list(into.iterdir())) == len(wanted), f"{name} {words}: {len(list(into.iterdir()))} files for {len(wanted)} chunks")
    check(got == [bytes_of(o) for o in wanted], f"{name} {words}: other bytes than the peer sent")
    contexts = re.findall(r"digest 0x(\w+)", out)
    check(contexts == [o["context"] for o in wanted], f"{name} {words}: contexts {contexts}")
    return len(wanted)


def they_ask(peer, book, case, unknown=False):
    name, words, request = case
    wanted = book.answer(name, request or b"")
    got = peer.ask(name, request)
    if unknown:  # the daemon has it only from gossip
        check([c[0] for c in got] == [3], f"{peer.kind} asks {name}: {got}")
        return 0
    check([c[0] for c in got] == [0] * len(wanted), f"{peer.kind} asks {name} {words}: codes {[c[0] for c in got]}, {len(wanted)} wanted")
    check([c[2] for c in got] == [bytes_of(o) for o in wanted], f"{peer.kind} asks {name} {words}: other bytes")
    check([c[1] for c in got] == [o["context"] for o in wanted], f"{peer.kind} asks {name} {words}: contexts {[c[1] for c in got]}")
    return len(wanted)


def small_talk(peer, daemon, book, network, digest):
    """status, ping, metadata both ways."""
    out, _ = call(0, "status", "--testnet-dir", network, "--digest", digest, peer.addr)
    check(book.head()["root"] in out and digest in out, f"the peer's status is {out}")
    out, _ = call(0, "metadata", "--testnet-dir", network, "--digest", digest, peer.addr)
    check(re.search(r'"custody_group_count": ?"128"', out), f"the peer's metadata is {out}")
    out, _ = call(0, "request", "--testnet-dir", network, "--digest", digest, peer.addr, "ping", 5)
    check(out.strip() == '"1"', f"the peer's ping is {out}")
    head = bytes.fromhex(daemon.header("head")["root"][2:])
    for version, size in ((1, 84), (2, 92)):
        (code, _, status), = peer.ask(f"status/{version}", book.status(version))
        check(code == 0 and len(status) == size and status[44:76] == head and status[:4].hex() == digest, f"our status is {status.hex()}")
    for version, size in ((2, 17), (3, 25)):
        (code, _, metadata), = peer.ask(f"metadata/{version}", None)
        check(code == 0 and len(metadata) == size, f"our metadata is {metadata.hex()}")
    (code, _, seq), = peer.ask("ping/1", u64(1))
    check(code == 0 and len(seq) == 8, f"our ping is {seq.hex()}")


def with_corpus(kind, work):
    book = corpus_book(work, 0)
    book.slot_now = book.head()["slot"] + 2
    network = network_dir(work / "network")
    prepare(work, network, book)
    genesis = json.loads((CORPUS / "chain.json").read_text())["genesis_time"]
    digest = book.digest(book.slot_now)
    peer = Peer(kind, book)
    daemon = Daemon("daemon", network, work / "d", [
        "--disable-discovery", "--local-network", "--libp2p-addresses", peer.addr,
        "--test-wall-time", genesis + book.slot_now * SLOT_SECONDS,
    ])  # fmt: skip
    until(lambda: daemon.header("0x" + book.head()["root"]), 60, lambda: f"the chain comes from the peer; our head is {daemon.header('head')}")
    small_talk(peer, daemon, book, network, digest)
    ours = theirs = 0
    for case in cases(book):
        ours += we_ask(peer, network, book, digest, work, case)
        theirs += they_ask(peer, book, case, unknown="update/1" in case[0])
    check(not [e for e in peer.events if e["ev"] == "serve_failed"], f"{[e for e in peer.events if e['ev'] == 'serve_failed'][:2]}")
    daemon.stop()
    peer.wait("asked", 5, name="goodbye/1")
    check(peer.stop() == 0, "the peer ended badly")
    say(f"{kind}: {ours} objects asked, {theirs} served")
    return ours, theirs


def with_heze(kind, work):
    """Envelopes of payloads of a chain in heze: what we serve to the peer, the peer serves to us."""
    network = work / "heze"
    write_network(network)
    maker = Daemon("maker", network, work / "maker", ["--disable-discovery", "--local-network", "--devnet-make-blocks"])
    until(lambda: maker.head_slot() >= BLOCKS, 60, f"{BLOCKS} blocks")
    saved = work / "made"
    out, _ = call(0, "request", "--testnet-dir", network, "--save", saved, maker.multiaddr,
                  "execution_payload_envelopes_by_range", "start_slot=1", "count=8")  # fmt: skip
    digest = re.findall(r"digest 0x(\w+)", out)[0]
    book = Book([(0, digest)], 9)
    for slot in range(1, 9):
        root, file = maker.header(slot)["root"][2:], saved / f"execution_payload_envelopes_by_range-{slot}.ssz"
        book.add("envelope", slot, root, 0, file, 0, file.stat().st_size)
        ssz, _ = maker.block_ssz("0x" + root)
        (work / f"block-{slot}.ssz").write_bytes(ssz)
        book.add("block", slot, root, 0, work / f"block-{slot}.ssz", 0, len(ssz))
    fill_store(work / "scratch", network, [f"make envelope SignedInclusionList 5 0 {work / 'list.ssz'}"])
    book.add("list", 5, "", 0, work / "list.ssz", 0, (work / "list.ssz").stat().st_size)
    peer = Peer(kind, book)
    peer.send(cmd="dial", to=maker.multiaddr)
    peer.wait("connected", 20)
    roots = [o["root"] for o in book.of("envelope")]
    some = [roots[6], roots[1]]
    count = 0
    for case in (
        ("execution_payload_envelopes_by_range/1", "start_slot=2 count=5", u64(2, 5)),
        ("execution_payload_envelopes_by_root/1", " ".join("0x" + r for r in some), bytes.fromhex("".join(some))),
        ("beacon_blocks_by_range/2", "start_slot=1 count=8", u64(1, 8, 1)),
    ):
        count += we_ask(peer, network, book, digest, work, case)
        count += they_ask(peer, book, case)
    lists = ("inclusion_lists_by_indices/1", f"slot=5 dependent_root=0x{roots[0]} indices=0xffff", u64(5) + bytes.fromhex(roots[0]) + b"\xff\xff")
    count += we_ask(peer, network, book, digest, work, lists)
    check(peer.ask(lists[0], lists[2]) == [], "inclusion lists that nobody gossiped")
    maker.stop()
    check(peer.stop() == 0, "the peer ended badly")
    return count


def run():
    for kind in [a for a in sys.argv[1:] if not a.startswith("-")] or ["rust", "js"]:
        work = scratch(f"reqresp-{kind}")
        ours, theirs = with_corpus(kind, work)
        heze = with_heze(kind, work)
        note(f"{kind}-libp2p: {ours} objects asked and {theirs} served of the corpus, {heze} of heze's, no byte differed")


if __name__ == "__main__":
    main(run)
