#!/usr/bin/env bash
# The whole for arm64: Debian's cross compiler and arm64 libraries, the unit tests under qemu, and the Debian package of that architecture.
# In ./test --long.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. cmake/packages.sh
p2pd_install gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static dpkg-dev
tests/interop/arm64_root.sh build/arm64-root
p2pd_build arm64 installed
mapfile -t units < <(ninja -C build/arm64 -t targets all | grep -oE '^unit_[a-z0-9_]+' | sort -u)
[ "${#units[@]}" -gt 50 ] || die "only ${#units[@]} unit tests were found"
p2pd_build arm64 "${units[@]}"
program=build/arm64/beacon-p2pd
file=$(aarch64-linux-gnu-readelf -hW "$program" | grep -c AArch64) || die "$program is not for arm64"
qemu-aarch64-static -L build/arm64-root "$program" --version | grep -q "^beacon-p2pd " || die "it does not say its version"
# Sockets with batches of datagrams (UDP GSO and GRO) are not what qemu passes through.
log=build/arm64-tests.log
ctest --test-dir build/arm64 --timeout 900 -j "$(nproc)" -R '^unit_' -E '^unit_io_' >"$log" 2>&1 ||
    { tail -40 "$log"; die "unit tests under qemu: $(grep -E 'tests passed|Failed' "$log" | tail -3 | tr '\n' ' ')"; }
(cd build/arm64 && cpack -G DEB >"../arm64-cpack.log" 2>&1) || { tail -5 build/arm64-cpack.log; die "cpack failed"; }
package=$(ls build/arm64/package/*_arm64.deb) || die "no arm64 package"
dpkg-deb -I "$package" | grep -q 'Architecture: arm64' || die "$package is of another architecture"
echo "note: $(grep -oE '[0-9]+% tests passed.*' "$log"), $(basename "$package"), $file ELF header"
