#!/usr/bin/env bash
# codespell over what people read: sources, scripts, documents. Words it takes for mistakes stand in spelling.txt.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${P2PD_CHECK_TOP:-$here/../..}"
paths=()
for path in src include cmake docs tests run test README.md CONTRIBUTING.md CHANGELOG.md CMakeLists.txt; do
    [ ! -e "$path" ] || paths+=("$path")
done
codespell --ignore-words "$here/spelling.txt" \
    --skip '*/vectors/*,*/corpus/*,*/node_modules/*,*.json,*.ssz,*.svg,*.yaml,*.lock,*/spec/*,__pycache__' "${paths[@]}"
echo "note: ${#paths[@]} places"
