#!/usr/bin/env python3
"""Beginning at a block that the user trusts: by its root from peers, from a file, from a Beacon API as SSZ, and as JSON behind TLS.
Each time the daemon goes up to the head and down to genesis, and says truthfully what it has meanwhile; what does not fit together is
refused. Then what is kept: a window of epochs, and nothing for others. (A real state beside its block: lodestar_syncs.py.)"""

import base64
import subprocess

from harness.corpus import CORPUS
from harness.daemon import PROGRAM, Daemon
from harness.devnet import write_network
from harness.proc import check, main, note, patient, scratch, until
from harness.tls import Door, certificate

SLOT_MS = 100  # the shortest: a long chain in little time
EPOCH_SLOTS = 8
BLOCKS = 240
CHECKPOINT = 120  # about where the trusted block lies
BACKFILL = 10  # slots a second: slow enough to be seen on the way


def earliest(node):
    return node.metrics()["p2pd_earliest_available_slot"]


def refused(network, work, flags, words, wrapper=()):
    argv = [*wrapper, PROGRAM, "run", "--testnet-dir", network, "--datadir", work / "refused", "--disable-discovery", "--port", "0",
            "--disable-http", *flags]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=patient(60))
    text = done.stderr + done.stdout
    check(done.returncode != 0 and all(w in text for w in words),
          f"{flags}: wanted a refusal with {words}, got code {done.returncode}: {text[-300:]}")


def begins(name, network, work, maker, trusted, made, flags, wrapper=()):
    """A daemon with these flags has, at its end, the maker's whole chain; on the way it never claims what it has not."""
    node = Daemon(name, network, work / name, ["--disable-discovery", "--local-network", "--backfill-rate", str(BACKFILL),
                                              "--libp2p-addresses", maker.multiaddr, *flags], wrapper=wrapper)
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


def states(network, work, file, slot):
    """A state that is not the block's, by its slot, its shape, its root, or because no block is given."""
    genesis = (CORPUS / "minimal/deneb/state_genesis_0.ssz").read_bytes()
    at_slot = genesis[:40] + slot.to_bytes(8, "little") + genesis[48:]
    other_fork, cut = work / "deneb.ssz", work / "cut.ssz"
    other_fork.write_bytes(at_slot)
    cut.write_bytes(at_slot[:-1])
    block = ["--checkpoint-block", file, "--checkpoint-state"]
    refused(network, work, [*block, CORPUS / "minimal/deneb/state_genesis_0.ssz"], [f"block's slot {slot}"])
    refused(network, work, [*block, other_fork], ["not a BeaconState of fulu"])
    refused(network, work, [*block, cut], ["not a BeaconState of fulu"])
    refused(network, work, [*block, work / "nowhere"], ["--checkpoint-state", "No such file"])
    refused(network, work, ["--checkpoint-state", other_fork], ["--checkpoint-block or --checkpoint-sync-url"])


def doors(network, work, maker, trusted):
    """TLS before the maker's API: who is not vouched for, who calls himself another, who sends us on without TLS, is refused. Returns
    the door that is left, which speaks JSON only, and what makes it trusted."""
    cert, key = certificate(work, "127.0.0.1")
    other, other_key = certificate(work, "localhost")
    ask = ["--checkpoint-root", trusted["root"], "--checkpoint-sync-url"]
    trust = ["env", f"SSL_CERT_FILE={cert}"]
    door = Door(maker.rest, cert, key, json_only=True)
    refused(network, work, [*ask, door.url], ["--checkpoint-sync-url", "certificate"])
    check(not door.asked, f"a server without a known certificate was asked {door.asked}")
    refused(network, work, [*ask, door.url], ["--checkpoint-sync-url", "CA"], ["env", f"SSL_CERT_FILE={work}/nowhere.pem"])
    masked = Door(maker.rest, other, other_key)
    refused(network, work, [*ask, masked.url], ["--checkpoint-sync-url", "certificate"], ["env", f"SSL_CERT_FILE={other}"])
    away = Door(maker.rest, cert, key, to=maker.rest)
    refused(network, work, [*ask, away.url], ["--checkpoint-sync-url"], trust)
    check(away.asked, "the door that sends on was never asked")
    for closed in (masked, away):
        closed.close()
    return door, trust


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
    states(network, work, file, slot)
    door, trust = doors(network, work, maker, trusted)

    custody(network, work)
    ways = {"by-root": ["--checkpoint-root", trusted["root"]], "by-file": ["--checkpoint-block", file],
            "by-url": ["--checkpoint-sync-url", maker.rest, "--checkpoint-root", trusted["root"]],
            "by-json": ["--checkpoint-sync-url", door.url + "/", "--checkpoint-root", trusted["root"]]}
    nodes, looks = {}, 0
    for name, flags in ways.items():
        nodes[name], n = begins(name, network, work, maker, trusted, made, flags, trust if name == "by-json" else ())
        looks += n
    check(door.asked == ["/eth/v1/beacon/genesis", f"/eth/v2/beacon/blocks/{trusted['root']}"], f"the door was asked {door.asked}")
    door.close()

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
    for node in (again, mute, short, nodes["by-root"], nodes["by-file"], nodes["by-json"], maker):
        node.stop()
    note(f"began at slot {slot} by root, file, URL, and URL with TLS and JSON, each up to the head and down to genesis, {looks} looks at what it claimed; "
         f"--retain-epochs 3: whole from slot {first} of {head['slot']}")


if __name__ == "__main__":
    main(run)
