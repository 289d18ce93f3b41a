# shellcheck shell=sh
# What suites share: where the compiler is, a folder that goes with them, verdicts, and the last line.
#
#   . "$(dirname -- "$0")/../lib.sh"      the first command of tests/NAME/run.sh
#   verdict $? "what is wrong otherwise"  counts
#   quietly COMMAND...                    what it says is in $tmp/said, and shown if it fails
#   same FILE FILE "what differs"         a verdict
#   finish                                says `N passed, N failed`, and ends
set -u
cd "$(dirname -- "$0")/../.." || exit 1
: "${MTL_BUILD:=$PWD/build}" "${MTLC:=$MTL_BUILD/mtlc}" "${TMPDIR:=/tmp}" "${CC:=cc}"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
XDG_CACHE_HOME=$tmp/cache
NO_COLOR=1
export MTL_BUILD MTLC XDG_CACHE_HOME NO_COLOR

passed=0 failed=0
verdict() { # 0|1 WHAT
	if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $2"; fi
}
same() { # FILE FILE WHAT
	cmp -s "$1" "$2"
	verdict $? "$3"
}
quietly() {
	"$@" >"$tmp/said" 2>&1 && return
	echo "$*: exit $?" >&2
	tail -20 "$tmp/said" >&2
	return 1
}
finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}
