#!/usr/bin/env bash
# golang.sh DIR NAME: makes the image NAME (golang:VERSION) from the local Go toolchain, which must be of that version. It
# holds the toolchain, a busybox for RUN lines and the certificates that `go mod download` needs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
root=$1
name=$2
# `go env` outside of a module: a go.mod could ask for another toolchain
version=$(cd / && go env GOVERSION)
if [ "golang:${version#go}" != "$name" ]; then
	echo "$name is wanted, but the toolchain here is $version: install that version, or the image by a registry" >&2
	exit 1
fi
goroot=$(cd / && go env GOROOT)

new_root "$root"
add_busybox "$root"
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root"/{root,go,usr/local/go}
(cd "$goroot" && tar -cf - bin src pkg/tool pkg/include lib VERSION go.env) | tar -xf - -C "$root/usr/local/go"
settings=(-c 'ENV PATH=/go/bin:/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local' -c 'WORKDIR /go')
for variable in GOPROXY GOSUMDB; do # how modules are had here
	value=$(cd / && go env "$variable")
	[ -z "$value" ] || settings+=(-c "ENV $variable=$value")
done
tar -C "$root" --numeric-owner --owner=0 --group=0 -cf - . | docker import "${settings[@]}" - "$name" >/dev/null
