#!/usr/bin/env python3
"""Bad input at every layer: each loses its message, stream or connection with a reason that the metrics and the log name, while the
daemon and its other peers go on. The bad peer is harness/raw.py: plain Python that can say anything."""

import os
import re
import subprocess
from collections import namedtuple

from harness.daemon import PROGRAM, Daemon
from harness.devnet import SECONDS_PER_SLOT, Devnet
from harness.proc import TOP, Failure, check, main, note, patient, say, scratch, until
from harness.raw import Closed, Identity, Raw, pb, snappy_block, snappy_frames, varint

REQ = "/eth2/beacon_chain/req/"

# what: the fault. do: says it over a Raw, given the daemon; returns the stream it was said on, or None.
# ends: "conn" the connection must end; "stream" that stream must; "message" neither.
# reasons: rows of err.def, one of which must be counted.
Case = namedtuple("Case", "what do ends reasons")


def request(method, body):
    def do(raw, _):
        raw.upgrade()
        sid = raw.open(f"{REQ}{method}/ssz_snappy")
        raw.send(sid, body, fin=True)
        return sid

    return do


def framed(ssz, declared=None, crc_xor=0):
    return varint(len(ssz) if declared is None else declared) + snappy_frames(ssz, crc_xor)


def gossip(rpc):
    """An RPC, or a function of the daemon that makes it, on a meshsub stream."""

    def do(raw, world):
        raw.upgrade()
        sid = raw.open("/meshsub/1.1.0")
        raw.send(sid, rpc(world) if callable(rpc) else rpc)
        while None not in raw.theirs.values():
            raw.pump()  # the daemon reads our gossip once it has its own stream to answer on
        return sid

    return do


def published(topic, data):
    message = pb(2, data) + pb(4, topic.encode())
    rpc = pb(2, message)
    return varint(len(rpc)) + rpc


def slashing_of_nothing(world):
    """A ProposerSlashing of zeros: well formed, and its two headers are the same."""
    return published(world.topic("proposer_slashing"), snappy_block(bytes(416)))


def block_with_bad_offset(world):
    """The head block with its first offset turned away: SignedBeaconBlock's first four bytes say where the message begins."""
    ssz, _ = world.daemon.block_ssz("head")
    return published(world.topic("beacon_block"), snappy_block(b"\xff\xff\xff\x7f" + ssz[4:]))


def block_cut_short(world):
    ssz, _ = world.daemon.block_ssz("head")
    return published(world.topic("beacon_block"), snappy_block(ssz[: len(ssz) // 2]))


def snappy_that_lies(world):
    ssz, _ = world.daemon.block_ssz("head")
    return published(world.topic("beacon_block"), snappy_block(ssz, declared=len(ssz) + 1000))


def snappy_bomb(world):
    return published(world.topic("beacon_block"), snappy_block(b"x" * 100, declared=2**32 - 1))


def before_multistream(raw, _):
    raw.raw(b"GET / HTTP/1.1\r\n\r\n" + os.urandom(512))


def noise_message(number):
    def do(raw, _):
        raw.noise(break_message=number)

    return do


def noise_other_signer(raw, _):
    raw.noise(signer=Identity())


def noise_record(raw, _):
    raw.upgrade()
    raw.raw(b"\0\x20" + os.urandom(32))


def noise_length_lie(raw, _):
    raw.select("/noise")
    raw.raw(b"\xff\xff" + os.urandom(65535))


def yamux_frame(kind, flags, sid, length, version=0):
    def do(raw, _):
        raw.upgrade()
        raw.frame(kind, flags, sid, length, b"x" * 64, version)

    return do


CASES = [
    Case("bytes before multistream", before_multistream, "conn", {"E_MULTISTREAM"}),
    Case("a Noise message 1 of 27 bytes", noise_message(1), "conn", {"E_NOISE_HANDSHAKE", "E_NOISE_FRAME"}),
    Case(
        "a Noise message longer than a handshake",
        noise_length_lie,
        "conn",
        {"E_NOISE_HANDSHAKE", "E_NOISE_FRAME"},
    ),
    Case("a Noise message 3 with one bit turned", noise_message(3), "conn", {"E_NOISE_HANDSHAKE"}),
    Case("a Noise key signed by another identity", noise_other_signer, "conn", {"E_NOISE_IDENTITY"}),
    Case("a Noise record that does not verify", noise_record, "conn", {"E_NOISE_RECORD"}),
    Case("yamux version 9", yamux_frame(0, 1, 1, 4, version=9), "conn", {"E_YAMUX_VERSION"}),
    Case("yamux type 7", yamux_frame(7, 0, 1, 0), "conn", {"E_YAMUX_TYPE"}),
    Case("a yamux frame of 2 GiB", yamux_frame(0, 1, 1, 2**31), "conn", {"E_YAMUX_WINDOW"}),
    Case(
        "a yamux stream that is the daemon's to open", yamux_frame(0, 1, 2, 4), "conn", {"E_YAMUX_STREAM_ID"}
    ),
    Case("a gossip RPC of 1 GiB", gossip(varint(2**30)), "stream", {"E_GOSSIP_RPC", "E_TOO_LONG"}),
    Case(
        "a gossip RPC that is no protobuf",
        gossip(varint(6) + b"\xff" * 6),
        "stream",
        {"E_GOSSIP_RPC", "E_PROTOBUF", "E_VARINT"},
    ),
    Case(
        "snappy that lies about its length",
        gossip(snappy_that_lies),
        "message",
        {"E_SNAPPY_LENGTH", "E_SNAPPY"},
    ),
    Case(
        "snappy that declares 4 GiB",
        gossip(snappy_bomb),
        "message",
        {"E_SNAPPY_LENGTH", "E_TOO_LONG", "E_SNAPPY"},
    ),
    Case("a block with a bad offset", gossip(block_with_bad_offset), "message", {"E_SSZ_OFFSET"}),
    Case("a proposer slashing of one header twice", gossip(slashing_of_nothing), "message", {"E_GOSSIP_REJECT"}),
    Case("half a block", gossip(block_cut_short), "message", {"E_SSZ_OFFSET", "E_SSZ_LENGTH"}),
    Case(
        "a request that declares 1 TiB",
        request("ping/1", varint(2**40) + snappy_frames(b"x" * 8)),
        "stream",
        {"E_REQRESP_LENGTH", "E_VARINT"},
    ),
    Case(
        "a request whose snappy frame has a wrong checksum",
        request("ping/1", framed(b"x" * 8, crc_xor=1)),
        "stream",
        {"E_SNAPPY_CRC"},
    ),
    Case(
        "a request that ends early",
        request("status/1", framed(b"x" * 40, declared=84)),
        "stream",
        {"E_REQRESP_EOF", "E_SNAPPY_LENGTH", "E_REQRESP_LENGTH"},
    ),
    Case(
        "a request with bytes after its end",
        request("ping/1", framed(b"x" * 8) + b"more"),
        "stream",
        {"E_REQRESP_EXTRA", "E_SNAPPY"},
    ),
    Case(
        "a status of 83 bytes",
        request("status/1", framed(b"x" * 83)),
        "stream",
        {"E_REQRESP_LENGTH", "E_SSZ_LENGTH"},
    ),
    Case(
        "blocks by root with half a root",
        request("beacon_blocks_by_root/2", framed(b"x" * 48)),
        "stream",
        {"E_REQRESP_LENGTH", "E_SSZ_LENGTH"},
    ),
    Case(
        "blocks by range that wraps around 2^64",
        request(
            "beacon_blocks_by_range/2",
            framed((2**64 - 2).to_bytes(8, "little") + (2**64 - 1).to_bytes(8, "little") + b"\1" + bytes(7)),
        ),
        "answer",
        {"E_INVALID", "E_RANGE", "E_LIMIT", "E_REQRESP_LENGTH", "E_UNSUPPORTED"},
    ),
]


class World:
    def __init__(self, net, daemon):
        self.net, self.daemon = net, daemon

    def topic(self, name):
        """By the daemon's own digest: the first four bytes of its eth2 field are in every topic it has joined."""
        status = self.status()
        return f"/eth2/{status[:4].hex()}/{name}/ssz_snappy"

    def status(self):
        """Ask for the daemon's status as a peer with nothing would, and take the 84 bytes out of its answer."""
        raw = Raw(self.daemon.port).upgrade()
        sid = raw.open(f"{REQ}status/1/ssz_snappy")
        raw.send(sid, framed(bytes(84)), fin=True)
        answer = raw.wait_ended(sid)
        raw.close()
        check(answer[:1] == b"\0", f"status was answered by {answer[:20].hex()}")
        return unframed(answer[1:])


def unframed(answer):
    """The bytes of one answer whose snappy chunks are compressed or not; only what a literal-only reader needs."""
    at = 1 if answer[0] < 128 else 2
    out = b""
    while at < len(answer):
        kind, size = answer[at], int.from_bytes(answer[at + 1 : at + 4], "little")
        body = answer[at + 4 : at + 4 + size]
        at += 4 + size
        if kind == 1:
            out += body[4:]
        if kind == 0:
            out += unsnappy(body[4:])
    return out


def unsnappy(data):
    at, shift, size = 0, 0, 0
    while True:
        size |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            break
    out = b""
    while at < len(data):
        tag, at = data[at], at + 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                extra = n - 59
                n, at = int.from_bytes(data[at : at + extra], "little"), at + extra
            out, at = out + data[at : at + n + 1], at + n + 1
            continue
        if tag & 3 == 1:
            n, back, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at], at + 1
        else:
            width = 2 if tag & 3 == 2 else 4
            n, back, at = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little"), at + width
        for _ in range(n):
            out += out[-back:][:1]
    check(len(out) == size, "snappy answer of a wrong length")
    return out


def fault_counts(daemon):
    found = {}
    for key, value in daemon.metrics().items():
        row = re.match(r'p2pd_faults_total\{reason="(\w+)"\}', key)
        if row:
            found[row.group(1)] = value
    return found


def logged(daemon, reasons, start):
    """The log names the reason, by its row or its text, in an event after `start`."""
    texts = reasons | {
        t
        for n, t in re.findall(r'^E\((\w+),.*"([^"]*)"\)$', (TOP / "include/base/err.def").read_text(), re.M)
        if n in reasons
    }
    return [
        e
        for e in daemon.events[start:]
        if any(isinstance(v, str) and any(t in v for t in texts) for v in e.values())
    ]


def try_case(case, world):
    daemon = world.daemon
    before, start = fault_counts(daemon), len(daemon.events)
    raw, sid, closed = Raw(daemon.port), None, False
    try:
        sid = case.do(raw, world)
    except Closed:
        closed = True
    if case.ends == "conn":
        check(closed or raw.wait_closed(20), f"{case.what}: the connection is still open")
    elif case.ends in ("stream", "answer"):
        try:
            raw.sock.settimeout(patient(20))
            answer = raw.wait_ended(sid) if sid else b""
        except Closed as end:
            check("timed out" not in str(end), f"{case.what}: the stream is still open")
            answer = b""
        if case.ends == "answer":
            check(answer[:1] != b"\0", f"{case.what}: was answered with blocks")

    def counted():
        now = fault_counts(daemon)
        return [r for r in case.reasons if now.get(r, 0) > before.get(r, 0)]

    if not (case.ends == "answer" and answer[:1] == b""):
        until(
            counted,
            10,
            lambda: f"{case.what}: one of {sorted(case.reasons)} is counted; counted were "
            + str(
                {k: v - before.get(k, 0) for k, v in fault_counts(daemon).items() if v != before.get(k, 0)}
            ),
        )
        until(lambda: logged(daemon, set(counted()), start), 5, f"{case.what}: the log names {counted()}")
    raw.close()
    say(f"{case.what}: {counted()}")
    return counted()


def reproduced(folder, network, at_least):
    """Each rejected message has a file, and its message is rejected for the same reason by a program that knows nothing but the file."""
    files = sorted(folder.glob("*.rejected"))
    check(len(files) >= at_least, f"{len(files)} files of rejected messages, wanted {at_least}")
    errors = set()
    for file in files:
        done = subprocess.run(
            [PROGRAM, "replay", file, "--testnet-dir", network], capture_output=True, text=True, check=False, timeout=patient(60)
        )
        check(done.returncode == 0 and "now the same" in done.stdout, f"{file}: {done.stdout} {done.stderr}")
        errors.add(re.search(r"was rejected: (\w+)", done.stdout).group(1))
    check({"E_GOSSIP_REJECT", "E_SSZ_OFFSET"} <= errors, f"reasons in the files: {errors}")
    # Another reason in the file is noticed, and so is a damaged file.
    text = files[0].read_bytes()
    (folder / "other").write_bytes(re.sub(rb"\nreason [^\n]*", b"\nreason it was late", text))
    (folder / "cut").write_bytes(text[:-1])
    for name, words in (("other", "now"), ("cut", "bytes")):
        done = subprocess.run(
            [PROGRAM, "replay", folder / name, "--testnet-dir", network], capture_output=True, text=True, check=False, timeout=patient(60)
        )
        check(done.returncode == 1 and words in done.stdout + done.stderr, f"{name}: {done.stdout} {done.stderr}")
    return len(files)


def run():
    work = scratch("badpeer")
    net = Devnet(3, work / "net", ["--late-after", 0])
    enr = net.boot_enr()
    daemon = Daemon(
        "daemon",
        net.network,
        work / "d",
        [
            "--local-network",
            "--subscribe-all-subnets",
            "--validation",
            "structural",
            "--log-level",
            "debug",
            "--boot-nodes",
            enr,
            "--save-invalid",
            work / "invalid",
        ],
    )
    until(
        lambda: len(daemon.peers()) >= 3,
        60,
        lambda: f"the daemon has three peers; it has {daemon.peers(None)}",
    )
    until(lambda: daemon.header("head"), 60, "the first block")
    good = {p["peer_id"] for p in daemon.peers()}
    world, reasons, failures = World(net, daemon), set(), []
    for case in CASES:
        try:
            reasons |= set(try_case(case, world))
        except (Failure, Closed, OSError) as trouble:
            failures.append(f"{case.what}: {trouble}")
            say(f"FAILED {case.what}: {trouble}")
        daemon.process.must_run()
    check(not failures, f"{len(failures)} of {len(CASES)}: " + "; ".join(failures[:4]))

    kept = reproduced(work / "invalid", net.network, sum(c.ends == "message" for c in CASES))

    # Nobody else noticed: the same peers, new blocks, one head.
    check(
        good <= {p["peer_id"] for p in daemon.peers()},
        f"good peers were lost: {good - {p['peer_id'] for p in daemon.peers()}}",
    )
    start = daemon.head_slot()
    until(lambda: daemon.head_slot() >= start + 3, 6 * SECONDS_PER_SLOT, "blocks go on coming")
    until(
        lambda: net.same_head() and net.head(0)["root"] == daemon.header("head")["root"],
        10,
        "one head on all",
    )
    daemon.stop()
    check(net.stop() == 0, "the devnet around it did not end well")
    note(f"{len(CASES)} kinds of garbage, {len(reasons)} reasons named, {kept} rejected messages reproduced, {len(good)} other peers undisturbed")


if __name__ == "__main__":
    main(run)
