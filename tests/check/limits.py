#!/usr/bin/env python3
"""Sizes: a function fits a screen (70 lines, 6 parameters), a file holds one idea (600 lines).

Rule zero: a rule may be broken with a comment that says why. A function or file that is longer carries "Rule zero:" in the
comment above it (or at the file's head).
"""

import re

from tree import bare_c, files, name, report

FUNCTION_LINES, PARAMETERS, FILE_LINES = 70, 6, 600
HEAD = re.compile(
    r"^(?!(?:else|if|for|while|switch|return|struct|enum|union|static const|#|\s)\b)[A-Za-z_][^;={}]*\([^;{}]*\)\s*\n\{",
    re.M,
)


def parameters(head):
    inside = head[head.index("(") + 1 : head.rindex(")")]
    depth, count = 0, 1
    for char in inside:
        depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(char, 0)
        count += char == "," and depth == 0
    return 0 if inside.strip() in ("", "void") else count


def function_name(head):
    return re.search(r"(\w+)\s*\(", head).group(1)


def excused(raw_lines, line):
    """The comment directly above line (1-based) says Rule zero."""
    at = line - 2
    while at >= 0 and (raw_lines[at].strip().startswith(("*", "/*")) or raw_lines[at].strip().endswith("*/")):
        if "Rule zero:" in raw_lines[at]:
            return True
        at -= 1
    return False


def main():
    faults, functions = [], 0
    sources = files("src/**/*.[ch]", "include/**/*.h", "tests/lib/*.[ch]")
    for path in sources:
        raw = path.read_text(errors="replace")
        lines, text = raw.splitlines(), bare_c(raw)
        if len(lines) > FILE_LINES and "Rule zero:" not in "\n".join(lines[:30]):
            faults.append(f"{name(path)}: {len(lines)} lines, more than {FILE_LINES}")
        for match in HEAD.finditer(text):
            start = text.count("\n", 0, match.start()) + 1
            begin = text.count("\n", 0, match.end()) + 1
            end = text.find("\n}", match.end())
            length = text.count("\n", match.end(), end)
            functions += 1
            if length > FUNCTION_LINES and not excused(lines, start):
                faults.append(
                    f"{name(path)}:{start}: {function_name(match.group(0))}() has {length} lines, more than {FUNCTION_LINES}"
                )
            if parameters(match.group(0)[:-1]) > PARAMETERS and not excused(lines, start):
                faults.append(
                    f"{name(path)}:{begin}: {function_name(match.group(0))}() has {parameters(match.group(0)[:-1])} parameters"
                )
    report(
        faults,
        f"{functions} functions in {len(sources)} files within {FUNCTION_LINES} lines, {PARAMETERS} parameters, {FILE_LINES} lines",
    )


if __name__ == "__main__":
    main()
