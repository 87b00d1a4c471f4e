#!/usr/bin/env python3
"""Mixed gossip networks over real sockets: our router, rust-libp2p's and js-libp2p's, of every version that they speak.

Every message reaches everyone once, under one id; what we say is seen by the other side's own counters: grafts, prunes and
backoffs, IHAVE and IWANT (lurkers, whose mesh is empty, live by them alone), IDONTWANT, scores. Then signed messages, and peers
that sign where that is forbidden or do not where it is demanded.
"""

import time

from harness.gossip import GossipPeer
from harness.proc import check, main, note, say, until

TOPIC = "/eth2/01020304/beacon_block/ssz_snappy"
SMALL, LARGE = 200, 20_000  # below and above what IDONTWANT is sent for
EACH = 4  # messages of each size by each publisher

# name: kind, flags, and the version it speaks at most
NODES = [
    ("ours-a", "ours", [], 1.3),
    ("rust-a", "rust", [], 1.3),
    ("js-a", "js", [], 1.2),
    ("ours-b", "ours", ["--v12"], 1.2),
    ("js-b", "js", ["--v10"], 1.0),
    ("ours-c", "ours", ["--v11"], 1.1),
    ("rust-b", "rust", ["--v11"], 1.1),
    ("ours-d", "ours", ["--v10"], 1.0),
]
LURKERS = [
    ("lurker-ours", "ours", ["rust-a"]),
    ("lurker-ours-2", "ours", ["js-a"]),
    ("lurker-rust", "rust", ["ours-a", "ours-b"]),
    ("lurker-js", "js", ["ours-a", "ours-b"]),
]
PROTOCOLS = {  # what the kinds call the versions
    "ours": {1.3: "1.3", 1.2: "1.2", 1.1: "1.1", 1.0: "1.0", 0: "floodsub"},
    "rust": {
        1.3: "Gossipsub v1.3",
        1.2: "Gossipsub v1.2",
        1.1: "Gossipsub v1.1",
        1.0: "Gossipsub v1.0",
        0: "Floodsub",
    },
    "js": {1.2: "/meshsub/1.2.0", 1.1: "/meshsub/1.1.0", 1.0: "/meshsub/1.0.0"},
}


class Network:
    def __init__(self, topic):
        self.peers, self.links, self.topic, self.published = {}, [], topic, []

    def add(self, name, kind, *flags):
        self.peers[name] = GossipPeer(kind, name, *flags)

    def link(self, a, b):
        self.peers[a].dial(self.peers[b])
        self.links.append((a, b))

    def join(self):
        for peer in self.peers.values():
            peer.join(self.topic)
        for a, b in self.links:
            for one, other in ((self.peers[a], self.peers[b]), (self.peers[b], self.peers[a])):
                one.wait("subscribed", 20, peer=other.id, topic=self.topic)

    def publish(self, name, size, count=EACH):
        first = len(self.published)
        self.published += [(name, size)] * count
        self.peers[name].publish(self.topic, first, count, size)

    def missing(self):
        """(peer, number) of what has not arrived."""
        return [
            (name, n)
            for name, peer in self.peers.items()
            for n, (author, _) in enumerate(self.published)
            if author != name and (self.topic, n) not in peer.messages
        ]

    def everything_once(self, seconds=30):
        until(
            lambda: not self.missing(),
            seconds,
            lambda: f"missing {self.missing()[:10]} of {len(self.published)} messages",
        )
        ids = {}
        for name, peer in self.peers.items():
            for key, count in peer.messages.items():
                check(count == 1, f"{name} was given message {key} {count} times")
                ids.setdefault(key, set()).add(peer.ids[key])
        check(all(len(v) == 1 for v in ids.values()), f"ids differ: {[v for v in ids.values() if len(v) != 1][:3]}")
        failed = {n: [e for e in p.events if e["ev"].endswith("failed")] for n, p in self.peers.items()}
        check(not any(failed.values()), f"failures: {failed}")

    def stop(self):
        for peer in self.peers.values():
            peer.stop()


def versions(net):
    """Each pair speaks the newest version that both have, and both say so."""
    highest = {name: version for name, _, _, version in NODES}
    for a, b in net.links:
        wanted = min(highest.get(a, 1.2), highest.get(b, 1.2))
        if a not in highest or b not in highest:
            continue
        for one, other in ((a, b), (b, a)):
            peer = net.peers[one]
            row = peer.row(net.peers[other])
            check(
                row and row["protocol"] == PROTOCOLS[peer.kind][wanted],
                f"{one} speaks {row} with {other}, wanted {wanted}",
            )


def in_meshes(one, other):
    """Each has the other in its mesh."""
    rows = one.row(other), other.row(one)
    return all(r and r["mesh"] == 1 for r in rows)


def meshed(net, a, b):
    return in_meshes(net.peers[a], net.peers[b])


def build():
    net = Network(TOPIC)
    for name, kind, flags, _ in NODES:
        net.add(name, kind, *flags)
    names = [n[0] for n in NODES]
    for i, name in enumerate(names):  # a ring with chords: nobody knows everybody
        net.link(name, names[(i + 1) % len(names)])
        net.link(name, names[(i + 3) % len(names)])
    # Lurkers refuse every graft. They are dialled, for an outbound peer would be taken into a full mesh.
    for name, kind, servers in LURKERS:
        net.add(name, kind, "--lurk")
        for server in servers:
            net.link(server, name)
    net.add("flood-rust", "rust", "--floodsub")
    net.link("flood-rust", "ours-a")
    net.join()
    return net


def settle(net):
    ring = [(a, b) for a, b in net.links if not (a + b).count("lurker") and not (a + b).count("flood")]
    until(
        lambda: all(meshed(net, a, b) for a, b in ring),
        30,
        lambda: f"not in each other's mesh: {[(a, b) for a, b in ring if not meshed(net, a, b)]}",
        every=1,
    )


def gossip_counters(net):
    """What the lurkers have came by IWANT, both ways; IDONTWANT was heard; nobody was punished."""
    n = len(net.published)
    peers = net.peers
    for name in ("lurker-ours", "lurker-ours-2"):
        ours = peers[name].stats()
        check(ours["in"]["ihave"] > 0 and ours["out"]["iwant"] > 0, f"{name} asked nobody: {ours}")
        check(ours["counters"]["grafted"] == 0, f"{name} is in a mesh")
    asked = peers["lurker-rust"].count("topic_iwant_msgs")
    check(asked > 0, "rust's lurker has asked us for nothing")
    check(peers["lurker-js"].count("rpc_sent_iwant") > 0, "js' lurker has asked us for nothing")
    for name, words in (("rust-a", ("churn_events", "Prune")), ("js-a", ("churn_events_prune",))):
        check(peers[name].count(*words) > 0, f"{name} has not counted the PRUNE by which our lurker refused its GRAFT")
    served = sum(peers[p].stats()["out"]["service"] for p in ("ours-a", "ours-b"))
    check(served > 0, "we have served nothing on IWANT")
    check(peers["js-a"].count("iwant_rcv_msgids") > 0, "js has not seen our lurker's IWANT")
    called_off = {p: peers[p].count("idontwant_msgs_ids") for p in ("rust-a",)}
    called_off["js-a"] = peers["js-a"].count("idontwant_rcv_msgids")
    check(all(called_off.values()), f"IDONTWANT ids that they count: {called_off}")
    heard = peers["ours-a"].stats()["in"]["idontwant"]
    check(heard > 0, "we have heard no IDONTWANT")
    note(
        f"{len(peers)} nodes (ours 1.0 to 1.3, rust-libp2p, js-libp2p, four lurkers, a floodsub peer): {n} messages reached everyone once; "
        f"IWANT: rust asked {asked:g} times, we served {served} bytes; IDONTWANT ids they counted {called_off}"
    )


def scores(net):
    """Nobody punishes us, and we nobody; who delivers is liked. (What the others think of each other is their business.)"""
    for a, b in net.links:
        for one, other in ((a, b), (b, a)):
            if "ours" not in (net.peers[one].kind, net.peers[other].kind):
                continue
            row = net.peers[one].row(net.peers[other])
            gone = [e for e in net.peers[one].events if e["ev"] == "disconnected"]
            check(row and row["score"] >= 0, f"{one} has of {other} {row}; it lost {gone}")
    liked = {n: net.peers[n].row(net.peers["ours-a"])["score"] for n in ("rust-a", "ours-b", "ours-d")}
    check(all(v > 0 for v in liked.values()), f"scores of ours-a: {liked}")
    note(f"scores of one of ours, by its neighbours: {liked}; nobody's score of us is negative")


def leave_and_return(net):
    """One of each kind leaves and comes back at once: pruned with a backoff that both sides keep, then in the mesh again."""
    leavers = [("ours-a", "rust-a"), ("rust-b", "ours-c"), ("js-a", "ours-b")]
    rust = net.peers["rust-a"]
    before = rust.count("churn_events")  # "Unsub" or "Prune": both come in one RPC
    ours_pruned = {name: net.peers[name].stats()["counters"]["pruned"] for name in ("ours-b", "ours-c")}
    for name, _ in leavers:
        net.peers[name].leave(net.topic)
    left = time.monotonic()
    until(lambda: rust.count("churn_events") > before, 10, "rust counts that we left its mesh")
    for name, other in (("js-a", "ours-b"), ("rust-b", "ours-c")):
        until(
            lambda other=other: net.peers[other].stats()["counters"]["pruned"] > ours_pruned[other],
            10,
            f"{other} counts the PRUNE of {name}",
        )
    for name, _ in leavers:
        net.peers[name].join(net.topic)
    net.publish("ours-b", LARGE)
    until(
        lambda: all(meshed(net, a, b) for a, b in leavers),
        60,
        lambda: f"meshed again: {[(a, b, meshed(net, a, b)) for a, b in leavers]}",
        every=1,
    )
    took = time.monotonic() - left
    check(took >= 9, f"grafted {took:.1f} s after the PRUNE, inside the backoff of 10 s")
    for one, other in leavers:  # a GRAFT in a backoff would cost ten
        for row in (net.peers[one].row(net.peers[other]), net.peers[other].row(net.peers[one])):
            check(row["score"] >= 0, f"{one}, {other}: somebody was punished: {row}")
    net.everything_once()
    note(f"one of each left and came back: in the meshes again after {took:.0f} s, no graft inside the backoff of 10 s")


def one_network():
    net = build()
    settle(net)
    say("meshes stand")
    versions(net)
    for name in ("ours-a", "rust-a", "js-a", "ours-d"):
        net.publish(name, LARGE)
        net.publish(name, SMALL)
    net.everything_once()
    gossip_counters(net)
    leave_and_return(net)
    net.publish("js-b", SMALL)
    net.publish("rust-b", LARGE)
    net.publish("flood-rust", SMALL)
    net.everything_once()
    scores(net)
    net.stop()


def signed():
    net = Network("signed")
    for kind in ("rust", "ours", "js"):
        net.add(f"{kind}-signed", kind, "--signed")
    net.link("rust-signed", "ours-signed")
    net.link("js-signed", "ours-signed")
    net.join()
    until(
        lambda: meshed(net, "rust-signed", "ours-signed") and meshed(net, "js-signed", "ours-signed"),
        20,
        "the signed mesh stands",
    )
    for name in list(net.peers):
        net.publish(name, SMALL)
    net.everything_once()
    note(f"{len(net.published)} signed messages, each author's verified by the two others, through ours")
    # Who signs where it is forbidden, or does not where it is demanded, is punished by P4.
    strict, signing = GossipPeer("ours", "ours-strict"), GossipPeer("ours", "ours-signing", "--signed")
    rust = GossipPeer("rust", "rust-anonymous")
    net.peers["rust-signed"].dial(strict)
    signing.dial(rust)
    for peer in (strict, signing, rust):
        peer.join("signed")
    until(lambda: in_meshes(strict, net.peers["rust-signed"]), 20, "a mesh of ours and rust's")
    until(lambda: in_meshes(rust, signing), 20, "a mesh of rust's and ours")
    net.peers["rust-signed"].publish("signed", 100, 3, SMALL)
    signing.publish("signed", 200, 3, SMALL)
    until(lambda: strict.row(net.peers["rust-signed"])["score"] < 0, 20, "our score of who signs is negative")
    until(lambda: rust.row(signing)["score"] < 0, 20, "rust's score of us, who sign, is negative")
    check(not strict.messages and not rust.messages, "a message with a forbidden signature was taken")
    for peer in (strict, signing, rust):
        peer.stop()
    net.stop()


def partial():
    """1.3: partial messages are agreed on with who has them, both ways; who has not offered them gets none, and punishes nobody."""
    ours, rust = GossipPeer("ours", "ours-partial", "--partial"), GossipPeer("rust", "rust-partial", "--partial")
    plain = GossipPeer("ours", "ours-plain")
    rust.dial(ours)
    rust.dial(plain)
    for peer in (ours, rust, plain):
        peer.join(TOPIC)
    until(lambda: in_meshes(ours, rust) and in_meshes(plain, rust), 20, "a mesh with partial messages")
    rust.say(f"parts {TOPIC} one 3")  # it has parts 0 and 1: told by their bits, and sent
    got = ours.wait("partial", 10, group="one")
    check(got["parts"] == "03", f"rust's parts as we read them: {got}")
    ours.say(f"parts {TOPIC} one 0 -")  # we have none of it
    ours.wait("partial", 10, group="one", message="0001")
    ours.say(f"parts {TOPIC} two 4 02")
    got = rust.wait("partial", 10, group="two")
    check(got["parts"] == "04" and got["message"] == "02", f"our part as rust reads it: {got}")
    # A whole message goes to who has asked for no parts, and to nobody else.
    rust.publish(TOPIC, 1, 1, SMALL)
    until(lambda: (TOPIC, 1) in plain.messages, 10, "the whole message at the plain peer")
    check(not [e for e in plain.events if e["ev"] == "partial"], "parts went to a peer that has not asked for any")
    for one, other in ((ours, rust), (rust, ours), (plain, rust), (rust, plain)):
        check(one.row(other)["score"] >= 0, f"{one.name}'s score of {other.name}: {one.row(other)}")
    note("partial messages with rust-libp2p over 1.3: parts and their bits both ways; a peer without the extension got none")
    for peer in (ours, rust, plain):
        peer.stop()


def everything():
    one_network()
    signed()
    partial()


if __name__ == "__main__":
    main(everything)
