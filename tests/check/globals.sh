#!/usr/bin/env bash
# No writable global in what thousands of simulated nodes share a process with: codec, ssz, proto, net, node,
# store. (eth seals its schemas once at start; after that they are const and shared.)
# Compiled here without LTO and without PIC, so that nm shows function statics and constant tables are not in .data.
set -euo pipefail
top=$(cd "${P2PD_CHECK_TOP:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd)
cd "$top"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t sources < <(find src/codec src/ssz src/proto src/net src/node src/store -name '*.c' 2>/dev/null | sort)
[ "${#sources[@]}" -gt 0 ] || { echo "no sources found"; exit 1; }
compile() { gcc -std=gnu17 -O1 -fno-pic -w -Iinclude -c "$1" -o "$2/$(printf %s "$1" | tr / _).o"; }
export -f compile
# shellcheck disable=SC2016 # expanded by the inner shell
printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -n 1 bash -c 'compile "$1" "$0"' "$work"
cd "$work"
found=$(nm -A ./*.o | grep -E ' [BbDdCSs] ' || true)
if [ -n "$found" ]; then
    echo "$found"
    echo "writable globals: $(echo "$found" | awk '{print $1 $NF}' | sed 's/\.o:.*:/ /' | head -5 | tr '\n' ' ')"
    exit 1
fi
echo "note: ${#sources[@]} files, no writable global"
