#!/usr/bin/env bash
# nettools.sh [--again]: makes kvorum/nettools:local unless it is there: nft and tc of Debian's packages, with busybox. It is
# for jepsen-lite, which runs it in the network of a container to cut that off, and not part of the deployment. No registry
# has it. Needs docker and, for what is not installed, apt-get (as root or by sudo).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
name=kvorum/nettools:local
if [ "${1:-}" != --again ] && present "$name"; then
	echo "$name: there"
	exit
fi
packages busybox-static nftables iproute2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

new_root "$root"
add_busybox "$root"
for program in nft tc; do
	add_program "$root" "$(command -v $program)" "/usr/sbin/$program"
done
tar -C "$root" --numeric-owner --owner=0 --group=0 -cf - . | docker import -c 'ENV PATH=/usr/sbin:/bin' -c 'CMD ["nft", "--version"]' - "$name" >/dev/null
echo "made $name"
