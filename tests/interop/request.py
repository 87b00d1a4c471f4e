#!/usr/bin/env python3
"""beacon-p2pd request, status and metadata against daemons of ours on a devnet that is in heze from its first slot: every protocol is
asked by its name and compared with the Beacon API; limits answer late and never with an error; what is wrong is refused."""

import hashlib
import re
import subprocess
import time

from harness.daemon import PROGRAM, Daemon
from harness.proc import check, main, note, patient, say, scratch, until

SLOT_SECONDS = 1
BLOCKS = 12
UPLOAD_LEAST_S = 2.0  # of 11 blocks of some 150 compressed bytes at 500 a second
CHUNK = re.compile(r"^(\S+) (\d+)  fork (\w+)  digest 0x(\w+)  slot (\d+)  root (0x\w+)  (\d+) bytes$", re.M)


def write_network(path):
    """All forks at epoch 0, so that the first slots have all that a fork brought."""
    path.mkdir()
    config = [
        f"PRESET_BASE: minimal\nCONFIG_NAME: heze\nMIN_GENESIS_TIME: {int(time.time()) + 4}\nGENESIS_DELAY: 0",
        f"SLOT_DURATION_MS: {SLOT_SECONDS * 1000}\nGENESIS_FORK_VERSION: 0x00726571",
    ]
    for i, fork in enumerate(("ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU", "GLOAS", "HEZE")):
        config.append(f"{fork}_FORK_VERSION: 0x0{i + 1}726571\n{fork}_FORK_EPOCH: 0")
    (path / "config.yaml").write_text("\n".join(config) + "\n")
    root = hashlib.sha256(b"p2pd devnet validators" + (64).to_bytes(8, "little") + bytes(32)).hexdigest()
    (path / "genesis_validators_root.txt").write_text(f"0x{root}\n")


def call(code, *arguments):
    """The program's words on stdout and stderr; its exit code must be this, None: any."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=patient(120),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    check(code is None or done.returncode == code, f"{arguments}: exit code {done.returncode}, wanted {code}: {done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def refused(network, daemon):
    for words, missing in (
        (["nonsense"], "nonsense"),
        (["beacon_blocks_by_range", "start_slot=1"], "count"),
        (["beacon_blocks_by_range", "start_slot=1", "count=many"], "count"),
        (["beacon_blocks_by_root", "0x12"], "ROOT"),
        (["data_column_sidecars_by_root", "0x12"], "ROOT/INDEX"),
        (["metadata", "1"], "no arguments"),
        (["beacon_blocks_by_range", "start_slot=1", 'count=1","step":"2'], "start_slot"),
    ):
        _, why = call(2, "request", "--testnet-dir", network, daemon.multiaddr, *words)
        check(missing in why and len(why.splitlines()) == 1, f"{words}: {why}")
    call(2, "request", daemon.multiaddr)
    call(2, "request", "--network", "nowhere", daemon.multiaddr, "status")
    _, why = call(2, "run", "--testnet-dir", network, "--listen-address", "127.0.0.1", "--inbound-rate-limiter-protocols", "beacon_blocks:1/2")
    check("beacon_blocks" in why and len(why.splitlines()) == 1, why)
    _, why = call(2, "run", "--testnet-dir", network, "--listen-address", "127.0.0.1", "--inbound-rate-limiter-protocols", "ping:0/2")
    check("ping:0/2" in why, why)


def same_blocks(daemon, found, slots):
    check([int(c[4]) for c in found] == list(slots), f"slots {[c[4] for c in found]}, wanted {list(slots)}")
    for _, _, fork, _, slot, root, size in found:
        ssz, version = daemon.block_ssz(root)
        check(
            len(ssz) == int(size) and version == fork and daemon.header(int(slot))["root"] == root,
            f"slot {slot}: {root} of {size} bytes is not the API's",
        )


def run():
    work = scratch("request")
    network = work / "network"
    write_network(network)
    alone = ["--disable-discovery", "--local-network"]
    daemon = Daemon("maker", network, work / "maker", [*alone, "--devnet-make-blocks"])
    refused(network, daemon)

    def ask(*words, code=0, options=()):
        out, why = call(code, "request", "--testnet-dir", network, *options, daemon.multiaddr, *words)
        return CHUNK.findall(out) if code == 0 else why

    until(lambda: daemon.head_slot() >= BLOCKS, 60, f"{BLOCKS} blocks")
    roots = {slot: daemon.header(slot)["root"] for slot in range(1, BLOCKS + 1)}

    out, _ = call(0, "status", "--testnet-dir", network, daemon.multiaddr)
    status = dict(re.findall(r'"(\w+)":"?(\w+)', out))
    check(int(status["head_slot"]) >= BLOCKS and status["earliest_available_slot"] == "0", out)
    out, _ = call(0, "metadata", "--testnet-dir", network, daemon.multiaddr)
    check('"custody_group_count":"4"' in out.replace(" ", ""), out)
    out, _ = call(0, "request", "--testnet-dir", network, daemon.multiaddr, "metadata/2")
    check("syncnets" in out and "custody_group_count" not in out, out)
    out, _ = call(0, "request", "--testnet-dir", network, daemon.multiaddr, "ping", 7)
    check(out.strip() == '"1"', f"ping is answered by {out}")
    ask("goodbye", 1)

    same_blocks(daemon, ask("beacon_blocks_by_range", "start_slot=1", f"count={BLOCKS}"), range(1, BLOCKS + 1))
    same_blocks(daemon, ask("beacon_blocks_by_range", "start_slot=3", "count=1"), [3])
    same_blocks(daemon, ask("beacon_blocks_by_root", roots[5], "0x" + "11" * 32, roots[2]), [5, 2])
    same_blocks(daemon, ask("beacon_blocks_by_head", f"beacon_root={roots[9]}", "count=4"), [9, 8, 7, 6])
    same_blocks(daemon, ask("beacon_blocks_by_head", f"beacon_root={roots[2]}", "count=100"), [2, 1])
    saved = work / "saved"
    ask("beacon_blocks_by_root", roots[4], options=["--save", saved])
    check((saved / "beacon_blocks_by_root-1.ssz").read_bytes() == daemon.block_ssz(roots[4])[0], "the saved block")

    envelopes = ask("execution_payload_envelopes_by_range", "start_slot=2", "count=5")
    check([int(c[4]) for c in envelopes] == [2, 3, 4, 5, 6], f"envelopes: {envelopes}")
    again = ask("execution_payload_envelopes_by_root", roots[6], roots[3])
    check([c[5] for c in again] == [envelopes[4][5], envelopes[1][5]], f"by root: {again}")
    out, _ = call(0, "request", "--json", "--testnet-dir", network, daemon.multiaddr, "execution_payload_envelopes_by_root", roots[3])
    check(roots[3] in out and roots[2] in out, "an envelope names its block and that one's parent")

    # Nothing of these was ever there: good answers without objects, and code 3 where exactly one is owed.
    for words in (
        ("blob_sidecars_by_range", "start_slot=1", "count=4"),
        ("blob_sidecars_by_root", roots[1] + "/0"),
        ("data_column_sidecars_by_range", "start_slot=1", "count=4", "columns=0,1,127"),
        ("data_column_sidecars_by_root", roots[1] + "/0,5"),
        ("inclusion_lists_by_indices", "slot=3", f"dependent_root={roots[1]}", "indices=0xffff"),
        ("light_client_updates_by_range", "start_period=0", "count=2"),
        ("beacon_blocks_by_range", f"start_slot={2**64 - 2}", f"count={2**64 - 1}"),
    ):
        check(ask(*words) == [], f"{words} are answered with objects")
    for words in (
        ("light_client_bootstrap", roots[1]),
        ("light_client_finality_update",),
        ("light_client_optimistic_update",),
    ):
        check("error: 3" in ask(*words, code=1), f"{words} is not said to be unavailable")
    check("error: 1" in ask("beacon_blocks_by_range", "start_slot=1", "count=2", "step=2", code=1), "step 2 is refused")
    check("E_MULTISTREAM_NONE" in ask("beacon_blocks_by_range/1", "start_slot=1", "count=2", code=1), "version 1 has ended")

    # Limits: twelve blocks at two a second take five seconds longer than a burst of two, and come whole.
    slow = Daemon(
        "slow",
        network,
        work / "slow",
        [*alone, "--libp2p-addresses", daemon.multiaddr, "--inbound-rate-limiter-protocols", "beacon_blocks_by_range:2/1"],
    )
    until(lambda: slow.head_slot() >= BLOCKS, 60, "the limited daemon has the blocks")
    begun = time.monotonic()
    out, _ = call(0, "request", "--testnet-dir", network, slow.multiaddr, "beacon_blocks_by_range", "start_slot=1", f"count={BLOCKS}")
    took = time.monotonic() - begun
    same_blocks(daemon, CHUNK.findall(out), range(1, BLOCKS + 1))
    check(took >= (BLOCKS - 2) / 2 - 0.5, f"{BLOCKS} blocks at two a second came in {took:.1f} s")
    say(f"{BLOCKS} blocks at two a second: {took:.1f} s")

    # --max-upload is for answers too: each block takes its own time at 500 bytes a second, the first one none.
    capped = Daemon("capped", network, work / "capped", [*alone, "--libp2p-addresses", daemon.multiaddr, "--max-upload", 4])
    until(lambda: capped.head_slot() >= BLOCKS, 60, "the capped daemon has the blocks")
    words = ["request", "--testnet-dir", network, capped.multiaddr, "beacon_blocks_by_range", "start_slot=1", f"count={BLOCKS}"]
    before, begun = capped.metric("p2pd_sent_bytes_total"), time.monotonic()
    out, _ = call(0, *words)
    took, sent = time.monotonic() - begun, capped.metric("p2pd_sent_bytes_total") - before
    same_blocks(daemon, CHUNK.findall(out), range(1, BLOCKS + 1))
    check(took >= UPLOAD_LEAST_S, f"{BLOCKS} blocks at 500 bytes a second came in {took:.1f} s ({sent:.0f} bytes)")
    say(f"{BLOCKS} blocks at 500 bytes a second: {took:.1f} s, {sent:.0f} bytes")
    capped.stop()
    for node in (slow, daemon):
        node.stop()
    note(f"18 protocols asked by name; {BLOCKS} blocks and their envelopes equal to the API's; a limit answers late, not wrong")


if __name__ == "__main__":
    main(run)
