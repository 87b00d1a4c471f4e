#!/usr/bin/env python3
"""Help, manual page and completions: one table made them, so they name the same flags; the checkers of each language find no fault;
each completes what was typed; what a command's source takes is what its rows say; and a page of docs/ names each flag of the daemon.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tree import TOP, report

PROGRAM = os.environ.get("P2PD_PROGRAM", str(TOP / "build/release/beacon-p2pd"))


def tell(*arguments, code=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, f"beacon-p2pd {' '.join(arguments)}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def commands():
    """The commands that --help lists, and which of them have flags of their own."""
    listed = re.search(r"^Commands\n((?:  .*\n)+)", tell("--help"), re.M).group(1)
    names = re.findall(r"^  ([a-z-]+) ", listed, re.M)
    return {n: flags_of_help(tell(n, "--help")) != flags_of_help(tell("--help")) for n in names}


def flags_of_help(text):
    return set(re.findall(r"^  --([a-z0-9-]+)", text, re.M))


def flags_of_page(page, known):
    """{command: flags} of the manual page; the options' own section under None."""
    found, at, options = {}, None, False
    for line in page.replace("\\-", "-").splitlines():
        if line.startswith(".SH"):
            options, at = line == '.SH "OPTIONS"', None
        elif line.startswith('.SS "') and not options:
            at = line[5:-1]
        elif line.startswith("\\fB--") and (options or at in known):
            found.setdefault(at, set()).add(re.match(r"\\fB--([a-z0-9-]+)", line).group(1))
    return found


def words_of(text):
    """A text without its breaks and the marks of its language."""
    for mark, letter in (("\\-", "-"), ("\\e", "\\"), ("\\(aq", "'"), ("\\(dq", '"'), ("\\(ti", "~"), ("\\&", "")):
        text = text.replace(mark, letter)
    return " ".join(text.split())


def texts_differ(help_text, page):
    """Every flag's words in the help stand in the page too."""
    flat = words_of(page)
    for text in re.findall(r"^  --[a-z0-9-]+.*(?:\n {32}.*)*", help_text, re.M):
        body = words_of(re.sub(r"^  --[a-z0-9-]+(?: [^\s].*?)?\s{2}", "", text, count=1))
        if body not in flat:
            yield f"the page has not: {body}"


def lint(page_file):
    """What groff and mandoc say."""
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page_file],
        capture_output=True, text=True, check=False, env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"},
    )
    yield from (f"man: {x}" for x in done.stderr.splitlines())
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page_file], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines() + done.stderr.splitlines():
        if "missing date" not in line:  # the program does not know when it was made: builds are reproducible
            yield f"mandoc: {line}"


def complete(shell, script, line):
    """What the shell offers behind `line`."""
    words = line.split(" ")
    if shell == "bash":
        quoted = " ".join(f"'{w}'" for w in words)
        body = f"""source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _beacon_p2pd; printf '%s\\n' "${{COMPREPLY[@]}}" """
        argv = ["bash", "-c", body]
    else:
        argv = ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, cwd=home, env={**os.environ, "HOME": home, "PATH": os.environ["PATH"]}
        )
    return {x.split("\t")[0].strip() for x in done.stdout.splitlines() if x.strip()}


def completions(folder, own, all_flags):
    for shell, check in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])):
        script = folder / shell
        script.write_text(tell("completion", shell))
        done = subprocess.run([*check, script], capture_output=True, text=True, check=False)
        if done.returncode != 0 or done.stderr:
            yield f"{shell}: {done.stderr.strip()}"
        text = script.read_text()
        for command, flags in all_flags.items():
            for flag in flags:
                if f"--{flag}" not in text and f"-l {flag} " not in text:
                    yield f"{shell}: nothing of --{flag} ({command})"
        if shell == "zsh":
            continue  # its completion needs a terminal: the syntax is checked, the flags are there
        offered = complete(shell, script, "beacon-p2pd ")
        if not set(own) <= offered:
            yield f"{shell}: offers {sorted(offered)} as commands"
        for line, wanted in (
            ("beacon-p2pd run --lo", {"--log-level", "--log-format", "--local-network"}),
            ("beacon-p2pd --disable-q", {"--disable-quic"}),
            ("beacon-p2pd crawl --fo", {"--fork-digest"}),
            ("beacon-p2pd enr ve", {"verify"}),
        ):
            if complete(shell, script, line) != wanted:
                yield f"{shell}: {line} gives {sorted(complete(shell, script, line))}, wanted {sorted(wanted)}"
        if any("fork" in x for x in complete(shell, script, "beacon-p2pd connect --fo")):
            yield f"{shell}: offers connect the flags of crawl"


def sources(own_flags):
    """A flag in a command's source has its row, and a row's flag is in some source."""
    text = {p.stem: p.read_text() for p in (TOP / "src/cli").glob("*.c")}
    everywhere = set(re.findall(r'"--([a-z0-9-]+)"', "".join(text.values())))
    ports = set(re.findall(r'"((?:udp|tcp|quic)6?)"', text["cmd_enr"]))
    for name, home in text.items():
        here = [c for c in own_flags if re.search(rf"^int cmd_{c}\(", home, re.M)]
        taken = set(re.findall(r'strcmp\([^;]*?"--([a-z0-9-]+)"\)', home)) if here else set()
        for flag in taken - {"help"} - set().union(*(own_flags[c] for c in here)):
            yield f"src/cli/{name}.c takes --{flag}, which commands.def does not have"
    table = set(re.findall(r'^O\(\w+,\s*"([a-z0-9-]+)', (TOP / "src/cli/options.def").read_text(), re.M))
    everywhere |= table  # devnet reads its flags as run does
    for command, flags in own_flags.items():
        for flag in flags - everywhere - (ports if command == "enr" else set()):
            yield f"commands.def: {command} has --{flag}, which no source takes"


def undocumented(flags):
    """Flags that a reader of the pages does not meet."""
    pages = "".join(p.read_text() for p in [TOP / "README.md", *(TOP / "docs").rglob("*.md")])
    yield from (f"no page below docs names --{f}" for f in sorted(flags) if not re.search(rf"--{f}(?![a-z0-9-])", pages))


def main():
    for tool in ("mandoc", "man", "zsh", "fish"):
        if shutil.which(tool) is None:
            print(f"{tool} is not here: ./test installs it (cmake/packages.sh)")
            raise SystemExit(77)
    own, faults = commands(), []
    page, help_text = tell("man"), tell("--help")
    in_page = flags_of_page(page, own)
    own_flags = {c: flags_of_help(tell(c, "--help")) for c, is_own in own.items() if is_own}
    all_flags = {"run": flags_of_help(help_text), **own_flags}
    for command, flags in all_flags.items():
        shown = in_page.get(None if command == "run" else command, set())
        if flags != shown:
            faults.append(f"{command}: help and page differ in {sorted(flags ^ shown)}")
        faults += texts_differ(tell(command, "--help"), page)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "beacon-p2pd.1"
        file.write_text(page)
        faults += lint(file)
        faults += completions(Path(folder), own, all_flags)
    faults += sources(own_flags)
    faults += undocumented(all_flags["run"])
    report(faults, f"{sum(map(len, all_flags.values()))} flags of {len(own)} commands")


if __name__ == "__main__":
    main()
