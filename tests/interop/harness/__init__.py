"""What the tests with real peers share: processes that always end, waiting for events, the daemon, Lodestar, raw libp2p."""
