# shellcheck shell=bash disable=SC2034 # the lists are for those who source this
# The Debian 12 packages that building and testing need, and how they are installed. Sourced by ./run and ./test.
# Nothing is installed twice: what dpkg says is there is not asked for again.

# To build beacon-p2pd.
P2PD_BUILD_PACKAGES=(
    cmake ninja-build gcc libc6-dev pkg-config
    libsodium-dev libsecp256k1-dev libssl-dev nettle-dev libsnappy-dev libuv1-dev libc-ares-dev liblmdb-dev
    libminiupnpc-dev libnatpmp-dev
    libyaml-dev libjansson-dev libmicrohttpd-dev libcmocka-dev libcurl4-openssl-dev
    libngtcp2-dev libngtcp2-crypto-gnutls-dev libgnutls28-dev
)

# To test it: a second compiler with its fuzzer, the source checks, valgrind, what the peers' native parts build with,
# tshark for the dissector, Prometheus for
# the metrics and their rules, namespaces with a router in them.
P2PD_TEST_PACKAGES=(
    clang libclang-rt-14-dev clang-format codespell shellcheck valgrind binutils git python3 g++ make curl ca-certificates
    mandoc man-db zsh fish dpkg-dev systemd
    tshark openssl iproute2 util-linux nftables miniupnpd-nftables miniupnpd prometheus
)

say() { printf "== %s\n" "$*" >&2; }

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

p2pd_missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
    done
}

# p2pd_install PACKAGE...: apt-get what is missing, as root or through sudo; says what it does.
p2pd_install() {
    local missing as_root=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "no apt here: this needs what Debian 12 calls $*"
        return 0
    fi
    mapfile -t missing < <(p2pd_missing "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "missing packages: ${missing[*]}. Run as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5)
    say "installing by apt: ${missing[*]}"
    # One at a time: two peers may ask at once, and only one of apt's locks is waited for.
    (
        flock 9
        # The lists of a fresh machine may be missing or old: then, and only then, fetch them and try again.
        for pause in 0 10 60; do
            ! "${as_root[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null 2>&1 || exit 0
            say "apt-get update"
            sleep "$pause"
            "${as_root[@]}" update </dev/null >/dev/null || say "apt-get update failed"
        done
        "${as_root[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
    ) 9>"${TMPDIR:-/tmp}/p2pd-apt-$(id -u).lock" || die "apt-get install ${missing[*]} failed"
}

# p2pd_build PRESET [TARGET...]: configure once, then build.
p2pd_build() {
    local preset=$1
    shift
    [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >"build/$preset.configure.log" 2>&1 ||
        { cat "build/$preset.configure.log" >&2; die "configuring preset $preset failed"; }
    ninja -C "build/$preset" "$@"
}
