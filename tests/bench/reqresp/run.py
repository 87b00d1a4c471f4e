#!/usr/bin/env python3
"""Req/resp's cost: serving blocks warm and cold, syncing them, memory with fifty peers, bytes written. In one run beside handlers on
go-libp2p, beside Lodestar, and beside a plain stream of ours.

usage: run.py [--blocks N] [--lodestar] [--write]      (release build, tests/interop/peers.sh go; lodestar with --lodestar)
CPU time is that of the process under test (/proc/PID/stat), so that a busy machine blurs but does not bend it. --write puts the
table into docs/benchmarks/reqresp.md."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(TOP / "tests/interop"), str(TOP / "tests/bench")]
os.environ.setdefault("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))

import page  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from harness.lodestar import Lodestar, before_genesis  # noqa: E402
from harness.proc import PEERS, Process, check, scratch, until  # noqa: E402

BUILD = TOP / "build/release/tests/net"
GO = os.environ.get("P2PD_GOPEER", str(PEERS / "gopeer"))
TICK = os.sysconf("SC_CLK_TCK")
BLOCK_BYTES = 100_000  # of transactions: mainnet's blocks of 2026 have 80 to 130 KB
SLOT_SECONDS = 12
UNLIMITED = "beacon_blocks_by_range:100000000/1"
PEERS_AT_ONCE, LARGE_BLOCKS = 50, 128


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def written(pid):
    return int(re.search(r"^write_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text(), re.M).group(1))


def write_network(path, slots):
    """Mainnet's preset, in fulu from genesis, whose clock stands a little behind the chain's last slot."""
    path.mkdir()
    genesis = int(time.time()) - (slots + 16) * SLOT_SECONDS
    config = [f"PRESET_BASE: mainnet\nCONFIG_NAME: bench\nMIN_GENESIS_TIME: {genesis}\nGENESIS_DELAY: 0",
              f"SLOT_DURATION_MS: {SLOT_SECONDS * 1000}\nGENESIS_FORK_VERSION: 0x00626e63"]
    for i, fork in enumerate(("ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU")):
        config.append(f"{fork}_FORK_VERSION: 0x0{i + 1}626e63\n{fork}_FORK_EPOCH: 0")
    (path / "config.yaml").write_text("\n".join(config) + "\n")
    root = hashlib.sha256(b"p2pd devnet validators" + (64).to_bytes(8, "little") + bytes(32)).hexdigest()
    (path / "genesis_validators_root.txt").write_text(f"0x{root}\n")


def load(*words):
    return subprocess.Popen([BUILD / "net_reqload", *map(str, words)], stdout=subprocess.PIPE, text=True)


def done(process):
    out, _ = process.communicate(timeout=600)
    check(process.returncode == 0, f"the load ended with {process.returncode}")
    return json.loads(out)


def serving(pid, port, network, count, rounds, batch=128):
    """(chunks, bytes, CPU seconds of the server, wall seconds)"""
    before = cpu(pid)
    got = done(load("blocks", f"127.0.0.1:{port}", network, 1, count, batch, rounds))
    check(got["chunks"] == count * rounds, f"{got} of {count * rounds}")
    return got["chunks"], got["bytes"], cpu(pid) - before, got["seconds"]


def plain(total):
    """The same bytes on a plain stream of ours: CPU seconds of who sends."""
    server = subprocess.Popen([BUILD / "net_reqload", "serve", str(total)], stdout=subprocess.PIPE, text=True)
    addr = server.stdout.readline().strip()
    before = cpu(server.pid)
    got = done(load("plain", addr))
    spent = cpu(server.pid) - before
    server.terminate()
    server.wait(10)
    check(got["bytes"] >= total, f"the plain stream gave {got}")
    return spent * total / got["bytes"], got["seconds"]


def forget(path):
    """Drop the file's pages from the cache; nothing maps it."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def daemon(name, work, network, *more):
    return Daemon(name, network, work / name, ["--disable-discovery", "--local-network", "--inbound-rate-limiter-protocols", UNLIMITED, *more])


def go_file(work, count, saved):
    """What the Go handlers serve: the same blocks, out of ours by `beacon-p2pd request --save`."""
    with open(work / "go-blocks", "wb") as out:
        out.write(bytes.fromhex(saved["digest"]))
        for i in range(1, count + 1):
            ssz = (saved["dir"] / f"beacon_blocks_by_range-{i}.ssz").read_bytes()
            out.write(len(ssz).to_bytes(4, "little") + ssz)
    return work / "go-blocks"


def bench(blocks):
    work, rows = scratch("bench-reqresp"), []
    network = work / "network"
    write_network(network, blocks)
    (work / "holder").mkdir()
    made = subprocess.run([BUILD / "net_store", work / "holder/store", network], input=f"chain 1 {blocks} {BLOCK_BYTES} genesis\n",
                          capture_output=True, text=True, timeout=600, check=False)  # fmt: skip
    check(made.returncode == 0, made.stderr)
    for f in (work / "holder/store").rglob("*"):
        if f.is_file():
            forget(f)

    holder = daemon("holder", work, network)
    pid, port = holder.process.child.pid, holder.port
    check(holder.head_slot() == blocks, f"the holder's head is {holder.head_slot()}")
    chunks, size, spent, wall = serving(pid, port, network, blocks, 1)
    rows.append(("blocks served per CPU second, cold store", chunks / spent, f"{size / spent / 2**20:.0f} MiB of SSZ per CPU second; {wall:.1f} s"))
    serving(pid, port, network, blocks, 1)
    rounds = max(1, round(2**30 / size))
    sent = holder.metrics().get("p2pd_sent_bytes_total", 0)
    chunks, size, spent, wall = serving(pid, port, network, blocks, rounds)
    wire = holder.metrics().get("p2pd_sent_bytes_total", 0) - sent
    rows.append(("blocks served per CPU second, warm store", chunks / spent, f"{size / spent / 2**20:.0f} MiB of SSZ per CPU second; {wall:.1f} s"))
    plain_spent, _ = plain(int(wire))
    rows.append(("CPU of 1 GiB of blocks on the wire / of a plain stream", spent / plain_spent, f"{spent:.2f} s / {plain_spent:.2f} s for {wire / 2**20:.0f} MiB; to reach: at most 1.5"))

    # Go's handlers, with the same blocks in memory.
    few = min(blocks, 512)
    saved, digest = work / "saved", None
    for start in range(1, few + 1, 128):
        out = subprocess.run([os.environ["P2PD_PROGRAM"], "request", "--testnet-dir", network, "--save", saved / str(start),
                              holder.multiaddr, "beacon_blocks_by_range", f"start_slot={start}", f"count={min(128, few - start + 1)}"],
                             capture_output=True, text=True, check=True, timeout=120).stdout if (saved.mkdir(exist_ok=True) or True) else ""  # fmt: skip
        digest = re.search(r"digest 0x(\w+)", out).group(1)
        for i in range(1, min(128, few - start + 1) + 1):
            (saved / str(start) / f"beacon_blocks_by_range-{i}.ssz").rename(saved / f"beacon_blocks_by_range-{start + i - 1}.ssz")
    go = Process("go", [GO, "-udp", "-1", "-blocks", go_file(work, few, {"dir": saved, "digest": digest}), "-digest", digest])
    up = json.loads(go.wait_line(r'^.*"ev":"up".*$', 30).group(0))
    go_port = int(up["addrs"][0].split("/")[4])
    serving(go.child.pid, go_port, network, few, 1)
    go_rounds = max(1, round(blocks * rounds / few))
    go_chunks, _, go_spent, _ = serving(go.child.pid, go_port, network, few, go_rounds)
    rows.append(("  beside it: handlers on go-libp2p, blocks in memory", go_chunks / go_spent, f"ours {(chunks / spent) / (go_chunks / go_spent):.1f} times as many"))
    go.kill()

    # Memory: fifty peers ask for 128 blocks each, at once.
    idle = rss_kib(pid)
    clients = [load("blocks", f"127.0.0.1:{port}", network, 1, min(LARGE_BLOCKS, blocks), 128, 1) for _ in range(PEERS_AT_ONCE)]
    most = idle
    while any(c.poll() is None for c in clients):
        most = max(most, rss_kib(pid))
        time.sleep(0.02)
    for c in clients:
        check(done(c)["chunks"] == min(LARGE_BLOCKS, blocks), "a client got less")
    anon = f"{idle / 1024:.0f} MiB idle, {most / 1024:.0f} MiB at most (pages of the store that it maps count)"
    rows.append((f"MiB beyond idle while {PEERS_AT_ONCE} peers get {LARGE_BLOCKS} blocks each", (most - idle) / 1024, anon + "; to reach: under 64"))

    # Sync from it.
    new = daemon("new", work, network, "--libp2p-addresses", holder.multiaddr)
    new_pid = new.process.child.pid
    begun, before = time.monotonic(), cpu(new_pid)
    until(lambda: new.head_slot() == blocks, 600, lambda: f"the new one's head is {new.head_slot()}", every=0.05)
    wall, spent = time.monotonic() - begun, cpu(new_pid) - before
    rows.append(("blocks synced and linked per CPU second", blocks / spent, f"{blocks / wall:.0f} a second of time beside its server; to reach: above 1,000 on one core"))
    time.sleep(2)
    new.stop()
    disk = sum(f.stat().st_blocks * 512 for f in (work / "new/store").rglob("*") if f.is_file())
    packed = wire / rounds
    rows.append(("bytes on disk / bytes of blocks as sent", disk / packed, f"{disk / 2**20:.0f} MiB / {packed / 2**20:.0f} MiB"))
    holder.stop()
    return rows


def beside_lodestar():
    """Small blocks: what Lodestar's own devnet has, served by it and by the daemon that has them from it."""
    work = scratch("bench-lodestar")
    lodestar = before_genesis(lambda genesis: [Lodestar(work / "lodestar", 2, genesis)], 1)[0]
    network = lodestar.network_dir(work / "network", with_state=True)
    ours = Daemon("daemon", network, work / "d", ["--boot-nodes", lodestar.enr, "--inbound-rate-limiter-protocols", UNLIMITED])
    until(lambda: ours.head_slot() >= 40, 200, "forty blocks")
    count, rows = 40, []
    for name, pid, port, rounds in (("ours", ours.process.child.pid, ours.port, 2000), ("Lodestar", lodestar.process.child.pid, lodestar.port, 5)):
        begun, before = time.monotonic(), cpu(pid)
        time.sleep(8)
        idle = (cpu(pid) - before) / (time.monotonic() - begun)
        chunks, _, spent, wall = serving(pid, port, network, count, rounds, batch=40)
        spent = max(spent - idle * wall, 1 / TICK)
        rows.append((name, chunks / spent, f"{chunks} small blocks in {spent:.2f} CPU seconds beyond idle ({idle * 100:.0f} % of a core)"))
    ours.stop()
    lodestar.stop()
    return [("small blocks served per CPU second", rows[0][1], rows[0][2]),
            ("  beside it: Lodestar 1.5.1", rows[1][1], rows[1][2] + f"; ours {rows[0][1] / rows[1][1]:.0f} times as many")]  # fmt: skip


def main():
    words = sys.argv[1:]
    blocks = int(words[words.index("--blocks") + 1]) if "--blocks" in words else 1500
    rows = bench(blocks)
    if "--lodestar" in words:
        rows += beside_lodestar()
    table = ["| what | figure | how |", "|---|---:|---|"] + [f"| {a.strip() if not a.startswith(' ') else a} | {b:,.2f} | {c} |" for a, b, c in rows]
    print("\n".join(table))
    if "--write" in words:
        page.write("benchmarks/reqresp.md", "\n".join(table))


if __name__ == "__main__":
    main()
