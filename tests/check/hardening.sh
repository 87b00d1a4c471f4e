#!/usr/bin/env bash
# The release binary has what Hardening.cmake asks for: PIE, full RELRO, no executable stack, stack protector, FORTIFY, CET.
set -euo pipefail
binary=${1:-$(dirname "${BASH_SOURCE[0]}")/../../build/release/beacon-p2pd}
faults=()
want() { # want TEXT PATTERN COMMAND...: some line that the command prints matches
    local text=$1 pattern=$2
    shift 2
    grep -Eq "$pattern" <<<"$("$@" 2>/dev/null)" || faults+=("$text") # no pipe: readelf would die of grep's early end
}
want "not position independent" 'Type:.*DYN' readelf -hW "$binary"
want "no RELRO segment" 'GNU_RELRO' readelf -lW "$binary"
want "symbols are not bound at start" 'BIND_NOW|FLAGS.*NOW' readelf -dW "$binary"
want "the stack is executable" 'GNU_STACK.* RW ' readelf -lW "$binary"
want "no stack protector" '__stack_chk_fail' readelf -sW --dyn-syms "$binary"
want "no FORTIFY_SOURCE" '__(memcpy|snprintf|vsnprintf|fprintf|read|memset|printf)_chk' readelf -sW --dyn-syms "$binary"
if [ "$(uname -m)" = x86_64 ]; then
    # Debian 12's C runtime has no CET marks, so the linker gives the program none; the landing pads are what we can have.
    want "no control-flow protection (endbr64)" '[0-9]{3}' bash -c "objdump -d --no-show-raw-insn '$binary' | grep -c endbr64"
fi
if grep -Eq 'RPATH|RUNPATH' <<<"$(readelf -dW "$binary")"; then
    faults+=("has a run path")
fi
if [ "${#faults[@]}" -gt 0 ]; then
    printf '%s\n' "${faults[@]}"
    echo "$binary: ${faults[*]}"
    exit 1
fi
echo "note: $(stat -c %s "$binary") bytes"
