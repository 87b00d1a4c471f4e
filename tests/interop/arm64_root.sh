#!/usr/bin/env bash
# tests/interop/arm64_root.sh DIR: the arm64 libraries that the build needs, unpacked below DIR. They come by apt from
# this machine's sources into an apt state of their own: nothing of this machine's packages is touched.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$here/cmake/packages.sh"
root=$1
[ ! -e "$root/done" ] || exit 0
mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial"
root=$(cd "$root" && pwd)
: >"$root/apt/status"
libraries=(libc6-dev linux-libc-dev)
for package in "${P2PD_BUILD_PACKAGES[@]}"; do
    case $package in
    lib*-dev) libraries+=("$package") ;;
    esac
done
# In a file, so that an "arch=amd64" of this machine's settings does not count.
cat >"$root/apt/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
Dir::State "$root/apt";
Dir::State::status "$root/apt/status";
Dir::Cache "$root/apt";
Acquire::Languages "none";
CONF
say "fetching arm64 libraries"
APT_CONFIG=$root/apt/apt.conf apt-get -qq update
APT_CONFIG=$root/apt/apt.conf apt-get -qq -y --download-only install "${libraries[@]}" >"$root/apt/log" 2>&1 ||
    { tail -5 "$root/apt/log" >&2; die "the arm64 packages cannot be had"; }
for package in "$root"/apt/archives/*.deb; do
    dpkg-deb -x "$package" "$root"
done
# Links of libraries into / would leave the root.
find "$root/usr/lib" "$root/lib" -type l -lname '/*' 2>/dev/null | while read -r link; do
    ln -sfn "$root$(readlink "$link")" "$link"
done
touch "$root/done"
