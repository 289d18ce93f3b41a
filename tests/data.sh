#!/bin/sh
# Public data as CSV, prepared once: DIR/census and DIR/kuairand, each with train.csv, valid.csv, test.csv.
#
#   MTL_DATA=FOLDER tests/data.sh DIR
#
# FOLDER holds prepare_census.py and prepare_kuairand.py and their inputs.  Without it, prints "skipped: no data".
set -eu
out=${1:?usage: MTL_DATA=FOLDER tests/data.sh DIR}

if [ ! -e "${MTL_DATA:-/nonexistent}/prepare_census.py" ]; then
	echo "skipped: no data"
	exit 0
fi

prepare() { # NAME INPUT
	[ -d "$out/$1" ] && return
	echo "preparing $1" >&2
	rm -rf "$out/$1.tmp"
	mkdir -p "$out/$1.tmp"
	python3 "$MTL_DATA/prepare_$1.py" --in "$MTL_DATA/$2" --out "$out/$1.tmp" >&2
	for part in train valid test; do
		[ -s "$out/$1.tmp/$part.csv" ] || { echo "$0: no $1/$part.csv came out" >&2; exit 1; }
	done
	mv "$out/$1.tmp" "$out/$1" # whole or not at all
}

prepare census census-income
prepare kuairand kuairand-pure
