#!/usr/bin/env python3
"""A daemon behind a NAT, in namespaces: the address in its record is right in the end, whoever tells it.

    lan 192.168.1.2, .3 -- 192.168.1.1 router (nftables masquerade) 5.5.5.1 -- 5.5.5.254 internet (20.0.x.1)

By the votes of peers, by the router's UPnP, NAT-PMP and PCP (miniupnpd), by --nat extip. With a port of the router,
strangers get in from outside, by TCP and UDP; at the end the router has it back.
"""

import json
import re

from harness.corpus import network_dir
from harness.daemon import PROGRAM
from harness.netns import Namespace, cable, enter
from harness.proc import check, main, note, scratch, until

HOME, NEIGHBOUR, PUBLIC, PORT = "192.168.1.2", "192.168.1.3", "5.5.5.1", 9000
VOTERS = 12  # each in a /24 of its own: the daemon wants ten
ASKED_THRICE = 240  # seconds: a router that is silent for seconds is asked again after 60, and 120 more

ROUTER_RULES = """
table inet filter {
    chain miniupnpd {
    }
    chain prerouting_miniupnpd {
    }
    chain postrouting_miniupnpd {
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "inside" accept
        jump miniupnpd
    }
    chain prerouting {
        type nat hook prerouting priority -100; policy accept;
        jump prerouting_miniupnpd
    }
    chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        jump postrouting_miniupnpd
        oifname "outside" masquerade
    }
}
"""
ROUTER_CONF = """
ext_ifname=outside
listening_ip=inside
port=0
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
system_uptime=yes
notify_interval=30
uuid=3d7f707b-fd2a-47ce-bbc5-c4de27cf50e7
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 192.168.1.0/24 1024-65535
"""


class World:
    def __init__(self, work):
        self.lan, self.next_door, self.router, self.internet = map(Namespace, ("lan", "next door", "router", "internet"))
        self.router.run("ip", "link", "add", "inside", "type", "bridge")
        self.router.run("ip", "link", "set", "inside", "up")
        self.router.address("inside", "192.168.1.1/24")
        for host, address, port in ((self.lan, HOME, "port1"), (self.next_door, NEIGHBOUR, "port2")):
            cable(host, "home", f"{address}/24", self.router, port, None)
            self.router.run("ip", "link", "set", port, "master", "inside")
            host.route("default", "192.168.1.1")
        cable(self.router, "outside", f"{PUBLIC}/24", self.internet, "wan", "5.5.5.254/24")
        self.router.route("default", "5.5.5.254")
        self.router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        self.router.run("nft", "-f", "-", stdin=ROUTER_RULES)
        (work / "miniupnpd.conf").write_text(ROUTER_CONF)
        self.work, self.voters = work, []
        for i in range(VOTERS):
            address = f"20.0.{i}.1"
            self.internet.address("lo", f"{address}/32")
            boot = ["--boot-nodes", self.voters[0]] if self.voters else []
            node = self.internet.start(f"voter {i}", PROGRAM, "bootnode", "--listen", f"{address}:9000", "--ip", address, *boot)
            self.voters.append(node.wait_line("^enr:", 30).string)

    def start_router(self):
        argv = ["miniupnpd", "-d", "-f", self.work / "miniupnpd.conf", "-P", self.work / "miniupnpd.pid"]
        router = self.router.start("miniupnpd", *argv)
        router.wait_line("HTTP listening on port", 30)
        return router

    def forwarded(self):
        """The router's mappings to the host: {(protocol, external port, port)}."""
        rules = self.router.run("nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd")
        names = {"0x11": "udp", "0x6": "tcp"}  # nft shows these rules as bytes
        found = re.findall(r"(0x11|0x6) th dport (\d+) dnat ip to " + HOME + r":(\d+)", rules)
        return {(names[what], int(port), int(to)) for what, port, to in found}


class Behind:
    """The daemon in the LAN, known by its log only: nobody else gets at its HTTP."""

    def __init__(self, world, name, *flags, host=None):
        self.events, self.world = [], world
        argv = [PROGRAM, "run", "--testnet-dir", world.work / "network", "--datadir", world.work / name, "--port", PORT]
        argv += ["--disable-http", "--log-format", "json", "--boot-nodes", ",".join(world.voters), *flags]
        self.process = (host or world.lan).start(name, *argv, on_line=self._on_line)
        self.process.wait_line('"listening"', 30)
        self.peer_id = next(e["peer_id"] for e in self.events if "peer_id" in e)

    def _on_line(self, line):
        if line.startswith("{"):
            self.events.append(json.loads(line))

    def record(self):
        enr = next(e["enr"] for e in reversed(self.events) if "enr" in e)
        lines = self.world.lan.run(PROGRAM, "enr", "view", "--json", enr)
        return enr, json.loads(lines)

    def advertises(self, address, seconds=120):
        """Wait for that address in the record; (TCP port, UDP port)."""
        def says(kind):
            return self.record()[1].get(f"{kind}_address", ":").rsplit(":", 1)

        until(lambda: says("udp")[0] == address, seconds, lambda: f"the record says {says('udp')}, wanted {address}")
        check(says("tcp")[0] == address, f"TCP is at {says('tcp')}")
        return int(says("tcp")[1]), int(says("udp")[1])

    def lets_strangers_in(self, tcp):
        """TCP and UDP from outside, by the record."""
        said = self.world.internet.run(PROGRAM, "connect", f"/ip4/{PUBLIC}/tcp/{tcp}/p2p/{self.peer_id}")
        check(self.peer_id in said and "agent" in said, said)
        enr, _ = self.record()
        crawl = ["crawl", "--boot-nodes", enr, "--seconds", "15", "--rate", "200", "--listen", "20.0.0.1:0"]
        until(lambda: enr in self.world.internet.run(PROGRAM, *crawl), 60, "nobody from outside gets an answer by UDP")

    def stop(self):
        check(self.process.stop() == 0, "SIGINT is no clean stop")


def by_votes(world):
    daemon = Behind(world, "votes")
    tcp, udp = daemon.advertises(PUBLIC)
    check((tcp, udp) == (PORT, PORT), f"ports {tcp} and {udp}")
    daemon.stop()
    note(f"behind a masquerade, {VOTERS} peers say {PUBLIC}: so does the record")


def by_router(world, way, taken=False):
    """`taken`: the host next door has our port of the router already."""
    router = world.start_router()
    neighbour = None
    if taken:
        neighbour = Behind(world, "neighbour", "--nat", way, host=world.next_door)
        neighbour.process.wait_line("the router forwards to us", ASKED_THRICE)
    daemon = Behind(world, f"{way}-{taken}", "--nat", way)
    daemon.process.wait_line("the router forwards to us", ASKED_THRICE)
    tcp, udp = daemon.advertises(PUBLIC)
    check((tcp != PORT and udp != PORT) == taken, f"the record has {tcp}, {udp}")
    quic = int(daemon.record()[1]["key.quic"], 16)
    wanted = {("tcp", tcp, PORT), ("udp", udp, PORT), ("udp", quic, PORT + 1)}
    check(world.forwarded() == wanted, f"the record has {wanted}, the router {world.forwarded()}")
    daemon.lets_strangers_in(tcp)
    granted = next(e for e in daemon.events if e["msg"] == "the router forwards to us")
    check(way in ("any", granted["by"]), f"--nat {way}: {granted}")
    daemon.stop()
    until(lambda: not world.forwarded(), 20, lambda: f"the router still forwards: {world.forwarded()}")
    if neighbour:
        neighbour.stop()
    router.stop()
    note(f"--nat {way}: by {granted['by']}, TCP {tcp}, UDP {udp}, QUIC {quic}; strangers get in; given back at the end")


def by_flags(world):
    daemon = Behind(world, "extip", "--nat", f"extip:{PUBLIC}")
    daemon.advertises(PUBLIC, 5)
    daemon.stop()
    none = Behind(world, "none", "--nat", "any")
    none.process.wait_line("the router gives us no port", 120)
    none.advertises(PUBLIC)  # by the votes, then
    none.stop()
    note("--nat extip; --nat any without such a router falls back to the votes")


def run():
    enter()
    work = scratch("nat")
    network_dir(work / "network")
    world = World(work)
    by_votes(world)
    by_router(world, "upnp")
    by_router(world, "pmp")
    by_router(world, "pcp")
    by_router(world, "any", taken=True)
    by_router(world, "upnp", taken=True)
    by_flags(world)


if __name__ == "__main__":
    main(run)
