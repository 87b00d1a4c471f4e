#!/usr/bin/env python3
"""EIP-1459: a list of nodes that geth's `devp2p dns` has made and signed, served by our name server, read by --boot-nodes."""

import json
import os
import re
import subprocess

from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.dns import DnsServer
from harness.keystore import keccak256, write_keystore
from harness.proc import PEERS, check, main, note, patient, scratch, until

DEVP2P = PEERS / "bin" / "devp2p"
DOMAIN = "nodes.test"


def devp2p(*arguments, stdin=""):
    done = subprocess.run([DEVP2P, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=patient(60), check=False)
    check(done.returncode == 0, f"devp2p {arguments}: {done.stdout}{done.stderr}")
    return done.stdout


def make_key(path):
    write_keystore(path, os.urandom(32))
    return path


def signed(work, key, records, seq):
    """{name: {"TXT": [...]}} of a tree over these records, and its URL."""
    tree = work / f"tree-{seq}"
    tree.mkdir()
    nodes = {str(i): {"seq": 1, "record": record} for i, record in enumerate(records)}
    (tree / "enrtree-info.json").write_text(json.dumps({"url": "", "links": [], "signature": "", "seq": seq}))
    (tree / "nodes.json").write_text(json.dumps({node_id(record): value for record, value in zip(records, nodes.values())}))
    devp2p("dns", "sign", "--domain", DOMAIN, "--seq", seq, tree, key, stdin="\n")
    devp2p("dns", "to-txt", tree, work / "txt.json")
    texts = json.loads((work / "txt.json").read_text())
    url = json.loads((tree / "enrtree-info.json").read_text())["url"]
    return {name if name.endswith(DOMAIN) else f"{name}.{DOMAIN}": {"TXT": [text]} for name, text in texts.items()}, url


def node_id(record):
    found = re.search(r"Node ID: *([0-9a-f]{64})", devp2p("enrdump", record))
    check(found, f"devp2p enrdump says no node id of {record}")
    return found.group(1)


def run():
    check(keccak256(b"").hex().startswith("c5d2460186f7233c"), "our keccak is wrong")
    work = scratch("dnsdisc")
    network = network_dir(work / "network")
    first, second = (Daemon(n, network, work / n, ["--disable-discovery"]) for n in ("first", "second"))
    key = make_key(work / "key")
    texts, url = signed(work, key, [first.enr], 1)
    server = DnsServer(dict(texts))
    flags = ["--dns-server", server.address, "--boot-nodes", url]

    reader = Daemon("reader", network, work / "reader", flags)
    until(lambda: reader.peer(first.peer_id), 60, "the node of the list is a peer")
    reader.process.wait_line("list of nodes in DNS: read", 60)
    check(reader.process.stop() == 0, "SIGINT is no clean stop")

    server.names.clear()
    server.names.update(signed(work, key, [first.enr, second.enr], 2)[0])
    again = Daemon("again", network, work / "again", flags)
    until(lambda: again.peer(first.peer_id) and again.peer(second.peer_id), 60, "both nodes of the list are peers")
    check(again.process.stop() == 0, "SIGINT is no clean stop")

    other, _ = signed(work, make_key(work / "other"), [second.enr], 3)
    server.names.clear()
    server.names.update(other)
    wary = Daemon("wary", network, work / "wary", flags)
    wary.process.wait_line("E_CRYPTO_SIGNATURE", 60)
    check(not wary.peer(second.peer_id), "a list that another key has signed is believed")
    check(wary.process.stop() == 0, "SIGINT is no clean stop")
    for daemon in (first, second):
        check(daemon.process.stop() == 0, "SIGINT is no clean stop")

    done = subprocess.run([PROGRAM, "run", "--boot-nodes", "enrtree://nonsense@a.b"], capture_output=True, text=True, timeout=patient(60), check=False)
    check(done.returncode == 2 and "enrtree://nonsense@a.b" in done.stderr, f"a wrong URL is not named: {done.stderr}")
    note("a tree by geth's devp2p is read, read anew when it grows, and refused when another key has signed it")


if __name__ == "__main__":
    main(run)
