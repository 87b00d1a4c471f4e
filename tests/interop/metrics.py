#!/usr/bin/env python3
"""/metrics, the Grafana dashboard and the alert rules of docs/grafana, by promtool and a real Prometheus (Debian's) that scrapes a
devnet: the text is clean, each expression names metrics and labels that are there, is accepted, and gives the figures of the API."""

import json
import re
import shutil
import subprocess
import sys
import urllib.parse

from harness.daemon import http_json
from harness.devnet import Devnet
from harness.proc import SKIP, TOP, Process, check, free_port, main, note, scratch, until

NODES = 3
GRAFANA = TOP / "docs" / "grafana"
# What has no series while all is well: nothing dropped, refused, failed or rejected.
MAY_BE_EMPTY = ("p2pd_faults_total", "p2pd_requests_failed_total", "p2pd_requests_refused_total", "p2pd_gossip_crowded_total",
                "p2pd_dial_ends_total", "== 0", "> 0", "< 3", "< 20", "> 64", "> 0.", "== 1")
WORDS = {"by", "on", "or", "and", "unless", "without", "ignoring", "group_left", "group_right", "bool", "offset"}


def run_tool(*argv, stdin=None):
    done = subprocess.run([str(a) for a in argv], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 0, f"{argv[:3]}: {done.stdout[-800:]}")
    return done.stdout


def expressions():
    """[(where, expression)] of the dashboard and the rules, with Grafana's variables filled in."""
    found = []
    for panel in json.loads((GRAFANA / "beacon-p2pd.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$__rate_interval", "15s").replace('instance=~"$instance"', 'instance=~".+"')
            check("$" not in text, f"panel {panel['title']}: {text} has a variable that is not filled in")
            found.append((panel["title"], text))
    for line in (GRAFANA / "alerts.yml").read_text().splitlines():
        row = re.match(r"\s+expr: (.*)$", line)
        if row:
            found.append(("alerts.yml", row.group(1)))
    return found


def names_in(expression):
    """The metrics that an expression names: words that are neither functions nor labels."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", bare)
    return {w for w in re.findall(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", bare) if w not in WORDS}


def labels_in(expression):
    inside = re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", expression)
    return set(inside) | {w.strip() for part in re.findall(r"\bby\s*\(([^)]*)\)", expression) for w in part.split(",")}


def families(text):
    """{name: (kind, labels of its series)} of a scrape."""
    found = {}
    for line in text.splitlines():
        kind = re.match(r"# TYPE (\S+) (\S+)", line)
        if kind:
            for name in [kind[1] + e for e in ("_bucket", "_sum", "_count")] if kind[2] == "histogram" else [kind[1]]:
                check(name not in found, f"{name} is told twice")
                found[name] = (kind[2], set())
        row = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", line)
        if row:
            check(row[1] in found, f"{row[1]} has a series before its type")
            found[row[1]][1].update(re.findall(r'(\w+)="', row[2] or ""))
    return found


def run():
    if not shutil.which("promtool") or not shutil.which("prometheus"):
        print("neither promtool nor prometheus here: the Debian package is prometheus")
        sys.exit(SKIP)
    run_tool("promtool", "check", "rules", GRAFANA / "alerts.yml")
    run_tool("promtool", "test", "rules", GRAFANA / "alerts_test.yml")

    work = scratch("metrics")
    net = Devnet(NODES, work / "net", ["--late-after", 0])
    net.boot_enr()
    port = free_port()
    targets = [f"127.0.0.1:{p}" for p in net.ports]
    (work / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(GRAFANA / "alerts.yml")],
        "scrape_configs": [{"job_name": "beacon-p2pd", "static_configs": [{"targets": targets}]}],
    }))
    prometheus = Process("prometheus", ["prometheus", f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/tsdb",
                                        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"])

    def ask(expression):
        answer = http_json(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(expression)}")
        return answer and answer["data"]["result"]

    until(lambda: all(len(net.peers(i)) == NODES - 1 for i in range(NODES)), 60, "all nodes meet")
    until(lambda: net.head_slot(1) >= 3, 60, "blocks come")
    # A counter needs two scrapes at least, and a request of each kind one ping.
    until(lambda: [r for r in ask("rate(p2pd_requests_answered_total[15s])") or [] if float(r["value"][1]) > 0], 60, "requests are scraped")

    text = subprocess.run(["curl", "-s", f"http://{targets[1]}/metrics"], capture_output=True, text=True, check=True).stdout
    lint = run_tool("promtool", "check", "metrics", stdin=text)
    check(not lint.strip(), f"promtool finds in /metrics: {lint[:500]}")
    there = families(text)
    standard = ["libp2p_peers", "beacon_head_slot", "beacon_finalized_epoch", "beacon_custody_groups", "beacon_reorgs_total",
                "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
                "gossipsub_mesh_peer_counts", "gossipsub_topic_peers_counts", "gossipsub_topic_msg_recv_counts_total",
                "gossipsub_mesh_peers_per_main_topic", "libp2p_peers_per_client",
                "beacon_data_column_sidecar_processing_requests_total"]
    check(not set(standard) - set(there), f"missing: {set(standard) - set(there)}")

    all_of_them = expressions()
    for where, expression in all_of_them:
        names = names_in(expression)
        check(names, f"{where}: {expression} names no metric")
        check(not names - set(there), f"{where}: {expression} names {names - set(there)}, which /metrics has not")
        known = {"instance", "job"}.union(*(there[n][1] for n in names))
        if any(there[n][1] for n in names) or not any(word in expression for word in MAY_BE_EMPTY):
            check(not labels_in(expression) - known, f"{where}: {expression}: no label {labels_in(expression) - known}")
        if not any(word in expression for word in MAY_BE_EMPTY):
            until(lambda e=expression: ask(e), 30, f"{where}: {expression} has an answer")
    check(len(there) - len({n for _, e in all_of_them for n in names_in(e)} & set(there)) < len(there) / 3, "most metrics are shown")

    # Prometheus and the API say the same.
    def same(expression, path, pick):
        def look():
            by_instance = {r["metric"]["instance"]: float(r["value"][1]) for r in ask(expression) or []}
            told = {targets[i]: float(pick(net.get(i, path))) for i in range(NODES)}
            return by_instance == told
        until(look, 30, f"{expression} is what {path} says")

    same("libp2p_peers", "/eth/v1/node/peer_count", lambda d: d["connected"])
    same("beacon_head_slot", "/eth/v1/beacon/headers/head", lambda d: d["header"]["message"]["slot"])
    same("sum by (instance) (p2pd_peers_by_direction)", "/eth/v1/node/peer_count", lambda d: d["connected"])
    same('gossipsub_mesh_peers_per_main_topic{topic_hash="beacon_block"}', "/p2pd/v1/view/topics",
         lambda d: len(next(t for t in d["topics"] if t["name"] == "beacon_block" and t["joined"])["mesh"]))
    def evaluated():
        """All rules, once each was."""
        answer = http_json(f"http://127.0.0.1:{port}/api/v1/rules")
        found = answer["data"]["groups"][0]["rules"] if answer else []
        return found if all(r["health"] != "unknown" for r in found) else []

    rules = until(evaluated, 30, "the rules are evaluated")
    check(all(r["health"] == "ok" for r in rules), f"rules that fail: {[r['name'] for r in rules if r['health'] != 'ok']}")
    prometheus.stop()
    net.stop()
    note(f"{len(there)} metrics, {len(all_of_them)} expressions of the dashboard and {len(rules)} alerts hold in a real Prometheus")


if __name__ == "__main__":
    main(run)
