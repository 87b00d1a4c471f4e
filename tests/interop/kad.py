#!/usr/bin/env python3
"""Kademlia in a mixed network: our daemons without a chain, rust-libp2p's kad and js-libp2p's kad-dht.

All are told of one boot node and nothing else. Walks bring every node into every table; a value and a provider record put by
one kind are found by each kind; then half of each kind leaves, the boot node among them, and all is found again, old and new.

    kad.py [NODES_PER_KIND]
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from harness.daemon import PROGRAM
from harness.proc import TOP, Process, check, main, note, patient, scratch, until

PEERS = TOP / "build" / "peers"
RUST = os.environ.get("P2PD_RUSTPEER", str(PEERS / "bin" / "rustpeer"))
KINDS = ("ours", "rust", "js")
WAIT = 240  # seconds for anything at all: at a load of 60 a handshake with js-libp2p takes more than ten


def multihash(text):
    return b"\x12\x20" + hashlib.sha256(text.encode()).digest()


class Ours:
    """A daemon that follows no chain, asked through its control socket by `beacon-p2pd kad`."""

    def __init__(self, name, folder, boot, mode="server"):
        self.name, self.kind, self.socket = name, "ours", folder / f"{name}.sock"
        flags = ["--network", "none", "--discovery", "kad", "--kad-raw-prefix", "/t/", "--local-network"]
        flags += ["--enable-private-discovery", "--listen-address", "127.0.0.1", "--port", 0, "--disable-http"]
        flags += ["--kad-mode", mode, "--datadir", folder / name, "--control-socket", self.socket, "--log-format", "json"]
        self.flags = flags
        self.begin(["--boot-nodes", boot] if boot else [])

    def begin(self, more=()):
        self.process = Process(self.name, [PROGRAM, "run", *self.flags, *more])
        said = json.loads(self.process.wait_line(r'.*"msg": ?"listening".*', WAIT).group(0))
        self.id = said["peer_id"]
        host, port = said["tcp"].rsplit(":", 1)
        self.addr = f"/ip4/{host}/tcp/{port}/p2p/{self.id}"

    def ask(self, *words):
        """The lines that it printed, or None when it found nothing."""
        argv = [PROGRAM, "kad", "--control-socket", str(self.socket), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=patient(3 * WAIT))
        check(done.returncode in (0, 1), f"{self.name}: {words}: {done.returncode} {done.stderr}")
        return done.stdout.splitlines() if done.returncode == 0 else None

    def table(self):
        return {line.split()[0] for line in self.ask("table")}

    def find(self, peer):
        return {line.split()[0] for line in self.ask("find", peer) or ()}

    def put(self, key, value):
        return self.ask("put", key, value) is not None

    def get(self, key):
        lines = self.ask("get", key)
        return lines[0] if lines else None

    def provide(self, key):
        return self.ask("provide", "0x" + key.hex()) is not None

    def providers(self, key):
        return {line.split()[0] for line in self.ask("providers", "0x" + key.hex()) or ()}


class Theirs:
    """rustpeer kad, or kad_js/peer.mjs: one language of lines."""

    def __init__(self, name, kind, argv, boot):
        self.name, self.kind, self.lock = name, kind, threading.Lock()
        self.process = Process(name, argv)
        up = json.loads(self.process.wait_line(r'\{.*"ev":"up".*', WAIT).group(0))
        self.id, self.addr = up["peer"], f"{up['addr']}/p2p/{up['peer']}"
        self.process.send(f"connect {boot}")

    def ask(self, name, *words):
        with self.lock:
            start = len(self.process.lines)
            self.process.send(" ".join((name, *words)))
            return json.loads(self.process.wait_line(rf'\{{.*"ev":"{name}".*', WAIT, start).group(0))

    def table(self):
        return set(self.ask("table")["peers"])

    def find(self, peer):
        return set(self.ask("find", peer)["peers"])

    def put(self, key, value):
        return self.ask("put", key.encode().hex(), value.encode().hex())["ok"]

    def get(self, key):
        value = self.ask("get", key.encode().hex())["value"]
        return None if value is None else bytes.fromhex(value).decode()

    def provide(self, key):
        return self.ask("provide", key.hex())["ok"]

    def providers(self, key):
        return set(self.ask("providers", key.hex())["peers"])


def start(folder, each):
    js = PEERS / "kad_js"
    shutil.copy(TOP / "tests/interop/kad_js/peer.mjs", js)  # beside its modules
    boot = Ours("ours0", folder, None)
    nodes = [boot] + [Ours(f"ours{i}", folder, boot.addr) for i in range(1, each)]
    nodes += [Theirs(f"rust{i}", "rust", [RUST, "kad"], boot.addr) for i in range(each)]
    nodes += [Theirs(f"js{i}", "js", [PEERS / "bin/node", js / "peer.mjs"], boot.addr) for i in range(each)]
    return nodes


def at_once(one, nodes):
    """one(node) of all nodes, a few at a time; the first failure is the test's."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, nodes))


def all_know_all(nodes):
    """By the tables. js keeps only peers that it has verified at its leisure: there its lookups must find them all."""
    everyone = {n.id for n in nodes}

    def one(n):
        if n.kind != "js":
            until(lambda: not everyone - {n.id} - n.table(), WAIT, f"{n.name} finds everybody by walking", every=1)
            return
        for other in nodes:
            until(lambda o=other: o is n or o.id in n.find(o.id), WAIT, f"{n.name} finds {other.name}", every=1)

    at_once(one, nodes)


def all_find_all(nodes):
    """The lookup, not the table: for each pair of kinds."""

    def one(n):
        for other in nodes:
            if n is not other and n.name[-1] == other.name[-1]:
                until(lambda o=other: o.id in n.find(o.id), WAIT, f"{n.name} finds {other.name}", every=1)

    at_once(one, nodes)


def records(nodes, round_):
    """Each kind puts, each kind gets: the writer is the last of its kind, the reader the one before. Returns what was put."""
    put = []
    for kind in KINDS:
        writer = [n for n in nodes if n.kind == kind][-1]
        key, value, hashed = f"/t/{round_}-{kind}", f"{kind} says {round_}", multihash(f"{round_} {kind}")
        until(lambda w=writer, k=key, v=value: w.put(k, v), WAIT, f"{writer.name} puts {key}")
        until(lambda w=writer, h=hashed: w.provide(h), WAIT, f"{writer.name} provides")
        put.append((key, value, hashed, writer.id))
    return put


def found_by_all(nodes, put, alive):
    count = 0
    for kind in KINDS:
        reader = [n for n in nodes if n.kind == kind][0]
        for key, value, hashed, who in put:
            until(lambda r=reader, k=key, v=value: r.get(k) == v, WAIT, f"{reader.name} gets {key}")
            if who in alive:
                until(lambda r=reader, h=hashed, w=who: w in r.providers(h), WAIT, f"{reader.name} finds who provides {key}")
            count += 1
    return count


def a_client_only_asks(folder, nodes, put):
    """It finds what others keep, and is in nobody's table."""
    client = Ours("client0", folder, nodes[0].addr, "client")
    for key, value, hashed, who in put:
        until(lambda k=key, v=value: client.get(k) == v, WAIT, f"a client gets {key}")
        until(lambda h=hashed, w=who: w in client.providers(h), WAIT, "a client finds who provides")
    until(lambda: len(client.table()) >= len(nodes) // 2, WAIT, "a client knows peers")
    for n in nodes:
        check(client.id not in n.table(), f"{n.name} has a client in its table")
    check(client.process.stop() == 0, "the client ends well")


def test():
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    folder = scratch("kad")
    nodes = start(folder, each)
    all_know_all(nodes)
    all_find_all(nodes)
    note(f"{len(nodes)} nodes of {len(KINDS)} kinds know each other from one boot node")
    put = records(nodes, "before")
    note(f"values and providers between kinds: {found_by_all(nodes, put, {n.id for n in nodes})} pairs")
    a_client_only_asks(folder, nodes, put)
    for n in nodes:
        if int(n.name[-1]) < each // 2:
            n.process.kill()
    left = [n for n in nodes if int(n.name[-1]) >= each // 2]
    alive = {n.id for n in left}
    old = found_by_all(left, put, alive)
    all_find_all(left)
    new = found_by_all(left, records(left, "after"), alive)
    note(f"with {len(left)} of {len(nodes)} left: {old} pairs of before, {new} of after")
    ours = [n for n in left if n.kind == "ours"]
    again = ours[-1]
    check(again.process.stop() == 0, f"{again.name} ends well")
    again.begin()  # without a boot node, at another port: what it knows is what it kept
    until(lambda: alive - {again.id} <= again.table(), WAIT, f"{again.name} is back in the network", every=1)
    note(f"{again.name} came back without a boot node")
    for n in left:
        n.process.must_run()
        if n.kind == "ours":
            check(n.process.stop() == 0, f"{n.name} ends well")


if __name__ == "__main__":
    main(test)
