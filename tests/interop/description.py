#!/usr/bin/env python3
"""Real users of the API, 1: schemathesis holds every answer of the daemon against the published description of the Beacon API, over
the corpus' chain. What src/api/routes.def lists as absent answers 501 with the description's error object, on every path of the
description that is not served."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request

from harness.proc import LONG, PEERS, TOP, check, main, note, patient, scratch
from harness.served import serve

DESCRIPTION = TOP / "tests" / "vectors" / "openapi"
EXAMPLES = 2 if not LONG else 200  # of each operation, beside those of the description and its boundaries
SECONDS = 240 if not LONG else 3000
SEED = 1

# Where the description contradicts itself or cannot be met, and what the copy that is checked says instead.
CORRECTIONS = [
    # An unknown state or direction is an error (its own negative checks want one), for which it lists no code.
    ("apis/node/peers.yaml", '    "500":\n', '    "400":\n      $ref: "../../beacon-node-oapi.yaml#/components/responses/InvalidRequest"\n    "500":\n'),
    # No example of 128 KiB can be generated: blobs may be shorter in the copy.
    ("types/primitive.yaml", '"^0x[a-fA-F0-9]{262144}$"', '"^0x([a-fA-F0-9][a-fA-F0-9])*$"'),
    # Client codes are given out to execution and consensus clients; nobody has given one to us.
    ("types/primitive.yaml", "TK, PM, RH]", "TK, PM, RH, P2]"),
]

# Ids are any text in the description, and the whole checks of `positive_data_acceptance` take such text for valid.
EXCLUDED = ["positive_data_acceptance"]


def routes():
    """{(method, path)} served and absent, of the table in the source."""
    text = (TOP / "src/api/routes.def").read_text()
    found = {"ROUTE": set(), "ABSENT": set()}
    for kind, method, path in re.findall(r'^(ROUTE|ABSENT)\((\w+), "(/eth/[^"]+)"', text, re.M):
        found[kind].add((method, path))
    return found["ROUTE"], found["ABSENT"]


def operations():
    """{(method, path with its own names for parameters)} of the description."""
    found, path = set(), None
    for line in (DESCRIPTION / "beacon-node-oapi.yaml").read_text().splitlines():
        if re.match(r"  /eth/", line):
            path = line.strip().rstrip(":")
        elif path and "$ref" in line:
            target = re.search(r"\$ref:\s*['\"]?\./?([^'\"\s]+)", line).group(1)
            for method in re.findall(r"^(get|post):", (DESCRIPTION / target).read_text(), re.M):
                found.add((method.upper(), path))
            path = None
    return found


def plain(path):
    return re.sub(r"\{[^}]+\}", "{id}", path)


def copy_description(work):
    target = work / "openapi"
    shutil.copytree(DESCRIPTION, target)
    for name, old, new in CORRECTIONS:
        text = (target / name).read_text()
        check(text.count(old) >= 1, f"{name} is another one than the correction was made for")
        (target / name).write_text(text.replace(old, new, 1))
    return target / "beacon-node-oapi.yaml"


def ask(url, method, headers=None):
    request = urllib.request.Request(url, method=method, data=b"[]" if method == "POST" else None, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=patient(10)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def check_absent(daemon, absent):
    for method, path in sorted(absent):
        status, body = ask(daemon.rest + path.replace("{id}", "head"), method, {"Content-Type": "application/json"})
        answer = json.loads(body)
        check(status == 501 and answer["code"] == 501 and answer["message"], f"{method} {path}: {status} {body[:200]}")


def run_schemathesis(daemon, description, served, work):
    paths = sorted({path for _, path in operations() if any(plain(path) == p for _, p in served)})
    skipped = [p for p in paths if p == "/eth/v1/events"]  # its answer does not end: tests/interop/streams.py
    absent_methods = sorted({(m, p) for m, p in operations() if p in paths and (m, plain(p)) not in served})
    argv = [PEERS / "schemathesis/bin/st", "run", description, "--url", daemon.rest, "--seed", SEED, "-n", EXAMPLES,
            "--phases", "examples,coverage,fuzzing", "--exclude-checks", ",".join(EXCLUDED), "--checks", "all",
            "--request-timeout", str(patient(20)), "--suppress-health-check", "all", "--no-color", "--warnings", "off"]
    for path in paths:
        if path not in skipped:
            argv += ["--include-path", path]
    if absent_methods:
        listed = "|".join(re.escape(f"{m} {p}") for m, p in absent_methods)
        argv += ["--exclude-name-regex", f"^({listed})$"]
    with open(work / "st.log", "w", encoding="utf-8") as log:
        done = subprocess.run([str(a) for a in argv], cwd=work, stdout=log, stderr=subprocess.STDOUT, timeout=patient(SECONDS), check=False)
    text = (work / "st.log").read_text()
    check(done.returncode == 0, f"schemathesis ended with {done.returncode}:\n{text[-6000:]}")
    cases = re.search(r"(\d+) generated", text)
    check(cases, f"no test cases in its report:\n{text[-2000:]}")
    return len(paths) - len(skipped), int(cases.group(1))


def run():
    work = scratch("description")
    served, absent = routes()
    missing = {(m, p) for m, p in operations() if (m, plain(p)) not in served | absent}
    check(not missing, f"the description has operations that routes.def has not: {sorted(missing)}")
    daemon, _, holder = serve(work)
    check_absent(daemon, absent)
    description = copy_description(work)
    paths, cases = run_schemathesis(daemon, description, served, work)
    daemon.process.must_run()
    note(f"schemathesis: {cases} requests on {paths} paths of the published description, no difference; "
         f"{len(absent)} operations that take a state answer 501")
    daemon.stop()
    holder.stop()


if __name__ == "__main__":
    main(run)
