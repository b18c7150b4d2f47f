#!/usr/bin/env bash
# Builds docker compose v2 from its Go module and lets it read docker-compose.yml, with every profile. Starts nothing. The
# first time takes minutes; the program is kept in bin/.
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
fi
"$program" --profile observe config --quiet
echo "docker compose $version reads docker-compose.yml: $("$program" --profile observe config --services | wc -l) services"
