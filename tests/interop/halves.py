#!/usr/bin/env python3
"""A chain that lives on our forwarding: two Lodestar nodes with half of the validators each, which know nobody but our daemon.

Neither half can justify anything alone (half is less than two thirds), so every finalized epoch shows that blocks,
attestations and aggregates of both passed through us. The sync committee's bits show the same of sync messages. Each slot
Lodestar is asked what it thinks of us: never below zero.

With --external a program on the control socket gives the verdicts, until it is stopped and then killed; with --languages the
example programs in four languages do, one after the other.
"""

import json
import signal
import subprocess
import sys
import time

from harness.daemon import Daemon
from harness.lodestar import SECONDS_PER_SLOT, Lodestar, before_genesis
from harness.proc import LONG, PEERS, TOP, Process, check, main, node as node_program, note, patient, say, scratch, until

VALIDATORS = 16
EXAMPLES = TOP / "docs/examples"
CLIENT = EXAMPLES / "python/p2pd_control.py"
FINAL_EPOCH = 40 if LONG else 2  # of both; the first that can be final is 1
LIMIT = patient((5 + FINAL_EPOCH) * 8 * SECONDS_PER_SLOT)  # a busy machine skips slots


def start_halves(work):
    """Two Lodestars and what they have in common: (nodes, network directory)."""
    half = VALIDATORS // 2

    def make(genesis):
        return [
            Lodestar(work / name, 2, genesis, VALIDATORS, own, discovery=False, name=name)
            for name, own in (("first half", (0, half - 1)), ("second half", (half, VALIDATORS - 1)))
        ]

    nodes = before_genesis(make, 3)
    return nodes, nodes[0].network_dir(work / "network", with_state=False)


def halves_daemon(nodes, network, datadir, flags=()):
    peers = [flag for node in nodes for flag in ("--peer", node.multiaddr)]
    return Daemon(
        "daemon",
        network,
        datadir,
        [*peers, "--disable-discovery", "--subscribe-all-subnets", "--local-network", *flags],
    )


def only_us(nodes, daemon):
    for node in nodes:
        check(
            node.connected() <= {daemon.peer_id},
            f"{node.name} has other peers than the daemon: {node.connected()}",
        )


def watch_finality(nodes, daemon, epoch, seconds, each_slot=lambda: None):
    """Both finalize `epoch`; looked at each slot."""
    end = time.monotonic() + seconds
    while min(node.finalized_epoch() for node in nodes) < epoch:
        daemon.process.must_run()
        only_us(nodes, daemon)
        for node in nodes:
            node.likes(daemon.peer_id)
        each_slot()
        if time.monotonic() > end:
            check(False, f"epoch {epoch} not final: {[(n.name, n.slot(), n.finalized_epoch()) for n in nodes]}")
        time.sleep(SECONDS_PER_SLOT)


def in_second(validator):
    return int(validator) >= VALIDATORS // 2


def halves_met(nodes, last):
    """Both have the same blocks, of both halves; each half's blocks carry sync messages of the other."""
    chains = [node.chain(last) for node in nodes]
    check(chains[0] == chains[1], "the two halves have different chains")
    committee = nodes[0].get("/eth/v1/beacon/states/head/sync_committees")["data"]["validators"]
    proposers, crossed, fullest = set(), set(), 0
    for root in chains[0].values():
        block = nodes[0].get(f"/eth/v2/beacon/blocks/{root}")["data"]["message"]
        proposer = in_second(block["proposer_index"])
        proposers.add(proposer)
        bits = bytes.fromhex(block["body"]["sync_aggregate"]["sync_committee_bits"][2:])
        signers = [v for i, v in enumerate(committee) if bits[i // 8] >> i % 8 & 1]
        fullest = max(fullest, len(signers))
        if any(in_second(v) != proposer for v in signers):
            crossed.add(proposer)
    check(proposers == {False, True}, "all blocks are of one half")
    check(crossed == {False, True}, f"sync messages of the other half are in blocks of {crossed} only")
    return len(chains[0]), f"{fullest} of {len(committee)} sync messages in the fullest block"


def report(nodes, daemon):
    count, sync = halves_met(nodes, min(node.slot() for node in nodes) - 3)
    kinds = ("beacon_block", "beacon_attestation", "beacon_aggregate_and_proof", "sync_committee")
    passed = {kind: int(daemon.metric("p2pd_gossip_messages_total", topic=kind)) for kind in kinds}
    check(all(passed.values()), f"messages that came to us: {passed}")
    scores = [round(node.likes(daemon.peer_id)["gossip"], 1) for node in nodes]
    return (
        f"epoch {nodes[0].finalized_epoch()} final on both halves, {count} blocks, {sync}, through us: {passed}; "
        f"Lodestar's gossip scores of us {scores}, never below 0"
    )


def structural():
    work = scratch("halves")
    nodes, network = start_halves(work)
    daemon = halves_daemon(nodes, network, work / "d", ["--validation", "structural"])
    until(lambda: len(daemon.peers()) == 2, 60, "the daemon is connected with both halves")
    say(f"connected at slot {nodes[0].slot()}")
    watch_finality(nodes, daemon, FINAL_EPOCH, LIMIT)
    note(report(nodes, daemon))
    daemon.stop()


def verdicts(daemon, how):
    return int(daemon.metric("p2pd_gossip_verdicts_total", how=how))


def more_final(nodes, daemon, epochs, what):
    before = min(node.finalized_epoch() for node in nodes)
    watch_finality(nodes, daemon, before + epochs, LIMIT)
    say(f"{what}: epoch {before + epochs} is final")


def external():
    """A program in Python judges; then it is stopped, goes on, and is killed: the fallback holds, epochs become final."""
    work = scratch("external")
    nodes, network = start_halves(work)
    flags = ["--validation", "external", "--validation-fallback", "structural"]
    daemon = halves_daemon(nodes, network, work / "d", flags)
    client = Process(
        "validator",
        [sys.executable, CLIENT, work / "d" / "control.sock", nodes[0].genesis_time, SECONDS_PER_SLOT],
    )
    until(lambda: len(daemon.peers()) == 2, 60, "the daemon is connected with both halves")
    watch_finality(nodes, daemon, 1, LIMIT)
    accepted, fallen = verdicts(daemon, "accepted"), verdicts(daemon, "fallback")
    check(accepted > 100, f"the program accepted {accepted} messages only")
    check(fallen < accepted / 2, f"the fallback decided {fallen} messages beside the program's {accepted}")
    delays = sorted(e["delay"] for e in map(json.loads, client.lines) if "delay" in e)

    def stalls():
        return len(daemon.said("program gives no verdicts: nobody waits for it"))

    before = stalls()  # a busy machine stops it too
    client.child.send_signal(signal.SIGSTOP)
    more_final(nodes, daemon, 1, "with the program stopped")
    check(stalls() == before + 1, f"the daemon noticed {stalls() - before} stalls of the program")
    client.child.send_signal(signal.SIGCONT)
    was = verdicts(daemon, "accepted")
    until(lambda: verdicts(daemon, "accepted") > was + 10, 60, "verdicts count again when it goes on")

    client.kill()
    until(lambda: daemon.said("program gone"), 10, "the daemon sees that the program is gone")
    was, fallen = verdicts(daemon, "accepted"), verdicts(daemon, "fallback")
    more_final(nodes, daemon, FINAL_EPOCH - 1, "with the program killed")
    check(verdicts(daemon, "accepted") == was, "verdicts of a program that is dead")
    check(verdicts(daemon, "fallback") > fallen, "nothing fell back")
    note(
        f"{was} messages accepted by the program (median {1e6 * delays[len(delays) // 2]:.0f} us from arrival to it), "
        f"{verdicts(daemon, 'fallback')} by the fallback; {report(nodes, daemon)}"
    )
    daemon.stop()


def clients(work):
    """The example programs by language: what starts each."""
    go, rust = work / "control-go", work / "control-rust"
    for argv in (
        [PEERS / "bin/go", "build", "-o", go, EXAMPLES / "go/p2pd_control.go"],
        ["rustc", "--edition", "2021", "-O", "-o", rust, EXAMPLES / "rust/p2pd_control.rs"],
    ):
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=patient(300), check=False)
        check(done.returncode == 0, f"{argv}: {done.stderr[-500:]}")
    return {
        "javascript": [node_program(), EXAMPLES / "js/p2pd_control.mjs"],
        "go": [go],
        "rust": [rust],
        "python": [sys.executable, CLIENT],
    }


def languages():
    """One example program after the other judges the gossip of both halves, and is killed; the next takes over at once."""
    work = scratch("languages")
    programs = clients(work)
    nodes, network = start_halves(work)
    daemon = halves_daemon(
        nodes, network, work / "d", ["--validation", "external", "--validation-fallback", "observe"]
    )
    until(lambda: len(daemon.peers()) == 2, 60, "the daemon is connected with both halves")
    running = []
    for name, argv in programs.items():
        running.append(
            Process(name, [*argv, work / "d" / "control.sock", nodes[0].genesis_time, SECONDS_PER_SLOT])
        )
        until(lambda n=len(running): daemon.metric("p2pd_control_clients") == n, 30, f"{name} is connected")
    judged = {}
    for process in running:
        before, seen = verdicts(daemon, "accepted"), len(process.lines)
        until(lambda b=before: verdicts(daemon, "accepted") >= b + 100, 120, f"{process.name} judges")
        judged[process.name] = verdicts(daemon, "accepted") - before
        check(len(process.lines) > seen, f"{process.name} says nothing")
        if process is not running[-1]:
            process.kill()
            gone = len(judged)
            until(lambda g=gone: len(daemon.said("program gone")) == g, 10, f"{process.name} is gone")
    # The fallback forwards nothing: what became final, became so by their verdicts.
    watch_finality(nodes, daemon, 1, LIMIT)
    note(f"accepted one after the other: {judged}; {report(nodes, daemon)}")
    daemon.stop()


if __name__ == "__main__":
    tests = {"--external": external, "--languages": languages}
    main(tests[sys.argv[1]] if len(sys.argv) > 1 else structural)
