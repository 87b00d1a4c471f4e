#!/usr/bin/env python3
"""What the documents say exists: linked files, named paths, flags, packages; pictures are well formed; text is tidy."""

import re
import xml.etree.ElementTree as ET

from tree import TOP, files, name, report

NEEDED = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "docs/architecture.md",
    "docs/architecture.svg",
    "docs/dependencies.md",
    "docs/SECURITY.md",
    "docs/long-runs.md",
    "docs/threat-model.md",
)
TEXT = (
    "*.md",
    "*.txt",
    "docs/**/*.md",
    "src/**/*",
    "include/**/*",
    "cmake/*",
    "tests/**/*.c",
    "tests/**/*.h",
    "tests/**/*.py",
    "tests/**/*.sh",
    "run",
    "test",
    ".ci/run",
    "CMake*",
)
PATH = re.compile(r"`((?:src|include|tests|docs|cmake)/[\w./*-]+?|\./(?:run|test))`")
FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]+)")
OTHER_FLAGS = {"--long", "--list", "--help", "--version"}  # of ./test, and of every program


def known_flags():
    options = TOP / "src/cli/options.def"
    if not options.exists():
        return None
    found = set(OTHER_FLAGS)
    for names in re.findall(r'^O\(\w+,\s*"([^"]+)"', options.read_text(), re.M):
        found |= {"--" + n for n in names.split("|")}
    commands = TOP / "src/cli/commands.def"
    if commands.exists():
        found |= {"--" + n for n in re.findall(r'\bF\("([a-z0-9-]+)"', commands.read_text())}
    for source in files("src/cli/*.c", "src/cli/*.def"):  # subcommands with options of their own
        found |= set(re.findall(r'"(--[a-z][a-z0-9-]+)"', source.read_text()))
    return found


def check_page(path, flags):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            yield f"{name(path)}: links to {target}, which does not exist"
    for target in PATH.findall(text):
        if "*" not in target and not (TOP / target).exists():
            yield f"{name(path)}: names {target}, which does not exist"
    if flags is None or path.name == "CHANGELOG.md":
        return
    for line in text.splitlines():
        if "beacon-p2pd" not in line and "./run" not in line:
            continue  # other programs' flags
        for flag in FLAG.findall(line):
            if flag not in flags:
                yield f"{name(path)}: {flag} is no option of beacon-p2pd"


def check_packages():
    """Each -dev package that the build needs has its line in docs/dependencies.md."""
    page = (TOP / "docs/dependencies.md").read_text()
    script = (TOP / "cmake/packages.sh").read_text()
    for array in re.findall(r"_PACKAGES=\(([^)]*)\)", script):
        for package in array.split():
            if re.fullmatch(r"[a-z0-9.+-]+", package) and not re.search(
                rf"(?<![\w-]){re.escape(package)}(?![\w-])", page
            ):
                yield f"docs/dependencies.md: does not name {package}, which cmake/packages.sh installs"


def check_frames():
    """Each frame of the control protocol stands in its page with its number and fields."""
    page = (TOP / "docs/control.md").read_text()
    rows = re.findall(
        r"^F\((\w+),\s*(0x\w+), \w+, ([\w, ]+)\)", (TOP / "include/proto/control.def").read_text(), re.M
    )
    shown = set(re.findall(r"^\| (\w+) \| (0x\w+) \| ([\w, ]+) \|", page, re.M))
    for row in sorted(set(rows) ^ shown):
        yield f"docs/control.md and include/proto/control.def differ in {row}"


def check_tidy():
    for path in files(*TEXT):
        data = path.read_bytes()
        if b"\0" in data:
            continue
        if b"\r" in data:
            yield f"{name(path)}: carriage returns"
        if data and not data.endswith(b"\n"):
            yield f"{name(path)}: no newline at its end"
        for number, line in enumerate(data.split(b"\n"), 1):
            if line.endswith((b" ", b"\t")):
                yield f"{name(path)}:{number}: space at the end of the line"
                break


def main():
    faults = [f"{p} is missing" for p in NEEDED if not (TOP / p).exists()]
    pages, flags = files("*.md", "docs/**/*.md"), known_flags()
    for page in pages:
        faults += check_page(page, flags)
    if (TOP / "docs/dependencies.md").exists():
        faults += check_packages()
    if (TOP / "docs/control.md").exists():
        faults += check_frames()
    for picture in files("docs/**/*.svg"):
        try:
            ET.parse(picture)
        except ET.ParseError as error:
            faults.append(f"{name(picture)}: {error}")
    faults += check_tidy()
    report(faults, f"{len(pages)} pages")


if __name__ == "__main__":
    main()
