#!/usr/bin/env python3
"""Peers by name: dns4, dns6, dns and dnsaddr in `connect`, --boot-nodes and --libp2p-addresses, against a name server of ours."""

import subprocess

from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.dns import DnsServer
from harness.proc import check, main, note, patient, scratch, until

OTHER = "16Uiu2HAm2dURtGp7heu8bvWP2oKJEgHTsabTPtzGa2sVT9h9JEUJ"


def connect(code, server, peer):
    argv = [PROGRAM, "connect", "--dns-server", server.address, peer]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=patient(120), stdin=subprocess.DEVNULL, check=False)
    check(done.returncode == code, f"{peer}: exit code {done.returncode}, wanted {code}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def tree(met):
    """Every shape of dnsaddr that a server can hold, with one daemon behind it."""
    here, other = f"dnsaddr={met.multiaddr}", f"dnsaddr=/ip4/127.0.0.1/tcp/9/p2p/{OTHER}"
    padding = [f"dnsaddr=/ip4/127.0.0.1/udp/{i}/quic-v1/p2p/{OTHER}" for i in range(20)]  # over 512 bytes: by TCP
    return {
        "four.test": {"A": ["127.0.0.1"]},
        "six.test": {"AAAA": ["::1"]},
        "both.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
        "_dnsaddr.one.test": {"TXT": ["v=spf1 -all", "dnsaddr=", "dnsaddr=/ip4/nonsense", other, here]},
        "_dnsaddr.up.test": {"TXT": [f"dnsaddr=/dnsaddr/one.test/p2p/{met.peer_id}"]},
        "_dnsaddr.name.test": {"TXT": [f"dnsaddr=/dns4/four.test/tcp/{met.port}/p2p/{met.peer_id}"]},
        "_dnsaddr.large.test": {"TXT": [*padding, here]},
        "_dnsaddr.loop.test": {"TXT": ["dnsaddr=/dnsaddr/loop.test", "dnsaddr=/dnsaddr/loop.test"]},
        "_dnsaddr.other.test": {"TXT": [other]},
    }


def run():
    work = scratch("names")
    met = Daemon("met", network_dir(work / "network"), work / "met", ["--disable-discovery"])
    peer, port = met.peer_id, met.port
    server = DnsServer(tree(met), silent={"silent.test"}, broken={"broken.test"})

    for good in (
        f"/dns4/four.test/tcp/{port}/p2p/{peer}",
        f"/dns/four.test/tcp/{port}",
        f"/dns/both.test/tcp/{port}/p2p/{peer}",  # nobody listens on ::1: the other address is raced
        f"/dnsaddr/one.test/p2p/{peer}",
        f"/dnsaddr/up.test/p2p/{peer}",
        f"/dnsaddr/name.test/p2p/{peer}",
        f"/dnsaddr/large.test/p2p/{peer}",
    ):
        check(f"p2p/{peer}" in good or "/dns/" in good, good)
        check(peer in connect(0, server, good), good)
    check(("_dnsaddr.large.test", "TXT", "tcp") in server.asked, "a long answer was not asked for by TCP")

    for bad, why in (
        (f"/dns6/four.test/tcp/{port}", "four.test"),
        (f"/dns4/nowhere.test/tcp/{port}", "nowhere.test"),
        (f"/dns4/silent.test/tcp/{port}", "silent.test: Timeout"),
        ("/dnsaddr/loop.test", "no address"),
        (f"/dnsaddr/other.test/p2p/{peer}", "no address"),
        (f"/dns6/six.test/tcp/{port}", "E_DIAL"),
    ):
        said = connect(1, server, bad)
        check(why in said and len(said.splitlines()) == 1, f"{bad}: {said}")
    check(server.count("_dnsaddr.loop.test") <= 32, "a dnsaddr that names itself is asked for without end")
    connect(1, server, f"/dns4/broken.test/tcp/{port}")
    note("connect: dns4, dns6, dns, dnsaddr of two levels, by TCP; loops, silence and nonsense end with a reason")

    # The daemon: a name that is not there yet is tried again, and a name that moves is followed.
    boot = f"/dnsaddr/one.test/p2p/{peer}"
    late = f"/dns4/late.test/tcp/{port}/p2p/{peer}"
    flags = ["--disable-discovery", "--dns-server", server.address]
    by_boot = Daemon("by_boot", network_dir(work / "n2"), work / "by_boot", [*flags, "--boot-nodes", boot])
    until(lambda: by_boot.peer(peer), 60, "the node behind a dnsaddr of --boot-nodes is a peer")
    by_peer = Daemon("by_peer", network_dir(work / "n3"), work / "by_peer", [*flags, "--libp2p-addresses", late])
    by_peer.process.wait_line("name of a peer is not resolved", 60)
    server.names["late.test"] = {"A": ["127.0.0.1"]}
    until(lambda: by_peer.peer(peer), 60, "a name of --libp2p-addresses that comes late is a peer")
    for daemon in (by_boot, by_peer, met):
        check(daemon.process.stop() == 0, "SIGINT is no clean stop")
    note("--boot-nodes with dnsaddr, --libp2p-addresses with a name that appears later")


if __name__ == "__main__":
    main(run)
