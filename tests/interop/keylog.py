#!/usr/bin/env python3
"""--keylog and the dissector: what passes between two nodes is recorded, and tshark reads identities, muxers, streams, gossip and
requests from it with the key log; without it, nothing but sealed records. Both muxers, negotiated early and not."""

import json
import subprocess
import time

from harness.capture import DatagramRelay, Relay
from harness.daemon import PROGRAM, Daemon
from harness.proc import TOP, Process, check, main, note, patient, scratch, until

import forks  # the network of a chain maker

SCRIPTS = TOP / "docs" / "wireshark"
NET_PEER = TOP / "build" / "dev" / "tests" / "net" / "net_peer"
SEGMENTS = 40  # of the capture, at least


def dissect(pcap, keylog, fields, script="libp2p"):
    """All values of each field, in order."""
    argv = ["tshark", "-n", "-X", f"lua_script:{SCRIPTS / script}.lua", "-o", f"{script}.keylog:{keylog}", "-r", pcap, "-T", "fields",
            "-E", "separator=\x01", "-E", "aggregator=\x02"]
    for field in fields:
        argv += ["-e", field]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=patient(120), check=False)
    check(done.returncode == 0 and "Lua" not in done.stderr, f"tshark: {done.stderr}")
    values = {field: [] for field in fields}
    for line in done.stdout.splitlines():
        for field, text in zip(fields, line.split("\x01")):
            values[field] += [v for v in text.split("\x02") if v]
    return values


def has(seen, field, *wanted):
    for text in wanted:
        check(any(text in v for v in seen[field]), f"{field}: no {text!r} among {sorted(set(seen[field]))[:20]}")


FIELDS = ["libp2p.step", "libp2p.multistream", "libp2p.noise.peer", "libp2p.noise.muxers", "libp2p.mux", "libp2p.protocol",
          "libp2p.identify.agent", "libp2p.gossipsub.topic", "libp2p.gossipsub.control", "libp2p.reqresp.method", "libp2p.reqresp",
          "libp2p.note"]


def two_nodes(base):
    """A chain maker and a follower, whose connection goes through the relay: gossip and requests over yamux."""
    network = base / "network"
    forks.write_network(network)
    datagrams = DatagramRelay()
    maker = Daemon("maker", network, base / "maker", ["--local-network", "--devnet-make-blocks", "--keylog", base / "maker.keys",
                                                      "--enr-udp-port", datagrams.port])
    datagrams.start(maker.port)
    relay = Relay(maker.port)
    through = maker.multiaddr.replace(f"/tcp/{maker.port}/", f"/tcp/{relay.port}/")
    (base / "keys").touch(mode=0o644)  # one that was there before is for its owner alone as well
    follower = Daemon("follower", network, base / "follower",
                      ["--local-network", "--disable-discovery", "--libp2p-addresses", through, "--keylog", base / "keys"])
    found = Daemon("found", network, base / "found", ["--local-network", "--boot-nodes", maker.enr, "--keylog", base / "found.keys"])
    until(lambda: follower.head_slot() >= 3, 60, "the follower hears of blocks")
    until(lambda: len(relay.passed) >= SEGMENTS, 30, "enough has passed")
    lines = lambda name: {x for x in (base / name).read_text().splitlines() if x.startswith("DISCV5 ")}
    until(lambda: lines("maker.keys") & lines("found.keys"), 30, "both ends of a discv5 session have logged its keys")
    until(lambda: MESSAGES <= read_discv5(base, datagrams, "found.keys")[0], 60, "discv5 has pinged and looked up")
    found.stop()
    discv5(base, datagrams)
    asked = subprocess.run([PROGRAM, "ping", "--count", "1", "--keylog", base / "ping.keys", maker.multiaddr], check=False, timeout=patient(60))
    check(asked.returncode == 0 and "LIBP2P_NOISE" in (base / "ping.keys").read_text(), "ping --keylog wrote no keys")
    ids = {maker.peer_id, follower.peer_id}
    follower.stop()
    maker.stop()
    check((base / "keys").stat().st_mode & 0o777 == 0o600, "others may read the key log")
    relay.write_pcap(base / "nodes.pcap")

    seen = dissect(base / "nodes.pcap", base / "keys", FIELDS)
    has(seen, "libp2p.multistream", "/multistream/1.0.0", "/noise", "/ipfs/id/1.0.0", "/meshsub/")
    has(seen, "libp2p.step", "Noise message 1", "Noise message 2", "Noise message 3")
    check(set(seen["libp2p.noise.peer"]) == ids, f"identities: {seen['libp2p.noise.peer']}, wanted {ids}")
    has(seen, "libp2p.noise.muxers", "/yamux/1.0.0 /mplex/6.7.0")
    has(seen, "libp2p.mux", "yamux window SYN on 1", "yamux data", "ACK", "FIN")
    check(len([a for a in seen["libp2p.identify.agent"] if a.startswith("beacon-p2pd")]) >= 2, f"{seen['libp2p.identify.agent']}")
    has(seen, "libp2p.gossipsub.control", "SUBSCRIBE", "GRAFT", "MESSAGE")
    has(seen, "libp2p.gossipsub.topic", "/beacon_block/ssz_snappy")
    has(seen, "libp2p.reqresp.method", "status/")
    has(seen, "libp2p.reqresp", "request status/", "answer status/")
    has(seen, "libp2p.reqresp", "success")
    check(not any("sealed" in s for s in seen["libp2p.step"]), "records stayed sealed")
    note(f"two nodes: {len(seen['libp2p.mux'])} frames, {len(seen['libp2p.gossipsub.control'])} gossip items, "
         f"{len(seen['libp2p.reqresp'])} requests and answers read from {(base / 'nodes.pcap').stat().st_size} bytes")

    (base / "none").write_text("")
    blind = dissect(base / "nodes.pcap", base / "none", FIELDS)
    check(any("sealed" in s for s in blind["libp2p.step"]) and "no line for it in the key log" in blind["libp2p.note"], f"{blind}")
    check(not blind["libp2p.mux"] and not blind["libp2p.noise.peer"], "something was read without keys")


DISCV5 = [f"discv5.{field}" for field in ("packet", "src", "dst", "message", "detail", "note")]
MESSAGES = {"PING", "PONG", "FINDNODE", "NODES"}


def read_discv5(base, relay, keys):
    """The kinds of messages, all fields, and how many packets there were."""
    n = relay.write_pcap(base / "discv5.pcap")
    seen = dissect(base / "discv5.pcap", base / keys, DISCV5, "discv5")
    return set(seen["discv5.message"]), seen, n


def discv5(base, relay):
    """What passed between two nodes of discv5, with the keys of either."""
    for keys in ("found.keys", "maker.keys"):
        kinds, seen, n = read_discv5(base, relay, keys)
        check(MESSAGES <= kinds, f"messages of {kinds} only")
        has(seen, "discv5.packet", "message", "WHOAREYOU", "handshake")
        has(seen, "discv5.detail", "record ", "seen at 127.0.0.1 port ", "distances ", " records, one of 1 answers")
        check(len(seen["discv5.packet"]) == n, f"{len(seen['discv5.packet'])} of {n} packets were told")
        check(len(set(seen["discv5.dst"])) == 2 and set(seen["discv5.src"]) == set(seen["discv5.dst"]), f"{set(seen['discv5.src'])}")
        # What asks for a handshake is random on purpose.
        check(len(seen["discv5.message"]) > len(seen["discv5.note"]), f"{len(seen['discv5.note'])} packets stayed sealed")
    (base / "none").write_text("")
    check(not read_discv5(base, relay, "none")[1]["discv5.packet"], "something was read without keys")
    note(f"discv5: {len(seen['discv5.packet'])} packets, {len(seen['discv5.message'])} messages read")


class Peer:
    """tests/net/peer.c."""

    def __init__(self, name, *flags):
        self.events = []
        self.process = Process(name, [NET_PEER, *flags], on_line=lambda line: self.events.append(json.loads(line)))

    def wait(self, ev):
        return until(lambda: next((e for e in self.events if e["ev"] == ev), None), 30, f"{ev} of {self.process.name}")


def two_peers(base, muxer):
    """Requests and echoes over a muxer that is negotiated inside the channel."""
    keys, pcap = base / f"{muxer}.keys", base / f"{muxer}.pcap"
    a, b = Peer(f"{muxer}-a", "--muxers", muxer, "--noearly", "--keylog", keys), Peer(f"{muxer}-b", "--muxers", muxer, "--noearly")
    relay = Relay(b.wait("up")["port"])
    a.wait("up")
    for line, event in ((f"connect 127.0.0.1 {relay.port}", "connected"), ("req status/2 " + "11" * 92, "resp"), ("echo 100000 3", "echo")):
        a.process.send(line)
        a.wait(event)
    for peer in (a, b):
        peer.process.stopping = True
        peer.process.send("quit")
        check(peer.process.child.wait(patient(20)) == 0, f"{peer.process.name} ended badly: {peer.process.lines[-5:]}")
    relay.write_pcap(pcap)
    seen = dissect(pcap, keys, FIELDS)
    has(seen, "libp2p.multistream", "/yamux/1.0.0" if muxer == "yamux" else "/mplex/6.7.0", "/p2pd/echo/1")
    has(seen, "libp2p.mux", "yamux data on" if muxer == "yamux" else "mplex message on")
    has(seen, "libp2p.reqresp", "request status/2: 92 bytes of SSZ", "answer status/2: success, 92 bytes of SSZ")
    echoed = sum(int(n.split()[0]) for n in seen["libp2p.note"] if n.endswith(" bytes"))
    check(echoed == 600_000, f"{echoed} bytes of the echoes were seen, both ways: wanted 600000")


def run():
    base = scratch("keylog")
    begin = time.monotonic()
    two_nodes(base)
    for muxer in ("yamux", "mplex"):
        two_peers(base, muxer)
    note(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main(run)
