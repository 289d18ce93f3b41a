#!/bin/sh
# Installs what a fresh Debian 12 lacks.  Silent and instant where everything is there.
#
#   tests/install.sh build    what building mtlc and its models takes
#   tests/install.sh          the same, and what the tests take
set -eu

build="gcc libc6-dev make cmake pkg-config flex bison llvm-19-dev zlib1g-dev libzstd-dev libxxhash-dev libjansson-dev libmicrohttpd-dev"
# clang is the second compiler for printed C; OpenBLAS and CUnit are for tests and benchmarks; Python prepares public data;
# curl asks servers; xxhash has the digests of files.
tests="clang libopenblas-dev libcunit1-dev zstd python3 curl xxhash"

case "${1-all}" in
build) wanted=$build ;;
all) wanted="$build $tests" ;;
*) echo "usage: $0 [build]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "$0: not a Debian system: nothing installed; what the build finds missing has a counterpart of: $wanted" >&2
	exit 0
fi

# Of several architectures or a removed package, only an installed one counts.
# shellcheck disable=SC2086  # a list of words
present=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p') || true
missing=
for p in $wanted; do
	echo "$present" | grep -qxF -e "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo=sudo
	if ! command -v sudo >/dev/null; then
		echo "$0: neither root nor sudo here; as root: apt-get install$missing" >&2
		exit 1
	fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1; }
echo "installing:$missing" >&2
# The package lists may be old or absent: fetch them only when they do not do.
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $missing && ! { apt update && apt install -y --no-install-recommends $missing; }; then
	tail -n 5 "$log" >&2
	echo "$0: cannot install:$missing" >&2
	exit 1
fi
