#!/usr/bin/env bash
# Gives the engine the images that Dockerfile and docker-compose.yml name, so that `docker-compose up -d` (any -p) works.
#   make.sh          pulls them; what no registry gives is made from Debian packages and the local toolchain
#   make.sh --local  asks no registry
#   make.sh --again  makes anew what an earlier run has made
# An image made here carries the version that is really in it. Where that is not the version docker-compose.yml names by
# default, .env says so: docker-compose and `docker compose` read that file by themselves.
# Needs docker; to make images also go and, for what is not installed, apt-get (as root or by sudo). Takes about 20 s.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$here/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
local_only=false
again=false
for option; do
	case $option in
	--local) local_only=true ;;
	--again) again=true ;;
	*) echo "usage: make.sh [--local] [--again]" >&2; exit 2 ;;
	esac
done

had() { # had IMAGE: it is there, or could be pulled
	if present "$1"; then return 0; fi
	if $local_only || ! timeout 300 docker pull -q "$1" >"$work/pull.log" 2>&1; then return 1; fi
}

setting() { # setting NAME VALUE: a line of .env; an empty value removes it. Other lines stay.
	touch "$top/.env"
	{ grep -v "^$1=" "$top/.env" || true; [ -z "$2" ] || echo "$1=$2"; } >"$work/env"
	cat "$work/env" >"$top/.env"
}

default_of() { # the image that docker-compose.yml names when VARIABLE is not set
	sed -n "s/.*image: \"\${$1:-\([^}]*\)}\".*/\1/p" "$top/docker-compose.yml" | head -n 1
}

# image VARIABLE MAKER PACKAGE...: the default image if it can be had, else one made here, named in .env. A maker prints the name.
image() {
	local wanted name
	wanted=$(default_of "$1")
	[ -n "$wanted" ] || { echo "docker-compose.yml has no line image: \"\${$1:-...}\"" >&2; return 1; }
	if had "$wanted"; then
		setting "$1" ""
		echo "$wanted: there"
		return
	fi
	name=$(sed -n "s/^$1=//p" "$top/.env" 2>/dev/null || true)
	if [ -n "$name" ] && present "$name" && ! $again; then
		echo "$wanted can't be had here: $name is there"
		return
	fi
	packages "${@:3}"
	name=$("$here/$2" "$work/$2.d")
	setting "$1" "$name"
	echo "$wanted can't be had here: made $name"
}

golang=$(sed -n 's/^FROM \(golang:[^ ]*\) AS build$/\1/p' "$top/Dockerfile")
if had "$golang"; then
	echo "$golang: there"
else
	packages busybox-static ca-certificates
	"$here/golang.sh" "$work/golang" "$golang"
	echo "$golang can't be had here: made it from the toolchain $(go env GOROOT)"
fi
image HAPROXY_IMAGE haproxy.sh busybox-static haproxy
image PROMETHEUS_IMAGE prometheus.sh
