#!/usr/bin/env python3
"""Kademlia beside discv5 on an Ethereum network: candidates of both come to one peer manager.

A speaks both; two nodes speak Kademlia only and are told of A, by multiaddr and by record; one speaks discv5 only. The two find each
other through A, agree on their status, and take A's blocks; A has all three.
"""

from harness.daemon import Daemon
from harness.devnet import write_network
from harness.proc import check, main, note, scratch, until

WAIT = 90


def connected(one, other):
    peer = one.peer(other.peer_id)
    return peer is not None and peer["state"] == "connected"


def test():
    work = scratch("kad-ethereum")
    network = work / "network"
    write_network(network, "kad", 1000)

    def daemon(name, *flags):
        return Daemon(name, network, work / name, ["--local-network", "--disable-quic", *flags])

    both = daemon("both", "--discovery", "discv5,kad", "--devnet-make-blocks")
    first = daemon("first", "--discovery", "kad", "--boot-nodes", both.multiaddr)
    second = daemon("second", "--discovery", "kad", "--boot-nodes", both.enr)
    old = daemon("old", "--discovery", "discv5", "--boot-nodes", both.enr)
    for node in (first, second, old):
        until(lambda n=node: connected(both, n), WAIT, f"{node.name} is connected with who speaks both")
    until(lambda: connected(first, second), WAIT, "two that speak Kademlia only find each other")
    until(lambda: first.head_slot() >= 2 and second.head_slot() >= 2 and old.head_slot() >= 2, WAIT, "blocks come to all")
    until(lambda: first.metric("p2pd_kad_table_peers") == 2, WAIT, "of three servers two are in a table")
    check(old.metric("p2pd_kad_table_peers") == 0, "who does not speak it has no table")
    note("discv5 and Kademlia feed one peer manager; records and multiaddrs are boot nodes of both")
    for node in (both, first, second, old):
        check(node.process.stop() == 0, f"{node.name} ends well")


if __name__ == "__main__":
    main(test)
