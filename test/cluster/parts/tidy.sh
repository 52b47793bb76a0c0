#!/usr/bin/env bash
# Runs "go mod tidy", or the go command that is given, in the module of every part,
# or of the one in $PART. For instance, to have another Kubernetes:
#
#	PART=kubernetes ./tidy.sh get k8s.io/kubernetes@v1.37.3 && ./tidy.sh
#
# (Its replace lines follow by hand: v0.37.3.)
set -euo pipefail
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

[[ $# -gt 0 ]] || set -- mod tidy
for mod in ${PART:-*}/part.mod; do
	part=$(dirname "$mod")
	dir=$scratch/$part
	mkdir "$dir"
	cp "$part/part.mod" "$dir/go.mod"
	cp "$part/part.sum" "$dir/go.sum"
	for source in "$part"/*.go; do
		[[ ! -e $source ]] || sed '/^\/\/go:build ignore$/d' "$source" >"$dir/$(basename "$source")"
	done
	(cd "$dir" && GOWORK=off go "$@")
	cp "$dir/go.mod" "$part/part.mod"
	cp "$dir/go.sum" "$part/part.sum"
done
