#!/bin/sh
# Every test: installs what they take, builds, runs them all.  The last line is `N passed, N failed`.
#
#   tests/run.sh             everything
#   tests/run.sh --quick     the inner loop: no installation, no sanitizers, only what takes seconds
#   tests/run.sh -R fold     only unit tests and suites with `fold` in their names, quick as well
#
# What runs: ctest (the unit tests), tests/floors.sh, then tests/*/run.sh.  Such a suite finds its world in the
# environment and counts for itself: its last line is `N passed, N failed` too.
#
#   MTL_BUILD   build folder (default build/)     MTLC       the compiler in it
#   MTL_CSV     public data as CSV, if there are any (made from MTL_DATA by tests/data.sh)
#   MTL_QUICK   1: be done in seconds             TMPDIR     a folder of this run, removed at its end
set -u
cd "$(dirname -- "$0")/.." || exit 1

quick="" only="" sanitize=1
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 ;;
	--no-sanitize) sanitize= ;;
	-R) only=${2:?-R needs a pattern}; quick=1; shift ;;
	*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
[ -z "$quick" ] || sanitize=

MTL_BUILD=${MTL_BUILD:-$PWD/build}
case $MTL_BUILD in /*) ;; *) MTL_BUILD=$PWD/$MTL_BUILD ;; esac
MTLC=$MTL_BUILD/mtlc
MTL_QUICK=$quick
TMPDIR=$(mktemp -d) || exit 1
XDG_CACHE_HOME=$TMPDIR/cache
export MTL_BUILD MTLC MTL_QUICK TMPDIR XDG_CACHE_HOME
[ -z "${MTL_DATA:-}" ] || { MTL_DATA=$(cd "$MTL_DATA" && pwd) && export MTL_DATA; } || exit 1
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM
jobs=$(nproc)

passed=0 failed=0 broken=""
count() { # NAME PASSED FAILED
	passed=$((passed + $2))
	failed=$((failed + $3))
	[ "$3" -eq 0 ] || broken="$broken $1"
	printf '%-24s %6d passed %4d failed\n' "$1" "$2" "$3"
}
finish() {
	[ -z "$broken" ] || echo "failed:$broken"
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}
# A build that fails is one failed test, and the end.
build() { # FOLDER CMAKE-ARGUMENT...
	folder=$1
	shift
	if ! { cmake -S . -B "$folder" "$@" && cmake --build "$folder" -j "$jobs"; } >"$TMPDIR/build.log" 2>&1; then
		grep -nE 'error|undefined reference|No rule|CMake Error' "$TMPDIR/build.log" | head -20
		tail -5 "$TMPDIR/build.log"
		return 1
	fi
	# Warnings are mistakes not yet made; they do not fail a newcomer's build, only this one.
	if grep -E 'warning:' "$TMPDIR/build.log" | sort | uniq | head -5 | grep .; then return 1; fi
}
# The tests inside each CUnit program count one by one; a program without a summary (it died) counts as one failure.
ctest_counts() { # LOG
	awk '
	/^[0-9]+: +tests +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+/ { sub(/:/, "", $1); good[$1] += $5; bad[$1] += $6 }
	/^ *[0-9]+\/[0-9]+ Test +#[0-9]+:/ {
		match($0, /#[0-9]+/)
		id = substr($0, RSTART + 1, RLENGTH - 1)
		if ($0 ~ / Passed /) p += id in good ? good[id] : 1
		else { p += good[id]; f += bad[id] > 0 ? bad[id] : 1 }
	}
	END { print p + 0, f + 0 }' "$1"
}
units() { # NAME FOLDER [LEFT-OUT]
	ctest --test-dir "$2" -V -j "$jobs" --timeout 1200 ${only:+-R "$only"} ${3:+-E "$3"} >"$TMPDIR/ctest.log" 2>&1
	# shellcheck disable=SC2046  # two numbers
	count "$1" $(ctest_counts "$TMPDIR/ctest.log")
	# What went wrong, without what went well.
	if grep -q '\*\*\*' "$TMPDIR/ctest.log"; then
		grep -E '\*\*\*|^[0-9]+: +[0-9]+\. |ERROR: |runtime error|Assert|FAILED' "$TMPDIR/ctest.log" | head -60
	fi
}
suite() { # NAME COMMAND...
	name=$1
	shift
	begin=$(date +%s)
	"$@" >"$TMPDIR/suite.log" 2>&1
	code=$?
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$TMPDIR/suite.log" | tail -1)
	p=${line%% *}
	f=${line#*, }
	f=${f%% *}
	# Whoever gives no count, or fails without saying at what, has failed once.
	[ -n "$line" ] || { p=0; f=1; }
	[ "$code" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	count "$name" "$p" "$f"
	grep -E '^skipped' "$TMPDIR/suite.log"
	[ "$f" -eq 0 ] || tail -n 40 "$TMPDIR/suite.log"
	took=$(($(date +%s) - begin))
	[ "$took" -lt 20 ] || echo "  ($took s)"
}

[ -n "$quick" ] || tests/install.sh || { count install 0 1; finish; }
build "$MTL_BUILD" -DCMAKE_BUILD_TYPE=Release || { count build 0 1; finish; }

if [ -z "$quick" ]; then
	if tests/data.sh "$MTL_BUILD/data" && [ -d "$MTL_BUILD/data" ]; then
		MTL_CSV=$MTL_BUILD/data
		export MTL_CSV
	fi
fi
# Of the inner loop: the suites that take seconds, and not these unit tests, which sweep shapes, models or rows.
seconds=" cli docs doors golden run "
sweeps='^test_(ops|kernels|split|numerics|emit|gen)$'
[ -z "$quick" ] || [ -n "$only" ] || long=$sweeps
units unit "$MTL_BUILD" "${long:-}"
[ -n "$only" ] || suite floors sh -c 'tests/floors.sh && tests/floors.sh --self'
for script in tests/*/run.sh; do
	name=$(basename "$(dirname "$script")")
	if [ -n "$only" ]; then
		echo "$name" | grep -qE -e "$only" || continue
	elif [ -n "$quick" ]; then
		case $seconds in *" $name "*) ;; *) continue ;; esac
	fi
	[ -x "$script" ] && suite "$name" "$script"
done
if [ -n "$sanitize" ]; then
	# The same tests where a wrong access cannot pass: address and undefined-behaviour sanitizers.
	if build "$MTL_BUILD/sanitized" -DCMAKE_BUILD_TYPE=Debug -DMTL_SANITIZE=ON; then
		# Without test_ops, which runs every op in the interpreter: unoptimised it takes minutes.
		ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 units "unit, sanitized" "$MTL_BUILD/sanitized" '^test_ops$'
	else
		count "build, sanitized" 0 1
	fi
fi
finish
