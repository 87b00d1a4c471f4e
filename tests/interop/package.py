#!/usr/bin/env python3
"""The Debian package and `cmake --install`: the same files; what is in the package runs from a scratch root and stops in good order; the
unit is one that systemd takes and calls well confined; nothing is installed on this machine.
"""

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import harness.daemon
from harness.corpus import network_dir
from harness.daemon import PROGRAM, Daemon
from harness.proc import check, main, note, patient, scratch

BUILD = Path(PROGRAM).parent
EXPOSURE_MAX = 15  # tenths, of 100: a daemon that needs the Internet is at 13
WANTED = (
    "bin/beacon-p2pd",
    "share/man/man1/beacon-p2pd.1.gz",
    "share/bash-completion/completions/beacon-p2pd",
    "share/zsh/vendor-completions/_beacon-p2pd",
    "share/fish/vendor_completions.d/beacon-p2pd.fish",
    "lib/systemd/system/beacon-p2pd.service",
    "lib/pkgconfig/p2pd.pc",
    "lib/libp2pd.so.0",
    "lib/libp2pd.a",
    "include/p2pd/p2pd.h",
    "share/doc/beacon-p2pd/README.md",
    "share/doc/beacon-p2pd/CHANGELOG.md",
    "share/doc/beacon-p2pd/copyright",
    "share/doc/beacon-p2pd/docs/configuration.md",
)


def tell(*argv, cwd=None, env=None):
    done = subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, check=False, cwd=cwd, timeout=patient(600), env={**os.environ, **(env or {})}
    )
    check(done.returncode == 0, f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.stdout + done.stderr


def below(root):
    return {str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir()}


def make(work):
    """The package, unpacked; and the tree of cmake --install."""
    tell("ninja", "-C", BUILD, "installed")
    tell("cpack", "-G", "DEB", "-B", work / "package", cwd=BUILD)
    (deb,) = (work / "package").glob("*.deb")
    tell("dpkg-deb", "-x", deb, work / "root")
    tell("dpkg-deb", "-e", deb, work / "control")
    tell("cmake", "--install", BUILD, "--prefix", work / "installed")
    return deb, work / "root", work / "installed"


def looks_right(work, deb, root, installed):
    packed, copied = below(root / "usr"), below(installed)
    check(packed == copied, f"package and cmake --install differ: {sorted(packed ^ copied)}")
    check(set(WANTED) <= packed, f"not in the package: {sorted(set(WANTED) - packed)}")
    control = (work / "control/control").read_text()
    for library in ("libuv1", "libgnutls30", "libsodium23", "libsecp256k1", "liblmdb0", "libc6"):
        check(re.search(rf"^Depends:.*\b{library}", control, re.M), f"does not depend on {library}: {control}")
    check(not re.search(r"^Depends:.*-dev\b", control, re.M), f"depends on a -dev package: {control}")
    own = [line.split()[1] for line in tell("dpkg-deb", "-c", deb).splitlines()]
    check(set(own) == {"root/root"}, f"owners in the package: {set(own)}")
    for script in ("postinst", "prerm"):
        tell("sh", "-n", work / "control" / script)
    page = gzip.decompress((root / "usr/share/man/man1/beacon-p2pd.1.gz").read_bytes()).decode()
    check(".SH \"OPTIONS\"" in page, "the manual page is empty")


def unit(root):
    """systemd's own opinion; the rest of the machine's units are put beside it, so that what it names is there."""
    file = root / "usr/lib/systemd/system/beacon-p2pd.service"
    check("ExecStart=/usr/bin/beacon-p2pd run\n" in file.read_text(), "the unit starts another program")
    shutil.copytree("/usr/lib/systemd/system", file.parent, symlinks=True, dirs_exist_ok=True,
                    ignore=lambda _, names: [n for n in names if n == file.name])
    said = tell("systemd-analyze", "verify", "--man=no", f"--root={root}", "beacon-p2pd.service")
    check("beacon-p2pd" not in said, f"systemd-analyze verify: {said}")
    said = tell("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}", file)
    return re.search(r"exposure level for [^:]*: ([0-9.]+)", said).group(1)


def runs(work, root):
    """The packaged program: its version, its settings, a node that starts, answers and stops."""
    program = root / "usr/bin/beacon-p2pd"
    version = tell(program, "--version")
    check(re.search(r"^beacon-p2pd [0-9.]+\ncommit ([0-9a-f]{12}(-dirty)?|unknown)\nbuilt with .*libuv [0-9]", version), version)
    settings = tell(program, "run", "--print-config", env={"BEACON_P2PD_NETWORK": "hoodi"})
    check(re.search(r"^network: hoodi +# BEACON_P2PD_NETWORK$", settings, re.M), settings[:200])
    network = network_dir(work / "network")
    harness.daemon.PROGRAM = str(program)
    node = Daemon("packaged", network, work / "data", ["--disable-discovery"])
    number = version.split()[1]
    said = node.get("/eth/v1/node/version")["data"]["version"]
    check(said == f"beacon-p2pd/{number}", f"the API says {said}")
    node.stop()


def run():
    work = scratch("package")
    deb, root, installed = make(work)
    looks_right(work, deb, root, installed)
    runs(work, root)
    exposure = unit(root)
    note(f"{deb.name}: {deb.stat().st_size // 1024} KiB, {len(below(installed))} files; exposure of the unit {exposure} of 10")


if __name__ == "__main__":
    main(run)
