#!/usr/bin/env bash
# prometheus.sh DIR: makes prom/prometheus:vVERSION-debian from Debian's package, which is fetched and unpacked but not
# installed (it would start a service), and prints that name. Folders, user and flags are those of the official image.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
root=$1/root
mkdir -p "$1/package"
fetch() { (cd "$1/package" && apt-get -o APT::Sandbox::User=root download -qq prometheus >&2 && dpkg-deb -x prometheus_*.deb .); }
if ! fetch "$1"; then # the lists may be missing or old
	as_root apt-get update -qq
	fetch "$1"
fi
program=$1/package/usr/bin/prometheus
version=$("$program" --version 2>&1 | sed -n 's/^prometheus, version \([0-9.]*\).*/\1/p')
name=prom/prometheus:v$version-debian

new_root "$root"
add_program "$root" "$program" /bin/prometheus
printf 'nobody:x:65534:65534:nobody:/prometheus:/sbin/nologin\n' >>"$root/etc/passwd"
printf 'nobody:x:65534:\n' >>"$root/etc/group"
tar -C "$root" --numeric-owner --owner=0 --group=0 -cf "$1/root.tar" .
mkdir "$1/data"
cat >"$1/Dockerfile" <<-'D'
	FROM scratch
	ADD root.tar /
	COPY --chown=65534:65534 data /prometheus
	USER 65534:65534
	WORKDIR /prometheus
	EXPOSE 9090
	ENTRYPOINT ["/bin/prometheus"]
	CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
D
rm -rf "$root" "$1/package"
build_image "$1" "$name"
echo "$name"
