#!/usr/bin/env bash
# Every C source is as clang-format would write it. Tables live in .def files, which it does not touch.
set -euo pipefail
cd "${P2PD_CHECK_TOP:-$(dirname "${BASH_SOURCE[0]}")/../..}"
mapfile -t sources < <(find src include tests \( -name '*.c' -o -name '*.h' \) -not -path '*/node_modules/*' | sort)
if ! clang-format --dry-run -Werror "${sources[@]}" 2>/tmp/p2pd-format.$$; then
    head -40 /tmp/p2pd-format.$$
    echo "not formatted: $(sed -n 's/^\([^:]*\):[0-9].*error.*/\1/p' /tmp/p2pd-format.$$ | sort -u | tr '\n' ' ')"
    rm -f /tmp/p2pd-format.$$
    exit 1
fi
rm -f /tmp/p2pd-format.$$
echo "note: ${#sources[@]} files"
