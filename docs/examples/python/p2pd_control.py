#!/usr/bin/env python3
"""A program beside beacon-p2pd in Python: the control protocol (docs/control.md) without any library, and a validator.

    p2pd_control.py SOCKET GENESIS_TIME SECONDS_PER_SLOT [TOPIC...]

judges what comes on the topics (default: all): accepts what its own checks pass, ignores what is not of now, rejects what
cannot be right. Its checks: the message id is the hash that the specification says, and the slot is of the present. Put your
client's own in the place of `judge`. One JSON line a message goes to stdout.
"""

import hashlib
import json
import select
import selectors
import socket
import struct
import sys
import time

VERSION = 1
WATCH, JUDGE = 0, 1
CALLS, BYTES, FRAMES_OF, MESSAGES = 0, 1, 2, 3  # what SERVE makes of a protocol
ASKS = 0x80  # TELL: an answer is wanted
ACCEPT, IGNORE, REJECT = 0, 1, 2
CODES = "ok malformed topic not_found refused exists limit versions no_peers failed".split()

# kind -> (name, fields); client's kinds are below 0x80
FRAMES = {
    0x01: ("hello", "low high text"),
    0x02: ("subscribe", "tag mode topic"),
    0x03: ("unsubscribe", "tag topic"),
    0x04: ("verdicts", "data"),
    0x05: ("publish", "tag topic data"),
    0x06: ("join", "tag time topic"),
    0x07: ("leave", "tag topic"),
    0x08: ("add_peer", "tag text"),
    0x09: ("drop_peer", "tag text"),
    0x0A: ("request", "tag count wait peer text data"),
    0x0B: ("cancel", "tag"),
    0x0C: ("serve", "tag count low mode text"),
    0x0D: ("unserve", "tag text"),
    0x0E: ("open", "tag peer text"),
    0x0F: ("send", "id mode data"),
    0x10: ("answer", "id code context data"),
    0x11: ("credit", "id count"),
    0x12: ("end", "id"),
    0x13: ("reset", "id"),
    0x14: ("tell", "tag count wait mode peer text data"),
    0x15: ("reply", "id code data"),
    0x16: ("add_topic", "tag count low mode topic"),
    0x20: ("order", "tag time mode text data"),
    0x21: ("kad", "tag mode text data"),
    0x81: ("welcome", "count wait low mode peer text"),
    0x82: ("result", "tag code text"),
    0x83: ("message", "id time wait hash peer topic data"),
    0x84: ("lost", "count"),
    0x85: ("bye", "code text"),
    0x8A: ("chunk", "tag count context peer data"),
    0x8B: ("opened", "tag id mode peer text"),
    0x8C: ("received", "id data"),
    0x8D: ("room", "id count"),
    0x8E: ("ended", "id"),
    0x8F: ("closed", "id code text"),
    0x90: ("call", "id wait peer text data"),
    0x91: ("told", "id count mode peer text data"),
    0x92: ("replied", "tag code peer data"),
    0x93: ("speaker", "mode peer text"),
    0x94: ("signed", "id time wait hash peer topic text data"),
}
KINDS = {name: kind for kind, (name, _) in FRAMES.items()}
FIXED = {
    "tag": "<I", "id": "<Q", "time": "<Q", "count": "<Q", "wait": "<I",
    "low": "<H", "high": "<H", "mode": "<B", "code": "<H", "hash": "<20s", "context": "<4s",
}  # fmt: skip
LENGTHS = {"peer": "<B", "topic": "<H", "text": "<H"}


def encode(name, **values):
    body = struct.pack("<B", KINDS[name])
    for field in FRAMES[KINDS[name]][1].split():
        value = values[field]
        if field in FIXED:
            body += struct.pack(FIXED[field], value)
        elif field in LENGTHS:
            value = value.encode() if isinstance(value, str) else value
            body += struct.pack(LENGTHS[field], len(value)) + value
        else:
            body += value
    return struct.pack("<I", len(body)) + body


def decode(frame):
    """(name, {field: value}); None for a kind that this program does not know: skip it."""
    if frame[0] not in FRAMES:
        return None
    name, fields = FRAMES[frame[0]]
    values, at = {}, 1
    for field in fields.split():
        if field in FIXED:
            (values[field],) = struct.unpack_from(FIXED[field], frame, at)
            at += struct.calcsize(FIXED[field])
        elif field in LENGTHS:
            (size,) = struct.unpack_from(LENGTHS[field], frame, at)
            at += struct.calcsize(LENGTHS[field])
            values[field], at = frame[at : at + size], at + size
        else:
            values[field], at = frame[at:], len(frame)
    for field in ("topic", "text"):
        if field in values:
            values[field] = values[field].decode(errors="replace")
    return name, values


class Control:
    """A connection. batch() gives what comes; request() waits for its result."""

    def __init__(self, path, name="python", seconds=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(path)
        self.rest, self.tag, self.waiting = b"", 0, []
        self.send("hello", low=VERSION, high=VERSION, text=name)
        kind, self.welcome = self.read()
        if kind != "welcome":
            raise ConnectionError(f"{kind}: {self.welcome}")

    def send(self, name, **values):
        self.socket.sendall(encode(name, **values))

    def read(self):
        """The next frame from the socket."""
        while True:
            while self.whole():
                end = 4 + struct.unpack_from("<I", self.rest)[0]
                frame, self.rest = self.rest[4:end], self.rest[end:]
                if found := decode(frame):
                    return found
            more = self.socket.recv(1 << 20)
            if not more:
                raise ConnectionError("the daemon has closed the control socket")
            self.rest += more

    def request(self, name, **values):
        """Send a frame with a tag and wait for its result: (code, text). What comes before is kept for batch()."""
        self.tag += 1
        self.send(name, tag=self.tag, **values)
        while True:
            kind, got = self.read()
            if kind == "result" and got["tag"] == self.tag:
                return CODES[got["code"]], got["text"]
            if kind == "bye":
                raise ConnectionError(got["text"])
            self.waiting.append((kind, got))

    def batch(self, seconds):
        """All frames at hand, at least one unless `seconds` pass: [(name, values)]."""
        found, self.waiting = self.waiting, []
        with selectors.DefaultSelector() as ready:
            ready.register(self.socket, selectors.EVENT_READ)
            if self.whole() or ready.select(0 if found else seconds):
                found.append(self.read())
        while self.whole():
            found.append(self.read())
        return found

    def wait(self, name, seconds=30, **values):
        """The next frame of that name whose fields are as given; others stay for batch()."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.batch(max(0, end - time.monotonic()))
            for i, (kind, got) in enumerate(found):
                if kind == name and all(got[k] == v for k, v in values.items()):
                    self.waiting = found[:i] + found[i + 1 :] + self.waiting
                    return got
            self.waiting = found + self.waiting
            if not self.whole():
                select.select([self.socket], [], [], max(0, end - time.monotonic()))
        raise TimeoutError(f"no {name} with {values} in {seconds} s")

    def whole(self):
        """A frame is here already."""
        return len(self.rest) >= 4 and len(self.rest) >= 4 + struct.unpack_from("<I", self.rest)[0]

    def verdicts(self, judged):
        """[(message id, verdict, score change)]"""
        self.send("verdicts", data=b"".join(struct.pack("<QBi", i, v, round(1000 * s)) for i, v, s in judged))


def message_id(topic, ssz):
    """Spec: consensus-specs specs/altair/p2p-interface.md, "The gossip domain: gossipsub"."""
    name = topic.encode()
    return hashlib.sha256(b"\x01\0\0\0" + struct.pack("<Q", len(name)) + name + ssz).digest()[:20]


def slot_of(topic, ssz):
    """The slot that the message is of, where it lies at a fixed place; None for other topics."""
    name = topic.split("/")[3]
    if name == "beacon_block":
        return struct.unpack_from("<Q", ssz, 100)[0]
    if name.startswith("beacon_attestation_"):
        return struct.unpack_from("<Q", ssz, 4 if len(ssz) != 240 else 16)[0]
    if name.startswith("sync_committee_") and len(ssz) == 144:
        return struct.unpack_from("<Q", ssz)[0]
    return None


def judge(message, genesis_time, seconds_per_slot):
    topic, ssz = message["topic"], message["data"]
    if message_id(topic, ssz) != message["hash"]:
        return REJECT, -10.0
    slot, now = slot_of(topic, ssz), (message["time"] / 1e9 - genesis_time) / seconds_per_slot
    if slot is not None and not now - 64 <= slot <= now + 1:
        return IGNORE, 0.0
    return ACCEPT, 0.0


def main(path, genesis_time, seconds_per_slot, *topics):
    control = Control(path)
    for topic in topics or ("*",):
        code, text = control.request("subscribe", mode=JUDGE, topic=topic)
        if code != "ok":
            sys.exit(f"{topic}: {code} {text}")
    while True:
        judged = []
        for kind, got in control.batch(1.0):
            if kind == "message":
                verdict, score = judge(got, int(genesis_time), float(seconds_per_slot))
                judged += [(got["id"], verdict, score)] if got["wait"] else []
                delay = time.time() - got["time"] / 1e9
                print(json.dumps({"topic": got["topic"], "verdict": verdict, "delay": delay}), flush=True)
            elif kind in ("lost", "bye"):
                print(json.dumps({kind: got}), flush=True)
        if judged:
            control.verdicts(judged)


if __name__ == "__main__":
    main(*sys.argv[1:])
