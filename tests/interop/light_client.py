#!/usr/bin/env python3
"""Real users of the API, 2: Lodestar's light client, which verifies each sync committee's signature, follows a chain for two sync
committee periods by nothing but our API: bootstrap, updates, the event stream. The chain is made by a Lodestar devnet; the
daemon has it, and the light-client objects, by gossip and requests as from any peer."""

import json
import shutil

from harness.daemon import Daemon
from harness.lodestar import HERE, SECONDS_PER_SLOT, SLOTS_PER_EPOCH, Lodestar, before_genesis
from harness.proc import LONG, PEERS, Process, check, main, node, note, say, scratch, until

PERIOD = 8 * SLOTS_PER_EPOCH  # slots, in the minimal preset
CAPELLA_EPOCH = 2  # a fork of the light-client objects too
PERIODS = 2 if not LONG else 8


class LightClient:
    def __init__(self, url, root):
        program = PEERS / "lodestar" / "light.mjs"  # beside the packages that it needs
        shutil.copy(HERE / "light.mjs", program)
        self.events = []
        self.process = Process("light client", [node(), "--require", HERE / "polyfill.cjs", program, url, root],
                               env={"LODESTAR_PRESET": "minimal"}, on_line=self._on_line)

    def _on_line(self, line):
        if line.startswith("{"):
            self.events.append(json.loads(line))

    def all(self, ev):
        return [e for e in list(self.events) if e["ev"] == ev]

    def slot(self, ev="optimistic"):
        return max((e["slot"] for e in self.all(ev)), default=-1)


def compare(daemon, events):
    """Each verified header is the daemon's own block of that slot."""
    for event in events:
        answer = daemon.get(f"/eth/v1/beacon/headers/{event['slot']}")
        check(answer, f"the light client follows slot {event['slot']}, which the daemon has no block of")
        ours = answer["data"]["header"]["message"]["state_root"]
        check(ours == event["state_root"], f"slot {event['slot']}: {event['state_root']} is followed, the daemon has {ours}")


def run():
    work = scratch("light-client")
    maker = before_genesis(lambda genesis: [Lodestar(work / "maker", CAPELLA_EPOCH, genesis)], 1)[0]
    network = maker.network_dir(work / "network", with_state=True)
    daemon = Daemon("daemon", network, work / "daemon", ["--boot-nodes", maker.enr])
    until(lambda: daemon.peer(maker.peer_id), 60, "the daemon is connected with the maker")

    def trusted():
        """The root of a finalized block whose bootstrap the daemon can give."""
        update = daemon.get("/eth/v1/beacon/light_client/finality_update")
        slot = int(update["data"]["finalized_header"]["beacon"]["slot"]) if update else 0
        root = (daemon.header(slot) or {}).get("root") if slot else None
        return root if root and daemon.get(f"/eth/v1/beacon/light_client/bootstrap/{root}") else None

    root = until(trusted, 100 * SECONDS_PER_SLOT, lambda: f"a finalized block has a bootstrap; the maker's slot {maker.slot()}, "
                                       f"final {maker.finalized_epoch()}")
    client = LightClient(daemon.rest, root)
    begun = until(lambda: client.all("trusted"), 60, "the light client takes the bootstrap")[0]["slot"]
    say(f"the light client begins at slot {begun}, period {begun // PERIOD}")
    target = (begun // PERIOD + PERIODS) * PERIOD + SLOTS_PER_EPOCH
    until(lambda: client.slot() >= target, (target - begun) * SECONDS_PER_SLOT * 3 + 60,
          lambda: f"the light client is at slot {target}; it is at {client.slot()}, final {client.slot('final')}, "
                  f"the daemon at {daemon.head_slot()}; its errors {[e for e in client.all('log') if e['level'] == 'error'][-3:]}")
    followed = client.all("optimistic")
    compare(daemon, followed + client.all("final"))
    periods = sorted({e["slot"] // PERIOD for e in followed})
    check(len(periods) > PERIODS, f"it has followed in periods {periods} only")
    check(client.slot("final") > begun, "no header became final for it")
    streamed = len(client.all("streamed"))
    check(streamed > PERIOD, f"only {streamed} updates came by the event stream")
    served = daemon.get(f"/eth/v1/beacon/light_client/updates?start_period={periods[0]}&count=8")
    check(len(served) >= PERIODS, f"{len(served)} updates of periods from {periods[0]} on")
    note(f"Lodestar's light client followed our API from slot {begun} to {client.slot()}, periods {periods[0]} to {periods[-1]}: "
         f"{len(followed)} headers verified, {streamed} updates by the event stream, final up to slot {client.slot('final')}")
    client.process.kill()
    daemon.stop()
    maker.stop()


if __name__ == "__main__":
    main(run)
