#!/usr/bin/env python3
"""An outage with discovery on: five daemons, each in a namespace and an address group of its own, know one boot node and nothing
else. One loses its cable until it has lost everybody; meanwhile a newcomer joins. When the link is back it has all of them again by
itself, and finds the newcomer by discv5.
"""

import time

from harness import netns
from harness.corpus import network_dir
from harness.daemon import Daemon
from harness.peers import reasons, why
from harness.proc import check, main, note, say, scratch, until

OTHERS = ["boot", "left", "right"]


def run():
    netns.enter()
    work = scratch("peers-outage")
    network = network_dir(work / "network")
    daemons = {}

    def start(name):
        ip, wrapper = netns.add(name, 20 + len(daemons))
        flags = ["--boot-nodes", daemons["boot"].enr] if daemons else []
        daemons[name] = Daemon(name, network, work / name, flags, wrapper=wrapper, ip=ip)
        return daemons[name]

    def has(names):
        return all(us.peer(daemons[name].peer_id) for name in names)

    for name in OTHERS:
        start(name)
    us = start("us")
    until(lambda: has(OTHERS), 120, lambda: f"all are found from one boot node: {us.peers(None)}")
    say("all found")
    dials = us.metric("p2pd_dials_total")
    netns.cut("us")
    cut = time.monotonic()
    until(lambda: not us.peers(), 240, lambda: f"without a cable all are lost: {us.peers()}")
    late = start("late")
    until(lambda: late.peers() and len(daemons["boot"].peers()) >= 3, 120, "the newcomer finds the others")
    check(us.peers() == [], f"there is no link: {us.peers()}")
    say("all lost, and one more there")
    netns.mend("us")
    seconds, back = time.monotonic() - cut, time.monotonic()
    until(lambda: has([*OTHERS, "late"]), 300, lambda: f"all come back, and the newcomer is found: {us.peers(None)}")
    took = time.monotonic() - back
    tried = us.metric("p2pd_dials_total") - dials
    # Each of four after 5, 10, 20, 40 s and so on; heard of again, one more try; both ends may have dialled at once.
    check(tried <= 4 * (6 + (seconds + took) / 40), f"{tried} dials in {seconds + took:.0f} s are a storm")
    story = why(us, late.peer_id)
    check("discv5" in story or "inbound" in story, f"how the newcomer was found: {story}")
    for name in OTHERS:
        told = reasons(us, daemons[name].peer_id)
        check({"dropped_unresponsive", "gone_link"} & set(told), f"{name} was lost: {told}")
    for daemon in daemons.values():
        daemon.stop()
    note(f"all back {took:.0f} s after an outage of {seconds:.0f} s, a newcomer too, by {tried:.0f} dials")


if __name__ == "__main__":
    main(run)
