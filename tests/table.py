"""The tests of ./test that are not found by their file names, one row each.

Unit tests (tests/unit/**/test_*.c), the replay of the fuzz corpora, and fuzz targets (tests/fuzz/**/fuzz_*.c) are found by
name: see tests/run.py. Everything else is a row here.

name     what ./test PATTERN matches, and what is printed
group    build, check, interop: what runs beside what (see LANES)
command  arguments; the working directory is the top of the tree
needs    rows or peers that must have succeeded before
minutes  after which the test has failed, normal and long: what hangs is ended, nothing is measured by it
long_only  a row of ./test --long alone
"""

from collections import namedtuple

Row = namedtuple("Row", "name group command needs minutes long_minutes long_only", defaults=(25, 60, False))

PY = "python3"

# What may run at once: builds and fuzz targets take the processors, the real peers mostly wait; a Lodestar less than others.
LANES = {"cpu": 2, "net": 5}
COSTS = {"peer/lodestar": 2, "interop/flood": 3}  # of its lane, by a row's name or by what it needs; the others cost one

# What takes the processors gives way to the peers, whose slots pass in real time; what many rows wait for gives way less.
NICE, NICE_FIRST = 15, {"build/release": 5, "peer/rust": 12}

# Fuzzing: inputs per target in ./test and in ./test --long.
FUZZ_RUNS = 20_000
FUZZ_RUNS_LONG = 2_000_000
FUZZ_SEED = 1
FUZZ_MAX_LEN = 4096  # longer inputs only repeat what shorter ones reach, at a cost in time

BUILDS = [
    Row("build/release", "build", ["build", "release"], []),
    Row("build/dev", "build", ["build", "dev"], ["build/release"]),
    Row("build/fuzz", "build", ["build", "fuzz"], ["build/dev"]),
    Row("build/clang", "build", ["build", "clang"], ["build/fuzz"]),
]

# Real peers, built once into build/peers and kept.
PEERS = [
    Row("peer/node", "peer", ["tests/interop/peers.sh", "node"], []),
    Row("peer/lodestar", "peer", ["tests/interop/peers.sh", "lodestar"], ["peer/node"]),
    Row("peer/js", "peer", ["tests/interop/peers.sh", "js"], ["peer/node"]),
    Row("peer/discv5_js", "peer", ["tests/interop/peers.sh", "discv5_js"], ["peer/node"]),
    Row("peer/page", "peer", ["tests/interop/peers.sh", "page"], ["peer/node"]),
    Row("peer/kad_js", "peer", ["tests/interop/peers.sh", "kad_js"], ["peer/node"]),
    Row("peer/go", "peer", ["tests/interop/peers.sh", "go"], []),
    Row("peer/devp2p", "peer", ["tests/interop/peers.sh", "devp2p"], ["peer/go"]),
    Row("peer/rust", "peer", ["tests/interop/peers.sh", "rust"], [], 38),
    Row("peer/schemathesis", "peer", ["tests/interop/peers.sh", "schemathesis"], []),
]

CHECKS = [
    Row("check/layers", "check", [PY, "tests/check/layers.py"], []),
    Row("check/banned", "check", [PY, "tests/check/banned.py"], []),
    Row("check/docs", "check", [PY, "tests/check/docs.py"], []),
    Row("check/limits", "check", [PY, "tests/check/limits.py"], []),
    Row("check/format", "check", ["tests/check/format.sh"], []),
    Row("check/shell", "check", ["tests/check/shell.sh"], []),
    Row("check/spelling", "check", ["tests/check/spelling.sh"], []),
    Row("check/globals", "check", ["tests/check/globals.sh"], []),
    Row("check/hardening", "check", ["tests/check/hardening.sh"], ["build/release"]),
    Row("check/pages", "check", [PY, "tests/check/pages.py"], ["build/release"]),
    Row("check/planted", "check", [PY, "tests/check/planted.py"], []),
    Row("check/fuzz-planted", "check", [PY, "tests/fuzz/planted.py"], ["build/fuzz"]),
    Row("sim/scenarios", "check", [PY, "tests/sim/run.py"], ["build/release", "build/dev"]),
    Row("sim/peers", "check", [PY, "tests/sim/peers.py"], ["build/release"], long_minutes=600),
]

INTEROP = [  # the longest first: what is left at the end should be short
    Row("interop/lodestar", "interop", [PY, "tests/interop/lodestar.py"], ["build/release", "peer/lodestar"]),
    Row("interop/api-light-client", "interop", [PY, "tests/interop/light_client.py"],
        ["build/release", "peer/lodestar"]),
    Row("interop/lodestar-dials", "interop", [PY, "tests/interop/lodestar.py", "--they-dial"],
        ["build/release", "peer/lodestar"]),
    Row("interop/control", "interop", [PY, "tests/interop/control.py"], ["build/release"]),
    Row("interop/library", "interop", [PY, "tests/interop/library.py"], ["build/release"]),
    Row("interop/example-network", "interop", [PY, "tests/interop/example_network.py"], ["build/release", "peer/go"]),
    Row("interop/programs", "interop", [PY, "tests/interop/programs.py"], ["build/release"]),
    Row("interop/halves", "interop", [PY, "tests/interop/halves.py"], ["build/release", "peer/lodestar"]),
    Row("interop/external", "interop", [PY, "tests/interop/halves.py", "--external"],
        ["build/release", "peer/lodestar"]),
    Row("interop/languages", "interop", [PY, "tests/interop/halves.py", "--languages"],
        ["build/release", "peer/lodestar", "peer/go", "peer/rust"]),
    Row("interop/quorum", "interop", [PY, "tests/interop/quorum.py"], ["build/release", "peer/lodestar"]),
    Row("interop/lodestar-syncs", "interop", [PY, "tests/interop/lodestar_syncs.py"],
        ["build/release", "peer/lodestar"]),
    Row("interop/corpus", "interop", [PY, "tests/interop/corpus.py"], ["build/release", "peer/js"]),
    Row("interop/devnet", "interop", [PY, "tests/interop/devnet.py"], ["build/release"]),
    Row("interop/metrics", "interop", [PY, "tests/interop/metrics.py"], ["build/release"]),
    Row("interop/top", "interop", [PY, "tests/interop/top.py"], ["build/release"]),
    Row("interop/progress", "interop", [PY, "tests/interop/progress.py"], ["build/release"]),
    Row("interop/page", "interop", [PY, "tests/interop/page.py"], ["build/release", "peer/page"]),
    Row("interop/devnet-quic", "interop", [PY, "tests/interop/devnet.py", "--disable-tcp"], ["build/release"]),
    Row("interop/forks", "interop", [PY, "tests/interop/forks.py"], ["build/release"]),
    Row("interop/checkpoint", "interop", [PY, "tests/interop/checkpoint.py"], ["build/release"]),
    Row("interop/full-disk", "interop", [PY, "tests/interop/full_disk.py"], ["build/release"]),
    Row("interop/kill9", "interop", [PY, "tests/interop/kill9.py"], ["build/release"]),
    Row("interop/badpeer", "interop", [PY, "tests/interop/badpeer.py"], ["build/release"]),
    Row("interop/cli", "interop", [PY, "tests/interop/cli.py"], ["build/release"]),
    Row("interop/lodestar-reqresp", "interop", [PY, "tests/interop/lodestar_reqresp.py"], ["build/release", "peer/lodestar"]),
    Row("interop/reqresp-rust", "interop", [PY, "tests/interop/reqresp.py", "rust"], ["build/release", "build/dev", "peer/rust"]),
    Row("interop/reqresp-js", "interop", [PY, "tests/interop/reqresp.py", "js"], ["build/release", "build/dev", "peer/js"]),
    Row("interop/config", "interop", [PY, "tests/interop/config.py"], ["build/release"]),
    Row("interop/recording", "interop", [PY, "tests/interop/recording.py"], ["build/release"]),
    Row("interop/operator", "interop", [PY, "tests/interop/operating.py"], ["build/release"]),
    Row("interop/arm64", "interop", ["tests/interop/arm64.sh"], ["build/release"], 90, 90, True),
    Row("interop/package", "interop", [PY, "tests/interop/package.py"], ["build/release"]),
    Row("interop/request", "interop", [PY, "tests/interop/request.py"], ["build/release"]),
    Row("interop/connect", "interop", [PY, "tests/interop/connect.py"], ["build/release"]),
    Row("interop/peers", "interop", [PY, "tests/interop/peers.py"], ["build/release", "peer/go"]),
    Row("interop/peers-lodestar", "interop", [PY, "tests/interop/peers_lodestar.py"],
        ["build/release", "peer/go", "peer/lodestar"]),
    Row("interop/names", "interop", [PY, "tests/interop/names.py"], ["build/release"]),
    Row("interop/dnsdisc", "interop", [PY, "tests/interop/dnsdisc.py"], ["build/release", "peer/devp2p"]),
    Row("interop/keylog", "interop", [PY, "tests/interop/keylog.py"], ["build/release", "build/dev"]),
    Row("interop/nat", "interop", [PY, "tests/interop/nat.py"], ["build/release"]),
    Row("interop/go", "interop", [PY, "tests/net/matrix.py", "build/dev/tests/net/net_peer", "build/peers/gopeer"],
        ["build/dev", "peer/go"]),
    Row("interop/starved", "interop", [PY, "tests/net/starved.py", "build/dev/tests/net/net_peer"], ["build/dev"]),
    Row("interop/rust", "interop", [PY, "tests/net/matrix.py", "build/dev/tests/net/net_peer", "build/peers/bin/rustpeer"],
        ["build/dev", "peer/rust"]),
    Row("interop/js", "interop", [PY, "tests/net/matrix.py", "build/dev/tests/net/net_peer", "js"],
        ["build/dev", "peer/js"], long_minutes=180),
    Row("interop/gossip", "interop", [PY, "tests/interop/gossip.py"], ["build/dev", "peer/js", "peer/rust"]),
    Row("interop/discovery", "interop", [PY, "tests/interop/discovery.py"], ["build/release"]),
    Row("interop/kad-ethereum", "interop", [PY, "tests/interop/kad_ethereum.py"], ["build/release"]),
    Row("interop/replicas", "interop",
        [PY, "docs/examples/replicas/replicas.py", "--program", "build/release/beacon-p2pd", "--check", "4"], ["build/release"]),
    Row("interop/kad", "interop", [PY, "tests/interop/kad.py"], ["build/release", "peer/rust", "peer/kad_js"]),
    Row("interop/quic-loss", "interop",
        [PY, "tests/net/quic_loss.py", "build/dev/tests/net/net_peer", "build/peers/gopeer", "build/peers/bin/rustpeer"],
        ["build/dev", "peer/go", "peer/rust"]),
    Row("interop/gossip-lodestar", "interop", [PY, "tests/interop/gossip_lodestar.py"],
        ["build/release", "peer/lodestar", "peer/js", "peer/rust"]),
    Row("interop/discv5", "interop", [PY, "tests/interop/discv5_conformance.py"], ["build/release", "peer/devp2p"]),
    Row("interop/discv5-crawl", "interop", [PY, "tests/interop/discv5_crawl.py"], ["build/release"]),
    Row("interop/discv5-mixed", "interop", [PY, "tests/interop/discv5_mixed.py"],
        ["build/release", "peer/go", "peer/rust", "peer/discv5_js"]),
    Row("interop/api", "interop", [PY, "tests/interop/api.py"], ["build/release"]),
    Row("interop/api-streams", "interop", [PY, "tests/interop/streams.py"], ["build/dev"]),
    Row("interop/api-description", "interop", [PY, "tests/interop/description.py"],
        ["build/release", "peer/js", "peer/schemathesis"]),
    Row("interop/flood", "interop", [PY, "tests/interop/flood.py"], ["build/release"]),
    Row("interop/valgrind", "interop", [PY, "tests/interop/valgrind.py"], ["build/release"]),
]
