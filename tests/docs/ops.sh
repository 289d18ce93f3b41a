#!/bin/sh
# docs/ops.md against the table of ops.  --bless writes it anew.
set -eu
cd "$(dirname -- "$0")/../.."
: "${MTL_BUILD:=$PWD/build}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"${CC:-cc}" -Icompiler -I. tests/docs/ops.c "$MTL_BUILD/libmtlcore.a" -lm -o "$tmp/ops"
"$tmp/ops" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$tmp/ops.md"
if [ "${1-}" = --bless ]; then
	cat "$tmp/ops.md" >docs/ops.md
elif ! diff -u docs/ops.md "$tmp/ops.md"; then
	echo "docs/ops.md is out of date: tests/docs/ops.sh --bless"
	exit 1
fi
