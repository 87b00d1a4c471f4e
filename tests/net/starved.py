#!/usr/bin/env python3
"""Two hosts whose kernel is short of everything: starved.py NET_PEER. Writes fail with ENOBUFS and EINTR and come back with one byte
taken (tests/net/enobufs.c, preloaded); every byte of every stream must still arrive, over both muxers."""
import os, subprocess, sys, tempfile
from pathlib import Path

from matrix import Peer

TOP = Path(__file__).resolve().parents[2]


def run(net, muxer, library):
    told = Path(f"{library}.{muxer}")
    os.environ.update(LD_PRELOAD=library, ENOBUFS_TOLD=str(told), ASAN_OPTIONS="verify_asan_link_order=0")
    a, b = (Peer(name, [net, "--muxers", muxer]) for name in "ab")
    try:
        up = b.wait("up")
        a.say(f"connect {up['ip']} {up['port']}")
        a.wait("connected")
        for n, streams in ((1, 1), (1000, 100), (3_000_000, 3)):
            a.say(f"echo {n} {streams}")
            e = a.wait("echo", 120)
            assert e["got"] == e["sent"] == n * streams, e
        a.say("ping")
        a.wait("ping")
    finally:
        del os.environ["LD_PRELOAD"]
        codes = [p.end() for p in (a, b)]
    failed = [int(n) for n in told.read_text().split()]
    assert codes == [0, 0] and len(failed) == 2 and min(failed) > 20, (codes, failed)
    print(f"note: {muxer}: {sum(failed)} writes failed, nothing was lost")


def main():
    with tempfile.TemporaryDirectory() as work:
        library = f"{work}/enobufs.so"
        subprocess.run(["cc", "-std=c17", "-shared", "-fPIC", "-o", library, TOP / "tests/net/enobufs.c", "-ldl"], check=True)
        for muxer in ("yamux", "mplex"):
            run(sys.argv[1], muxer, library)


if __name__ == "__main__":
    main()
