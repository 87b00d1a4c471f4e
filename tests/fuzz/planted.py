#!/usr/bin/env python3
"""The fuzz targets can fail: in each engine and parser one fault is planted, and the kept inputs must find it.

A row is a target, a source file, a piece of its text and what stands there instead. The faulty file is compiled with the fuzz
preset's own command and put in front of the library that has the right one; then the target plays its kept corpus, nothing
else, so the answer is the same in every run. `--keep` fuzzes for the rows that the corpus misses, and keeps what it found.
"""

import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "build" / "fuzz"
KEEP_RUNS = 2_000_000  # a fault worth planting is found in the first few thousand
sys.path.insert(0, str(TOP / "tests"))


def rows():
    """tests/fuzz/planted.txt: blocks of four lines: target, file, right text, wrong text; empty lines and # between them."""
    block = []
    for line in (TOP / "tests/fuzz/planted.txt").read_text().splitlines():
        if line.startswith("#") or (not line.strip() and not block):
            continue
        if line.strip():
            block.append(line)
        if len(block) == 4:
            yield tuple(block)
            block = []
    if block:
        raise SystemExit(f"planted.txt: a row is cut: {block}")


def play(binary, corpus, scratch, runs):
    """What the target finds from this corpus: None, or the input that failed."""
    run = [binary, "-seed=1", f"-runs={runs}", "-max_len=4096", "-timeout=120", f"-artifact_prefix={scratch}/", scratch, corpus]
    done = subprocess.run([str(a) for a in run], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return next(p for kind in ("crash-*", "timeout-*", "leak-*") for p in scratch.glob(kind))


def try_fault(row, work, keep):
    target, source, right, wrong = row
    path = TOP / source
    text = path.read_text()
    if text.count(right) != 1:
        return f"{source}: the text to replace stands there {text.count(right)} times: {right!r}"
    faulty = work / f"{target}.c"  # not in src: builds beside this one look there for sources
    commands = [
        c for c in json.loads((BUILD / "compile_commands.json").read_text()) if c["file"] == str(path)
    ]
    if not commands:
        return f"{source} is not in build/fuzz"
    argv = shlex.split(commands[0]["command"])
    binary, obj = work / target, work / f"{target}.o"
    try:
        faulty.write_text(text.replace(right, wrong))
        argv = [obj if a == argv[argv.index("-o") + 1] else faulty if a == str(path) else a for a in argv]
        done = subprocess.run(
            [str(a) for a in argv] + ["-w", "-iquote", str(path.parent)],  # its private headers
            cwd=commands[0]["directory"],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        faulty.unlink(missing_ok=True)
    if done.returncode != 0:
        return f"{target}: the faulty {source} does not compile: {done.stderr[-400:]}"
    link = subprocess.run(
        ["ninja", "-C", BUILD, "-t", "commands", "-s", target], capture_output=True, text=True, check=True
    ).stdout.strip()
    argv = shlex.split(link.removeprefix(": && ").removesuffix(" && :"))
    at = argv.index("-o")
    argv[at + 1] = str(binary)
    argv.insert(at, str(obj))
    done = subprocess.run(
        [*argv, "-Wl,--allow-multiple-definition"], cwd=BUILD, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return f"{target}: does not link: {done.stderr[-400:]}"
    scratch = work / f"{target}.corpus"
    scratch.mkdir(exist_ok=True)
    corpus = TOP / "tests/fuzz/corpus" / target.rsplit("_fuzz_", 1)[1]
    found = play(binary, corpus, scratch, 0)
    if found is None and keep:
        found = play(binary, corpus, scratch, KEEP_RUNS)
        if found:
            data = found.read_bytes()
            (corpus / f"planted-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
    if found is None:
        return f"{target} did not find the fault in {source}: {right!r} -> {wrong!r}"
    return None


def main():
    keep = "--keep" in sys.argv[1:]
    names = [a for a in sys.argv[1:] if a != "--keep"]
    wanted = [r for r in rows() if not names or names[0] in r[0]]
    with tempfile.TemporaryDirectory() as name:
        # Rows of one target share file names, so each row has a folder.
        def one(numbered):
            number, row = numbered
            work = Path(name) / str(number)
            work.mkdir()
            return try_fault(row, work, keep)

        with ThreadPoolExecutor(2) as pool:
            missed = [m for m in pool.map(one, enumerate(wanted)) if m]
    for text in missed:
        print(text)
    if missed:
        print(f"{len(missed)} of {len(wanted)} planted faults were missed; first: {missed[0]}")
        sys.exit(1)
    print(
        f"note: {len(wanted)} faults planted in {len({r[1] for r in wanted})} files, all found by their fuzz targets"
    )


if __name__ == "__main__":
    main()
