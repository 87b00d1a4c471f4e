#!/usr/bin/env python3
"""Beginning at a block that the user trusts: by its root from peers, from a file, from a Beacon API. Each time the daemon goes up to
the head and down to genesis, and says truthfully what it has meanwhile; what does not fit together is refused. Then what is kept:
a window of epochs, and nothing for others."""

import base64
import subprocess

from harness.daemon import PROGRAM, Daemon
from harness.devnet import write_network
from harness.proc import check, main, note, patient, scratch, until

SLOT_MS = 100  # the shortest: a long chain in little time
EPOCH_SLOTS = 8
BLOCKS = 240
CHECKPOINT = 120  # about where the trusted block lies


def earliest(node):
    return node.metrics()["p2pd_earliest_available_slot"]


def refused(network, work, flags, words):
    argv = [PROGRAM, "run", "--testnet-dir", network, "--datadir", work / "refused", "--disable-discovery", "--port", "0",
            "--disable-http", *flags]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=patient(60))
    text = done.stderr + done.stdout
    check(done.returncode != 0 and all(w in text for w in words),
          f"{flags}: wanted a refusal with {words}, got code {done.returncode}: {text[-300:]}")


def begins(name, network, work, maker, trusted, made, flags):
    """A daemon with these flags has, at its end, the maker's whole chain; on the way it never claims what it has not."""
    node = Daemon(name, network, work / name, ["--disable-discovery", "--local-network", "--backfill-rate", "40",
                                              "--libp2p-addresses", maker.multiaddr, *flags])
    until(lambda: node.header(trusted["root"]), 30, f"{name} has the trusted block")
    check(node.header("finalized")["root"] == trusted["root"], f"{name}: finalized is another block")
    seen = []

    def whole():
        first = earliest(node)
        seen.append(first)
        if 0 < first <= trusted["slot"]:  # from there on every block is here
            for slot in range(int(first), trusted["slot"] + 1):
                want, got = made.get(slot), node.header(slot)
                check((got or {}).get("root") == want, f"{name} claims slot {first} on, has {got} at {slot}, not {want}")
        return first == 0

    until(whole, 60, lambda: f"{name} has fetched the past; it is whole from slot {seen[-1]} on")
    check(seen[0] > 1, f"{name} was whole from the beginning: nothing was shown")
    head = node.header("head")
    walked = {b["slot"]: b["root"] for b in node.chain(head["root"], 1)}
    wrong = [s for s in made if walked.get(s) != made[s]]
    check(not wrong, f"{name}: slots {wrong[:10]} differ from the maker's")
    return node, len([s for s in seen if s])


def custody(network, work):
    """Custody flags show in metadata, record and metrics."""
    for flags, groups in (([], 4), (["--custody-groups", "9"], 9), (["--semi-supernode"], 64), (["--supernode"], 128)):
        node = Daemon("custodian", network, work / f"custody{groups}", ["--disable-discovery", *flags])
        record = base64.urlsafe_b64decode(node.enr.removeprefix("enr:") + "==")
        rlp = b"\x83cgc" + (bytes([groups]) if groups < 128 else b"\x81" + bytes([groups]))
        told = int(node.identity()["metadata"]["custody_group_count"])
        check(told == groups and rlp in record, f"{flags}: metadata says {told} groups, the record {record!r}")
        check(node.metrics()["beacon_custody_groups"] == groups, f"{flags}: the metric differs")
        node.stop()
    refused(network, work, ["--supernode", "--custody-groups", "9"], ["exclude each other"])
    refused(network, work, ["--custody-groups", "3"], ["4 to 128"])


def run():
    work = scratch("checkpoint")
    network = work / "network"
    write_network(network, "checkpoint", SLOT_MS)
    maker = Daemon("maker", network, work / "maker", ["--disable-discovery", "--local-network", "--devnet-make-blocks"])
    until(lambda: maker.head_slot() >= BLOCKS, BLOCKS * SLOT_MS // 1000 + 120, f"a chain of {BLOCKS} slots")
    head = maker.header("head")
    made = {b["slot"]: b["root"] for b in maker.chain(head["root"], 1)}
    slot = max(s for s in made if s <= CHECKPOINT)
    trusted = maker.header(slot)
    file = work / "block.ssz"
    file.write_bytes(maker.block_ssz(trusted["root"])[0])
    other = made[min(s for s in made if s > CHECKPOINT)]

    refused(network, work, ["--checkpoint-block", file, "--checkpoint-root", other], ["--checkpoint-root", trusted["root"][2:]])
    refused(network, work, ["--checkpoint-root", "0x1234"], ["32 bytes"])
    refused(network, work, ["--checkpoint-block", network / "config.yaml"], ["SignedBeaconBlock"])
    refused(network, work, ["--checkpoint-sync-url", "http://127.0.0.1:1"], ["--checkpoint-sync-url"])
    refused(network, work, ["--reconstruct-columns"], ["KZG"])
    bad = work / "bad.ssz"
    bad.write_bytes(file.read_bytes()[:-1])
    refused(network, work, ["--checkpoint-block", bad], ["SignedBeaconBlock"])

    custody(network, work)
    ways = {"by-root": ["--checkpoint-root", trusted["root"]], "by-file": ["--checkpoint-block", file],
            "by-url": ["--checkpoint-sync-url", maker.rest, "--checkpoint-root", trusted["root"]]}
    nodes, looks = {}, 0
    for name, flags in ways.items():
        nodes[name], n = begins(name, network, work, maker, trusted, made, flags)
        looks += n

    # What is kept: a window that moves; below it nothing is claimed.
    short = Daemon("short", network, work / "short", ["--disable-discovery", "--local-network", "--retain-epochs", "3",
                                                      "--libp2p-addresses", maker.multiaddr])
    until(lambda: earliest(short) > EPOCH_SLOTS and short.head_slot() >= head["slot"], 60, "the window has moved")
    first = int(earliest(short))
    until(lambda: short.header(max(s for s in made if s <= EPOCH_SLOTS)) is None, 20, "what is before the window is pruned")
    check(first <= short.head_slot(), f"whole from {first}, head {short.head_slot()}")

    # Nothing for others: no block is given to a daemon that knows only this one.
    mute = Daemon("mute", network, work / "mute", ["--disable-discovery", "--local-network", "--serve", "none",
                                                   "--libp2p-addresses", maker.multiaddr])
    until(lambda: mute.head_slot() >= head["slot"], 60, "the mute one is at the head")
    until(lambda: earliest(mute) > mute.head_slot() - 10, 20,
          lambda: f"it claims nothing: slot {earliest(mute):.0f} on, its head is {mute.head_slot()}")

    # A restart goes on where it stopped: the URL is not asked, nothing is fetched again.
    nodes["by-url"].stop()
    again = Daemon("again", network, work / "by-url", ["--disable-discovery", "--local-network", "--checkpoint-sync-url",
                                                       "http://127.0.0.1:1"])
    check(again.header("finalized")["root"] == trusted["root"], "after a restart finalized is another block")
    until(lambda: len(again.said("slot")) > 2, 20, "two slots pass")
    check(earliest(again) == 0, f"after a restart it is whole from slot {earliest(again)} on")
    for node in (again, mute, short, nodes["by-root"], nodes["by-file"], maker):
        node.stop()
    note(f"began at slot {slot} by root, file and URL, each up to the head and down to genesis, {looks} looks at what it claimed; "
         f"--retain-epochs 3: whole from slot {first} of {head['slot']}")


if __name__ == "__main__":
    main(run)
