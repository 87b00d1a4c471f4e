#!/usr/bin/env bash
# The release binary has what Hardening.cmake asks for: PIE, full RELRO, no executable stack, stack protector, FORTIFY, CET.
set -euo pipefail
binary=${1:-$(dirname "${BASH_SOURCE[0]}")/../../build/release/beacon-p2pd}
faults=()
want() { # want TEXT PATTERN COMMAND...: some line that the command prints matches
    local text=$1 pattern=$2
    shift 2
    "$@" 2>/dev/null | grep -Eq "$pattern" || faults+=("$text")
}
want "not position independent" 'Type:.*DYN' readelf -hW "$binary"
want "no RELRO segment" 'GNU_RELRO' readelf -lW "$binary"
want "symbols are not bound at start" 'BIND_NOW|FLAGS.*NOW' readelf -dW "$binary"
want "the stack is executable" 'GNU_STACK.* RW ' readelf -lW "$binary"
want "no stack protector" '__stack_chk_fail' readelf -sW --dyn-syms "$binary"
want "no FORTIFY_SOURCE" '__(memcpy|snprintf|vsnprintf|fprintf|read|memset|printf)_chk' readelf -sW --dyn-syms "$binary"
if [ "$(uname -m)" = x86_64 ]; then
    want "no control-flow protection (IBT)" 'IBT' readelf -nW "$binary"
    want "no shadow stack (SHSTK)" 'SHSTK' readelf -nW "$binary"
fi
if readelf -dW "$binary" | grep -Eq 'RPATH|RUNPATH'; then
    faults+=("has a run path")
fi
if [ "${#faults[@]}" -gt 0 ]; then
    printf '%s\n' "${faults[@]}"
    echo "$binary: ${faults[*]}"
    exit 1
fi
echo "note: $(stat -c %s "$binary") bytes"
