#!/usr/bin/env bash
# Builds docker compose v2 from its Go module, lets it read docker-compose.yml with every profile, and then runs the
# deployment with it: up -d, a write and a read through HAProxy, down -v. Under a project name and ports of its own; a
# deployment that runs is left alone. The first time takes minutes; the program is kept in bin/.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.40.3
program=$PWD/bin/docker-compose-$version

if [ ! -x "$program" ]; then
	# Not `go install`: its go.mod has exclude directives, which only count in the main module.
	module=$(cd / && go mod download -json "github.com/docker/compose/v2@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	work=$(mktemp -d)
	trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
	cp -r "$module/." "$work/"
	chmod -R u+w "$work"
	mkdir -p bin
	(cd "$work" && go build -trimpath -o "$program" ./cmd)
	rm -rf "$work"
fi
"$program" --profile observe config --quiet
echo "docker compose $version reads docker-compose.yml: $("$program" --profile observe config --services | wc -l) services"

deploy/images/make.sh
export KVORUM_PORT=${KVORUM_PORT:-18080} KVORUM_OPS_PORT=${KVORUM_OPS_PORT:-18404}
project=kvorum-v2-$$
compose() { "$program" -p "$project" "$@"; }
trap 'compose down -v --remove-orphans -t 2 >/dev/null 2>&1' EXIT
url=http://127.0.0.1:$KVORUM_PORT/v1/kv/user:a
curls() { curl -s --fail --retry 60 --retry-delay 1 --retry-all-errors "$@"; } # until there are leaders

ups() { # ups WHAT: up -d, and what it left
	local start=$SECONDS running
	compose up -d
	running=$(compose ps --status running --quiet | wc -l)
	echo "$1: up -d took $((SECONDS - start)) s, $running containers run"
	[ "$running" = 11 ]
}

ups "first time"
curls -X PUT -d Ada "$url" -o /dev/null
[ "$(curls "$url")" = Ada ]
echo "written and read through HAProxy"
ups "again, nothing to do"
compose down
ups "after down"
[ "$(curls "$url")" = Ada ]
echo "still there after down and up"
compose down -v
left=$(docker ps -aq --filter "label=com.docker.compose.project=$project"; docker volume ls -q --filter "label=com.docker.compose.project=$project")
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
echo "docker compose $version runs docker-compose.yml"
