#!/usr/bin/env bash
# Every shell script goes through shellcheck, every Python file parses; those without an extension too.
set -euo pipefail
cd "${P2PD_CHECK_TOP:-$(dirname "${BASH_SOURCE[0]}")/../..}"
mapfile -t scripts < <(find run test .ci/run cmake tests \( -name '*.sh' -o -name run -o -name test \) -type f -not -path '*/node_modules/*' | sort)
shellcheck -x "${scripts[@]}"
mapfile -t programs < <(find tests -name '*.py' -not -path '*/node_modules/*' | sort)
for program in "${programs[@]}"; do
    python3 - "$program" <<'PY'
import ast, sys
ast.parse(open(sys.argv[1]).read(), sys.argv[1])
PY
done
echo "note: ${#scripts[@]} shell scripts, ${#programs[@]} Python files"
