#!/usr/bin/env python3
"""Networks of our discv5 engine, go-ethereum's, sigp's and ChainSafe's on one host: everyone finds everyone, changed records
reach the others both ways, TALKREQ goes both ways. On IPv4, on IPv6, and on both: nodes of one family and nodes of two.

Ours is tests/interop/discv5_node.c; theirs are the Go peer, `rustpeer discv5` and discv5_js (tests/interop/peers.sh).
"""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

from discv5_conformance import node_binary
from harness.proc import PEERS, TOP, Process, check, free_port, main, node, note, until

SECONDS = 90
FOUR, SIX, BOTH = "127.0.0.1", "::1", "127.0.0.1,::1"
RUSTPEER = os.environ.get("P2PD_RUSTPEER", PEERS / "bin" / "rustpeer")
GOPEER = os.environ.get("P2PD_GOPEER", PEERS / "gopeer")


class Peer:
    """A node of one kind at one or two IPs. Theirs answer a command with one JSON object whose `ev` is the command."""

    up = r'"ev":"up"'
    talk, enr_of, set_key = "talk", "enr", "set"

    def __init__(self, name, ip, argv):
        self.ip = ip
        self.p = Process(name, argv)
        self.enr = self.p.wait_line(r'"(?:enr|record)":"(enr:[^"]+)"', 30).group(1)

    def ask(self, line, seconds=15):
        start = len(self.p.lines)
        self.p.send(line)
        return json.loads(self.p.wait_line(rf'"ev":"{line.split()[0]}"', seconds, start).string)

    def reaches(self, other):
        return bool(set(self.ip.split(",")) & set(other.ip.split(",")))

    def echo(self, record, protocol="echo"):
        """What a TALKREQ brings back, as hex; an error's text behind "error:"."""
        answer = self.ask(f"{self.talk} {record} {protocol} hello")
        return f"error:{answer['err']}" if answer.get("err") else answer["body"]

    def record_of(self, other):
        """The newest record that it can get of the other."""
        return self.ask(f"{self.enr_of} {other.enr}").get("enr")

    def change(self):
        """A new record, of a higher sequence number."""
        answer = self.ask(f"{self.set_key} p2pd 01020304")
        check(not answer.get("err"), f"{self.p.name} cannot change its record: {answer}")
        self.enr = answer["enr"]

    def known(self):
        """Records that a search brings up, or that it has."""
        self.ask("find", 40)
        return set(self.ask("known")["enrs"])


class Ours(Peer):
    def __init__(self, binary, number, ip, boots):
        super().__init__(f"ours {number}", ip, [binary, ip, str(free_port()), f"{number + 1:064x}", *boots])
        self.id = json.loads(self.p.lines[0])["id"]

    def say(self, line, pattern, seconds=15):
        start = len(self.p.lines)
        self.p.send(line)
        return json.loads(self.p.wait_line(pattern, seconds, start).string)

    def echo(self, record, protocol="echo"):
        answer = self.say(f"talk {record} {protocol} hello", r'"event":"(talkresp|failed)"')
        return answer["data"] if answer["event"] == "talkresp" else "error:failed"

    def table(self):
        """{record: sequence number} of those in the table that answered."""
        start = len(self.p.lines)
        self.say("table", r'^\{"table"')
        entries = [json.loads(line) for line in self.p.lines[start:] if line.startswith('{"entry"')]
        return {e["entry"]: e["seq"] for e in entries}

    def known(self):
        self.p.send("lookup " + self.id)
        return set(self.table())

    def record_of(self, other):
        self.say(f"ping {other.enr}", r'"event":"(pong|failed)"')  # a PONG says that there is a newer one
        return other.enr if other.enr in self.table() else None

    def change(self):
        self.enr = self.say("set attnets 01234567", r'^\{"record"')["record"]


class Geth(Peer):
    talk, enr_of, set_key = "d5talk", "d5enr", "d5set"

    def __init__(self, number, ip, boot):
        super().__init__(f"geth {number}", ip, [GOPEER, "-ip", ip, "-udp", str(free_port()), "-boot", boot])

    def echo(self, record, protocol="echo"):
        answer = self.ask(f"d5talk {record} {protocol} 68656c6c6f")
        return f"error:{answer['err']}" if answer.get("err") else answer["body"]

    def finds(self, other):
        return other.enr in (self.ask("d5find " + other.enr)["enrs"] or [])


class Sigp(Peer):
    def __init__(self, number, ip, boot):
        super().__init__(f"sigp {number}", ip, [RUSTPEER, "discv5", ip, str(free_port()), boot])


class ChainSafe(Peer):
    def __init__(self, number, ip, boot):
        folder = PEERS / "discv5_js"
        shutil.copy(TOP / "tests/interop/discv5_js/peer.mjs", folder)  # beside its modules
        ports = ",".join(str(free_port()) for _ in ip.split(","))  # it wants another for each family
        super().__init__(f"chainsafe {number}", ip, [node(), folder / "peer.mjs", ip, ports, boot])

    def record_of(self, other):
        self.ask(f"ping {other.enr}")  # it asks for a record when a PONG has a higher sequence number
        return super().record_of(other)


def all_found(ours, theirs):
    """Each of ours has everybody that it can reach, live, in its table."""
    for peer in theirs:
        if not isinstance(peer, Geth):
            peer.known()  # these look around only when they are told to
    return all({p.enr for p in [*ours, *theirs] if p is not one and p.reaches(one)} <= one.known() for one in ours)


def lost(ours, theirs):
    """(one of theirs, one of ours that it does not find)"""
    pairs = []
    for peer in theirs:
        known = None if isinstance(peer, Geth) else peer.known()
        pairs += [(peer.p.name, one.p.name) for one in ours
                  if peer.reaches(one) and not (peer.finds(one) if known is None else one.enr in known)]
    return pairs


def answer_of(one, other, *protocol):
    """What a TALKREQ brings back. They wait for it for less than a second: on a busy machine it is sent again."""
    found = []

    def answered():
        found.append(one.echo(other.enr, *protocol))
        return not found[-1].startswith("error:")

    until(answered, 30, lambda: f"TALKREQ of {one.p.name} to {other.p.name}: {found[-1]}")
    return found[-1]


def talk(ours, theirs):
    pairs = [(one, peer) for one in ours for peer in theirs if one.reaches(peer)]
    for one, peer in pairs:
        for a, b in ((one, peer), (peer, one)):
            got = answer_of(a, b)
            check(got == "68656c6c6f", f"TALKREQ of {a.p.name} to {b.p.name}: {got}")
        got = answer_of(peer, one, "unknown")
        check(got == "", f"TALKREQ of {peer.p.name} for an unknown protocol: {got}")
    return len(pairs)


def update(ours, theirs):
    """A changed record of ours reaches all that can see it, and one of each of theirs all of ours."""
    one = next(o for o in ours if "," in o.ip or all("," not in p.ip for p in ours))
    one.change()
    for peer in [p for p in theirs if p.reaches(one)]:
        until(lambda p=peer: p.record_of(one) == one.enr, 45, f"{peer.p.name} does not get the new record of ours")
    for peer in {type(p): p for p in theirs}.values():
        peer.change()
        for other in [o for o in ours if o.reaches(peer)]:
            until(lambda o=other, p=peer: o.record_of(p) == p.enr, 45, f"{other.p.name} does not get the new record of {peer.p.name}")


def network(binary, name, ours_at, theirs_at):
    """theirs_at: (class, IPs). Ours begin at each of the others, the others at the first of ours that they reach."""
    ours = [Ours(binary, 0, ours_at[0], [])]
    theirs = [kind(i, ip, ours[0].enr) for i, (kind, ip) in enumerate(theirs_at)]
    for i, ip in enumerate(ours_at[1:], 1):
        reachable = [p for p in [ours[0], *theirs] if set(p.ip.split(",")) & set(ip.split(","))]
        ours.append(Ours(binary, i, ip, [reachable[i % len(reachable)].enr]))

    def seen():
        return [len(one.table()) for one in ours]

    until(lambda: all_found(ours, theirs), SECONDS, seen, every=1)
    until(lambda: not lost(ours, theirs), SECONDS, lambda: f"theirs find all of ours; not {lost(ours, theirs)}", every=1)
    pairs = talk(ours, theirs)
    update(ours, theirs)
    kinds = ", ".join(sorted({p.p.name.split()[0] for p in theirs}))
    note(f"{name}: {len(ours)} of ours with {len(theirs)} of {kinds}: all found, TALKREQ both ways of {pairs} pairs, new records seen")
    for one in [*ours, *theirs]:
        one.p.kill()


def run():
    binary = node_binary()
    networks = (
        ("IPv4", [FOUR] * 5, [(Geth, FOUR), (Geth, FOUR), (Sigp, FOUR), (Sigp, FOUR), (ChainSafe, FOUR)]),
        ("IPv6", [SIX] * 4, [(Geth, SIX), (Sigp, SIX), (ChainSafe, SIX)]),
        # geth has one socket; on IPv6 it would dial the IPv4 address of a record that has both.
        ("both", [BOTH, BOTH, FOUR, SIX, BOTH], [(Geth, FOUR), (Sigp, BOTH), (Sigp, SIX), (ChainSafe, BOTH)]),
    )
    with ThreadPoolExecutor() as side_by_side:  # they mostly wait
        for done in [side_by_side.submit(network, binary, *each) for each in networks]:
            done.result()


if __name__ == "__main__":
    main(run)
