#!/usr/bin/env python3
"""A network of our discv5 engine and go-ethereum's on one host: everyone finds everyone, a changed record reaches the others,
TALKREQ goes both ways. Then the same among our own on IPv6.

Ours is tests/interop/discv5_node.c; theirs is the Go peer (tests/interop/peers.sh go).
"""

import json

from discv5_conformance import node_binary
from harness.proc import PEERS, Process, check, free_port, main, note, until

OURS, THEIRS = 6, 4
SECONDS = 60


class Ours:
    def __init__(self, binary, number, ip, boots):
        self.p = Process(f"ours {number}", [binary, ip, str(free_port()), f"{number + 1:064x}", *boots])
        self.enr = self.p.wait_line(r'"record":"(enr:[^"]+)"', 10).group(1)
        self.id = json.loads(self.p.lines[0])["id"]

    def ask(self, line, pattern, seconds=10):
        start = len(self.p.lines)
        self.p.send(line)
        return self.p.wait_line(pattern, seconds, start)

    def live(self):
        """Node ids in the table that answered, and their records."""
        start = len(self.p.lines)
        self.ask("table", r'^\{"table"')
        entries = [json.loads(line) for line in self.p.lines[start:] if line.startswith('{"entry"')]
        return {e["id"]: e for e in entries}


class Theirs:
    def __init__(self, number, boot):
        self.p = Process(f"geth {number}", [PEERS / "gopeer", "-udp", str(free_port()), "-boot", boot])
        self.enr = json.loads(self.p.wait_line(r'"ev":"up"', 20).string)["enr"]

    def ask(self, line, seconds=15):
        start = len(self.p.lines)
        self.p.send(line)
        return json.loads(self.p.wait_line(rf'"ev":"{line.split()[0]}"', seconds, start).string)


def lookup_all(ours):
    for node in ours:
        node.p.send("lookup " + node.id)


def everyone_knows(ours, wanted):
    lookup_all(ours)
    return all(len(set(node.live())) >= wanted - 1 for node in ours)


def mixed(binary):
    ours = [Ours(binary, 0, "127.0.0.1", [])]
    theirs = [Theirs(i, ours[0].enr) for i in range(THEIRS)]
    # Half of ours begin at a node of theirs.
    ours += [Ours(binary, i, "127.0.0.1", [ours[0].enr if i % 2 else theirs[0].enr]) for i in range(1, OURS)]
    until(lambda: everyone_knows(ours, OURS + THEIRS), SECONDS, lambda: [len(n.live()) for n in ours], every=1)
    note(f"{OURS} of ours and {THEIRS} of geth's: each of ours has all {OURS + THEIRS - 1} others live")

    def geth_finds():
        return all({o.enr for o in ours} <= set(t.ask("d5find " + ours[-1].enr)["enrs"] or []) for t in theirs)

    until(geth_finds, SECONDS, "geth's lookups do not give all of ours", every=1)

    for i, node in enumerate(ours):
        peer = theirs[i % THEIRS]
        answer = peer.ask(f"d5talk {node.enr} echo 68656c6c6f")
        check(answer["body"] == "68656c6c6f" and not answer.get("err"), f"TALKREQ of geth's to ours: {answer}")
        answer = peer.ask(f"d5talk {node.enr} unknown 68656c6c6f")
        check(answer["body"] == "" and not answer.get("err"), f"TALKREQ of an unknown protocol: {answer}")
        answer = json.loads(node.ask(f"talk {peer.enr} echo hello", r'"event":"(talkresp|failed)"').string)
        check(answer["event"] == "talkresp" and bytes.fromhex(answer["data"]) == b"hello", f"TALKREQ of ours to geth's: {answer}")
    note("TALKREQ went both ways between all pairs")

    changed = json.loads(ours[3].ask("set attnets 01234567", r'^\{"record"').string)
    for peer in theirs:
        until(lambda p=peer: p.ask("d5enr " + ours[3].enr).get("enr") == changed["record"], 20, "geth does not get the new record")
    until(lambda: all(n.live().get(ours[3].id, {}).get("seq") == changed["seq"] for n in ours if n is not ours[3]), 45,
          lambda: [n.live().get(ours[3].id, {}).get("seq") for n in ours])
    note("a changed record reached all")
    for node in [*ours, *theirs]:
        node.p.kill()


def ipv6(binary):
    ours = [Ours(binary, 100, "::1", [])]
    ours += [Ours(binary, 100 + i, "::1", [ours[0].enr]) for i in range(1, 4)]
    until(lambda: everyone_knows(ours, len(ours)), SECONDS, lambda: [len(n.live()) for n in ours], every=1)
    note(f"{len(ours)} of ours found each other on IPv6")


def run():
    binary = node_binary()
    mixed(binary)
    ipv6(binary)


if __name__ == "__main__":
    main(run)
