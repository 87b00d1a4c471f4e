"""The tests of ./test that are not found by their file names, one row each.

Unit tests (tests/unit/**/test_*.c), the replay of the fuzz corpora, and fuzz targets (tests/fuzz/**/fuzz_*.c) are found by
name: see tests/run.py. Everything else is a row here.

name     what ./test PATTERN matches, and what is printed
group    build, check, interop: what runs beside what (see LANES)
command  arguments; the working directory is the top of the tree
needs    rows or peers that must have succeeded before
minutes  after which the test has failed, normal and long
long_only  a row of ./test --long alone
"""

from collections import namedtuple

Row = namedtuple("Row", "name group command needs minutes long_minutes long_only", defaults=(10, 60, False))

PY = "python3"

# What may run at once: builds and fuzz targets take the processors, the real peers mostly wait.
LANES = {"cpu": 2, "net": 3}

# Fuzzing: inputs per target in ./test and in ./test --long.
FUZZ_RUNS = 20_000
FUZZ_RUNS_LONG = 2_000_000
FUZZ_SEED = 1
FUZZ_MAX_LEN = 4096  # longer inputs only repeat what shorter ones reach, at a cost in time

BUILDS = [
    Row("build/release", "build", ["build", "release"], [], 15, 15),
    Row("build/dev", "build", ["build", "dev"], ["build/release"], 15, 15),
    Row("build/fuzz", "build", ["build", "fuzz"], ["build/dev"], 15, 15),
    Row("build/clang", "build", ["build", "clang"], ["build/fuzz"], 15, 15),
]

# Real peers, built once into build/peers and kept.
PEERS = [
    Row("peer/node", "peer", ["tests/interop/peers.sh", "node"], [], 10, 10),
    Row("peer/lodestar", "peer", ["tests/interop/peers.sh", "lodestar"], ["peer/node"], 15, 15),
    Row("peer/js", "peer", ["tests/interop/peers.sh", "js"], ["peer/node"], 10, 10),
    Row("peer/discv5_js", "peer", ["tests/interop/peers.sh", "discv5_js"], ["peer/node"], 10, 10),
    Row("peer/page", "peer", ["tests/interop/peers.sh", "page"], ["peer/node"], 10, 10),
    Row("peer/kad_js", "peer", ["tests/interop/peers.sh", "kad_js"], ["peer/node"], 10, 10),
    Row("peer/go", "peer", ["tests/interop/peers.sh", "go"], [], 15, 15),
    Row("peer/devp2p", "peer", ["tests/interop/peers.sh", "devp2p"], ["peer/go"], 20, 20),
    Row("peer/rust", "peer", ["tests/interop/peers.sh", "rust"], [], 30, 30),
    Row("peer/schemathesis", "peer", ["tests/interop/peers.sh", "schemathesis"], [], 10, 10),
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
    Row("sim/scenarios", "check", [PY, "tests/sim/run.py"], ["build/release", "build/dev"], 12, 60),
    Row("sim/peers", "check", [PY, "tests/sim/peers.py"], ["build/release"], 15, 600),
]

INTEROP = [
    Row("interop/lodestar", "interop", [PY, "tests/interop/lodestar.py"], ["build/release", "peer/lodestar"], 14, 60),
    Row("interop/lodestar-dials", "interop", [PY, "tests/interop/lodestar.py", "--they-dial"],
        ["build/release", "peer/lodestar"], 8, 60),
    Row("interop/control", "interop", [PY, "tests/interop/control.py"], ["build/release"], 8, 60),
    Row("interop/library", "interop", [PY, "tests/interop/library.py"], ["build/release"], 5, 60),
    Row("interop/example-network", "interop", [PY, "tests/interop/example_network.py"], ["build/release", "peer/go"], 5, 60),
    Row("interop/programs", "interop", [PY, "tests/interop/programs.py"], ["build/release"], 5, 60),
    Row("interop/halves", "interop", [PY, "tests/interop/halves.py"], ["build/release", "peer/lodestar"], 10, 60),
    Row("interop/external", "interop", [PY, "tests/interop/halves.py", "--external"],
        ["build/release", "peer/lodestar"], 12, 60),
    Row("interop/languages", "interop", [PY, "tests/interop/halves.py", "--languages"],
        ["build/release", "peer/lodestar", "peer/go", "peer/rust"], 12, 60),
    Row("interop/quorum", "interop", [PY, "tests/interop/quorum.py"], ["build/release", "peer/lodestar"], 12, 60),
    Row("interop/lodestar-syncs", "interop", [PY, "tests/interop/lodestar_syncs.py"],
        ["build/release", "peer/lodestar"], 8, 60),
    Row("interop/corpus", "interop", [PY, "tests/interop/corpus.py"], ["build/release", "peer/js"], 8, 60),
    Row("interop/devnet", "interop", [PY, "tests/interop/devnet.py"], ["build/release"], 8, 60),
    Row("interop/metrics", "interop", [PY, "tests/interop/metrics.py"], ["build/release"], 5, 10),
    Row("interop/top", "interop", [PY, "tests/interop/top.py"], ["build/release"], 5, 10),
    Row("interop/progress", "interop", [PY, "tests/interop/progress.py"], ["build/release"], 5, 10),
    Row("interop/page", "interop", [PY, "tests/interop/page.py"], ["build/release", "peer/page"], 8, 10),
    Row("interop/devnet-quic", "interop", [PY, "tests/interop/devnet.py", "--disable-tcp"], ["build/release"], 8, 60),
    Row("interop/forks", "interop", [PY, "tests/interop/forks.py"], ["build/release"], 5, 60),
    Row("interop/checkpoint", "interop", [PY, "tests/interop/checkpoint.py"], ["build/release"], 5, 60),
    Row("interop/full-disk", "interop", [PY, "tests/interop/full_disk.py"], ["build/release"], 5, 60),
    Row("interop/kill9", "interop", [PY, "tests/interop/kill9.py"], ["build/release"], 5, 60),
    Row("interop/badpeer", "interop", [PY, "tests/interop/badpeer.py"], ["build/release"], 5, 60),
    Row("interop/cli", "interop", [PY, "tests/interop/cli.py"], ["build/release"], 5, 60),
    Row("interop/lodestar-reqresp", "interop", [PY, "tests/interop/lodestar_reqresp.py"], ["build/release", "peer/lodestar"], 12, 60),
    Row("interop/reqresp-rust", "interop", [PY, "tests/interop/reqresp.py", "rust"], ["build/release", "build/dev", "peer/rust"], 5, 60),
    Row("interop/reqresp-js", "interop", [PY, "tests/interop/reqresp.py", "js"], ["build/release", "build/dev", "peer/js"], 5, 60),
    Row("interop/config", "interop", [PY, "tests/interop/config.py"], ["build/release"], 5, 60),
    Row("interop/recording", "interop", [PY, "tests/interop/recording.py"], ["build/release"], 6, 60),
    Row("interop/operator", "interop", [PY, "tests/interop/operating.py"], ["build/release"], 5, 60),
    Row("interop/arm64", "interop", ["tests/interop/arm64.sh"], ["build/release"], 90, 90, True),
    Row("interop/package", "interop", [PY, "tests/interop/package.py"], ["build/release"], 8, 60),
    Row("interop/request", "interop", [PY, "tests/interop/request.py"], ["build/release"], 5, 60),
    Row("interop/connect", "interop", [PY, "tests/interop/connect.py"], ["build/release"], 5, 60),
    Row("interop/peers", "interop", [PY, "tests/interop/peers.py"], ["build/release", "peer/go"], 5, 60),
    Row("interop/peers-lodestar", "interop", [PY, "tests/interop/peers_lodestar.py"],
        ["build/release", "peer/go", "peer/lodestar"], 8, 60),
    Row("interop/names", "interop", [PY, "tests/interop/names.py"], ["build/release"], 5, 60),
    Row("interop/dnsdisc", "interop", [PY, "tests/interop/dnsdisc.py"], ["build/release", "peer/devp2p"], 5, 60),
    Row("interop/keylog", "interop", [PY, "tests/interop/keylog.py"], ["build/release", "build/dev"], 5, 60),
    Row("interop/nat", "interop", [PY, "tests/interop/nat.py"], ["build/release"], 5, 60),
    Row("interop/go", "interop", [PY, "tests/net/matrix.py", "build/dev/tests/net/net_peer", "build/peers/gopeer"],
        ["build/dev", "peer/go"], 10, 60),
    Row("interop/starved", "interop", [PY, "tests/net/starved.py", "build/dev/tests/net/net_peer"], ["build/dev"], 5, 60),
    Row("interop/rust", "interop", [PY, "tests/net/matrix.py", "build/dev/tests/net/net_peer", "build/peers/bin/rustpeer"],
        ["build/dev", "peer/rust"], 10, 60),
    Row("interop/js", "interop", [PY, "tests/net/matrix.py", "build/dev/tests/net/net_peer", "js"],
        ["build/dev", "peer/js"], 10, 180),
    Row("interop/gossip", "interop", [PY, "tests/interop/gossip.py"], ["build/dev", "peer/js", "peer/rust"], 5, 60),
    Row("interop/discovery", "interop", [PY, "tests/interop/discovery.py"], ["build/release"], 5, 60),
    Row("interop/kad-ethereum", "interop", [PY, "tests/interop/kad_ethereum.py"], ["build/release"], 5, 60),
    Row("interop/replicas", "interop",
        [PY, "docs/examples/replicas/replicas.py", "--program", "build/release/beacon-p2pd", "--check", "4"], ["build/release"], 5, 60),
    Row("interop/kad", "interop", [PY, "tests/interop/kad.py"], ["build/release", "peer/rust", "peer/kad_js"], 6, 60),
    Row("interop/quic-loss", "interop",
        [PY, "tests/net/quic_loss.py", "build/dev/tests/net/net_peer", "build/peers/gopeer", "build/peers/bin/rustpeer"],
        ["build/dev", "peer/go", "peer/rust"], 5, 20),
    Row("interop/gossip-lodestar", "interop", [PY, "tests/interop/gossip_lodestar.py"],
        ["build/release", "peer/lodestar", "peer/js", "peer/rust"], 5, 60),
    Row("interop/discv5", "interop", [PY, "tests/interop/discv5_conformance.py"], ["build/release", "peer/devp2p"], 5, 60),
    Row("interop/discv5-crawl", "interop", [PY, "tests/interop/discv5_crawl.py"], ["build/release"], 5, 60),
    Row("interop/discv5-mixed", "interop", [PY, "tests/interop/discv5_mixed.py"],
        ["build/release", "peer/go", "peer/rust", "peer/discv5_js"], 8, 60),
    Row("interop/api", "interop", [PY, "tests/interop/api.py"], ["build/release"], 8, 60),
    Row("interop/api-streams", "interop", [PY, "tests/interop/streams.py"], ["build/dev"], 8, 60),
    Row("interop/api-light-client", "interop", [PY, "tests/interop/light_client.py"],
        ["build/release", "peer/lodestar"], 20, 60),
    Row("interop/api-description", "interop", [PY, "tests/interop/description.py"],
        ["build/release", "peer/js", "peer/schemathesis"], 8, 60),
    Row("interop/flood", "interop", [PY, "tests/interop/flood.py"], ["build/release"], 8, 60),
    Row("interop/valgrind", "interop", [PY, "tests/interop/valgrind.py"], ["build/release"], 10, 60),
]
