#!/usr/bin/env python3
"""--validation quorum among real clients: four Lodestars with a quarter of the validators each and the daemon, each in a
namespace and an address group (/16) of its own, all connected with all. The daemon forwards what two groups have.

The chain finalizes. Three more daemons know nobody but ours: blocks reach them by gossip, so what Lodestar makes passes the
quorum. What one of them publishes alone is seen by ours and goes nowhere; when a second one publishes it too, it reaches
the third.
"""

import itertools
import struct
import sys
import time

from harness import netns
from harness.daemon import Daemon
from harness.lodestar import SECONDS_PER_SLOT, SLOTS_PER_EPOCH, Lodestar, before_genesis
from harness.proc import LONG, TOP, check, main, note, patient, say, scratch, until

sys.path.insert(0, str(TOP / "docs/examples/python"))
from p2pd_control import WATCH, Control  # noqa: E402

NODES, EACH = 4, 4
FINAL_EPOCH = 20 if LONG else 1
EXIT_BYTES = 112


def start(work):
    places = [netns.add(f"l{i}", i + 1) for i in range(NODES)]

    def make(genesis):
        return [
            Lodestar(
                work / f"l{i}",
                2,
                genesis,
                NODES * EACH,
                (i * EACH, (i + 1) * EACH - 1),
                ip,
                wrapper,
                discovery=False,
                all_subnets=True,  # else a subnet's only other member may be us: a quorum of one
                name=f"lodestar {i}",
            )
            for i, (ip, wrapper) in enumerate(places)
        ]

    nodes = before_genesis(make, NODES + 1, margin=15)  # in which they are connected with all
    return nodes, nodes[0].network_dir(work / "network", with_state=True)


def all_with_all(nodes, hub):
    """Each Lodestar is connected with every other and with the hub, and knows nobody else. A dial may fail: then again."""

    def missing():
        pairs = [(a, b) for a, b in itertools.combinations(nodes, 2) if b.peer_id not in a.connected()]
        for a, b in pairs:
            a.connect(b)
        return pairs

    until(lambda: not missing(), 90, lambda: f"a full mesh; not connected: {missing()}", every=3)
    everybody = {n.peer_id for n in nodes} | {hub.peer_id}
    for node in nodes:
        seen = until(lambda n=node: hub.peer_id in n.connected() and n.connected(), 30, "Lodestar sees the hub")
        check(seen <= everybody, f"{node.name} knows {seen}")


def daemon(name, group, network, work, peers, flags):
    ip, wrapper = netns.add(name, group)
    boot = [flag for peer in peers for flag in ("--boot-nodes", peer.multiaddr)]
    return Daemon(
        name, network, work / name, [*boot, "--disable-discovery", *flags], wrapper, ip=ip, start_seconds=60
    )


def program(work, name):
    """A program on a daemon's control socket that watches voluntary exits."""
    control = Control(str(work / name / "control.sock"))
    check(control.request("subscribe", mode=WATCH, topic="voluntary_exit")[0] == "ok", "subscribed")
    return control


def exit_of(validator):
    """A voluntary exit that no stateless check can refuse; its signature is none."""
    return struct.pack("<QQ", 0, validator).ljust(EXIT_BYTES, b"\0")


def sees(control, ssz, seconds):
    """The message with this data, if it comes within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for kind, got in control.batch(min(1, max(0, end - time.monotonic()))):
            if kind == "message" and got["data"] == ssz:
                return got
    return None


def alone(hub, programs, nodes):
    """One group's message ends with the hub."""
    alone = exit_of(1)
    check(programs["one"].request("publish", topic="voluntary_exit", data=alone)[0] == "ok", "published")
    got = sees(programs["hub"], alone, patient(10))
    check(got, "the hub got the message of one")
    wanted = "0x" + got["hash"].hex()
    decided = until(
        lambda: hub.said("message decided", id=wanted), 30, "the hub gives the message up after its 12 s"
    )
    check(decided[0]["how"] == "no_quorum", f"the hub decided {decided}")
    for name in ("two", "three"):
        check(not sees(programs[name], alone, 0.2), f"{name} got what one group alone has sent")
    for node in nodes:
        node.likes(hub.peer_id)


def together(programs):
    """Two groups' message goes on. Lodestar punishes us for that one: two that conspire pass a quorum of two."""
    together = exit_of(2)
    for name in ("one", "two"):
        check(
            programs[name].request("publish", topic="voluntary_exit", data=together)[0] == "ok", "published"
        )
    check(sees(programs["three"], together, patient(10)), "three got what two groups have sent")


def quorum():
    netns.enter()
    work = scratch("quorum")
    nodes, network = start(work)
    flags = ["--validation", "quorum", "--quorum", "2", "--subscribe-all-subnets"]
    hub = daemon("hub", 100, network, work, nodes, [*flags, "--log-level", "info,gossip=debug"])
    rims = [
        daemon(name, 101 + i, network, work, [hub], ["--subscribe-all-subnets"])
        for i, name in enumerate(("one", "two", "three"))
    ]
    until(lambda: len(hub.peers()) == NODES + len(rims), 60, lambda: f"the hub's peers: {hub.peers(None)}")
    joined = nodes[0].slot()
    all_with_all(nodes, hub)
    joined = max(joined, nodes[0].slot())
    say(f"connected at slot {joined}")

    first = joined + 4  # meshes stand: their heartbeat is shorter than a slot
    before = max(0, nodes[0].genesis_time - time.time())  # a busy machine has a late genesis
    until(lambda: nodes[0].slot() > first, before + 60, "slots pass")
    programs = {name: program(work, name) for name in ("hub", "one", "two", "three")}
    alone(hub, programs, nodes)
    say("one group's message went nowhere")
    until(
        lambda: min(n.finalized_epoch() for n in nodes) >= FINAL_EPOCH,
        (FINAL_EPOCH + 6) * SLOTS_PER_EPOCH * SECONDS_PER_SLOT,  # a busy machine skips slots
        lambda: f"finalized {[(n.name, n.slot(), n.finalized_epoch()) for n in nodes]}",
        every=1,
    )
    last = min(n.slot() for n in nodes) - 2
    chain = {slot: root for slot, root in nodes[0].chain(last).items() if slot >= first}
    for rim in [hub, *rims]:
        ways = rim.blocks_by_way()
        other = {slot: ways.get(root) for slot, root in chain.items() if ways.get(root) != "gossip"}
        check(len(other) <= len(chain) / 2, f"{rim.name} got {other} not by gossip, of {len(chain)} blocks")
    passed = int(hub.metric("p2pd_gossip_verdicts_total", how="quorum"))
    lone = int(hub.metric("p2pd_gossip_verdicts_total", how="no_quorum"))
    scores = [round(n.likes(hub.peer_id)["gossip"], 1) for n in nodes]
    check(passed > 100, f"{passed} messages reached a quorum, {lone} did not")
    together(programs)
    note(
        f"epoch {nodes[0].finalized_epoch()} final on {NODES} Lodestars; {passed} messages of theirs reached a quorum of 2, "
        f"{lone} did not; {len(chain)} blocks by gossip behind us; one group's message went nowhere, two groups' did; "
        f"gossip scores of us {scores}"
    )
    for rim in rims:
        rim.stop()
    hub.stop()


if __name__ == "__main__":
    main(quorum)
