#!/usr/bin/env python3
"""Peers on a user's word against Lodestar, each in a namespace of its own: added by its ENR, let go, banned and unbanned as
Lodestar itself sees it; trusted, it stays while go-libp2p peers above the ceiling are told 129. Then the daemon's cable is cut until
it has lost everybody, and put back: all come again by themselves, without a storm of dials. At the end Lodestar stops, and says so.
"""

import time

from harness import netns
from harness.daemon import Daemon
from harness.gopeer import GoPeer
from harness.lodestar import Lodestar, before_genesis
from harness.peers import banned, digest_of, order, reasons, row, why
from harness.proc import LONG, check, main, note, say, scratch, until

TARGET, CEILING, CROWD = 1, 3, 5
CUT_SECONDS = 600 if LONG else 0  # beside the time until everybody is lost


def told(lodestar, start=0):
    """Goodbye codes that Lodestar says it got."""
    return [int(line.split("goodbye=")[1].split(",")[0].split()[0]) for line in lodestar.process.lines[start:]
            if "Received goodbye request" in line]


def orders(daemon, lodestar):
    order(daemon, "add", lodestar.enr)
    until(lambda: daemon.peer(lodestar.peer_id) and lodestar.sees(daemon.peer_id), 60, "an ENR that is added is dialled")
    until(lambda: "status_agreed" in reasons(daemon, lodestar.peer_id), 30, "status is agreed")
    start = len(lodestar.process.lines)
    order(daemon, "remove", lodestar.peer_id)
    until(lambda: not lodestar.sees(daemon.peer_id), 30, "who is removed is let go")
    until(lambda: told(lodestar, start) == [129], 20, lambda: f"Lodestar was told {told(lodestar, start)}, wanted 129")

    let_go = time.monotonic()
    order(daemon, "ban", lodestar.multiaddr, reason="for a test")
    # Lodestar reads one goodbye of a peer in ten seconds, and drops those between.
    until(lambda: time.monotonic() > let_go + 11, 30, "Lodestar reads the next goodbye")
    start = len(lodestar.process.lines)
    lodestar.connect(daemon)
    until(lambda: 251 in told(lodestar, start), 30, lambda: f"Lodestar was told {told(lodestar, start)}, wanted 251")
    until(lambda: not lodestar.sees(daemon.peer_id), 20, "a banned peer is not kept")
    check(banned(daemon, lodestar.peer_id)["reason"] == "for a test", "the ban and its reason")
    story = why(daemon, lodestar.enr)
    for part in ("named_static", "dial_named", "status_agreed", "code 129", "banned_user", "refused_banned", "code 251"):
        check(part in story, f"'{part}' is missing in: {story}")
    order(daemon, "unban", lodestar.peer_id)
    order(daemon, "trust", lodestar.multiaddr)
    until(lambda: daemon.peer(lodestar.peer_id) and lodestar.sees(daemon.peer_id), 60, "unbanned and trusted it is dialled")


def limits(daemon, lodestar, crowd):
    for peer in crowd:
        check(peer.connect(daemon) is None, f"{peer.name} connects")
        peer.process.send(f"req {daemon.peer_id} status/1")
    until(lambda: len(daemon.peers()) <= CEILING and sum(bool(p.goodbyes()) for p in crowd) >= CROWD - CEILING, 40,
          lambda: f"the excess is let go: {len(daemon.peers())} peers")
    for peer in crowd:
        check(set(peer.goodbyes()) <= {129}, f"{peer.name} was told {peer.goodbyes()}")
    check(daemon.peer(lodestar.peer_id), f"a trusted peer was let go: {why(daemon, lodestar.peer_id)}")


def outage(daemon, lodestar, friend):
    """The cable is out until both are lost; then in again."""
    names = {"Lodestar": lodestar.peer_id, "go": friend.id}
    order(daemon, "add", friend.multiaddr)
    until(lambda: all(daemon.peer(i) for i in names.values()), 30, "both are connected")
    dials = daemon.metric("p2pd_dials_total")
    lost = {i: len(daemon.said("disconnected", peer=i)) for i in names.values()}
    netns.cut("daemon")
    cut = time.monotonic()
    for name, peer_id in names.items():
        until(lambda i=peer_id: len(daemon.said("disconnected", peer=i)) > lost[i], 180, f"{name} is lost")
    time.sleep(CUT_SECONDS)
    seconds = time.monotonic() - cut
    start = friend.mark()
    netns.mend("daemon")
    back = time.monotonic()
    until(lambda: all(daemon.peer(i) for i in names.values()), 120, lambda: f"all come back: {daemon.peers(None)}")
    until(lambda: lodestar.sees(daemon.peer_id), 60, "Lodestar has us again")
    took = time.monotonic() - back
    tried = daemon.metric("p2pd_dials_total") - dials
    # Two peers named: each after 5, 10, 20 and then every 30 s; both ends may have dialled at once.
    check(tried <= 2 * (4 + seconds / 30 + took / 30), f"{tried} dials in {seconds + took:.0f} s")
    check(len(friend.all("connected", start)) <= 2, f"one connection, not {friend.all('connected', start)}")
    story = why(daemon, lodestar.peer_id)
    check("dropped_unresponsive" in story or "gone_link" in story, story)
    return seconds, took, tried


def run():
    netns.enter()
    work = scratch("peers-lodestar")
    ip, wrapper = netns.add("lode", 1)
    lodestar = before_genesis(lambda genesis: [Lodestar(work / "lodestar", 100, genesis, ip=ip, wrapper=wrapper, discovery=False,
                                                        log_level="verbose")], 1)[0]  # fmt: skip
    network = lodestar.network_dir(work / "network", with_state=True)
    ip, wrapper = netns.add("daemon", 2)
    daemon = Daemon("daemon", network, work / "d", ["--disable-discovery", "--target-peers", TARGET], wrapper=wrapper, ip=ip)
    digest = digest_of(daemon)
    orders(daemon, lodestar)
    say("added, removed, banned, unbanned and trusted, as Lodestar sees it")
    crowd = []
    for i in range(CROWD):
        ip, wrapper = netns.add(f"go{i}", 10 + i)
        crowd.append(GoPeer(f"go-{i}", digest, ip=ip, wrapper=wrapper))
    limits(daemon, lodestar, crowd)
    say("limits, and a trusted peer above them")
    seconds, took, tried = outage(daemon, lodestar, crowd[0])
    say("an outage")

    start = len([r for r in reasons(daemon, lodestar.peer_id) if r == "gone_goodbye"])
    lodestar.process.child.send_signal(2)
    lodestar.process.stopping = True
    until(lambda: reasons(daemon, lodestar.peer_id).count("gone_goodbye") > start, 30, lambda: f"Lodestar says goodbye: {why(daemon, lodestar.peer_id)}")
    p = row(daemon, lodestar.peer_id)
    check("remote said goodbye 1" in p["why"] and p["disconnect_reason"] == "client_shutdown", f"{p}")
    lodestar.stop()
    daemon.stop()
    note(f"Lodestar was told 129 and 251, and said 1; all lost after {seconds:.0f} s without a cable, back {took:.0f} s after it, by {tried:.0f} dials")


if __name__ == "__main__":
    main(run)
