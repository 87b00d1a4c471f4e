"""A daemon that has the corpus' whole chain, deneb to fulu with its blobs and columns, within half a minute: most of it is fetched,
the clocks begin a few slots before those with columns, which come by gossip. For tests of what it answers by HTTP."""

from harness.corpus import CORPUS, Clock, JsPeer, blocks, network_dir
from harness.daemon import Daemon
from harness.proc import until

START_SLOT = 35  # columns come by gossip only: by slot 43 the mesh stands
WITH_COLUMNS, COLUMNS = 43, 128
WITH_BLOBS = (1, 13, 19, 25)  # slots


def serve(work, flags=()):
    """(daemon, the manifest's blocks, the peer that has them)"""
    chain = blocks()
    network = network_dir(work / "network")
    clock = Clock(CORPUS, START_SLOT)
    holder = JsPeer("holder", work, clock, holds=True)
    daemon = Daemon(
        "daemon",
        network,
        work / "d",
        ["--disable-discovery", "--libp2p-addresses", holder.addr, "--local-network", "--subscribe-all-subnets", "--supernode",
         "--validation", "structural", "--test-wall-time", clock.whole_second(), *flags],
    )
    until(lambda: daemon.header(chain[-1]["root"]), 60, "the daemon is at the chain's head")
    columns = f"/eth/v1/debug/beacon/data_column_sidecars/{WITH_COLUMNS}"
    until(lambda: len(daemon.get(columns)["data"]) == COLUMNS, 30, f"all columns of slot {WITH_COLUMNS} have come")
    until(lambda: all((daemon.get(f"/eth/v1/beacon/blob_sidecars/{slot}") or {"data": ()})["data"] for slot in WITH_BLOBS), 30,
          "the blobs before fulu are fetched")
    return daemon, chain, holder
