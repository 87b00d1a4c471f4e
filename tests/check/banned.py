#!/usr/bin/env python3
"""Words that have one home, or none: each row says which, and why. docs/architecture.md and CONTRIBUTING.md name the reasons."""

import re

from tree import bare_c, files, name, report

CALL = r"(?<![\w.>])(?:%s)\s*\("

# (pattern, where it may stand, why)
ROWS = [
    (CALL % "strcpy|strcat|sprintf|vsprintf|gets|stpcpy", (), "no bound: use struct wr or snprintf"),
    (CALL % "strncpy|strncat", (), "does not end what it cuts: use snprintf or struct wr"),
    (CALL % "atoi|atol|atoll|atof", (), "cannot tell an error: parse with bounds"),
    (CALL % "strtok|strtok_r", (), "writes into its input"),
    (CALL % "rand|srand|random|srandom|rand_r|drand48", (), "randomness comes from struct rng"),
    (
        CALL % "malloc|calloc|realloc|free|strdup|strndup|reallocarray|aligned_alloc",
        ("src/base/mem.c", "src/p2pd/"),
        "memory comes from base/mem.h; the library is in others' processes and must not end them",
    ),
    (CALL % "alloca", (), "stack use must be known when compiling"),
    (CALL % "time|gettimeofday|clock|localtime|gmtime|ctime|asctime", ("src/cli/",), "time is an argument"),
    (CALL % "clock_gettime", ("src/io/", "src/cli/", "src/p2pd/"), "time is an argument; the worlds read the clocks"),
    (CALL % "sleep|usleep|nanosleep", (), "wait for an event or a deadline"),
    (CALL % "setjmp|longjmp|system|popen", (), "not in this program"),
    (
        CALL % "pow|exp|log|log2|log10|sqrt|sin|cos",
        (),
        "scores use + - * / and tables, so that every machine gets the same",
    ),
    (
        CALL % "exit|_exit|abort",
        ("src/base/", "src/cli/", "src/crypto/", "src/eth/schema.c", "src/p2pd/start.c"),
        "only main decides to end; aborts are for our own mistakes (base, rows of a schema) and for libraries that fail where they cannot",
    ),
    (
        CALL % "printf|puts|perror|vprintf|putchar" + r"|\b(?:stdout|stderr)\b",
        ("src/cli/", "src/base/mem.c", "src/base/err.c", "src/eth/schema.c"),
        "log through base/log.h",
    ),
    (CALL % "store_get", ("include/store/", "src/store/", "src/node/"), "it waits for the disk on the loop: the API reads by request_object()"),
    (r"\buv_\w+", ("src/io/",), "libuv is known to src/io alone"),
    (r"\bswitch\s*\(\s*(?:\w+(?:->|\.))*fork\s*\)", ("src/eth/",), "forks are rows of tables in eth"),
    (r"\btypedef\s+(?:struct|union|enum)\b[^;(){]*[;{]", (), "a struct is called struct x"),
    (
        r"\b(?:_Thread_local|thread_local|__thread)\b",
        ("src/crypto/",),
        "no hidden state; crypto keeps a library's scratch a thread",
    ),
    (r"\bgoto\s+(?!out\b|fail\b|done\b)\w+", (), "one label, out, where something must be undone"),
]

ENUM_CASE = re.compile(r"\bcase\s+([A-Z][A-Z0-9_]+)\s*:")


def our_enumerators(paths):
    """Names declared in enums of include/ and src/, by the table files too."""
    found = set()
    for path in paths:
        text = bare_c(path.read_text(errors="replace"))
        if path.suffix == ".def":
            found |= set(re.findall(r"^\s*[A-Z]+\(\s*([A-Z][A-Z0-9_]*)\s*,", text, re.M))
        for body in re.findall(r"\benum\b[^;{()]*\{([^}]*)\}", text):
            found |= set(re.findall(r"\b([A-Z][A-Z0-9_]+)\b\s*(?=[,=]|$|\n)", body))
    return found


def switches(text):
    """(line, body) of each switch; nested ones appear on their own too."""
    for match in re.finditer(r"\bswitch\s*\(", text):
        at = text.find("{", match.end())
        depth, end = 0, at
        while 0 <= at and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
            end += 1
        yield text.count("\n", 0, match.start()) + 1, text[at + 1 : end]


def reasoned(raw_lines, line):
    """A default: with a comment beside it: a number from the wire, where unknown values are an ordinary answer."""
    for text in raw_lines[line - 1 : line + 80]:
        if re.match(r"\s*default\s*:", text):
            return "/*" in text
    return False


def without_inner_switches(body):
    return re.sub(r"\bswitch\s*\([^{]*\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", "", body)


def main():
    sources = files("src/**/*.[ch]", "include/**/*.h")
    enumerators = our_enumerators(sources + files("src/**/*.def", "include/**/*.def"))
    faults = []
    for path in sources:
        raw = path.read_text(errors="replace")
        text, where = bare_c(raw), name(path)
        for pattern, allowed, why in ROWS:
            if any(where.startswith(a) for a in allowed):
                continue
            for match in re.finditer(pattern, text):
                faults.append(
                    f"{where}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(0).strip()}: {why}"
                )
        for line, body in switches(text):
            own = without_inner_switches(body)
            if (
                re.search(r"\bdefault\s*:", own)
                and set(ENUM_CASE.findall(own)) & enumerators
                and not reasoned(raw.splitlines(), line)
            ):
                faults.append(
                    f"{where}:{line}: default: over an enum of ours hides the value that somebody adds tomorrow"
                )
    for path in files("tests/unit/**/*.[ch]", "tests/fuzz/**/*.[ch]", "tests/lib/*.[ch]"):
        text = bare_c(path.read_text(errors="replace"))
        for match in re.finditer(CALL % "rand|srand|time|sleep|usleep|nanosleep", text):
            faults.append(
                f"{name(path)}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(0)}: tests use seeds and the fake clock"
            )
    report(faults, f"{len(sources)} files, {len(ROWS)} rows, {len(enumerators)} enumerators")


if __name__ == "__main__":
    main()
