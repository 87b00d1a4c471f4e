#!/usr/bin/env python3
"""The stack against another implementation: matrix.py NET_PEER GO_PEER [--long]

Each row runs our scriptable peer (tests/net/peer.c) with a go-libp2p one, both ways round, and lets
the other side's books decide: connected with the wanted muxer, identified, pinged, requests answered,
every byte of every stream echoed."""
import json, queue, subprocess, sys, threading, time


class Peer:
    def __init__(self, name, argv):
        self.name, self.lines, self.seen = name, queue.Queue(), []
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.p.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def say(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()

    def wait(self, ev, timeout=20, **want):
        """The next event of this kind with these values; others before it are kept in `seen`."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                e = self.lines.get(timeout=max(left, 0.001))
            except queue.Empty:
                raise AssertionError(f"{self.name}: no {ev} {want}; saw {self.seen[-5:]}")
            if e is None:
                raise AssertionError(f"{self.name} has ended; saw {self.seen[-5:]}")
            self.seen.append(e)
            if e["ev"] == ev and all(e.get(k) == v for k, v in want.items()):
                return e

    def end(self):
        if self.p.poll() is None:
            try:
                self.say("quit")
                self.p.wait(10)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                self.p.kill()
                self.p.wait()
        return self.p.returncode


def check_streams(ours, theirs, our_id, long):
    amounts = [(1, 1), (1000, 50), (3_000_000, 3)] + ([(1 << 28, 4), (10_000, 1000)] if long else [])
    for n, streams in amounts:
        ours.say(f"echo {n} {min(streams, 200)}")
        e = ours.wait("echo", 120)
        assert e["got"] == e["sent"], e
        theirs.say(f"echo {our_id} {n} {streams}")
        t = theirs.wait("echo", 120)
        assert t.get("err") is None and t["got"] == t["sent"], t
    return e, t


def row(net, go, muxer, early, we_dial, ip6, long):
    ours = Peer("ours", [net, "--muxers", muxer] + ([] if early else ["--noearly"]) + (["--ip6"] if ip6 else []))
    theirs = Peer("go", [go, "-udp", "-1", "-muxers", "mplex,yamux" if muxer == "mplex" else "yamux,mplex"]
                  + (["-ip", "::1"] if ip6 else []))
    try:
        up, other = ours.wait("up"), theirs.wait("up")
        family = "ip6" if ip6 else "ip4"
        if we_dial:
            port = other["addrs"][0].split("/")[4]
            ours.say(f"connect {up['ip']} {port}")
        else:
            theirs.say(f"connect /{family}/{up['ip']}/tcp/{up['port']}/p2p/{up['peer']}")
        e = ours.wait("connected")
        assert e["mux"] == f"/{muxer}/" + ("1.0.0" if muxer == "yamux" else "6.7.0"), e
        assert e["peer"] == other["peer"], (e, other)
        t = theirs.wait("connected")
        assert t["mux"] == e["mux"] and t["peer"] == up["peer"], t
        assert t["early"] == early, t
        i = ours.wait("identify")
        assert i["agent"] == "gopeer/0" and i["signed"] and i["observed"], i
        t = theirs.wait("identify")
        assert t["agent"] == "beacon-p2pd" and "/p2pd/echo/1" in t["protos"], t
        ours.say("ping")
        ours.wait("ping")
        theirs.say(f"ping {up['peer']}")
        t = theirs.wait("ping")
        assert t.get("err") is None, t
        for name, body in (("status/2", "11" * 92), ("ping/1", "22" * 8), ("metadata/3", "")):
            ours.say(f"req {name} {body}")
            r = ours.wait("resp", proto=name)
            assert "err" not in r, r
            theirs.say(f"req {up['peer']} {name}")
            r = theirs.wait("resp", proto=name)
            assert r.get("err") is None and r["code"] == 0, r
        last = check_streams(ours, theirs, up["peer"], long)
        if we_dial:
            ours.say("close")
            theirs.wait("disconnected")
        else:
            theirs.say(f"close {up['peer']}")
            ours.wait("disconnected")
        return last
    finally:
        theirs.end()
        code = ours.end()
        if sys.exc_info()[0] is None:
            assert code == 0, f"ours ended with {code}"


def main():
    net, go, long = sys.argv[1], sys.argv[2], "--long" in sys.argv
    bad = 0
    for muxer in ("yamux", "mplex"):
        for early in (True, False):
            for we_dial in (True, False):
                for ip6 in (False, True):
                    if ip6 and not early:
                        continue
                    name = f"{muxer} early={early} {'we dial' if we_dial else 'go dials'} {'ip6' if ip6 else 'ip4'}"
                    try:
                        e, t = row(net, go, muxer, early, we_dial, ip6, long)
                        print(f"ok    {name}: ours {e['sent']} bytes in {e['ms']} ms, go's {t['sent']} in {t['ms']} ms")
                    except AssertionError as why:
                        bad += 1
                        print(f"FAIL  {name}: {why}")
    return 1 if bad else 0


sys.exit(main())
