#!/usr/bin/env python3
"""Protocols that programs serve through the control socket: streams, messages, calls, between daemons of ours.

Three daemons, a program in Python beside each. What one program says the other hears, in order and to the byte; nobody holds
more than is stated of what another does not read; a program that stalls or dies is survived by the stated fallback.
"""

import hashlib
import os
import random
import struct
import sys
import time

from harness.daemon import Daemon
from harness.devnet import write_network
from harness.proc import TOP, check, main, note, say, scratch, until

sys.path.insert(0, str(TOP / "docs/examples/python"))
from p2pd_control import (  # noqa: E402
    ACCEPT, ASKS, BYTES, CALLS, FRAMES_OF, JUDGE, MESSAGES, REJECT, WATCH, Control, message_id,
)

WINDOW = 256 << 10
NONE = {"wait": 0, "peer": b""}
BLOCKS = "/eth2/beacon_chain/req/beacon_blocks_by_range/2/ssz_snappy"


def serve(control, text, mode, streams=4, most=0):
    code, why = control.request("serve", count=most, low=streams, mode=mode, text=text)
    check(code == "ok", f"serve {text}: {code} {why}")


def open_stream(control, peer, text):
    control.tag += 1
    control.send("open", tag=control.tag, peer=peer, text=text)
    return control.wait("opened", tag=control.tag)["id"]


class Sender:
    """Keeps to the room that the daemon gives."""

    def __init__(self, control, number, mode=2):
        self.control, self.id, self.mode, self.room = control, number, mode, WINDOW

    def send(self, data):
        while self.room <= 0:
            self.room += self.control.wait("room", id=self.id)["count"]
        self.control.send("send", id=self.id, mode=self.mode, data=data)
        self.room -= len(data) + 3  # and its length on the wire, at most

    def fits(self):
        return self.room > 0


def streams_of_bytes(a, b, peer_b):
    """Four MiB each way on one stream, then both ends."""
    text = "/test/bytes/1"
    serve(a, text, BYTES)
    serve(b, text, BYTES)
    one = open_stream(a, peer_b, text)
    other = b.wait("opened", text=text, mode=1)["id"]
    sent = os.urandom(4 << 20)
    for near, far, here, there in ((a, b, one, other), (b, a, other, one)):
        out, got, digest = Sender(near, here), 0, hashlib.sha256()
        at = 0
        while got < len(sent):
            while out.fits() and at < len(sent):
                out.send(sent[at : at + 50000])
                at += 50000
            for name, frame in far.batch(0.05):
                check(name in ("received", "speaker"), f"{name}: {frame}")
                if name == "received":
                    check(frame["id"] == there, "of another stream")
                    got += len(frame["data"])
                    digest.update(frame["data"])
                    far.send("credit", id=there, count=len(frame["data"]))
            for name, frame in near.batch(0):
                out.room += frame["count"] if name == "room" else 0
        check(digest.digest() == hashlib.sha256(sent).digest(), "bytes arrived that were not sent")
    a.send("end", id=one)
    b.wait("ended", id=other)
    b.send("end", id=other)
    check(a.wait("closed", id=one)["code"] == 0 and b.wait("closed", id=other)["code"] == 0, "a good end")


def streams_of_frames(a, b, peer_b):
    """Without credit nothing more comes and the sender gets no room; with it all comes, whole and in order."""
    text = "/test/frames/1"
    serve(a, text, FRAMES_OF, most=100_000)
    serve(b, text, FRAMES_OF, most=100_000)
    one = open_stream(a, peer_b, text)
    other = b.wait("opened", text=text, mode=1)["id"]
    out, sent, got = Sender(a, one), [], []
    end = time.monotonic() + 30
    while time.monotonic() < end:  # until nobody takes any more
        if out.fits():
            sent.append(struct.pack("<I", len(sent)) + os.urandom(len(sent) * 997 % 60_000))
            out.send(sent[-1])
        else:
            rooms = [frame["count"] for name, frame in a.batch(2) if name == "room"]
            if not rooms:
                break
            out.room += sum(rooms)
    held = sum(map(len, sent))
    check(not out.fits(), "a program that gives no credit was sent to for ever")
    got += [f["data"] for n, f in b.batch(0) if n == "received"]
    check(sum(map(len, got)) <= WINDOW + 60_004, f"{sum(map(len, got))} bytes without credit")
    b.send("credit", id=other, count=1 << 30)
    while len(got) < len(sent):
        got.append(b.wait("received", id=other)["data"])
    check(got == sent, "messages are changed, lost or out of order")
    a.send("end", id=one)
    b.wait("ended", id=other)
    b.send("reset", id=other)
    check(b.wait("closed", id=other)["code"] != 0, "it was reset")
    a.wait("closed", id=one)
    return held


def messages(a, b, c, peers):
    """To one and to all, asks with answers, deadlines; what nobody reads is refused, not kept without end."""
    text = "/test/messages/1"
    for control in (a, b, c):
        serve(control, text, MESSAGES)
    for _ in (b, c):
        check(a.wait("speaker", text=text)["mode"] == 1, "who speaks it")
    for i in range(500):
        check(a.request("tell", count=i, mode=2, text=text, data=b"m%d" % i, **{**NONE, "peer": peers[1]})[0] == "ok", "told")
    for i in range(500):
        got = b.wait("told")
        check((got["count"], got["data"], got["peer"], got["id"]) == (i, b"m%d" % i, peers[0], 0), f"{i}: {got}")
    check(a.request("tell", count=7, mode=0, text=text, data=b"all", **NONE)[0] == "ok", "told all")
    check(b.wait("told")["data"] == c.wait("told")["data"] == b"all", "all hear it")

    for tag in range(1000, 1010):  # ten at once, answered in another order
        a.send("tell", tag=tag, count=tag, wait=20000, mode=ASKS | 1, peer=peers[2], text=text, data=b"?%d" % tag)
    asked = [c.wait("told") for _ in range(10)]
    for got in reversed(asked):
        c.send("reply", id=got["id"], code=0, data=got["data"][::-1])
    for tag in range(1000, 1010):
        got = a.wait("replied", tag=tag)
        check((got["code"], got["data"], got["peer"]) == (0, (b"?%d" % tag)[::-1], peers[2]), f"{got}")
    a.send("tell", tag=2000, count=1, wait=500, mode=ASKS, peer=peers[2], text=text, data=b"?")
    c.wait("told")
    check(a.wait("result", tag=2000)["code"] == 9, "nobody answered in time")
    check(a.request("tell", count=1, mode=0, text=text, data=b"", **{**NONE, "peer": peers[2][:-1] + b"x"})[0] != "ok", "a stranger")

    big, taken = os.urandom(1 << 20), 0
    while a.request("tell", count=1, mode=3, text=text, data=big, **{**NONE, "peer": peers[2]})[0] == "ok":
        taken += 1
        check(taken < 200, "a peer whose program does not read takes everything")
    say(f"{taken} MiB went to a program that does not read, then it was refused")
    for _ in range(taken):
        check(c.wait("told")["data"] == big, "all that was taken comes once it reads")
    return taken


def calls(a, b, peer_b, daemon_b):
    """A program answers in its daemon's place, or not: then the daemon does; and in a protocol of its own."""
    slot = until(lambda: daemon_b.head_slot() if daemon_b.head_slot() > 3 else None, 60, "some blocks")
    ssz, chunks = struct.pack("<QQQ", 1, 3, 1), [daemon_b.block_ssz(i) for i in (1, 2, 3)]
    ask = {"count": 3, "wait": 20000, "peer": peer_b, "text": "beacon_blocks_by_range", "data": ssz}

    def got(field="data"):
        return [f[field] for n, f in a.batch(0) if n == "chunk"]

    check(a.request("request", **ask)[0] == "ok", "the daemon answers")
    digest = a.digest = got("context")[0]
    check(a.request("request", **ask)[0] == "ok", "and again")
    first = got()
    check(first == [c[0] for c in chunks], "its blocks")
    serve(b, BLOCKS, CALLS)
    check(b.request("serve", count=0, low=1, mode=CALLS, text=BLOCKS.replace("beacon_blocks_by_range/2", "status/2"))[0] == "refused", "status is the daemon's")
    a.tag += 1
    a.send("request", tag=a.tag, **ask)
    call = b.wait("call")
    check((call["data"], call["text"]) == (ssz, BLOCKS), "what was asked")
    for data in first[:2]:
        b.send("answer", id=call["id"], code=0, context=digest, data=data)
    b.send("end", id=call["id"])
    check(a.wait("result", tag=a.tag)["code"] == 0 and got() == first[:2], "the program's answer")
    b.wait("closed", id=call["id"], code=0)

    a.tag += 1
    a.send("request", tag=a.tag, **{**ask, "wait": 2000})
    call = b.wait("call")
    b.send("answer", id=call["id"], code=0, context=digest, data=b"no block")
    check(b.wait("closed", id=call["id"])["code"] != 0, "what breaks the method's type is not sent")
    a.wait("result", tag=a.tag)

    a.batch(0)
    check(a.request("request", **ask)[0] == "ok" and got() == first, "a program that hangs: the daemon answers")
    check(daemon_b.said("program does not answer a call: passed by"), "and says so")
    check(daemon_b.metric("p2pd_control_calls_total") >= 3 and daemon_b.metric("p2pd_control_stalls_total") == 1, "and counts it")
    check(a.request("request", **ask)[0] == "ok" and got() == first, "at once, the next time")

    own = "/test/req/numbers/1/ssz_snappy"
    serve(a, own, CALLS)
    serve(b, own, CALLS)
    mine = {"count": 0, "wait": 20000, "peer": peer_b, "text": own, "data": b"give"}
    a.tag += 1
    a.send("request", tag=a.tag, **mine)
    call = b.wait("call", text=own)
    out, parts = Sender(b, call["id"]), [os.urandom(100_000) for _ in range(30)]
    for part in parts:
        while not out.fits():
            out.room += b.wait("room", id=out.id)["count"]
        b.send("answer", id=call["id"], code=0, context=bytes(4), data=part)
        out.room -= len(part)
    b.send("end", id=call["id"])
    check(a.wait("result", tag=a.tag, seconds=60)["code"] == 0 and got() == parts, "three MB in 30 chunks")
    a.tag += 1
    a.send("request", tag=a.tag, **mine)
    b.send("answer", id=b.wait("call", text=own)["id"], code=3, context=bytes(4), data=b"none left")
    check(a.wait("result", tag=a.tag)["code"] == 9, "an error is one")
    return slot


def hostile(a, c, peer_a, daemon_a):
    """What a peer can do on the streams of a program: it ends them, one by one, and nothing else."""
    text, rng = "/test/hostile/1", random.Random(5)
    serve(c, "/test/nobody/1", BYTES)
    number = open_stream(c, peer_a, "/test/nobody/1")
    check(c.wait("closed", id=number)["code"] == 3, "a protocol that the peer does not speak")
    serve(a, text, MESSAGES, streams=2, most=10_000)
    serve(c, text, BYTES)  # so that it says whatever it wants
    attacks = {
        "no message": b"\x01\x07",
        "a length over the maximum": b"\xff\xff\xff\x7f",
        "a varint that is not minimal": b"\x80\x00",
        "a cut ask": b"\x03\x01\x80\x80",
        "noise": rng.randbytes(5000),
    }
    for what, data in attacks.items():
        number = open_stream(c, peer_a, text)
        c.send("send", id=number, mode=0, data=data)
        c.send("end", id=number)
        check(c.wait("closed", id=number)["code"] != 0, f"{what}: the stream was not reset")
    number = open_stream(c, peer_a, text)
    c.send("send", id=number, mode=0, data=b"\x05\x00\x01ab")
    c.send("end", id=number)
    check(c.wait("closed", id=number)["code"] != 0, "an end inside a message")

    open_stream(c, peer_a, text), open_stream(c, peer_a, text)
    c.tag += 1
    c.send("open", tag=c.tag, peer=peer_a, text=text)  # agreed upon without a round trip, then one too many
    third = c.wait("opened", tag=c.tag)["id"]
    check(c.wait("closed", id=third)["code"] != 0, "a third stream, where two are allowed")

    number = open_stream(c, peer_a, text) if c.request("unserve", text=text)[0] != "ok" else None
    check(number is None, "its streams are gone with the protocol")
    serve(c, text, BYTES)
    number, rss = open_stream(c, peer_a, text), daemon_a.process.rss_kib()
    out, asks = Sender(c, number), 0
    ask = b"".join(b"\x03\x01\x01" + bytes([i]) for i in range(1, 100)) * 500
    for _ in range(40):  # two million asks whose answers are not read
        while not out.fits():
            rooms = [f["count"] for n, f in c.batch(1) if n == "room"]
            if not rooms:
                break
            out.room += sum(rooms)
        if not out.fits():
            break
        out.send(ask)
        asks += len(ask) // 4
    answered = [n for n, f in a.batch(0) if n == "told"]
    check(len(answered) <= 64, f"{len(answered)} asks wait for a reply")
    grown = daemon_a.process.rss_kib() - rss
    check(grown < 100_000, f"the daemon grew by {grown} KiB")
    c.send("reset", id=number)
    a.request("unserve", text=text), c.request("unserve", text=text)
    return asks


def topics(a, b, c, daemons):
    """Topics of our own: signed and anonymous; a program's verdict holds back or lets pass; unlike parameters are refused."""
    def add(control, topic, mode, low):
        return control.request("add_topic", count=5000, low=low, mode=mode, topic=topic)[0]

    def publish(control, topic, data):
        end = time.monotonic() + 30
        while (code := control.request("publish", topic=topic, data=data)[0]) == "no_peers" and time.monotonic() < end:
            data += b"."  # the mesh is not made yet
        check(code == "ok", f"publish on {topic}: {code}")
        return data

    for topic, mode, low in (("signed", 1, 0), ("content", 0, 0), ("like-eth2", 0, 1)):
        for control in (a, b, c):
            check(add(control, topic, mode, low) == "ok", f"add {topic}")
            check(control.request("subscribe", mode=WATCH, topic=topic)[0] == "ok", f"subscribe {topic}")
        sent = publish(a, topic, topic.encode() * 9)
        for control in (b, c):
            got = control.wait("signed" if mode else "message", topic=topic, data=sent)
            if low == 0 and not mode:
                check(got["hash"] == hashlib.sha256(sent).digest()[:20], "named by its content")
            if low == 1:
                check(got["hash"] == message_id(topic, sent), "named as the specs say")
            if mode:
                check(got["text"] == daemons[0].peer_id, f"the author is {got['text']}")
        code, why = a.request("publish", topic=topic, data=b"x" * 5001)
        check(code == "limit", f"too long: {code} {why}")
    check(a.request("publish", topic="content", data=sent) [0] == "ok", "the same bytes, another topic")
    check(a.request("publish", topic="content", data=sent)[0] == "exists", "once")
    check(add(a, "content", 0, 0) == "ok" and add(a, "content", 1, 0) == "exists", "as others have it")
    check(add(a, "/eth2/00000000/x/ssz_snappy", 0, 0) == "exists", "Ethereum's are the node's")
    check(add(a, "both", 1, 1) == "malformed", "a signed one has libp2p's names")

    rejected = daemons[1].metric("p2pd_gossip_verdicts_total", how="rejected")
    check(b.request("subscribe", mode=JUDGE, topic="content")[0] == "ok", "b judges")
    sent = publish(c, "content", b"good")
    got = b.wait("message", topic="content", data=sent)
    check(got["wait"] > 0, "a verdict is awaited")
    b.verdicts([(got["id"], ACCEPT, 0)])
    bad = publish(c, "content", b"bad")
    got = b.wait("message", topic="content", data=bad)
    b.verdicts([(got["id"], REJECT, 0)])
    until(lambda: daemons[1].metric("p2pd_gossip_verdicts_total", how="rejected") > rejected, 20, "it was rejected")
    for control in (a, b, c):
        check(control.request("leave", topic="signed")[0] == "ok", "left")
    check(a.request("publish", topic="signed", data=b"x")[0] == "topic", "gone")


def dies(a, peer_b, daemon_b, path):
    """A program that dies: what it had begun ends as an error, what it had not the daemon answers."""
    ask = {"count": 1, "wait": 10000, "peer": peer_b, "text": "beacon_blocks_by_range", "data": struct.pack("<QQQ", 1, 1, 1)}
    for begun in (False, True):
        dying = Control(path, "dying")
        serve(dying, BLOCKS, CALLS)
        a.batch(0)
        a.tag += 1
        a.send("request", tag=a.tag, **{**ask, "count": 3})
        call = dying.wait("call")
        if begun:
            block, digest = daemon_b.block_ssz(1)[0], a.digest
            dying.send("answer", id=call["id"], code=0, context=digest, data=block)
            a.wait("chunk", tag=a.tag)
        dying.socket.close()
        result = a.wait("result", tag=a.tag, seconds=40)
        check((result["code"] == 0) != begun, f"begun {begun}: {result}")
        chunks = [f for n, f in a.batch(0) if n == "chunk"]
        check(begun or [c["data"] for c in chunks] == [daemon_b.block_ssz(1)[0]], "the daemon's own answer")


LIMIT, SECONDS, OBJECTS = 4, 2, 9


def limited(a, c, peer_c, daemon_c):
    """A peer's limit of the method holds for what a program answers, too: by delay, and all of it comes."""
    ssz, block = struct.pack("<QQQ", 1, OBJECTS // 3, 1), [daemon_c.block_ssz(i + 1)[0] for i in range(OBJECTS // 3)]
    serve(c, BLOCKS, CALLS)
    began = time.monotonic()
    for _ in range(3):
        a.batch(0)
        a.tag += 1
        a.send("request", tag=a.tag, count=OBJECTS // 3, wait=40000, peer=peer_c, text="beacon_blocks_by_range", data=ssz)
        call = c.wait("call")
        for data in block:
            c.send("answer", id=call["id"], code=0, context=a.digest, data=data)
        c.send("end", id=call["id"])
        check(a.wait("result", tag=a.tag, seconds=40)["code"] == 0, "an answer")
        check([f["data"] for n, f in a.batch(0) if n == "chunk"] == block, "all of it")
    took = time.monotonic() - began
    check(took >= (OBJECTS - LIMIT) * SECONDS / LIMIT, f"{OBJECTS} objects in {took:.2f} s pass {LIMIT} in {SECONDS} s")
    c.request("unserve", text=BLOCKS)


def ends(a, b, daemon_a):
    """A program that is gone takes what is its own with it, and nothing else."""
    b.socket.close()
    for text in ("/test/bytes/1", "/test/frames/1", "/test/messages/1"):
        a.wait("speaker", text=text, mode=0)
    check(a.request("leave", topic="beacon_block")[0] == "not_found", "the other one lives")
    a.socket.close()
    until(lambda: daemon_a.metric("p2pd_control_clients") == 0, 20, "all programs are gone")
    check(daemon_a.metric("p2pd_control_flows") == 0, "and all that was theirs")


def programs():
    work = scratch("programs")
    write_network(work / "net", "programs", 2000)
    daemons, flags = [], ["--disable-discovery", "--local-network"]
    for name in "abc":
        more = ["--peer", ",".join(d.multiaddr for d in daemons)] if daemons else ["--devnet-make-blocks"]
        more += ["--inbound-rate-limiter-protocols", f"beacon_blocks_by_range:{LIMIT}/{SECONDS}"] if name == "c" else []
        daemons.append(Daemon(name, work / "net", work / name, [*flags, *more]))
    until(lambda: all(len(d.peers()) == 2 for d in daemons), 60, "all are connected")
    a, b, c = (Control(str(work / name / "control.sock"), name) for name in "abc")
    peers = [control.welcome["peer"] for control in (a, b, c)]

    streams_of_bytes(a, b, peers[1])
    held = streams_of_frames(a, b, peers[1])
    taken = messages(a, b, c, peers)
    calls(a, b, peers[1], daemons[1])
    asks = hostile(a, c, peers[0], daemons[0])
    topics(a, b, c, daemons)
    limited(a, c, peers[2], daemons[2])
    b.request("unserve", text=BLOCKS)
    dies(a, peers[1], daemons[1], str(work / "b" / "control.sock"))
    ends(a, b, daemons[0])
    for daemon in daemons:
        daemon.stop()
    note(f"a stream without credit held {held} bytes, messages that nobody read {taken} MiB; all came in order afterwards; {asks} asks of a peer that reads no answers were survived")


if __name__ == "__main__":
    main(programs)
