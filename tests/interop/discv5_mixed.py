#!/usr/bin/env python3
"""A network of our discv5 engine, go-ethereum's and ChainSafe's on one host: everyone finds everyone, a changed record reaches
the others, TALKREQ goes both ways. Then the same among our own on IPv6.

Ours is tests/interop/discv5_node.c; theirs are the Go peer and discv5_js (tests/interop/peers.sh go, discv5_js).
"""

import json
import shutil

from discv5_conformance import node_binary
from harness.proc import PEERS, TOP, Process, check, free_port, main, node, note, until

OURS, GETHS, CHAINSAFES = 6, 3, 2
ALL = OURS + GETHS + CHAINSAFES
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


class Peer:
    """A node of theirs. Both kinds answer a command with one JSON object whose `ev` is the command."""

    def ask(self, line, seconds=15):
        start = len(self.p.lines)
        self.p.send(line)
        return json.loads(self.p.wait_line(rf'"ev":"{line.split()[0]}"', seconds, start).string)


class Geth(Peer):
    def __init__(self, number, boot):
        self.p = Process(f"geth {number}", [PEERS / "gopeer", "-udp", str(free_port()), "-boot", boot])
        self.enr = json.loads(self.p.wait_line(r'"ev":"up"', 20).string)["enr"]

    def echo(self, record, protocol="echo"):
        return self.ask(f"d5talk {record} {protocol} 68656c6c6f")

    def finds(self, record):
        return self.ask("d5find " + record)["enrs"] or []


class ChainSafe(Peer):
    def __init__(self, number, boot):
        folder = PEERS / "discv5_js"
        shutil.copy(TOP / "tests/interop/discv5_js/peer.mjs", folder)  # beside its modules
        self.p = Process(f"chainsafe {number}", [node(), folder / "peer.mjs", str(free_port()), boot])
        self.enr = json.loads(self.p.wait_line(r'"ev":"up"', 20).string)["enr"]

    def echo(self, record, protocol="echo"):
        return self.ask(f"talk {record} {protocol} hello")

    def finds(self, _):
        self.ask("find")
        return self.ask("known")["enrs"]


def lookup_all(ours):
    for node in ours:
        node.p.send("lookup " + node.id)


def everyone_knows(ours, wanted):
    lookup_all(ours)
    return all(len(set(node.live())) >= wanted - 1 for node in ours)


def mixed(binary):
    ours = [Ours(binary, 0, "127.0.0.1", [])]
    geths = [Geth(i, ours[0].enr) for i in range(GETHS)]
    theirs = geths + [ChainSafe(i, ours[0].enr if i else geths[0].enr) for i in range(CHAINSAFES)]
    # Ours begin at each of the three kinds.
    ours += [Ours(binary, i, "127.0.0.1", [(ours[0], geths[0], theirs[-1])[i % 3].enr]) for i in range(1, OURS)]

    def all_found():
        for peer in theirs[GETHS:]:
            peer.ask("find")  # ChainSafe's looks around only when it is told to
        return everyone_knows(ours, ALL)

    until(all_found, SECONDS, lambda: [len(n.live()) for n in ours], every=1)
    note(f"{OURS} of ours, {GETHS} of geth's, {CHAINSAFES} of ChainSafe's: each of ours has all {ALL - 1} others live")

    def they_find():
        return all({o.enr for o in ours} <= set(t.finds(ours[-1].enr)) for t in theirs)

    until(they_find, SECONDS, lambda: [len({o.enr for o in ours} & set(t.finds(ours[-1].enr))) for t in theirs], every=1)

    for ours_one in ours:
        for peer in theirs:
            answer = peer.echo(ours_one.enr)
            check(answer.get("body") == "68656c6c6f" and not answer.get("err"), f"TALKREQ of {peer.p.name} to ours: {answer}")
            answer = peer.echo(ours_one.enr, "unknown")
            check(answer.get("body") == "" and not answer.get("err"), f"TALKREQ of an unknown protocol: {answer}")
            answer = json.loads(ours_one.ask(f"talk {peer.enr} echo hello", r'"event":"(talkresp|failed)"').string)
            check(answer["event"] == "talkresp" and bytes.fromhex(answer["data"]) == b"hello", f"TALKREQ to {peer.p.name}: {answer}")
    note(f"TALKREQ went both ways between all {OURS * (GETHS + CHAINSAFES)} pairs")

    changed = json.loads(ours[3].ask("set attnets 01234567", r'^\{"record"').string)
    for peer in geths:
        until(lambda p=peer: p.ask("d5enr " + ours[3].enr).get("enr") == changed["record"], 20, "geth does not get the new record")
    until(lambda: all(n.live().get(ours[3].id, {}).get("seq") == changed["seq"] for n in ours if n is not ours[3]), 45,
          lambda: [n.live().get(ours[3].id, {}).get("seq") for n in ours])
    note("a changed record reached all")
    for one in [*ours, *theirs]:
        one.p.kill()


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
