"""The choice of peers in the simulator: cold start, a partition, an eclipse, a soak with churn; each holds what it expects.

usage: tests/sim/peers.py [--long] [--write] [NAME ...]     names: cold hour eclipse soak
       --long (or P2PD_LONG): ten thousand nodes, an hour's partition, ten eclipses by other seeds, eight hours of churn
       --write: the rows and pictures of docs/internals/peers.md of the runs that were made; other rows stay
       P2PD_PROGRAM is the program (build/release)
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))
SCENARIOS = TOP / "tests/sim/scenarios/peers"
PAGE = TOP / "docs/internals/peers.md"
PICTURES = TOP / "docs/internals/sim"
NAMES = ["cold", "hour", "eclipse", "soak"]
PARALLEL = 2

# Lines of the scenario that the full counts replace.
LONG = {
    "cold": {"nodes": "nodes 10000", "boot": "boot 16", "spread": "spread 10s", "peers": "peers 50", "subnets": "subnets 2",
             "custody": "custody 4", "expect peers": "expect peers 45"},
    "hour": {"nodes": "nodes 500", "at 120s": "at 120s partition 334-499", "run": "run 3846s", "at 1326s": "at 3726s heal", "expect served": "expect served 95% since 3836s"},
    "eclipse": {"nodes": "nodes 400", "villains": "villains eclipse 100", "villain-groups": "villain-groups 20",
                "target": "target 20-59", "run": "run 600s"},
    "soak": {"run": "run 8h", "expect memory": "expect memory 10% since 1h"},
}
LONG_SEEDS = {"eclipse": range(1, 11)}


def text_of(name, long, seed=1):
    text = f"seed {seed}\n" + (SCENARIOS / f"{name}.sim").read_text(encoding="utf-8")
    for start, line in (LONG[name] if long else {}).items():
        text, times = re.subn(rf"(?m)^{re.escape(start)}\b.*$", line, text)
        if times == 0:
            text = text.replace("\nrun ", f"\n{line}\nrun ", 1)
    return text


def start(name, long, seed):
    text = text_of(name, long, seed)
    with tempfile.NamedTemporaryFile("w", suffix=".sim", delete=False) as file:
        file.write(text)
    out = tempfile.TemporaryFile("w+")
    process = subprocess.Popen([PROGRAM, "sim", file.name], stdout=out)
    return {"name": name, "label": name + (", long" if long else ""), "file": file.name, "out": out, "process": process,
            "text": text, "seed": seed}


def value(run, word):
    return int(re.search(rf"(?m)^{word} (\d+)", run["text"]).group(1))


def judge(run):
    """Prints what it gave; True when all holds."""
    code = run["process"].wait()
    run["out"].seek(0)
    lines = [json.loads(line) for line in run["out"]]
    os.unlink(run["file"])
    run["census"] = [line for line in lines if line["event"] == "census"]
    expects = [line for line in lines if line["event"] == "expect"]
    good = code == 0 and expects and all(line["holds"] for line in expects)
    print(f"{'ok' if good else 'FAILED':6} {run['label']}, seed {run['seed']}: {summary(run)}", flush=True)
    for line in expects:
        if not line["holds"]:
            print(f"       does not hold: {line['what']}")
    return bool(good)


def served(census):
    return 100.0 * (1 - census["lacks"] / census["needs"]) if census["needs"] else 0.0


def fair_percent(run):
    groups = value(run, "villain-groups")
    return 100.0 * groups / (groups + value(run, "nodes"))


def share_percent(census):
    return 100.0 * census["target_villains"] / max(1, census["target_peers"])


def summary(run):
    if not run["census"]:
        return "no results"
    last, nodes, target = run["census"][-1], value(run, "nodes"), value(run, "peers")
    text = (f"{nodes} nodes, target {target}: {last['peers_min']} to {last['peers_max']} peers in {last['groups_mean']} address "
            f"groups, {served(last):.1f} % of needs served by three, {last['uncovered']} topics without a mesh, "
            f"{last['clients_min']} clients at least")
    if run["name"] == "eclipse":
        text += f"; villains: {share_percent(last):.1f} % of the targets' places, {fair_percent(run):.1f} % of the address groups"
    if run["name"] == "soak":
        held = [c for c in run["census"] if c["t_ms"] >= 180_000]
        text += f"; never under {min(c['peers_min'] for c in held)} or over {max(c['peers_max'] for c in held)} peers"
    return text


# ---- docs ----

W, H, L, T = 800, 360, 60, 40


def curve(points, x_max, y_max, colour):
    path = " ".join(f"{L + x / x_max * (W - L - 30):.1f},{T + (1 - min(y, y_max) / y_max) * (H - T - 60):.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def picture_name(run):
    return f"peers-{run['label'].replace(', ', '-')}.svg"


def picture(run):
    census = run["census"]
    x_max = max(c["t_ms"] for c in census)
    if run["name"] == "eclipse":
        curves = [("villains, % of the targets' places", "#c62828", share_percent),
                  ("1.5 times their % of address groups", "#1565c0", lambda c: 1.5 * fair_percent(run))]
        y_max, unit = 50, "%"
    else:
        curves = [("fewest peers of a node", "#c62828", lambda c: c["peers_min"]), ("mean", "#1565c0", lambda c: c["peers_mean"]),
                  ("most", "#2e7d32", lambda c: c["peers_max"])]
        y_max, unit = int(value(run, "peers") * 1.3), ""
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}"><style>text{{font:13px sans-serif;fill:#333}}</style>'
           f'<rect width="100%" height="100%" fill="#fff"/>']
    for i in range(6):
        y = T + (H - T - 60) * i / 5
        x = L + (W - L - 30) * i / 5
        out.append(f'<path d="M{L} {y:.1f}H{W - 30}" stroke="#ddd"/><text x="{L - 8}" y="{y + 4:.1f}" text-anchor="end">'
                   f'{y_max * (5 - i) / 5:.0f}{unit}</text><text x="{x:.1f}" y="{H - 38}" text-anchor="middle">'
                   f'{x_max / 60000 * i / 5:.1f}</text>')
    out.append(f'<text x="{W / 2}" y="{H - 15}" text-anchor="middle">minutes</text>')
    for i, (name, colour, of) in enumerate(curves):
        out.append(curve([(c["t_ms"], of(c)) for c in census], x_max, y_max, colour))
        out.append(f'<text x="{L + 10 + i * 240}" y="24" style="fill:{colour}">{name}</text>')
    (PICTURES / picture_name(run)).write_text("\n".join(out) + "\n</svg>\n", encoding="utf-8")


def share_of(run):
    return share_percent(run["census"][-1]) if run["name"] == "eclipse" else 0


def write(runs):
    """A row and a picture for each label; of several seeds those of the worst."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- peers: begin -->\n", "\n<!-- peers: end -->"
    head, rest = page.split(begin)
    old, tail = rest.split(end)
    rows = {re.match(r"- \*\*(.*?)\*\*", row).group(1): row for row in re.split(r"\n(?=- \*\*)", old.strip("\n"))}
    for run in sorted(runs, key=share_of):
        seeds = sum(other["label"] == run["label"] for other in runs)
        worst = f", the worst of {seeds} seeds" if seeds > 1 else ""
        rows[run["label"]] = (f"- **{run['label']}**: {summary(run)} (virtual {run['census'][-1]['t_ms'] / 60000:.0f} min{worst}).\n\n"
                              f"![{run['label']}](sim/{picture_name(run)})")
    PAGE.write_text(head + begin + "\n".join(rows.values()) + end + tail, encoding="utf-8")
    for run in sorted(runs, key=share_of):
        picture(run)


def main():
    long = "--long" in sys.argv or os.environ.get("P2PD_LONG") == "1"
    names = [a for a in sys.argv[1:] if not a.startswith("-")] or NAMES
    wanted = [(name, seed) for name in names for seed in (LONG_SEEDS.get(name, [1]) if long else [1])]
    good, runs = True, []
    for at in range(0, len(wanted), PARALLEL):
        batch = [start(name, long, seed) for name, seed in wanted[at:at + PARALLEL]]
        for run in batch:
            good &= judge(run)
        runs += batch
    if "--write" in sys.argv:
        write([run for run in runs if run["census"]])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
