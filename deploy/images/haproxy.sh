#!/usr/bin/env bash
# haproxy.sh DIR: makes haproxy:VERSION-debian from Debian's installed package and prints that name. As in the official
# Alpine variant: user haproxy is 99, /var/lib/haproxy is its home, there is a shell and wget, HAProxy runs as master and
# worker in the foreground, SIGUSR1 is the soft stop.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
root=$1/root
program=$(PATH=$PATH:/usr/sbin command -v haproxy)
version=$("$program" -v | sed -n 's/^HAProxy version \([0-9.]*\).*/\1/p')
name=haproxy:$version-debian

mkdir -p "$1"
new_root "$root"
add_busybox "$root"
add_program "$root" "$program" /usr/sbin/haproxy
printf 'haproxy:x:99:99:haproxy:/var/lib/haproxy:/sbin/nologin\n' >>"$root/etc/passwd"
printf 'haproxy:x:99:\n' >>"$root/etc/group"
mkdir -p "$root"/{usr/local/sbin,usr/local/etc/haproxy}
ln -s ../../sbin/haproxy "$root/usr/local/sbin/haproxy"
tar -C "$root" --numeric-owner --owner=0 --group=0 -cf "$1/root.tar" .
mkdir "$1/home"
cat >"$1/Dockerfile" <<-'D'
	FROM scratch
	ADD root.tar /
	COPY --chown=99:99 home /var/lib/haproxy
	ENV PATH=/usr/local/sbin:/usr/sbin:/bin
	USER 99:99
	WORKDIR /var/lib/haproxy
	STOPSIGNAL SIGUSR1
	ENTRYPOINT ["haproxy", "-W", "-db"]
	CMD ["-f", "/usr/local/etc/haproxy/haproxy.cfg"]
D
rm -rf "$root"
build_image "$1" "$name"
echo "$name"
