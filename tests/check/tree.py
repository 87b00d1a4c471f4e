"""What the source checks share: the files of the tree, C text without comments and strings, the modules of CMakeLists.txt."""

import os
import re
import sys
from pathlib import Path

TOP = Path(os.environ.get("P2PD_CHECK_TOP", Path(__file__).resolve().parents[2]))


def files(*patterns):
    """Sorted paths below the top, build and third-party trees left out."""
    found = set()
    for pattern in patterns:
        for path in TOP.glob(pattern):
            first = path.relative_to(TOP).parts[0]
            if (
                path.is_file()
                and first not in ("build", "third_party", ".git", ".cache")
                and "node_modules" not in path.parts
            ):
                found.add(path)
    return sorted(found)


def name(path):
    return path.relative_to(TOP).as_posix()


_C_TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def bare_c(text):
    """C text with comments and the insides of strings blanked; lines keep their numbers."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] * 2
        return "\n" * token.count("\n") or " "

    return _C_TOKENS.sub(blank, text)


def modules():
    """folder -> folders it may use, as the p2pd_module lines say."""
    found = {}
    text = (TOP / "CMakeLists.txt").read_text()
    for kind, words in re.findall(r"^p2pd_(module|program)\(([^)]*)\)", text, re.M):
        words = words.split()
        folder = words[0] if kind == "module" else words[1].removeprefix("src/")
        deps, taking = [], False
        for word in words[1:]:
            if word in ("DEPS", "LIBS"):
                taking = word == "DEPS"
            elif taking:
                deps.append(word)
        found[folder] = deps
    return found


def report(faults, passed):
    """Print the faults, or the line that says what was looked at; ends the program."""
    for fault in faults:
        print(fault)
    if faults:
        print(f"{len(faults)} faults; first: {faults[0]}")
        sys.exit(1)
    print(f"note: {passed}")
    sys.exit(0)
