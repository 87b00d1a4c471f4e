#!/usr/bin/env bash
# peers.sh node|lodestar|js|discv5_js|page|go|devp2p|rust|schemathesis: make one test peer ready in build/peers, once. Exit 77: its tool chain cannot be had here.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$top/cmake/packages.sh"
cache=$top/build/peers
mkdir -p "$cache"

# again COMMAND...: what asks a registry; one that fails now may answer in a while.
again() {
    local pause
    for pause in 5 20 60; do
        "$@" && return 0
        say "$1 failed: again in $pause s"
        sleep "$pause"
    done
    "$@"
}
export CARGO_NET_RETRY=10 npm_config_fetch_retries=5 PIP_RETRIES=10

node_major() { "$1" --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }

# Node 20 or newer: the machine's, or the npm package `node` where Debian's is older. Leaves build/peers/bin/node.
prepare_node() {
    local found
    mkdir -p "$cache/bin"
    if [ -x "$cache/bin/node" ] && [ "$(node_major "$cache/bin/node")" -ge 20 ]; then
        return 0
    fi
    if ! command -v npm >/dev/null; then
        p2pd_install nodejs npm
    fi
    command -v npm >/dev/null || { echo "no npm: it is neither here nor among the packages of apt"; exit 77; }
    found=$(command -v node || true)
    if [ -z "$found" ] || [ "$(node_major "$found")" -lt 20 ]; then
        say "Node here is ${found:+$("$found" --version)}${found:-missing}: taking Node 20 from npm"
        again npm install --prefix "$cache/node" --no-audit --no-fund node@20 || { echo "npm could not install node@20"; exit 77; }
        found=$cache/node/node_modules/node/bin/node
    fi
    ln -sf "$found" "$cache/bin/node"
}

# npm_ci FOLDER: install tests/interop/FOLDER/package-lock.json into build/peers/FOLDER, unless that very lock is there.
npm_ci() {
    local from=$top/tests/interop/$1 to=$cache/$1
    if cmp -s "$from/package-lock.json" "$to/installed.lock"; then
        return 1
    fi
    rm -rf "$to"
    mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$to/"
    (cd "$to" && again npm ci --ignore-scripts --no-audit --no-fund) || { echo "npm ci for $1 failed"; exit 1; }
}

installed() { cp "$top/tests/interop/$1/package-lock.json" "$cache/$1/installed.lock"; }

# Go from the module proxy, where none is: Debian 12's is too old to build the modules and to fetch a newer one itself.
GO_VERSION=go1.26.0
declare -A GO_SHA256=(
    [amd64]=38461905b98c59173672814302e222ab43b652274bc0c95817b08b71ab66b705
    [arm64]=4c3f961bc257ff52e7a425166f9f75015f645dff071d01a81823455ffe646609
)

fetch_go() {
    local arch name
    arch=$(dpkg --print-architecture)
    name=v0.0.1-$GO_VERSION.linux-$arch
    [ -n "${GO_SHA256[$arch]:-}" ] || { echo "no Go tool chain here, and none known for $arch"; exit 77; }
    say "no Go here: taking $GO_VERSION from the module proxy"
    again curl -sSfL -o "$cache/go.zip" "https://proxy.golang.org/golang.org/toolchain/@v/$name.zip" || { echo "the module proxy has no $name"; exit 77; }
    echo "${GO_SHA256[$arch]}  $cache/go.zip" | sha256sum --check --quiet || { echo "what the module proxy gave is not $name"; exit 1; }
    rm -rf "$cache/golang.org" "$cache/goroot"
    python3 -m zipfile -e "$cache/go.zip" "$cache"
    mv "$cache/golang.org/toolchain@$name" "$cache/goroot"
    chmod -R a+x "$cache/goroot/bin" "$cache/goroot/pkg/tool"
    rm -rf "$cache/go.zip" "$cache/golang.org"
}

# Leaves build/peers/bin/go: the machine's, if it is one that can fetch what a module wants.
need_go() {
    local minor found=$cache/goroot/bin/go
    command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
    minor=$({ go env GOVERSION 2>/dev/null || true; } | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -ge 21 ]; then
        found=$(command -v go)
    elif [ ! -x "$found" ]; then
        fetch_go
    fi
    mkdir -p "$cache/bin"
    [ "$found" = "$cache/bin/go" ] || ln -sf "$found" "$cache/bin/go"
}

RUST_MINOR=89 # what the locked crates ask for

export PATH=$cache/bin:$PATH
case ${1:-} in
node) prepare_node ;;
js)
    # Its QUIC is native code in a package for each kind of machine; npm cannot lock those that the registry lacks.
    npm_ci js && (cd "$cache/js" && again npm install --no-save --ignore-scripts --no-audit --no-fund @chainsafe/libp2p-quic@2.1.1) &&
        installed js
    ;;
discv5_js | kad_js) npm_ci "$1" && installed "$1" ;;
page) # the dashboard's: a browser, and what drives it
    p2pd_install chromium
    command -v chromium >/dev/null || { echo "no Chromium: it is neither here nor among the packages of apt"; exit 77; }
    npm_ci page && installed page
    ;;
go)
    need_go
    (cd "$top/tests/interop/go" && again go build -o "$cache/gopeer" .) || { echo "the Go peer does not build"; exit 1; }
    (cd "$top/docs/examples/network/go" && again go build -o "$cache/bin/example-ws" .) ||
        { echo "the Go node of the example network does not build"; exit 1; }
    ;;
devp2p) # go-ethereum's discv5 conformance suite: some 200 CPU seconds, once
    need_go
    [ -x "$cache/bin/devp2p" ] || GOBIN=$cache/bin again go install github.com/ethereum/go-ethereum/cmd/devp2p@v1.17.10 ||
        { echo "devp2p does not build"; exit 1; }
    ;;
rust) # libp2p and discv5 in one program: some 200 CPU seconds, once
    minor=$({ cargo --version 2>/dev/null || true; } | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -lt "$RUST_MINOR" ]; then # Debian 12 has 1.63 and 1.85
        echo "Rust 1.$RUST_MINOR or newer is wanted for libp2p and discv5, here is 1.${minor:-none}: see https://rustup.rs"
        exit 77
    fi
    (cd "$top/tests/interop/rust" && CARGO_TARGET_DIR=$cache/rust cargo build --release --locked) ||
        { echo "the Rust peer does not build"; exit 1; }
    ln -sf ../rust/release/rustpeer "$cache/bin/rustpeer"
    ;;
lodestar)
    if npm_ci lodestar; then
        # Only the native parts that Lodestar cannot do without are built. Node's headers come with the machine's
        # Node or with Debian's libnode-dev (older, but these parts use the stable N-API); without them node-gyp
        # would look for them on the Internet.
        prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
        if [ ! -f "$prefix/include/node/node_api.h" ]; then
            p2pd_install libnode-dev
            prefix=/usr
        fi
        export npm_config_nodedir=$prefix
        (cd "$cache/lodestar" && npm rebuild snappy c-kzg bcrypto) || { echo "npm rebuild for lodestar failed"; exit 1; }
        installed lodestar
    fi
    ;;
schemathesis) # checks of the published API description, from PyPI at pinned versions, in a venv of its own
    wanted=$top/tests/interop/schemathesis/requirements.txt
    if ! cmp -s "$wanted" "$cache/schemathesis/installed.txt"; then
        rm -rf "$cache/schemathesis"
        python3 -m venv "$cache/schemathesis" 2>/dev/null || {
            p2pd_install python3-venv
            rm -rf "$cache/schemathesis"
            python3 -m venv "$cache/schemathesis" || { echo "python3 makes no venv here"; exit 77; }
        }
        again "$cache/schemathesis/bin/pip" install -q --disable-pip-version-check -r "$wanted" || { echo "pip could not install schemathesis"; exit 1; }
        cp "$wanted" "$cache/schemathesis/installed.txt"
    fi
    ;;
*) die "usage: peers.sh node|lodestar|js|discv5_js|page|go|devp2p|rust|schemathesis" ;;
esac
exit 0
