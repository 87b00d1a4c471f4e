#!/usr/bin/env python3
"""Peers on a user's word, against go-libp2p: bans and their ends, goodbyes of both sides, trusted and static peers, a file of
peers and SIGHUP, restarts, and the story that `beacon-p2pd why` tells of all this. As docs/peers.md says.
"""

import re
import signal
import subprocess
import sys

from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.gopeer import GoPeer
from harness.peers import banned, digest_of, order, reasons, row, rules, why
from harness.proc import TOP, check, main, note, patient, say, scratch, until

sys.path.insert(0, str(TOP / "docs/examples/python"))
from p2pd_control import Control  # noqa: E402

FLAGS = ["--disable-discovery", "--colocation-whitelist", "127.0.0.0/8", "--colocation-whitelist", "::1"]
GOODBYES = {1: "client_shutdown", 2: "irrelevant_network", 3: "io_error", 128: "unviable_fork", 129: "too_many_peers",
            250: "bad_score", 251: "bad_score", 252: "bad_score", 77: "unknown"}
TARGET, CEILING = 4, 6  # two above the target, or a tenth where that is more
ADD, REMOVE, TRUST, DISTRUST, BAN, UNBAN = range(6)  # MODE of ORDER


def gone(daemon, peer):
    until(lambda: daemon.peer(peer.id) is None, 20, f"{peer.name} is let go")
    peer.wait("disconnected", 20)


def refused(daemon, peer, codes):
    """It may connect, and is told why it may not stay."""
    start = peer.mark()
    peer.connect(daemon)
    until(lambda: peer.goodbyes(start), 20, lambda: f"{peer.name} is told goodbye; it saw {peer.events[start:]}")
    check(peer.goodbyes(start) == codes, f"{peer.name} was told {peer.goodbyes(start)}, wanted {codes}")
    peer.wait("disconnected", 20, start)


def bans(daemon, peer):
    peer.join(daemon)
    start = peer.mark()
    order(daemon, "ban", peer.multiaddr, seconds=3600, reason="for a test")
    peer.wait("disconnected", 20, start)
    check(peer.goodbyes(start) == [251], f"who is banned is told so: {peer.goodbyes(start)}")
    ban = banned(daemon, peer.id)
    check(ban["by"] == "user" and ban["reason"] == "for a test" and ban["until_ms"] is not None, f"{ban}")
    refused(daemon, peer, [251])
    check(daemon.peer(peer.id) is None, "a banned peer is connected")
    story = why(daemon, peer.id)
    for part in ("banned_user", "for a test", "refused_banned", "goodbye_sent", "code 251", "banned   by user until"):
        check(part in story, f"'{part}' is missing in: {story}")
    order(daemon, "ban", peer.multiaddr, seconds=2, reason="for a test")  # the later word counts
    until(lambda: banned(daemon, peer.id) is None, 30, "the ban ends by its time")
    check("unbanned_time" in reasons(daemon, peer.id), f"{reasons(daemon, peer.id)}")
    peer.join(daemon)

    order(daemon, "ban", peer.id)
    peer.wait("disconnected", 20, peer.mark() - 1)
    check(banned(daemon, peer.id)["until_ms"] is None, "without seconds it lasts")
    order(daemon, "unban", peer.id)
    order(daemon, "unban", peer.id, status=404)
    gone(daemon, peer)
    peer.join(daemon)
    start = peer.mark()
    order(daemon, "ban", "127.0.0.0/30", seconds=3600)
    peer.wait("disconnected", 20, start)
    check(peer.goodbyes(start) == [252], f"told {peer.goodbyes(start)}")
    start = peer.mark()
    check(peer.connect(daemon) is not None or peer.wait("disconnected", 20, start), "an address of a banned range is let in")
    until(lambda: any(e["reason"] == "refused_connection" and e.get("error") == "E_BANNED"
                      for e in daemon.get("/p2pd/v1/peers/events")["data"]), 20, "the refusal is noted")
    order(daemon, "unban", "127.0.0.0/30")
    peer.join(daemon)


def goodbyes_received(daemon, peer):
    for code, word in GOODBYES.items():
        if daemon.peer(peer.id) is None:
            peer.join(daemon)
        start = peer.mark()
        peer.goodbye(daemon, code)
        peer.wait("disconnected", 20, start)
        gone(daemon, peer)
        p = row(daemon, peer.id)
        check(f"remote said goodbye {code}" in p["why"] and p["disconnect_reason"] == word, f"{code}: {p}")
    last = [e for e in daemon.get("/p2pd/v1/peers/events")["data"] if e["reason"] == "gone_goodbye"][-len(GOODBYES):]
    check([int(e["goodbye_code"]) for e in last] == list(GOODBYES), f"codes in the record: {last}")


def goodbyes_sent(daemon, peer, bad):
    """2 for another fork; 250 for a rating; 251 at once when it goes on. (251, 252 for bans: above; 129, 1: below.)"""
    check(bad.connect(daemon) is None, "connect")
    bad.status(daemon, digest="01020304")
    until(lambda: bad.goodbyes(), 20, "another fork is told goodbye")
    check(bad.goodbyes() == [2] and "dropped_fork" in reasons(daemon, bad.id), f"{bad.goodbyes()}: {why(daemon, bad.id)}")
    p = row(daemon, bad.id)
    check(p["disconnect_reason"] == "irrelevant_network", f"{p}")

    peer.join(daemon)
    start = peer.mark()
    while row(daemon, peer.id)["score"] > -50:  # a request of no sense costs 10 points
        was = row(daemon, peer.id)["score"]
        peer.process.send(f"req {daemon.peer_id} status/2 00")
        until(lambda: row(daemon, peer.id)["score"] < was - 5, 20, lambda: f"it costs points: {why(daemon, peer.id)}")
    until(lambda: peer.goodbyes(start), 20, "a bad rating is told goodbye")
    check(peer.goodbyes(start)[0] == 250, f"{peer.goodbyes(start)}: {why(daemon, peer.id)}")
    gone(daemon, peer)
    p = row(daemon, peer.id)
    check(p["rating"]["reqresp"] < -40 and p["downscore_reasons"] == ["rpc_invalid_response"], f"{p}")
    check(p["disconnect_reason"] == "bad_score", f"{p}")
    story = why(daemon, peer.id)
    check("reqresp -" in story and "dropped_rating" in story, story)
    refused(daemon, peer, [250])  # below what is let in
    while not banned(daemon, peer.id):  # go-libp2p dials for each request, and each request counts until we are gone
        peer.command(f"req {daemon.peer_id} status/2 00", "resp", 30)
    ban = banned(daemon, peer.id)
    check(ban["by"] == "rating" and ban["until_ms"] is not None and ban["reason"], f"{ban}")
    refused(daemon, peer, [251])


def named(daemon, peer, work):
    """Static: dialled, and dialled again; removed: not any more."""
    order(daemon, "add", peer.id, status=404)  # no address is known
    order(daemon, "add", peer.multiaddr)
    until(lambda: daemon.peer(peer.id), 20, "an added peer is dialled")
    check(daemon.peer(peer.id)["static"] and daemon.peer(peer.id)["direction"] == "outbound", f"{daemon.peer(peer.id)}")
    start = peer.mark()
    peer.close(daemon)
    peer.wait("connected", 30, start)
    order(daemon, "ban", peer.id, status=400)  # remove it first
    start = peer.mark()
    order(daemon, "remove", peer.enr)
    peer.wait("disconnected", 20, start)
    check(peer.goodbyes(start) == [129], f"{peer.goodbyes(start)}")
    check(not row(daemon, peer.id)["static"], "it is still static")
    for bad in ("nonsense", "10.0.0.0/8", "enr:-abc", "/ip4/1.2.3.4/tcp/9", ""):
        order(daemon, "add", bad, status=400)
    order(daemon, "distrust", peer.id, status=404)
    order(daemon, "bless", peer.id, status=404)
    check(why(daemon, "nonsense", code=2).count("\n") == 1, "one line for a wrong name")
    why(daemon, "16Uiu2HAm2dURtGp7heu8bvWP2oKJEgHTsabTPtzGa2sVT9h9JEUJ", code=1)
    story = why(daemon, peer.enr)  # each form tells the same
    node_id = subprocess.run([PROGRAM, "enr", "view", peer.enr], capture_output=True, text=True, timeout=patient(30), check=True).stdout
    node_id = re.search(r"(?:node|id)\D*?(?:0x)?([0-9a-f]{64})", node_id).group(1)
    for form in (peer.id, peer.multiaddr):
        check(why(daemon, form) == story, f"{form} tells another story than the ENR")
    check("dial_named" in story and "named_static" in story and "dropped_user" in story, story)
    check(why(daemon, "0x" + node_id) == story, "the node id tells another story than the ENR")


def by_socket(daemon, work, peer):
    """The same orders on the control socket."""
    control = Control(str(work / "d" / "control.sock"))

    def says(mode, text, wanted, seconds=0, reason=b""):
        code, got = control.request("order", mode=mode, time=seconds, text=text, data=reason)[:2]
        check(code == wanted, f"order {mode} {text}: {code} {got}, wanted {wanted}")

    says(TRUST, peer.multiaddr, "ok")
    until(lambda: daemon.peer(peer.id), 20, "a trusted peer with an address is dialled")
    check(daemon.peer(peer.id)["trusted"], "it is not trusted")
    says(BAN, peer.id, "malformed")
    says(REMOVE, peer.id, "ok")
    gone(daemon, peer)
    says(BAN, peer.id, "ok", 3600, b"by socket")
    check(banned(daemon, peer.id)["reason"] == "by socket", f"{rules(daemon)}")
    says(UNBAN, peer.id, "ok")
    says(UNBAN, peer.id, "not_found")
    says(DISTRUST, peer.id, "not_found")
    says(9, peer.id, "malformed")
    says(ADD, "hello", "malformed")


def limits(work, network, digest):
    """Four wanted, ten come: those above the ceiling are told 129; one that is trusted comes last and stays."""
    crowd = [GoPeer(f"go-{i}", digest) for i in range(9)]
    friend = GoPeer("go-friend", digest)
    daemon = Daemon("small", network, work / "small", [*FLAGS, "--target-peers", TARGET, "--trusted-peers", friend.id])
    marks = [peer.mark() for peer in crowd]
    for peer in crowd:
        check(peer.connect(daemon) is None, f"{peer.name} connects")
        peer.process.send(f"req {daemon.peer_id} status/2")
    until(lambda: len(daemon.peers()) <= CEILING, 40, lambda: f"the excess is let go: {len(daemon.peers())} peers")
    friend.join(daemon)
    until(lambda: len(daemon.peers()) <= CEILING and daemon.peer(friend.id), 30, "the trusted one is in")
    told = [peer for peer, mark in zip(crowd, marks) if peer.goodbyes(mark)]
    check(len(told) >= len(crowd) - CEILING, f"{len(told)} of {len(crowd)} were told goodbye")
    for peer, mark in zip(crowd, marks):
        check(set(peer.goodbyes(mark)) <= {129}, f"{peer.name} was told {peer.goodbyes(mark)}")
    check(not friend.goodbyes(), f"who is trusted was told {friend.goodbyes()}")
    p = row(daemon, told[0].id)
    check(p["disconnect_reason"] == "too_many_peers" and "goodbye 129" in p["why"], f"{p}")
    story = why(daemon, told[0].id)
    check("code 129" in story and ("pruned_" in story or "refused_full" in story), story)
    daemon.stop()
    for peer in [*crowd, friend]:
        peer.stop()


def private(work, network, digest):
    """--disable-peer-scoring: what costs points has no consequence. Then the limit of connections from one address, which
    --colocation-whitelist lifts; and a mesh of daemons that know each other by --direct-peers alone."""
    daemon = Daemon("no-scoring", network, work / "n", [*FLAGS, "--disable-peer-scoring"])
    peer = GoPeer("go-bad", digest)
    peer.join(daemon)
    for _ in range(12):
        peer.process.send(f"req {daemon.peer_id} status/2 00")
    until(lambda: row(daemon, peer.id)["score"] < -99, 60, lambda: f"requests of no sense cost points: {row(daemon, peer.id)}")
    answer = peer.status(daemon)
    check(answer["code"] == 0 and not answer.get("err") and daemon.peer(peer.id), f"it is still served: {answer}")
    check(not peer.goodbyes() and not banned(daemon, peer.id), f"it was told {peer.goodbyes()}")
    start = peer.mark()
    up = peer.command(f"swarm 40 {daemon.multiaddr}", "swarm", 60)
    check(up["up"] == 40 and up.get("err") is None, f"many of one address where that is allowed: {up}")
    check(not peer.all("disconnected", start), "whom it pushed out")
    daemon.stop()

    crowded = Daemon("crowded", network, work / "c", ["--disable-discovery"])
    up = peer.command(f"swarm 40 {crowded.multiaddr}", "swarm", 60)
    check(32 <= up["up"] < 40 and up["err"], f"32 at once of one address: {up}")
    until(lambda: any(e["reason"] == "refused_connection" and e.get("error") == "E_IP_MAX"
                      for e in crowded.get("/p2pd/v1/peers/events")["data"]), 20, "the refusal is noted")
    crowded.stop()
    peer.stop()

    first = Daemon("mesh-1", network, work / "m1", ["--disable-discovery"])
    second = Daemon("mesh-2", network, work / "m2", ["--disable-discovery", "--direct-peers", first.enr])
    third = Daemon("mesh-3", network, work / "m3", ["--disable-discovery", "--direct-peers", f"{first.enr},{second.multiaddr}"])
    for one, other in ((second, first), (third, first), (third, second)):
        until(lambda a=one, b=other: a.peer(b.peer_id), 30, f"{one.name} dials {other.name}")
        mine = one.peer(other.peer_id)
        check(mine["trusted"] and mine["static"] and mine["source"] == "static", f"{mine}")
    for daemon in (third, second, first):
        daemon.stop()


def run():
    work = scratch("peers")
    network = network_dir(work / "network")
    daemon = Daemon("daemon", network, work / "d", FLAGS)
    digest = digest_of(daemon)
    a, b, c, other = (GoPeer(f"go-{n}", digest, discv5=n == "c") for n in ("a", "b", "c", "other"))
    bans(daemon, a)
    say("bans end by time and by unban")
    goodbyes_received(daemon, b)
    goodbyes_sent(daemon, b, other)
    say("goodbyes of both sides")
    named(daemon, c, work)
    by_socket(daemon, work, c)
    say("orders by HTTP and by the socket")
    limits(work, network, digest)
    say("limits")
    private(work, network, digest)
    say("private networks")

    # Over a restart: a ban, a trusted peer that is dialled again, and the file.
    order(daemon, "ban", a.id, seconds=3600, reason="kept")
    order(daemon, "trust", c.multiaddr)
    until(lambda: daemon.peer(c.id), 20, "c is dialled")
    order(daemon, "add", b.multiaddr, status=400)  # the rating has banned it
    order(daemon, "unban", b.id)
    order(daemon, "add", b.multiaddr)
    bad = GoPeer("go-bad-too", digest)
    bad.join(daemon)
    while not banned(daemon, bad.id):
        bad.command(f"req {daemon.peer_id} status/2 00", "resp", 30)
    by_rating = banned(daemon, bad.id)
    start = c.mark()
    daemon.stop()
    c.wait("disconnected", 20, start)
    check(c.goodbyes(start) == [1], f"a stop says goodbye 1: {c.goodbyes(start)}")
    file = work / "peers.txt"
    file.write_text(f"# peers\n\nban {other.id}\nban 10.9.0.0/16 # a range\n")
    daemon = Daemon("daemon again", network, work / "d", [*FLAGS, "--peers-file", file], port=daemon.port)
    until(lambda: daemon.peer(c.id), 30, "a trusted peer is dialled after a restart")
    check(daemon.peer(c.id)["trusted"] and daemon.peer(c.id)["static"], f"{daemon.peer(c.id)}")
    refused(daemon, a, [251])
    check(banned(daemon, a.id)["reason"] == "kept" and banned(daemon, "10.9.0.0/16")["by"] == "file", f"{rules(daemon)}")
    refused(daemon, bad, [251])
    kept = banned(daemon, bad.id)
    check(kept["by"] == "rating" and kept["reason"] == by_rating["reason"], f"{kept}, was {by_rating}")
    check(abs(int(kept["until_ms"]) - int(by_rating["until_ms"])) < 2000, f"{kept}, was {by_rating}")
    refused(daemon, other, [251])
    file.write_text(f"trusted {c.id}\nnonsense here\n")
    daemon.process.child.send_signal(signal.SIGHUP)
    until(lambda: daemon.said("SIGHUP: the file of peers is not followed"), 20, "a wrong file is refused")
    check("line 2" in daemon.said("SIGHUP: the file of peers is not followed")[0]["why"], "the line is named")
    check(banned(daemon, other.id), "a wrong file changes nothing")
    file.write_text(f"static {b.multiaddr}\n")
    daemon.process.child.send_signal(signal.SIGHUP)
    until(lambda: banned(daemon, other.id) is None, 20, "what is gone from the file is taken back")
    check(banned(daemon, "10.9.0.0/16") is None and banned(daemon, a.id), "only what is gone from it")
    other.connect(daemon)
    until(lambda: daemon.peer(other.id), 20, "it is let in again")
    wish = next(w for w in rules(daemon)["peers"] if w["peer_id"] == b.id)
    check(wish["static_by"] == ["file", "user"], f"{wish}")
    daemon.stop()
    for flags in (["--trusted-peers", "hello"], ["--peer", "16Uiu2HAm2dURtGp7heu8bvWP2oKJEgHTsabTPtzGa2sVT9h9JEUJ"], ["--colocation-whitelist", "x"]):
        done = subprocess.run([PROGRAM, "run", *flags], capture_output=True, text=True, timeout=patient(30), check=False)
        check(done.returncode == 2 and flags[1] in done.stderr, f"{flags}: {done.returncode} {done.stderr}")
    for peer in (a, b, c, other, bad):
        peer.stop()
    note(f"bans by peer and range, {len(GOODBYES)} goodbye codes received and 6 sent, orders by HTTP, socket and file, kept over a restart; limits; private networks")


if __name__ == "__main__":
    main(run)
