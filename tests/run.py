#!/usr/bin/env python3
"""The runner behind ./test: builds, runs every test, says how many passed, failed and were skipped, and why.

Builds and fuzz targets take the processors (at low priority); tests with real peers mostly wait, so they run beside them.
A test fails by its exit code. Exit code 77 is a skip, its reason the last line printed; under CI=true a skip is a failure.
A line "note: ..." that a test prints goes to its line in the report.
"""

import argparse
import contextlib
import datetime
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import table

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
LOGS = BUILD / "test-logs"
SKIP = 77
CI = os.environ.get("CI") == "true"


class Job:
    """Something that runs once: a build, a test, or all unit tests at once."""

    def __init__(self, name, group, run, needs=(), lane=None, counted=True, cost=1):
        self.name, self.group, self.run, self.needs = name, group, run, list(needs)
        self.lane, self.counted, self.cost = lane, counted, cost
        self.state = "waiting"  # then running, pass, fail, skip


class Report:
    """What happened, a line as it happens."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rows = []  # (name, result, seconds, note or reason)
        self.started = time.monotonic()

    def add(self, name, result, seconds, note=""):
        if CI and result == "skip":
            result, note = "fail", f"skipped, which CI does not allow: {note}"
        with self.lock:
            self.rows.append((name, result, seconds, note))
            word = {"pass": "ok  ", "fail": "FAIL", "skip": "skip"}[result]
            print(f"{word} {name} ({seconds:.1f} s){': ' + note if note else ''}", flush=True)
        return result

    def count(self, result):
        return sum(1 for r in self.rows if r[1] == result)


def log_path(name):
    return LOGS / (name.replace("/", ".") + ".log")


def last_line(path):
    lines = [x.strip() for x in path.read_text(errors="replace").splitlines() if x.strip()]
    return lines[-1][:300] if lines else "no output"


def notes(path):
    return "; ".join(re.findall(r"^note: (.*)$", path.read_text(errors="replace"), re.M))


def give_way(nice):
    """In a child of its own session: among processes, and where the kernel weighs sessions against each other (autogroup) among those:
    there the priority of a process counts within its session only."""
    os.nice(nice)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice))


def command(name, argv, minutes, env=None, nice=0):
    """Run argv with its output in the log. Returns (result, seconds, note)."""
    path = log_path(name)
    start = time.monotonic()
    full = dict(os.environ, **(env or {}))
    with open(path, "w") as log:
        process = subprocess.Popen(
            argv,
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=full,
            start_new_session=True,
            preexec_fn=(lambda: give_way(nice)) if nice else None,
        )
        running.add(process)
        try:
            code = process.wait(minutes * 60)
        except subprocess.TimeoutExpired:
            end_group(process)
            return "fail", time.monotonic() - start, f"took longer than {minutes} minutes"
        finally:
            running.discard(process)
    seconds = time.monotonic() - start
    if code == 0:
        return "pass", seconds, notes(path)
    if code == SKIP:
        return "skip", seconds, last_line(path)
    return "fail", seconds, f"{last_line(path)} [exit {code}, {path.relative_to(TOP)}]"


running = set()


def end_group(process):
    """End the whole session that a test started: first asked, then made to."""
    for sig, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sig)
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


# Where ctest's tests come from: (prefix of their names, folder, prefix of the files, is the folder inside part of the name?).
SOURCES = (
    ("unit", "unit", "test_", True),
    ("fuzz", "fuzz", "fuzz_", True),
    ("net", "net", "test_", False),
    ("sim_lab", "sim", "test_", False),
)
LABELS = {"unit": "unit", "fuzz": "replay", "net": "net", "sim": "sim"}


def unit_names():
    """The ctest names that CMake will make, known before it runs."""
    names = []
    for prefix, kind, start, nested in SOURCES:
        base = TOP / "tests" / kind
        for source in sorted(base.rglob(start + "*.c")):
            folder = source.parent.relative_to(base).as_posix()
            if nested and (TOP / "src" / folder).is_dir():
                names.append(f"{prefix}_{folder.replace('/', '_')}_{source.stem}")
            elif not nested and folder == ".":
                names.append(f"{prefix}_{source.stem}")
    return names


def fuzz_targets():
    """name -> corpus folder"""
    base = TOP / "tests" / "fuzz"
    found = {}
    for source in sorted(base.rglob("fuzz_*.c")):
        folder = source.parent.relative_to(base).as_posix()
        if (TOP / "src" / folder).is_dir():
            found[f"fuzz_{folder.replace('/', '_')}_{source.stem}"] = (
                base / "corpus" / source.stem[len("fuzz_") :]
            )
    return found


def niceness(name):
    return table.NICE_FIRST.get(name, table.NICE)


def build_job(row, targets):
    preset = row.command[1]

    def run(report):
        configured = (BUILD / preset / "build.ninja").exists()
        shell = "" if configured else f"cmake --preset {preset} && "
        argv = [
            "bash",
            "-c",
            f"{shell}exec ninja -j {table.LANES['cpu']} -C build/{preset} {' '.join(targets)}",
        ]
        result, seconds, note = command(row.name, argv, row.minutes, nice=niceness(row.name))
        warnings = re.findall(r"^.*warning: .*$", log_path(row.name).read_text(errors="replace"), re.M)
        if result == "pass" and warnings:
            result, note = "fail", f"{len(warnings)} compiler warnings, first: {warnings[0][:200]}"
        return report.add(row.name, result, seconds, note)

    return Job(row.name, "build", run, row.needs, "cpu", cost=table.LANES["cpu"])


def row_job(row, long, nice=0):
    def run(report):
        minutes = row.long_minutes if long else row.minutes
        env = {
            "P2PD_LONG": "1" if long else "",
            "PYTHONPATH": str(TOP / "tests" / "interop"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        result, seconds, note = command(row.name, row.command, minutes, env, nice)
        if row.group == "peer":
            with report.lock:
                print(
                    f"     {row.name} {'ready' if result == 'pass' else result} ({seconds:.1f} s)"
                    f"{': ' + note if result != 'pass' else ''}",
                    flush=True,
                )
            return result
        return report.add(row.name, result, seconds, note)

    lane = {"interop": "net", "check": "cpu"}.get(row.group)
    cost = max(table.COSTS.get(name, 1) for name in [row.name, *row.needs])
    return Job(row.name, row.group, run, row.needs, lane, counted=row.group != "peer", cost=cost)


def ctest_job(names, some, long):
    """All unit tests and corpus replays in one ctest, or some of them; each is counted."""

    def run(report):
        junit = LOGS / "ctest.xml"
        junit.unlink(missing_ok=True)
        only = "^(" + "|".join(re.escape(n) for n in names) + ")$" if some else "."
        argv = [
            "ctest",
            "--test-dir",
            "build/dev",
            "--output-on-failure",
            "-j",
            str(table.LANES["cpu"]),
            "--timeout",
            "3000" if long else "1200",
            "--output-junit",
            str(junit),
            "-R",
            only,
        ]
        result, seconds, note = command("ctest", argv, 90 if long else 35, {"P2PD_LONG": "1" if long else ""}, nice=table.NICE)
        if not junit.exists():
            return report.add("unit/all", "fail", seconds, note or "ctest wrote no result")
        seen = set()
        for case in ET.parse(junit).getroot().iter("testcase"):
            name = case.get("name")
            seen.add(name)
            failed = case.find("failure") is not None or case.get("status") == "fail"
            skipped = case.get("status") in ("disabled", "notrun") or case.find("skipped") is not None
            out = case.findtext("system-out") or ""
            why = ""
            if failed or skipped:
                result = "fail"  # a unit test that did not run is no pass
                bad = re.findall(r"^.*(?:FAILED|ERROR|error|Assert).*$", out, re.M)
                why = (bad[0] if bad else f"did not run: {case.get('status')}")[
                    :200
                ] + f" [{log_path('ctest').relative_to(TOP)}]"
            report.add(
                unit_label(name), "fail" if failed or skipped else "pass", float(case.get("time") or 0), why
            )
        for name in sorted(set(names) - seen):
            result = report.add(unit_label(name), "fail", 0, "ctest does not know it")
        return result

    return Job("unit/all", "unit", run, ["build/dev"], "cpu", cost=table.LANES["cpu"])


def unit_label(name):
    prefix, _, rest = name.partition("_")
    return f"{LABELS.get(prefix, prefix)}/{rest}"


def fuzz_job(name, corpus, long):
    def run(report):
        runs = table.FUZZ_RUNS_LONG if long else table.FUZZ_RUNS
        kept = len(list(corpus.iterdir())) if corpus.is_dir() else 0
        scratch = BUILD / "fuzz-scratch" / name
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        argv = [
            f"build/fuzz/{name}",
            f"-seed={table.FUZZ_SEED}",
            f"-runs={runs + kept}",
            f"-max_len={table.FUZZ_MAX_LEN}",
            "-timeout=120",  # of one input; at low priority beside the peers a second is long
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            f"-artifact_prefix={scratch}/bad-",
            str(scratch),
        ]
        argv += [str(corpus)] if corpus.is_dir() else []
        label = "fuzz/" + name[len("fuzz_") :]
        result, seconds, note = command(label, argv, 240 if long else 25, nice=table.NICE)
        text = log_path(label).read_text(errors="replace")
        done = re.search(r"number_of_executed_units: (\d+)", text)
        if result == "pass" and (not done or int(done.group(1)) < runs):
            result, note = "fail", f"ran {done.group(1) if done else 0} inputs of {runs}"
        elif result == "pass" and kept == 0:
            result, note = "fail", f"has no kept corpus in {corpus.relative_to(TOP)}"
        elif result == "pass":
            cover = re.findall(r"cov: (\d+)", text)
            note = f"{done.group(1)} inputs from {kept} kept, {cover[-1] if cover else '?'} edges"
        else:
            what = re.findall(r"^(?:SUMMARY:.*|.*Assertion.*)$", text, re.M)
            note = (what[0][:200] + f" [{log_path(label).relative_to(TOP)}]") if what else note
        shutil.rmtree(scratch, ignore_errors=True) if result == "pass" else None
        return report.add(label, result, seconds, note)

    return Job("fuzz/" + name[len("fuzz_") :], "fuzz", run, ["build/fuzz"], "cpu")


def plan(patterns, long):
    """The jobs to run, in the order in which they are tried."""

    def wanted(name):
        return not patterns or any(p in name for p in patterns)

    fuzzers = fuzz_targets()
    units = [n for n in unit_names() if wanted(unit_label(n))]
    fuzz = {n: c for n, c in fuzzers.items() if wanted("fuzz/" + n[len("fuzz_") :])}
    rows = [r for r in table.INTEROP + table.CHECKS if wanted(r.name) and (long or not r.long_only)]
    targets = {
        "build/release": ["installed"],
        "build/clang": ["all"],
        "build/dev": units if patterns else ["all"],
        "build/fuzz": sorted(fuzz) if patterns else ["all"],
    }
    jobs = [build_job(r, targets[r.name]) for r in table.BUILDS] + [
        row_job(r, long, niceness(r.name)) for r in table.PEERS
    ]
    jobs += [row_job(r, long, table.NICE if r.group == "check" else 0) for r in rows]
    jobs += [ctest_job(units, bool(patterns), long)] if units else []
    jobs += [fuzz_job(n, c, long) for n, c in fuzz.items()]
    if (
        patterns
    ):  # only the builds and peers that something wanted depends on; the order of builds does not bind here
        keep = {j.name for j in jobs if j.group not in ("build", "peer")} | {
            r.name for r in table.BUILDS if wanted(r.name)
        }
        byname = {j.name: j for j in jobs}
        for j in jobs:
            if j.group == "build":
                j.needs = []
        stack = list(keep)
        while stack:
            for need in byname[stack.pop()].needs:
                if need not in keep:
                    keep.add(need)
                    stack.append(need)
        jobs = [j for j in jobs if j.name in keep]
    return jobs


def execute(jobs, report):
    """Run each job when what it needs has passed and its lane has room."""
    byname = {j.name: j for j in jobs}
    free = dict(table.LANES)
    change = threading.Condition()

    def work(job):
        try:
            result = job.run(report)
        except Exception as trouble:  # the runner's own fault must not look like a pass
            result = report.add(job.name, "fail", 0, f"runner: {trouble!r}")
        with change:
            job.state = result
            if job.lane:
                free[job.lane] += job.cost
            change.notify_all()

    with change:
        while any(j.state in ("waiting", "running") for j in jobs):
            for job in jobs:
                if job.state != "waiting":
                    continue
                needs = [byname[n] for n in job.needs if n in byname]
                # Builds wait for each other only to keep the processors for one at a time.
                broken = [n for n in needs if n.state in ("fail", "skip")]
                if broken and job.group != "build":
                    skip = broken[0].state == "skip" and broken[0].group == "peer"
                    job.state = "skip" if skip else "fail"
                    why = f"{broken[0].name} {'cannot be had here' if skip else 'failed'}: {last_line(log_path(broken[0].name))}"
                    if job.counted:
                        report.add(job.name, job.state, 0, why)
                    change.notify_all()
                    continue
                if any(n.state in ("waiting", "running") for n in needs):
                    continue
                if job.lane:
                    if free[job.lane] < job.cost:
                        continue
                    free[job.lane] -= job.cost
                job.state = "running"
                threading.Thread(target=work, args=(job,), daemon=True).start()
            if any(j.state == "running" for j in jobs):
                change.wait(5)


def git(*args):
    return subprocess.run(["git", *args], cwd=TOP, capture_output=True, text=True).stdout.strip()


def write_long(report):
    out = [
        "# Long runs",
        "",
        "Written by `./test --long`: the full counts that issues name. Do not edit by hand.",
        "",
        f"- date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"- commit: {git('rev-parse', '--short=12', 'HEAD')}{' with local changes' if git('status', '--porcelain') else ''}",
        f"- machine: {platform.machine()}, {os.cpu_count()} processors, {platform.platform()}",
        f"- result: {summary(report)}",
        f"- fuzzing: {table.FUZZ_RUNS_LONG:,} inputs a target, seed {table.FUZZ_SEED}",
        "",
        "| test | result | seconds | what it said |",
        "|---|---|---:|---|",
    ]
    for name, result, seconds, note in sorted(report.rows):
        out.append(f"| {name} | {result} | {seconds:.0f} | {note.replace('|', '/')} |")
    (TOP / "docs" / "long-runs.md").write_text("\n".join(out) + "\n")
    print("== wrote docs/long-runs.md")


def summary(report):
    return f"{report.count('pass')} passed, {report.count('fail')} failed, {report.count('skip')} skipped"


def main():
    parser = argparse.ArgumentParser(prog="./test", description="Build and test beacon-p2pd.")
    parser.add_argument(
        "patterns", nargs="*", metavar="PATTERN", help="run only tests whose name contains it"
    )
    parser.add_argument("--long", action="store_true", help="full counts; writes docs/long-runs.md")
    parser.add_argument("--list", action="store_true", help="print the names of the tests")
    args = parser.parse_args()
    jobs = plan(args.patterns, args.long)
    if args.list:
        names = [j.name for j in jobs if j.counted and j.name != "unit/all"] + [
            unit_label(n) for n in unit_names()
        ]
        print("\n".join(n for n in names if not args.patterns or any(p in n for p in args.patterns)))
        return 0
    if not any(j.counted and j.group != "build" for j in jobs) and args.patterns:
        print(
            f"no test is named like {' '.join(args.patterns)}; ./test --list shows the names", file=sys.stderr
        )
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    report = Report()
    shared = TOP.parent / "shared"
    print(
        f"== vectors: {'all of ' + str(shared) if shared.is_dir() else 'the compact copies in tests/vectors (no ../shared here)'}"
    )
    try:
        execute(jobs, report)
    except KeyboardInterrupt:
        print("interrupted: ending the tests that run", file=sys.stderr)
        for process in list(running):
            end_group(process)
        return 130
    for result, title in (("fail", "failed"), ("skip", "skipped")):
        rows = [r for r in report.rows if r[1] == result]
        if rows:
            print(f"\n== {title}")
        for name, _, _, note in rows:
            print(f"   {name}: {note}")
    if args.long and not args.patterns:
        write_long(report)
    print(f"\n== {time.monotonic() - report.started:.0f} s, logs in build/test-logs")
    print(summary(report), flush=True)
    return 1 if report.count("fail") else 0


if __name__ == "__main__":
    sys.exit(main())
