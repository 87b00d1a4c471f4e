#!/usr/bin/env python3
"""Include arrows: a folder includes itself and what its p2pd_module line in CMakeLists.txt names, nothing else.

Also: a header in src/ is private to its folder, third-party headers have one home, and what must not do I/O cannot include
what does it. docs/architecture.md has the picture.
"""

import re

from tree import TOP, bare_c, files, modules, name, report

# Headers of include/proto that are named after no folder and no source: one that two engines share, and one part.
MUX = {"proto/yamux", "proto/mplex"}
PROTO_HOMES = {"mux": MUX, "gossip_rpc": {"proto/gossipsub"}}

# The port is the one thing of io and sim that those above base may see: it is the interface that both fill.
PORT_USERS = {"net", "store", "node", "api", "cli", "sim"}

# Who may include which library's headers.
LIBRARY_HOMES = {
    "uv.h": {"io"},
    "ares": {"io"},
    "miniupnpc/": {"io"},
    "natpmp.h": {"io"},
    "sodium.h": {"crypto"},
    "secp256k1": {"crypto"},
    "openssl/": {"crypto"},
    "nettle/": {"crypto"},
    "snappy": {"codec"},
    "lmdb.h": {"store"},
    "jansson.h": {"ssz", "api", "cli"},
    "curl/": {"cli"},
    "yaml.h": {"codec", "eth"},
    "microhttpd.h": {"api"},
    "gnutls/": {"proto/quic"},
    "ngtcp2/": {"proto/quic"},
}

# No I/O, clock, thread or process in these: what they include of the C library is this list.
PURE = ("codec", "ssz", "proto/", "net", "node", "sim")
PURE_HEADERS = {
    "assert.h",
    "ctype.h",
    "errno.h",
    "inttypes.h",
    "limits.h",
    "math.h",
    "stdalign.h",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
}
PURE_EXTRA = {
    "codec": {"arpa/inet.h"},  # the text of IP addresses
    "proto/quic": {"arpa/inet.h", "netinet/in.h"},  # ngtcp2 compares paths as sockaddr
}


def homes(header, known):
    """The modules that own <layer/x.h>, or an empty set if it is no header of ours."""
    layer, _, rest = header.partition("/")
    if layer == "p2pd":
        return {"p2pd"}
    if layer != "proto":
        return {layer} if layer in known else set()
    stem = rest.rsplit(".", 1)[0]
    if stem in PROTO_HOMES:
        return PROTO_HOMES[stem]
    # discv5.h is proto/discv5's, and so is enr.h: src/proto/discv5/enr.c is there.
    found = {m for m in known if m == f"proto/{stem}" or (TOP / "src" / m / f"{stem}.c").exists()}
    return {m for m in found if m.startswith("proto/")} or {f"proto/{stem}"}


def reach(folder, known, seen=None):
    """Every folder that `folder` may include, itself too."""
    seen = set() if seen is None else seen
    if folder not in seen:
        seen.add(folder)
        for dep in known.get(folder, ()):
            reach(dep, known, seen)
    return seen


def folder_of(path, known):
    """(kind, module folder) of a source, header or test; None for what belongs to no module."""
    parts = path.relative_to(TOP).parts
    if parts[0] == "include":
        if parts[1] == "proto":
            owners = homes(f"proto/{parts[2]}", known)
            return "contract", sorted(owners)[0]
        return "contract", parts[1]
    if parts[0] == "src":
        rest = parts[1:-1]
    elif parts[0] == "tests" and parts[1] in ("unit", "fuzz"):
        rest = parts[2:-1]
    else:
        return None
    for cut in range(len(rest), 0, -1):
        if "/".join(rest[:cut]) in known:
            return ("source" if parts[0] == "src" else "test"), "/".join(rest[:cut])
    return None


def check_ours(path, kind, folder, header, known):
    owners = homes(header, known)
    if not owners:
        return None
    if not (TOP / "include" / header).exists():
        return f"{name(path)}: <{header}> does not exist in include/"
    if header == "io/port.h" and (folder in PORT_USERS or kind == "test"):
        return None
    if kind == "contract" and folder.startswith("proto/") and owners & MUX:
        return None  # mux.h is the one contract of two engines
    if not owners & reach(folder, known):
        return f"{name(path)}: {folder} may not include <{header}> ({' or '.join(sorted(owners))} is not below it)"
    return None


def check_system(path, kind, folder, header):
    for prefix, allowed in LIBRARY_HOMES.items():
        if header.startswith(prefix):
            if folder not in allowed and kind != "test":
                return f"{name(path)}: only {', '.join(sorted(allowed))} may include <{header}>"
            return None
    pure = any(folder == p or (p.endswith("/") and folder.startswith(p)) for p in PURE)
    if pure and kind != "test" and header not in PURE_HEADERS | PURE_EXTRA.get(folder, set()):
        return f"{name(path)}: {folder} does no I/O and has no clock: <{header}> has no place in it"
    return None


def check_private(path, kind, folder, header):
    if kind == "contract":
        return f'{name(path)}: a contract includes <layer/x.h> only, not "{header}"'
    here = path.parent / header
    if kind == "source":
        if not here.resolve().is_relative_to((TOP / "src" / folder).resolve()):
            return f'{name(path)}: "{header}" leaves its module'
        return None if here.exists() else f'{name(path)}: "{header}" is not in its folder'
    inside = (
        here,
        TOP / "tests" / header,
        TOP / "tests/unit" / path.parent.relative_to(TOP / "tests").as_posix().split("/", 1)[-1] / header,
    )
    if not any(p.exists() for p in inside):
        return f'{name(path)}: "{header}" is not in tests/ (private headers of src/ are not for tests)'
    return None


def main():
    known, faults, looked = modules(), [], 0
    for path in files("include/**/*.[hd]*", "src/**/*.[ch]", "tests/unit/**/*.[ch]", "tests/fuzz/**/*.[ch]"):
        owner = folder_of(path, known)
        if owner is None:
            if path.relative_to(TOP).parts[0] == "src":
                faults.append(f"{name(path)}: in no module of CMakeLists.txt")
            continue
        kind, folder = owner
        text = path.read_text(errors="replace")
        if path.suffix == ".def":
            continue
        looked += 1
        bare = bare_c(re.sub(r'(#[ \t]*include[ \t]*)"([^"]+)"', r"\1<\2>!", text))
        for match in re.finditer(r"^[ \t]*#[ \t]*include[ \t]*<([^>]+)>(!?)", bare, re.M):
            header, quoted = match.groups()
            fault = (
                check_private(path, kind, folder, header)
                if quoted
                else (
                    check_ours(path, kind, folder, header, known)
                    or (None if homes(header, known) else check_system(path, kind, folder, header))
                )
            )
            if fault:
                faults.append(fault)
    report(faults, f"{looked} files keep to the arrows of {len(known)} modules")


if __name__ == "__main__":
    main()
