#!/usr/bin/env python3
"""beacon-p2pd connect and ping against a daemon of ours: each form of a peer's address, each step, each way to fail."""

import re
import subprocess

from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.proc import check, free_port, main, note, patient, scratch, until


def call(code, *arguments):
    """What the program says on stdout and stderr; its exit code must be this."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=patient(60), stdin=subprocess.DEVNULL, check=False)
    check(done.returncode == code, f"{arguments}: exit code {done.returncode}, wanted {code}: {done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def steps(text):
    found = {name: float(ms) for name, ms in re.findall(r"^(tcp|security|handshake|muxer|quic) +([\d.]+) ms", text, re.M)}
    return [found["quic"]] if "quic" in found else [found.get(n) for n in ("tcp", "security", "handshake", "muxer")]


def meets(daemon, peer):
    out, _ = call(0, "connect", peer)
    times = steps(out)
    check(None not in times and times == sorted(times), f"steps of {peer}: {times}")
    check(daemon.peer_id in out and ("/yamux/1.0.0" in out or len(times) == 1), f"{peer}: {out}")
    check("beacon-p2pd" in out and "/meshsub/1.2.0" in out and "/eth2/beacon_chain/req/status/2/ssz_snappy" in out, out)


def two_families(work):
    """A record with an IPv4 address where nobody listens and an IPv6 one where somebody does: the node races them."""
    network = network_dir(work / "network6")
    both = ["127.0.0.1", "::1"]
    met = Daemon("both", network, work / "both", ["--local-network"], listen=both, advertise="127.0.0.9,::1")
    seeker = Daemon("seeker", network, work / "seeker", ["--local-network", "--boot-nodes", met.enr], listen=both)
    peer = until(lambda: next(iter(seeker.peers()), None), 30, "the node finds the address that answers")
    check(peer["peer_id"] == met.peer_id and "/ip6/::1/" in peer["last_seen_p2p_address"], f"{peer}")
    for node in (seeker, met):
        check(node.process.stop() == 0, "SIGINT is no clean stop")


def run():
    work = scratch("connect")
    daemon = Daemon("met", network_dir(work / "network"), work / "met", ["--disable-discovery"])
    meets(daemon, daemon.multiaddr)
    meets(daemon, daemon.multiaddr.replace("/ip4/127.0.0.1", "/dns4/localhost"))
    meets(daemon, daemon.enr)
    meets(daemon, f"127.0.0.1:{daemon.port}")
    quic, _ = call(0, "connect", daemon.enr)
    check(re.search(r"^quic +[\d.]+ ms", quic, re.M), f"a record with both is dialled by QUIC first: {quic}")
    listening = re.search(r"^signed +(/ip4/127.0.0.1/udp/\d+/quic-v1)", quic, re.M).group(1)
    meets(daemon, f"{listening}/p2p/{daemon.peer_id}")

    out, _ = call(0, "ping", "--count", 3, daemon.multiaddr)
    check(len(re.findall(r"^[123] +[\d.]+ ms", out, re.M)) == 3 and re.search(r"^mean +[\d.]+ ms", out, re.M), out)

    other = "16Uiu2HAm2dURtGp7heu8bvWP2oKJEgHTsabTPtzGa2sVT9h9JEUJ"
    out, why = call(1, "connect", daemon.multiaddr.replace(daemon.peer_id, other))
    check("E_NOISE_PEER" in why and "noise handshake" in why, why)
    check(None not in steps(out)[:2] and steps(out)[3] is None, f"steps up to the one that failed: {out}")
    _, why = call(1, "connect", f"{listening}/p2p/{other}")
    check("E_TLS_PEER" in why or "another peer id" in why, why)
    _, why = call(1, "ping", f"127.0.0.1:{free_port()}")
    check("E_DIAL" in why and "refused" in why, why)
    for bad in ("nonsense", "/ip4/127.0.0.1/udp/9", "enr:-abc", "127.0.0.1"):
        _, why = call(2, "connect", bad)
        check(bad in why and len(why.splitlines()) == 1, why)
    call(2, "connect")
    call(2, "ping", "--count", 0, daemon.multiaddr)
    check(daemon.process.stop() == 0, "SIGINT is no clean stop")

    strict = Daemon("strict", network_dir(work / "network2"), work / "strict", ["--disable-discovery", "--deny-cidr", "127.0.0.0/30"])
    _, why = call(1, "connect", strict.multiaddr)
    check("multistream /noise" in why or "tcp" in why, why)
    check(strict.metrics().get('p2pd_faults_total{reason="E_DENIED"}', 0) >= 1, "who is denied is not counted")
    check(strict.process.stop() == 0, "SIGINT is no clean stop")
    for flag in ("--allow-cidr", "--deny-cidr"):
        _, why = call(2, "run", flag, "10.0.0.0/33", "--datadir", work / "none")
        check(flag in why and "10.0.0.0/33" in why and len(why.splitlines()) == 1, why)
    two_families(work)
    note("by multiaddr, name, ENR and address; another identity, nobody there and nonsense are named; ranges denied")


if __name__ == "__main__":
    main(run)
