#!/bin/sh
# The commands around a model: explain, new, and what else mtlc does besides compiling.  Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"

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

finish
