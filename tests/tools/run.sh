#!/bin/sh
# The commands around a model: explain, new, and what else mtlc does besides compiling.  Last line: N passed, N failed.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}" "${TMPDIR:=/tmp}"
export MTLC MTL_BUILD
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
XDG_CACHE_HOME=$tmp/cache
NO_COLOR=1
export XDG_CACHE_HOME NO_COLOR

passed=0 failed=0
verdict() { # 0|1 WHAT
	if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $2"; fi
}
# says WHAT CODE COMMAND...: the exit code; stdout and stderr are in out and err
says() {
	what=$1 want=$2
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	got=$?
	[ $got -eq "$want" ] || cat "$tmp/err"
	verdict $((got != want)) "$what: exit $got, not $want"
}
has() { # FILE TEXT
	grep -qF -e "$2" "$tmp/$1"
	verdict $? "$what: '$2' is not in its $1"
}
lacks() {
	! grep -qF -e "$2" "$tmp/$1"
	verdict $? "$what: '$2' is in its $1"
}
for part in tests/tools/*.inc; do
	# shellcheck source=/dev/null
	. "$part"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
