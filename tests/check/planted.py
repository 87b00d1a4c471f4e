#!/usr/bin/env python3
"""The checks can fail: in a copy of the tree one fault is planted, and the check must name the file that has it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tree import TOP

PY, CHECKS = sys.executable, TOP / "tests" / "check"


def c(text):
    return "\n" + text + "\n"


# (check, file that the fault goes to, what is added, a word the check must print besides the file's name)
FAULTS = [
    ("layers.py", "src/base/buf.c", c("#include <crypto/sha256.h>"), "may not include"),
    ("layers.py", "src/codec/varint.c", c("#include <proto/yamux.h>"), "varint.c"),
    ("layers.py", "src/proto/yamux/planted.c", c("#include <proto/gossipsub.h>"), "may not include"),
    ("layers.py", "include/codec/planted.h", c('#include "varint.h"'), "contract"),
    ("layers.py", "src/net/planted.c", c("#include <uv.h>"), "only io"),
    ("layers.py", "src/proto/noise/planted.c", c("#include <time.h>"), "no clock"),
    (
        "layers.py",
        "tests/unit/base/test_planted.c",
        c('#include "../../../src/base/private.h"'),
        "not for tests",
    ),
    ("banned.py", "src/net/planted.c", c("void f(char *a, char *b) { strcpy(a, b); }"), "strcpy"),
    ("banned.py", "src/node/planted.c", c("void *f(void) { return malloc(3); }"), "malloc"),
    (
        "banned.py",
        "src/node/planted.c",
        c("int f(int fork) { switch (fork) { case 1: return 2; } return 0; }"),
        "switch",
    ),
    (
        "banned.py",
        "src/net/planted.c",
        c("int f(int e) { switch (e) { case E_OK: return 2; default: return 0; } }"),
        "default",
    ),
    ("banned.py", "src/net/planted.c", c("void f(void) { uv_run(0, 0); }"), "uv_run"),
    ("banned.py", "tests/unit/base/test_planted.c", c("void f(void) { sleep(1); }"), "sleep"),
    ("limits.py", "src/base/planted.c", c("void f(void)\n{\n" + "    g();\n" * 71 + "}"), "71 lines"),
    (
        "limits.py",
        "src/base/planted.c",
        c("void f(int a, int b, int c, int d, int e, int g, int h)\n{\n}"),
        "7 parameters",
    ),
    ("limits.py", "src/base/planted.c", c("int a;\n" * 601), "lines"),
    ("globals.sh", "src/codec/planted.c", c("static int seen; int f(void) { return seen++; }"), "seen"),
    (
        "globals.sh",
        "src/proto/ping/planted.c",
        c("int f(void) { static int inside = 3; return inside++; }"),
        "inside",
    ),
    ("format.sh", "src/base/planted.c", c("int  f( void ) {return 1;}"), "not formatted"),
    ("shell.sh", "tests/planted.sh", "#!/bin/bash\nrm $1\n", "SC2086"),
    ("shell.sh", "tests/planted.py", "def f(:\n", "SyntaxError"),
    ("spelling.sh", "docs/planted.md", "We rec" "ieve it.\n", "rec" "ieve"),
    ("docs.py", "docs/planted.md", "See [this](nowhere.md).\n", "does not exist"),
    ("docs.py", "docs/planted.md", "`src/nowhere/x.c` does it.\n", "does not exist"),
    ("docs.py", "docs/planted.md", "`beacon-p2pd --no-such-flag`\n", "no option"),
    ("docs.py", "src/base/planted.c", "int a; \n", "end of the line"),
]


def copy_tree(to):
    for part in ("src", "include", "cmake", "docs", ".ci"):
        shutil.copytree(TOP / part, to / part)
    shutil.copytree(
        TOP / "tests",
        to / "tests",
        ignore=shutil.ignore_patterns("vectors", "corpus", "node_modules", "__pycache__"),
    )
    for path in TOP.iterdir():
        if path.is_file():
            shutil.copy(path, to / path.name)


def run(check, top):
    argv = [PY, CHECKS / check] if check.endswith(".py") else ["bash", CHECKS / check]
    done = subprocess.run(argv, env=dict(os.environ, P2PD_CHECK_TOP=str(top)), capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def main():
    missed = []
    with tempfile.TemporaryDirectory() as work:
        top = Path(work) / "tree"
        copy_tree(top)
        for check, where, text, word in FAULTS:
            path = top / where
            before = path.read_text() if path.exists() else None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((before or "") + text)
            code, out = run(check, top)
            named = any(path.name in line and word in line for line in out.splitlines()) or (
                path.name in out and word in out
            )
            if code == 0 or not named:
                missed.append(f"{check} missed {word!r} planted in {where} (exit {code})")
                print(out[-1500:])
            if before is None:
                path.unlink()
            else:
                path.write_text(before)
    for text in missed:
        print(text)
    if missed:
        print(f"{len(missed)} planted faults were missed; first: {missed[0]}")
        sys.exit(1)
    print(f"note: {len(FAULTS)} planted faults found")


if __name__ == "__main__":
    main()
