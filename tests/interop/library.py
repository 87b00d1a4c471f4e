#!/usr/bin/env python3
"""libp2pd as others have it: installed into a scratch prefix, found by pkg-config, linked shared and static.

What it exports is what its header declares, and it needs nothing but the C library. The documented program joins a devnet and
prints its blocks, with a daemon of its own; `beacon-p2pd watch` and `publish`, which are its users too, do what they say.
"""

import json
import os
import re
import subprocess
import time

from harness.daemon import PROGRAM, Daemon
from harness.devnet import Devnet
from harness.proc import TOP, Process, check, main, note, patient, scratch, until

BUILD = os.path.dirname(PROGRAM)
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def tell(*argv, env=None):
    done = subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, check=False, timeout=patient(600), env={**os.environ, **(env or {})}
    )
    check(done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stdout[-500:]} {done.stderr[-900:]}")
    return done.stdout


def install(work):
    tell("cmake", "--install", BUILD, "--prefix", work / "usr")
    (pc,) = (work / "usr").rglob("p2pd.pc")
    return {"PKG_CONFIG_PATH": str(pc.parent)}, pc.parent.parent


def symbols(lib, header):
    """Exported: exactly what is declared. Needed: the C library's."""
    declared = set(re.findall(r"P2PD_API [^(;]*?\b(p2pd_\w+)\(", header.read_text()))
    so = lib / "libp2pd.so"
    lines = [line.split() for line in tell("nm", "-D", "--with-symbol-versions", so).splitlines()]
    exported = {words[2].split("@")[0] for words in lines if len(words) == 3 and words[1] == "T"}
    check(exported == declared, f"exported and declared differ: {sorted(exported ^ declared)}")
    check(len(declared) > 30, f"{len(declared)} functions are declared")
    dynamic = tell("readelf", "-d", so)
    check(re.findall(r"SONAME.*\[(.*)\]", dynamic) == ["libp2pd.so.0"], "SONAME")
    check(set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)) <= {"libc.so.6"}, f"it needs more than libc: {dynamic}")
    loose = [line.split()[-1] for line in tell("nm", "-g", "--defined-only", lib / "libp2pd.a").splitlines() if " T " in line]
    check(all(name.startswith(("p2pd_", "p2pdi_")) for name in loose), f"names in others' way: {loose}")
    return len(declared)


def compile_all(work, env, lib, header):
    for language in ("c99", "c17", "c++11"):
        kind = "c++" if "+" in language else "c"
        tell("cc" if kind == "c" else "c++", *STRICT, f"-std={language}", "-x", kind, header)
    source = TOP / "docs/examples/c/blocks.c"
    check(len(source.read_text().splitlines()) <= 50, "the program has grown over 50 lines")
    flags = tell("pkg-config", "--cflags", "--libs", "p2pd", env=env).split()
    tell("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", work / "blocks", source, *flags)
    tell("cc", "-std=c17", "-o", work / "blocks-static", source, *[f for f in flags if f != "-lp2pd"], lib / "libp2pd.a")
    return work / "blocks", work / "blocks-static"


def blocks(program, devnet, datadir, env):
    """What it prints is the devnet's chain."""
    argv = [program, "--testnet-dir", devnet.network, "--boot-nodes", devnet.boot_enr(), "--datadir", datadir,
            "--listen-address", "127.0.0.1", "--enr-address", "127.0.0.1", "--port", "0", "--http-port", "0",
            "--enable-private-discovery", "--local-network", "--log-level", "error"]  # fmt: skip
    datadir.mkdir()
    process = Process(program.name, argv, env=env)
    until(lambda: sum(line.startswith("slot ") for line in process.lines) >= 2, 90, f"{program.name} prints blocks")
    seen = [re.match(r"slot (\d+), proposer (\d+), \d+ bytes from (\w+)", line) for line in list(process.lines)]
    ids = {devnet.identity(i)["peer_id"] for i in range(len(devnet.ports))}
    for slot, proposer, peer in (m.groups() for m in seen if m):
        header = until(lambda s=slot: devnet.get(0, f"/eth/v1/beacon/headers/{s}"), 20, f"a block of slot {slot}")
        check(header["header"]["message"]["proposer_index"] == proposer, f"another proposer of slot {slot}")
        check(peer in ids, f"{peer} is no node of the devnet")
    pid = process.child.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        (child,) = map(int, file.read().split())
    process.kill()
    until(lambda: not alive(child), 20, "its daemon ends with it")
    return len([m for m in seen if m])


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def commands(work, devnet):
    daemon = Daemon("daemon", devnet.network, work / "d", ["--boot-nodes", devnet.boot_enr(), "--local-network"])
    sock = work / "d" / "control.sock"
    until(lambda: daemon.peers(), 60, "a peer")
    lines = tell(PROGRAM, "watch", "--control-socket", sock, "--count", 2, "--data", "beacon_block").splitlines()
    for line in map(json.loads, lines):
        check(line["topic"].endswith("/beacon_block/ssz_snappy") and len(line["data"]) == 2 * line["size"], f"{line}")
        check(abs(int(line["time_ns"]) / 1e9 - time.time()) < 60 and len(line["id"]) == 40, f"{line}")
    ssz = work / "exit"
    ssz.write_bytes((0).to_bytes(8, "little") + (12345).to_bytes(8, "little") + bytes(96))
    tell(PROGRAM, "publish", "--control-socket", sock, "voluntary_exit", ssz)
    for argv, why in (
        ([PROGRAM, "publish", "--control-socket", sock, "voluntary_exit", ssz], "exists"),
        ([PROGRAM, "watch", "--control-socket", sock, "no_such_topic"], "topic"),
        ([PROGRAM, "watch", "--control-socket", work / "none"], "No such file"),
        ([PROGRAM, "watch"], "is needed"),
        ([PROGRAM, "watch", "--control-socket", sock, "--count", "x"], "needs a value"),
    ):
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=patient(60), check=False)
        check(done.returncode != 0 and why in done.stderr, f"{argv}: {done.returncode} {done.stderr}")
    daemon.stop()


def library():
    work = scratch("library")
    env, lib = install(work)
    header = work / "usr/include/p2pd/p2pd.h"
    count = symbols(lib, header)
    shared, static = compile_all(work, env, lib, header)
    devnet = Devnet(2, work / "net", ["--late-after", 0])
    path = f"{work / 'usr/bin'}:{os.environ['PATH']}"
    seen = blocks(shared, devnet, work / "b1", {"PATH": path, "LD_LIBRARY_PATH": str(lib)})
    seen += blocks(static, devnet, work / "b2", {"PATH": path})
    commands(work, devnet)
    note(f"{count} functions, libc alone below; {seen} blocks of the devnet printed by the program of the docs, shared and static")


if __name__ == "__main__":
    main(library)
