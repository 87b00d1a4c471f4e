#!/usr/bin/env python3
"""A node of the example network: a program beside beacon-p2pd that has a pool of transactions.

    node.py CONTROL_SOCKET

Transactions travel by gossip on a topic of our own, signed, and this program judges them: nothing that is no transaction is
forwarded. Beside it /example-ws/1.0.0, the message protocol (docs/protocols/message.md), brings what gossip cannot: the pool
of a peer that has just been met, and transactions to and from nodes without gossip.

stdin: "tx TEXT" makes a transaction; stdout: a JSON line whenever the pool has changed.
"""

import hashlib
import json
import os
import selectors
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from p2pd_control import ACCEPT, ASKS, JUDGE, MESSAGES, REJECT, Control  # noqa: E402

TOPIC = "/example-txs/1.0.0"
PROTOCOL = "/example-ws/1.0.0"
TX, POOL, GET, HELLO = 1, 2, 3, 4  # types of messages
URGENT, NORMAL, LAST = 0, 2, 3  # priorities
TX_MAX, POOL_MAX = 1000, 10000
POLL_SECONDS = 2  # somebody is asked for its pool this often: what was lost with a node is found at another
SIGNED = 1


def key_of(tx):
    return hashlib.sha256(tx).digest()


class Node:
    def __init__(self, path):
        self.control = Control(path, "example")
        self.gossiped = self.told_us = 0
        self.pool, self.asked, self.speakers, self.leaves = {}, {}, [], set()
        for name, values in (
            ("add_topic", {"count": TX_MAX, "low": 0, "mode": SIGNED, "topic": TOPIC}),
            ("subscribe", {"mode": JUDGE, "topic": TOPIC}),
            ("serve", {"count": 1 << 20, "low": 4, "mode": MESSAGES, "text": PROTOCOL}),
        ):
            code, why = self.control.request(name, **values)
            if code != "ok":
                sys.exit(f"{name}: {code} {why}")

    def send(self, name, **values):
        self.control.tag += 1
        self.control.send(name, tag=self.control.tag, **values)
        return self.control.tag

    def tell(self, peer, what, data, priority=NORMAL):
        self.send("tell", count=what, wait=0, mode=priority, peer=peer, text=PROTOCOL, data=data)

    def ask(self, peer, what, data, then):
        tag = self.send("tell", count=what, wait=5000, mode=ASKS | NORMAL, peer=peer, text=PROTOCOL, data=data)
        self.asked[tag] = then

    # ---- the pool

    def add(self, tx, gossiped=False):
        """A new transaction goes to the mesh, and to those who have no gossip."""
        key = key_of(tx)
        if key in self.pool or not 0 < len(tx) <= TX_MAX or len(self.pool) == POOL_MAX:
            return
        self.pool[key] = tx
        self.gossiped += gossiped
        if not gossiped:
            self.send("publish", topic=TOPIC, data=tx)
        for peer in self.leaves:
            self.tell(peer, TX, tx, LAST)
        self.report()

    def report(self):
        digest = hashlib.sha256(b"".join(sorted(self.pool))).digest()[:8].hex()
        state = {"pool": len(self.pool), "digest": digest, "links": len(self.speakers)}
        print(json.dumps({**state, "gossiped": self.gossiped, "told": self.told_us}), flush=True)

    def poll(self, peer):
        def pool(keys):
            for at in range(0, len(keys) - 31, 32):
                if keys[at : at + 32] not in self.pool:
                    self.ask(peer, GET, keys[at : at + 32], self.add)

        self.ask(peer, POOL, b"", pool)

    # ---- what comes

    def take(self, name, got):
        if name == "signed":
            good = 0 < len(got["data"]) <= TX_MAX
            if got["wait"]:
                self.control.verdicts([(got["id"], ACCEPT if good else REJECT, 0)])
            if good:
                self.add(got["data"], gossiped=True)
        elif name == "told":
            self.told(got)
        elif name == "replied":
            then = self.asked.pop(got["tag"], None)
            if then and got["code"] == 0:
                then(got["data"])
        elif name == "result":
            self.asked.pop(got["tag"], None)  # nobody answered
        elif name == "speaker":
            peer = got["peer"]
            self.speakers = [p for p in self.speakers if p != peer] + [peer] * got["mode"]
            self.leaves -= {peer}
            if got["mode"]:
                self.poll(peer)
            self.report()
        elif name == "bye":
            sys.exit(got["text"])

    def told(self, got):
        if got["count"] == TX:
            self.told_us += 1
            self.add(got["data"])
        elif got["count"] == HELLO:
            self.leaves |= {got["peer"]}
        elif got["count"] == POOL:
            self.control.send("reply", id=got["id"], code=0, data=b"".join(self.pool))
        elif got["count"] == GET:
            tx = self.pool.get(got["data"])
            self.control.send("reply", id=got["id"], code=0 if tx else 3, data=tx or b"")


def main(path):
    node = Node(path)
    with selectors.DefaultSelector() as ready:
        ready.register(node.control.socket, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        os.set_blocking(sys.stdin.fileno(), False)
        while True:
            found = [key.fileobj for key, _ in ready.select(0 if node.control.waiting else POLL_SECONDS)]
            if sys.stdin in found:
                data = sys.stdin.buffer.read()
                if data == b"":
                    return
                for line in data.splitlines():
                    if line.startswith(b"tx "):
                        node.add(line[3:])
            for name, got in node.control.batch(0):
                node.take(name, got)
            if not found and node.speakers:
                node.speakers.append(node.speakers.pop(0))
                node.poll(node.speakers[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
