#!/usr/bin/env python3
"""The objects of the benchmark, the same bytes on every machine: objects.py FOLDER.

block         electra SignedBeaconBlock, mainnet preset, full: 8 attestations of 30,000 bits, 350
              transactions (220 KB), 9 commitments, 16 withdrawals, sync aggregate
column        fulu DataColumnSidecar with 21 blobs
attestations  10,000 electra Attestations of one committee each (up to 500 bits)
state         electra BeaconState with 500,000 validators
"""

import random
import struct
import sys

rng = random.Random(4)
blob = rng.randbytes


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def pick():
    return u64(rng.randrange(1 << 40))


def join(*parts):
    """A container: bytes are fixed fields, lists of one are variable ones."""
    at = sum(4 if isinstance(p, list) else len(p) for p in parts)
    head, tail = b"", b""
    for p in parts:
        if isinstance(p, list):
            head += struct.pack("<I", at + len(tail))
            tail += p[0]
        else:
            head += p
    return head + tail


def variable(items):
    """A list of variable-size elements."""
    at = 4 * len(items)
    head = bytearray()
    for i in items:
        head += struct.pack("<I", at)
        at += len(i)
    return bytes(head) + b"".join(items)


def bits(n):
    x = rng.getrandbits(n) | 1 << n
    return x.to_bytes(n // 8 + 1, "little")


def checkpoint():
    return pick() + blob(32)


def data():
    return pick() + u64(0) + blob(32) + checkpoint() + checkpoint()


def attestation(n):
    return join([bits(n)], data(), blob(96), blob(8))


def header():
    return pick() + pick() + blob(96)


def payload_head():
    return (blob(32), blob(20), blob(32), blob(32), blob(256), blob(32), pick() + pick() + pick() + pick())


def block():
    transactions = [blob(rng.choice([110, 180, 400, 700, 2400])) for _ in range(350)]
    payload = join(
        *payload_head(), [blob(20)], blob(32), blob(32), [variable(transactions)],
        [b"".join(pick() + pick() + blob(20) + pick() for _ in range(16))], pick() + pick())
    requests = join(
        [b"".join(blob(80) + pick() + blob(96) + pick() for _ in range(4))],
        [b"".join(blob(68) + pick() for _ in range(8))], [blob(116)])
    body = join(
        blob(96), blob(32) + pick() + blob(32), blob(32), [b""], [b""],
        [variable([attestation(30000) for _ in range(8)])], [b""],
        [b"".join(pick() + pick() + blob(96) for _ in range(2))], blob(160), [payload],
        [b"".join(pick() + blob(164) for _ in range(4))], [blob(48 * 9)], [requests])
    return join([join(pick() + pick(), blob(64), [body])], blob(96))


def column():
    return join(pick(), [blob(2048 * 21)], [blob(48 * 21)], [blob(48 * 21)], header() + blob(96), blob(128))


def state():
    n = 500_000
    validators = b"".join(
        blob(80) + u64(32_000_000_000) + b"\0" + u64(i // 4, i // 3, 2**64 - 1, 2**64 - 1) for i in range(n))
    balances = b"".join(u64(32_000_000_000 + rng.randrange(1 << 24)) for _ in range(n))
    sync = blob(48 * 513)
    payload = join(*payload_head(), [blob(20)], blob(32), blob(96), pick() + pick())
    return join(
        pick(), blob(32), pick(), blob(8) + pick(), header(), blob(32 * 8192), blob(32 * 8192),
        [blob(32 * 758)], blob(32) + pick() + blob(32), [blob(72 * 300)], pick(), [validators],
        [balances], blob(32 * 65536), u64(*[0] * 8192), [bytes([7]) * n], [bytes([7]) * n], b"\x0f",
        checkpoint(), checkpoint(), checkpoint(), [u64(*[0] * n)], sync, sync, [payload], pick(),
        pick(), [blob(64 * 700)], pick(), pick(), pick(), pick(), pick(), pick(),
        [b"".join(blob(80) + pick() + blob(96) + pick() for _ in range(5000))],
        [b"".join(pick() + pick() + pick() for _ in range(50))],
        [b"".join(pick() + pick() for _ in range(50))])


def attestations():
    return variable([attestation(rng.randrange(200, 500)) for _ in range(10_000)])


def main():
    for name, make in (("block", block), ("column", column), ("attestations", attestations), ("state", state)):
        with open(f"{sys.argv[1]}/{name}.ssz", "wb") as f:
            f.write(make())


if __name__ == "__main__":
    main()
