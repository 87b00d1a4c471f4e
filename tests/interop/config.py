#!/usr/bin/env python3
"""Settings: flag over environment over file over default, for every flag that there is; --print-config says where each is from and
reads back as it was written; what no flag has is refused with the nearest name. Nothing here joins a network.
"""

import os
import re
import subprocess

from harness.daemon import PROGRAM
from harness.proc import TOP, check, main, note, patient, scratch

ROW = re.compile(r'^O\((\w+),\s*"([^"]+)",\s*(\w+),\s*(?:"([^"]*)"|NULL),\s*(?:"([^"]*)"|NULL),\s*("?)', re.M)


def options():
    """(name, kind, bounds, default) of every flag that is shown and not about one call."""
    text = (TOP / "src/cli/options.def").read_text()
    for _, names, kind, argument, fallback, shown in ROW.findall(text):
        if shown and kind != "CALL" and names != "config":
            yield names.split("|")[0], kind, argument, fallback


def variable(name):
    return "BEACON_P2PD_" + name.upper().replace("-", "_")


def ask(*arguments, env=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("BEACON_P2PD_")}
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        timeout=patient(60),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def printed(*arguments, env=None):
    """{name: (value, where from)} of --print-config."""
    done = ask("run", "--print-config", *arguments, env=env)
    check(done.returncode == 0, f"--print-config: {done.stderr}")
    rows = re.findall(r"^(# )?([a-z0-9-]+): (.*?) *# ([^#\n]*)$", done.stdout, re.M)
    check(len(rows) == len(done.stdout.splitlines()), "a line of --print-config has another form")
    check(all(bool(off) == (where in ("default", "not set")) for off, _, _, where in rows), "what is not set is no comment")
    return {name: (value or None, where) for _, name, value, where in rows}


def value_of(kind, bounds, which):
    """Three values that are told apart, for the file, the environment and the flag."""
    if kind == "BOOL":
        return "true" if which != 1 else "false"
    if kind == "U64":
        low, high = map(int, bounds.split(".."))
        return str((low, (low + high) // 2, high)[which])
    return ("a/file", "b/variable", "c/flag")[which]


def shown(kind, text):
    return f"[{text}]" if kind == "LIST" else text


def precedence(work):
    rows = list(options())
    check(len(rows) > 40, f"only {len(rows)} options were read from options.def")
    values = {name: [value_of(kind, bounds, i) for i in range(3)] for name, kind, bounds, _ in rows}
    file = work / "all.yaml"
    file.write_text("".join(f"{name}: {values[name][0]}\n" for name, *_ in rows))
    env = {variable(name): values[name][1] for name, *_ in rows}
    flags = [f"--{name}={values[name][2]}" for name, *_ in rows]
    at_default, in_file = printed(), printed("--config", file)
    in_env, by_flag = printed("--config", file, env=env), printed("--config", file, *flags, env=env)
    check(set(at_default) == {r[0] for r in rows}, "--print-config and options.def have different names")
    for number, (name, kind, _, fallback) in enumerate(rows, 1):
        wanted = [
            (at_default, (shown(kind, fallback), "default") if fallback else (None, "not set")),
            (in_file, (shown(kind, values[name][0]), f"{file}:{number}")),
            (in_env, (shown(kind, values[name][1]), variable(name))),
            (by_flag, (shown(kind, values[name][2]), "flag")),
        ]
        for got, want in wanted:
            check(got[name] == want, f"{name}: {got[name]}, wanted {want}")
    return len(rows)


def round_trip(work):
    """What --print-config prints is a file that gives the same values."""
    flags = [
        "--network=hoodi",
        "--agent-string=a \"b\" \\c: #d\t'e",
        "--deny-cidr=10.0.0.0/8,2001:db8::/32",
        "--disable-quic",
        "--disable-tcp=false",
        "--log-level=info,discv5=debug",
    ]
    first = ask("run", "--print-config", *flags)
    file = work / "printed.yaml"
    file.write_text(first.stdout)
    again = printed("--config", file)
    for name, (value, where) in printed(*flags).items():
        check(again[name][0] == value, f"{name}: printed {value}, read back {again[name][0]}")
        check(where != "flag" or str(file) in again[name][1], f"{name} is from {again[name][1]}")
    check(again["agent-string"][0] is not None and again["disable-tcp"][0] == "false", "values were lost")


def places(work):
    """The file by the environment; lists whole from one place; another command's names."""
    file = work / "some.yaml"
    file.write_text("boot-nodes:\n  - one\n  - two\ntarget-peers: 5\npeer: [x]\nrate: 7\n")
    got = printed(env={"BEACON_P2PD_CONFIG": str(file)})
    check(got["target-peers"] == ("5", f"{file}:4"), f"BEACON_P2PD_CONFIG: {got['target-peers']}")
    check(got["boot-nodes"] == ("[one, two]", f"{file}:2"), f"a list: {got['boot-nodes']}")
    check(got["libp2p-addresses"][0] == "[x]", "an alias in the file was lost")
    got = printed("--config", file, env={"BEACON_P2PD_BOOT_NODES": "three,four"})
    check(got["boot-nodes"][0] == "[three, four]", f"lists were joined: {got['boot-nodes']}")
    done = ask("crawl", "--config", file)
    check(done.returncode == 2 and "boot node one" in done.stderr, f"crawl did not read the file: {done.stderr}")
    done = ask("ssz", "types", env={"BEACON_P2PD_FORK": "phase0"})
    check(done.returncode == 0 and "DataColumnSidecar" not in done.stdout, "ssz does not read the environment")
    done = ask("ssz", "types", "--fork", "fulu", env={"BEACON_P2PD_FORK": "phase0"})
    check("DataColumnSidecar" in done.stdout, "a flag is weaker than its variable")
    done = ask("enr", "view", "enr:-x", env={"BEACON_P2PD_JSON": "perhaps"})
    check(done.returncode == 2 and "true or false" in done.stderr, f"a variable that is no bool: {done.stderr}")


def refusals(work):
    def refused(text, *words, env=None):
        file = work / "bad.yaml"
        file.write_bytes(text)
        done = ask("run", "--print-config", "--config", file, env=env)
        lines = done.stderr.splitlines()
        check(
            done.returncode == 2 and len(lines) == 1 and not done.stdout and all(w in lines[0] for w in words),
            f"{text[:60]} {env}: exit {done.returncode}, {lines}, wanted {words}",
        )

    refused(b"target-peer: 3\n", "bad.yaml:1", "target-peer", "did you mean target-peers?")
    refused(b"\n\nport: many\n", "bad.yaml:3: port many", "0..65535")
    refused(b"port: 70000\n", "bad.yaml:1: port 70000", "0..65535")
    refused(b"disable-quic: perhaps\n", "bad.yaml:1: disable-quic perhaps", "true or false")
    refused(b"port: [1, 2]\n", "bad.yaml:1: port", "not a list")
    refused(b"port: 1\nport: 2\n", "line 2", "second time", "port")
    refused(b"help: true\n", "bad.yaml:1", "help", "command line only")
    refused(b"config: other.yaml\n", "bad.yaml:1", "config", "command line only")
    refused(b"network:\n  name: hoodi\n", "line 2", "network")
    refused(b"a: \xff\n", "line 1")
    refused(b"#" * 300000, "256 KiB")
    refused(b"qwertyuiop: 1\n", "qwertyuiop", "--help")
    refused(b"", "BEACON_P2PD_TARGET_PEER", "did you mean BEACON_P2PD_TARGET_PEERS?", env={"BEACON_P2PD_TARGET_PEER": "1"})
    refused(b"", "BEACON_P2PD_PORT x", "0..65535", env={"BEACON_P2PD_PORT": "x"})
    refused(b"", "BEACON_P2PD_VERSION", "command line", env={"BEACON_P2PD_VERSION": "true"})
    refused(b"", "BEACON_P2PD_port", env={"BEACON_P2PD_port": "1"})
    done = ask("run", "--config", work / "none.yaml")
    check(done.returncode == 2 and "none.yaml" in done.stderr, f"a file that is not there: {done.stderr}")
    done = ask("run", "--network", "none", "--disable-discovery", "--validation", "observe", "--partial-columns")
    check(done.returncode == 2 and "--validation structural" in done.stderr, f"cells that nobody judges: {done.stderr}")
    done = ask("ping", env={"BEACON_P2PD_COUNTS": "1"})
    check(done.returncode == 2 and "BEACON_P2PD_COUNT?" in done.stderr, f"ping: {done.stderr}")


def run():
    work = scratch("config")
    count = precedence(work)
    round_trip(work)
    places(work)
    refusals(work)
    note(f"{count} flags by file, environment and command line")


if __name__ == "__main__":
    main(run)
