#!/usr/bin/env python3
"""The gossip router by itself, in one command: tests/bench/gossip/run.py [--messages 100000]

Builds the release library and tests/bench/gossip/ours.c in build/bench-gossip and prints what an
attestation, a column and their duplicates cost. Other projects' routers are not in it yet.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILD = ROOT / "build" / "bench-gossip"


def sh(command):
    print("+", " ".join(map(str, command)), file=sys.stderr)
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)


def build():
    sh(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"])
    sh(["ninja", "-C", BUILD, "p2pd_proto_gossipsub"])
    play = ROOT / "tests" / "unit" / "proto" / "gossipsub"
    libs = [BUILD / f"libp2pd_{name}.a" for name in ("proto_gossipsub", "codec", "crypto", "base")]
    sh(["cc", "-std=gnu17", "-O2", "-I", ROOT / "include", "-I", play, HERE / "ours.c", play / "play_rpc.c",
        *libs, "-lsnappy", "-lsodium", "-lsecp256k1", "-lcrypto", "-o", BUILD / "bench-ours"])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--messages", type=int, default=100000)
    n = args.parse_args().messages
    build()
    for what, size, messages in (("attestation, 240 bytes", 240, n), ("column, 100,000 bytes", 100000, n // 100)):
        out = subprocess.run([BUILD / "bench-ours", str(size), str(messages), "5"], check=True,
                             capture_output=True, text=True).stdout
        print(f"{what}: {out.strip()}")


if __name__ == "__main__":
    main()
