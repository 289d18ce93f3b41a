#!/bin/bash
# The command lines as a user meets them: exit codes, messages and their places, damaged files, full disks, kills.
# Last line: N passed, N failed.
. "$(dirname -- "$0")/../lib.sh"
here=$PWD
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

# Runs a command; its exit code has to be CODE and its stderr to hold TEXT (none: to be empty).
wants() { # CODE TEXT COMMAND...
	local code=$1 text=$2 got
	shift 2
	"$@" >out 2>err </dev/null
	got=$?
	[ $got -eq "$code" ]
	verdict $? "$*: exit $got, not $code: $(head -c 300 err)"
	if [ -n "$text" ]; then grep -qF -- "$text" err; else [ ! -s err ]; fi
	verdict $? "$*: says '$(head -c 300 err)', not '$text'"
}

# A small model with every kind of cell that can be bad, and its log.
cat >small.mtl <<'END'
model small
const units = 4
features user per request { user : id(hash: 20)  price : real(missing: 0)  age : real(normalize: log1p)  tags : ids(hash: 10) }
embed 2
rows { weight: weight }
event click label clk
event buy of click label pay
tower ctr = user -> dense(units, act: relu) -> dense(1)
tower cvr = user -> dense(1)
P(click)       = sigmoid(ctr)
P(buy | click) = sigmoid(cvr)
loss ctr:   bce(P(click))
loss ctcvr: bce(P(buy))
output pctr = P(click), pcvr = P(buy | click)
train { batch: 32  epochs: 2 }
END
awk 'BEGIN { print "user,price,age,tags,weight,clk,pay"
	for (i = 1; i <= 400; i++) print "u" i % 23 "," i % 7 / 2 "," 20 + i % 40 ",t" i % 5 "|t" i % 3 "," 1 + i % 2 "," (i % 3 == 0) "," (i % 9 == 0) }' >log.csv
"$MTLC" build small.mtl -o prog 2>err && ./prog train --data log.csv --out model -q && "$MTLC" build small.mtl --model model -o scorer && ./scorer log.csv -o scores
verdict $? "small.mtl: no program, model or scorer: $(cat err)"
[ $failed -eq 0 ] || finish

# ---- usage: 2, and the nearest name ----
wants 2 "no command 'bild': did you mean 'build'?" "$MTLC" bild small.mtl
wants 2 "did you mean '--output'?" "$MTLC" build small.mtl --outptu x
wants 2 "mtlc: error: build needs -o" "$MTLC" build small.mtl
wants 0 "" "$MTLC" build small.mtl --dump=serve
grep -q sigmoid out
verdict $? "build --dump=serve without -o prints no graph"
wants 2 "-O is 0 to 3, not 9" "$MTLC" build small.mtl -O9 -o x
wants 2 "small.mtl" "$MTLC" check small.mtl small.mtl
wants 2 "F.mtl" "$MTLC" check
wants 2 "--backend is one of llvm|c" "$MTLC" build small.mtl -o x --backend=cc
wants 2 "--dump: there is no stage 'lops'" "$MTLC" check small.mtl --dump=lops
wants 2 "--cpu: there is no 'v7'" "$MTLC" build small.mtl -o x --cpu=v7
wants 2 "NAME=VALUE" "$MTLC" build small.mtl -o x -D units
wants 2 "funnel, esm2 and mmoe" "$MTLC" data gen funel -o x
wants 2 "--rows needs a whole number, not 'many'" "$MTLC" data gen funnel --rows many -o x
wants 2 "no command 'trian': did you mean 'train'?" ./prog trian
wants 2 "no option '--dat' of train: did you mean '--data'?" ./prog train --dat log.csv --out x
wants 2 "train needs --out" ./prog train --data log.csv
wants 2 "--lr needs a number above 0, not 'fast'" ./prog train --data log.csv --out x --lr fast
wants 2 "--format is one of csv|tsv|jsonl" ./prog score log.csv --model model --format xml
wants 2 "did you mean '--format'?" ./scorer log.csv --fromat csv
wants 2 "MTL_VARIANT=v9: this program holds" env MTL_VARIANT=v9 ./prog score log.csv --model model
wants 2 "--epochs 1" ./prog train --data - --out x
wants 2 "--early-stop needs --valid" ./prog train --data log.csv --out x --early-stop buy.auc
# What is written is not what is read, under whatever name; a model file may take the place of that it goes on from.
cp log.csv read.csv
cp model read.model
cp small.mtl read.mtl
ln -s read.csv link.csv
wants 2 "--out link.csv would replace what is read" ./prog train --data log.csv,read.csv --out link.csv
wants 2 "--out read.csv would" ./prog train --data log.csv --valid read.csv --out read.csv
wants 2 "--log read.csv would" ./prog train --data read.csv --out x --log read.csv
wants 2 "--rejects read.csv would" ./prog eval --data read.csv --model model --bad-rows skip --rejects read.csv
wants 2 "--rows read.csv would" ./prog eval --data read.csv --model model --rows read.csv
wants 2 "--rows read.model would" ./prog eval --data log.csv --model read.model --rows read.model
wants 2 "--log read.model would" ./prog train --data log.csv --out x --init read.model --log read.model
wants 2 "--out read.model would" ./prog grad --data log.csv --model read.model --out read.model
wants 2 "--output read.csv would" ./prog score read.csv --model model -o read.csv
wants 2 "--output read.csv would" ./scorer read.csv -o read.csv
wants 2 "-o ./read.mtl would replace what is read" "$MTLC" build read.mtl -o ./read.mtl
wants 2 "-o read.model would" "$MTLC" build read.mtl --model read.model -o read.model
same read.csv log.csv "a log was replaced"
same read.model model "a model was replaced"
same read.mtl small.mtl "a text was replaced"
wants 0 "" ./prog train -q --data log.csv --epochs 3 --resume read.model --out read.model
# A conditional one by the name of the table and by that of the model; groups only where there are groups.
for metric in 'buy|click.logloss:1' 'P(buy | click).logloss:1' 'P(click).auc'; do
	wants 0 "" ./prog train -q --data log.csv --valid log.csv --out stopped --epochs 1 --early-stop "$metric"
done
wants 2 "model's probabilities are click, buy|click, buy" ./prog train -q --data log.csv --valid log.csv --out stopped --early-stop 'P(buy|clik).auc'
wants 2 "gauc is within groups" ./prog train -q --data log.csv --valid log.csv --out stopped --early-stop buy.gauc
sed 's/weight: weight/group: user/; s/epochs: 2/stop: early("P(buy | click).gauc", 1)  epochs: 2/; s/missing: 0/missing: units/' small.mtl >grouped.mtl
wants 0 "" "$MTLC" build --cpu=native grouped.mtl -o grouped
./grouped train --data log.csv --valid log.csv --out stopped 2>&1 | grep -q 'buy|click.gauc\|best'
verdict $? "early stop by gauc is not said"
# From the cache, a program has the model's name.
wants 2 "small: error: no option '--dat' of train" "$MTLC" train small.mtl --dat x
# What cannot be read is the system's fault, whichever command it is.
for c in check fmt gradcheck bench graph "data check --data log.csv"; do wants 6 "cannot read nothere.mtl" "$MTLC" $c nothere.mtl; done

# ---- the model's text: 3, by file:line:column ----
sed 's/dense(units, act: relu)/dens(units, act: relu)/' small.mtl >bad.mtl
wants 3 "bad.mtl:8:21: error[" "$MTLC" build bad.mtl -o x
grep -q "did you mean .*dense" err
verdict $? "bad.mtl: no suggestion: $(cat err)"
sed 's/^event buy/evnt buy/; s/cvr = user/cvr = usr/' small.mtl >two.mtl
wants 3 "two.mtl:7:" "$MTLC" check two.mtl
wants 3 "M0306" "$MTLC" build small.mtl -o x -D unit=8
[ ! -e x ]
verdict $? "a model that is refused leaves a file"
wants 0 "" "$MTLC" build small.mtl -o wide -D units=8
./wide info | grep -q 'tower.ctr.0.weight.*, 8\]'
verdict $? "-D units=8 does nothing"
# What to write instead, in the author's names.
mend() { # FROM TO HELP
	sed "s/$1/$2/" small.mtl >slip.mtl
	wants 3 "help: $3" "$MTLC" check slip.mtl
}
mend 'event buy of click' 'event buy' 'P(buy | !click) = sigmoid(...); or, where it happens only after click: event buy of click'
mend 'act: relu' 'activation: relu' '... -> dense(units, act: ..., bias: ...)'
mend 'units, act: relu' 'units, relu, act: relu' '... -> dense(units, act: ..., bias: ...)'
mend 'ctr = user ->' 'ctr = user >' 'a value is sent into a layer by `->`: `user -> dense(units, act: relu) -> ...`'
mend 'bce(P(buy))' 'bce(buy)' 'bce(P(buy))'
mend 'bce(P(buy))' 'mse(P(buy))' 'what happens or does not is learnt by bce(P(e))'
# JSON for editors: one array, whatever is in it.
"$MTLC" check bad.mtl --json >out 2>err
verdict $(($? != 3)) "check --json of a bad model: not exit 3"
"$MTLC" check small.mtl --json >empty 2>>err
verdict $? "check --json of a good model: exit not 0"
"$MTLC" check "$here/examples/cvr/cvr.mtl" --json >warning 2>>err
[ ! -s err ]
verdict $? "check --json says something beside it: $(cat err)"
if ! printf '#include <jansson.h>\n#include <stdio.h>\nint main(int c, char **v) { json_error_t e; for (int i = 1; i < c; i++) { json_t *j = json_load_file(v[i], JSON_REJECT_DUPLICATES, &e); if (!json_is_array(j)) return printf("%%s:%%d: %%s\\n", v[i], e.line, e.text), 1; json_decref(j); } return 0; }\n' >json.c ||
	! ${CC:-cc} json.c -ljansson -o json; then
	verdict 1 "the JSON reader is not built"
fi
./json out empty warning
verdict $? "check --json: no array"
grep -q '"line": *8' out && grep -q '"column": *21' out && grep -q '"file": *"bad.mtl"' out
verdict $? "check --json: no place: $(cat out)"

# ---- the data: 4, by file:line:cell ----
cell() { awk -F, -v OFS=, -v line="$2" -v col="$3" -v value="$4" 'NR == line { $col = value } { print }' log.csv >"$1"; }
sed '1s/price/prize/' log.csv >column.csv
awk -F, -v OFS=, 'NR > 1 { $6 = $7 = "" } { print }' log.csv >unlabelled.csv
wants 4 'no row has a label that a loss could learn from (400 rows)' ./prog train --data unlabelled.csv --out x -q
wants 4 'no column "price" (feature); did you mean "prize"?' ./prog train --data column.csv --out x -q
wants 4 'no column "price"' ./scorer column.csv
cell number.csv 7 2 '12;50'
wants 4 'number.csv:7:2: error[D0107]: column "price" is not a number: "12;50"' ./prog train --data number.csv --out x -q
wants 4 'number.csv:7:2: error[D0107]' ./prog eval --data number.csv --model model
wants 4 'number.csv:7:2: error[D0107]' ./scorer number.csv
cell nan.csv 9 2 nan
wants 4 'nan.csv:9:2: error[D0107]' ./prog train --data nan.csv --out x -q
cell empty.csv 4 3 ''
wants 4 'empty.csv:4:3: error[D0108]' ./prog train --data empty.csv --out x -q
cell log1p.csv 4 3 -1
wants 4 'log1p.csv:4:3: error[D0111]' ./prog train --data log1p.csv --out x -q
cell label.csv 11 6 2
wants 4 'label.csv:11:6: error[D0112]: column "clk" is a label and must be 0, 1 or empty: "2"' ./prog train --data label.csv --out x -q
./scorer label.csv >out 2>err
verdict $? "a scorer reads labels: $(cat err)"
cell weight.csv 12 5 -1
wants 4 'weight.csv:12:5: error[D0113]' ./prog train --data weight.csv --out x -q
sed '13s/$/,more/' log.csv >shape.csv
wants 4 'shape.csv:13:' ./prog train --data shape.csv --out x -q
awk -F, -v OFS=, 'NR == 5 { $6 = 0; $7 = 1 } { print }' log.csv >against.csv
wants 4 'against.csv:5:7: error[D0114]: event "buy" is 1 but "click", which it needs, is 0' ./prog train --data against.csv --out x -q
# Lines are counted with those inside quotes.
awk 'NR == 3 { print "\"two\nlines\"" substr($0, index($0, ",")); next } { print }' number.csv >quoted.csv
wants 4 'quoted.csv:8:2: error[D0107]' ./prog train --data quoted.csv --out x -q
gzip -c number.csv >number.csv.gz
wants 4 'number.csv.gz:7:2: error[D0107]' ./prog train --data number.csv.gz --out x -q
for _ in 1 2 3; do cat log.csv; done | gzip >long.csv.gz
head -c $(($(stat -c %s long.csv.gz) / 2)) long.csv.gz >cut.csv.gz
wants 4 'cut.csv.gz: error[D0006]: the compressed data end too early' ./prog train --data cut.csv.gz --out x -q
wants 4 'cut.csv.gz: error[D0006]' ./scorer cut.csv.gz -o x
[ ! -e x ]
verdict $? "scores of half a log are left behind"
: >nothing.csv
wants 4 'nothing.csv' ./prog train --data nothing.csv --out x -q
head -1 log.csv >header.csv
wants 4 'no row' ./prog train --data header.csv --out x -q

# What the model says of rows against the tree.
for policy in drop zero force; do
	sed "s/^rows { weight: weight }/rows { weight: weight  on_contradiction: $policy }/" small.mtl >policy.mtl
	"$MTLC" build --cpu=native policy.mtl -o policy 2>err
	./policy eval --data against.csv --model model --json >$policy.json 2>err
	verdict $? "on_contradiction: $policy: $(cat err)"
done
rows() { grep -o "\"$1\":{\"rows\":[0-9]*" "$2.json" | grep -o '[0-9]*$'; }
label() { sed "s/.*\"$1\":{[^}]*\"mean_label\":\([^,}]*\).*/\1/" "$2.json"; }
[ "$(rows click drop)" = 399 ] && [ "$(rows click zero)" = 400 ] && [ "$(rows click force)" = 400 ]
verdict $? "on_contradiction: rows: $(rows click drop) $(rows click zero) $(rows click force)"
[ "$(rows 'buy|click' force)" -eq $(($(rows 'buy|click' zero) + 1)) ]
verdict $? "on_contradiction: force does not make the ancestor true"
awk -v z="$(label buy zero)" -v f="$(label buy force)" 'BEGIN { exit !(f > z) }'
verdict $? "on_contradiction: zero believes the child: $(label buy zero) $(label buy force)"

# Codes of data and files whose example can be acted out.
printf 'u1,1,20,t\0x,1,0,0\n' | cat log.csv - >nul.csv
wants 4 'nul.csv:402' ./prog train --data nul.csv --out x -q
grep -q 'D0103' err
verdict $? "a NUL byte is not D0103: $(cat err)"
sed 's/id(hash: 20)/id(vocab: auto(100))/' small.mtl >auto.mtl
"$MTLC" build --cpu=native auto.mtl -o auto 2>err
wants 2 D0008 ./auto train --data - --epochs 1 --shuffle 0 --out x -q
wants 6 'F0002' ./prog train --data log.csv --out no/folder/x -q
sed 's/const units = 4/const units = 5/' small.mtl >wider.mtl
"$MTLC" build --cpu=native wider.mtl -o wider 2>err
wants 5 'F0205' ./wider eval --data log.csv --model model
./prog init --out fresh 2>err
wants 5 'F0209' ./prog train --data log.csv --resume fresh --out x -q
sed 's/batch: 32/batch: 32  optimizer: sgd(lr: 0.1)/' small.mtl >other.mtl
"$MTLC" build --cpu=native other.mtl -o other_optimizer 2>err
./other_optimizer train --data log.csv --out bare -q # sgd keeps no moments, adam needs them
wants 5 'error[F0208]: its dense parameters were trained by sgd' ./prog train --data log.csv --resume bare --epochs 3 --out x -q
./prog train --data log.csv --out full -q # the other way round nothing is missing, and nothing is meant
wants 5 'error[F0208]: its dense parameters were trained by adam' ./other_optimizer train --data log.csv --resume full --epochs 3 --out x -q

wants 2 '--rejects goes with --bad-rows skip' ./prog eval --data log.csv --model model --rejects r
# Passing over bad rows.
awk -F, -v OFS=, 'NR == 5 { $2 = "x" } NR == 8 { $6 = 3 } NR == 11 { $6 = 0; $7 = 1 } { print }' log.csv >three.csv
sed '5d; 8d; 11d' three.csv >without.csv
sed -n '1p; 5p; 8p; 11p' three.csv >rejects.expected
wants 0 'rows: 400 read, 397 used, 3 rejected (1 bad number, 1 bad label, 1 contradiction)' ./prog train --data three.csv --out skipped --bad-rows skip --rejects rejects
same rejects rejects.expected "--rejects: not the rows as they stood"
./prog train --data without.csv --out other -q && same skipped other "--bad-rows skip: not as if the rows were not there"
wants 4 'three.csv:11:7: error[D0120]: more than 2 bad rows' ./prog train --data three.csv --out x --bad-rows skip --max-bad-rows 2 -q
wants 0 '' ./prog train --data three.csv --out x --bad-rows skip --max-bad-rows 3 -q
wants 2 '--rejects goes with --bad-rows skip' ./prog train --data three.csv --out x --rejects r
./scorer three.csv --on-bad-row null >nulls 2>err
verdict $? "--on-bad-row null: $(cat err)"
awk -F, 'NR == 5 { $0 = "," } { print }' scores >nulls.expected
same nulls nulls.expected "--on-bad-row null: other rows have other scores"
./scorer log.csv --passthrough tags,user | cut -d, -f1,2 >passed
awk -F, '{ print $4 "," $1 }' log.csv >passed.expected
same passed passed.expected "--passthrough: not the cells of the log"
wants 4 'no column "usr"' ./scorer log.csv --passthrough usr

# Several files, and stdin.
{ head -1 log.csv; sed -n '2,150p' log.csv; } >part1.csv
{ echo "pay,clk,weight,tags,age,price,user"; sed -n '151,$p' log.csv | awk -F, -v OFS=, '{ print $7, $6, $5, $4, $3, $2, $1 }'; } >part2.csv
./prog train --data log.csv --out one --epochs 1 -q
./prog train --data part1.csv,part2.csv --out two --epochs 1 -q
same one two "two files are not as one"
./prog train --data - --out two --epochs 1 -q <log.csv
same one two "stdin is not as a file"
gzip -c log.csv | ./prog train --data - --out two --epochs 1 -q
same one two "compressed stdin is not as a file"
wants 4 'part2.csv:3:2: error[D0112]' sh -c 'sed "3s/,[01],/,7,/" part2.csv >bad2.csv; cp bad2.csv part2.csv; ./prog train --data part1.csv,part2.csv --out x -q'

# ---- model files: 5 ----
wants 5 'log.csv: error[F0003]: not a model file' ./prog score log.csv --model log.csv
"$MTLC" build --cpu=native "$here/examples/cvr/cvr.mtl" -o cvr 2>err && ./cvr init --out foreign
wants 5 'foreign: error[F0205]: it belongs to another structure (model cvr' ./prog score log.csv --model foreign
rm -f x
wants 5 'it belongs to another structure (model cvr' "$MTLC" build small.mtl --model foreign -o x
[ ! -e x ]
verdict $? "a refused model leaves a scorer"
./prog train --data log.csv --out tiny -q --no-state
size=$(stat -c %s tiny)
cat >damage.c <<'END'
/* damage FILE BIT OUT: FILE with one bit turned;  damage FILE -N OUT: its first N bytes */
#include <stdio.h>
#include <stdlib.h>
int main(int c, char **v)
{
	static char b[1 << 20];
	FILE *f = fopen(v[1], "rb"), *g;
	size_t n = f ? fread(b, 1, sizeof b, f) : 0;
	long k = c == 4 ? atol(v[2]) : 0;
	if (!n || (size_t)(k < 0 ? -k : k / 8) > n || !(g = fopen(v[3], "wb"))) return 1;
	if (k < 0) n = (size_t)-k;
	else b[k / 8] ^= (char)(1 << k % 8);
	return fwrite(b, 1, n, g) != n || fclose(g);
}
END
${CC:-cc} -O1 damage.c -o damage
tried=0 taken=0
step=97
[ -z "${MTL_QUICK:-}" ] || step=997
for ((bit = 0; bit < size * 8; bit += step)); do
	./damage tiny $bit damaged || verdict 1 "no bit $bit"
	./prog info --model damaged >out 2>err
	[ $? -eq 5 ] && [ -s err ] || { taken=$((taken + 1)); echo "bit $bit: $(head -c 200 err)"; }
	tried=$((tried + 1))
done
for ((n = 1; n < size; n += step)); do
	./damage tiny -$n damaged
	./prog info --model damaged >out 2>err
	[ $? -eq 5 ] && [ -s err ] || { taken=$((taken + 1)); echo "first $n bytes: $(head -c 200 err)"; }
	tried=$((tried + 1))
done
verdict $((taken > 0)) "$taken of $tried damaged model files were taken"
[ $tried -gt 10 ] && ./prog info --model tiny >out
verdict $? "the sound file is refused, or hardly any damage was tried"
./damage tiny $((size * 8 - 3)) damaged
for c in "./prog score log.csv --model damaged" "./prog eval --data log.csv --model damaged" "./prog grad --data log.csv --model damaged --out x" "./prog train --data log.csv --init damaged --out x" "./prog train --data log.csv --resume damaged --out x" "$MTLC build small.mtl --model damaged -o x"; do
	# shellcheck disable=SC2086
	wants 5 damaged $c
done

# ---- the system: 6 ----
wants 6 'none.mtl: No such file' "$MTLC" check none.mtl
wants 6 'none.csv' ./prog train --data none.csv --out x
wants 6 'none/x' ./prog train --data log.csv --out none/x -q
wants 6 'cannot write none/x' "$MTLC" build small.mtl -o none/x
wants 6 'it is a folder' "$MTLC" check .
mkfifo pipe
wants 6 'it is no plain file' "$MTLC" build small.mtl -o pipe
[ -p pipe ]
verdict $? "build replaces what is no plain file"
if [ -c /dev/full ]; then
	./prog score log.csv --model model >/dev/full 2>err
	verdict $(($? != 6)) "scores into a full disk: $(cat err)"
	./prog eval --data log.csv --model model >/dev/full 2>err
	verdict $(($? != 6)) "metrics into a full disk: $(cat err)"
	"$MTLC" check -v small.mtl >/dev/full 2>err
	verdict $(($? != 6)) "check -v into a full disk: $(cat err)"
	"$MTLC" data gen funnel --rows 100 -o - >/dev/full 2>err
	verdict $(($? != 6)) "data gen into a full disk: $(cat err)"
	"$MTLC" fmt small.mtl >/dev/full 2>err
	verdict $(($? != 6)) "fmt into a full disk: $(cat err)"
	./prog --help >/dev/full 2>err
	verdict $(($? != 6)) "help into a full disk: $(cat err)"
fi
mkdir disk
if mount -t tmpfs -o size=64k tmpfs disk 2>err; then
	mounted=$tmp/disk
	head -c 40000 /dev/zero >disk/filler
	cp tiny disk/model 2>err && cp tiny before
	head -c 30000 /dev/zero >>disk/filler 2>err
	wants 6 'No space left' ./prog train --data log.csv --out disk/model -q
	same disk/model before "a full disk: the old model is gone"
	wants 6 'No space left' ./prog score log.csv --model model -o disk/scores
	wants 6 'No space left' "$MTLC" data gen funnel --rows 5000 -o disk/log
	wants 6 'No space left' "$MTLC" build small.mtl -o disk/prog
	[ "$(find disk -type f | sort | tr '\n' ' ')" = "disk/filler disk/model " ]
	verdict $? "a full disk: something is left behind: $(ls disk)"
	umount disk && mounted=
else
	echo "skipped: a full disk (cannot mount)"
fi

# ---- numbers: 7, and limits: 8 ----
rm -f x
wants 7 'epoch 1, batch' ./prog train --data log.csv --out x --lr 1e38 -q
[ ! -e x ]
verdict $? "a training that ran away leaves a model"

# ---- pipes that close, interrupts, kills ----
for c in "./prog score log.csv --model model" "./scorer log.csv" "./prog info" "./prog --help" "$MTLC data gen funnel --rows 50000 -o -" "$MTLC check -v small.mtl" "$MTLC check $here/examples/zhihu/zhihu.mtl --dump=loops" "$MTLC --help"; do
	# shellcheck disable=SC2086
	$c 2>err | head -1 >out
	code=${PIPESTATUS[0]}
	[ "$code" -eq 0 ] && [ ! -s err ] && [ -s out ]
	verdict $? "$c | head -1: exit $code, $(head -c 200 err)"
done

awk 'NR == 1 { print; next } { row[NR] = $0 } END { for (k = 0; k < 250; k++) for (i = 2; i <= NR; i++) print row[i] }' log.csv >large.csv
./prog train --data large.csv --epochs 3 --out whole -q
for signal in INT TERM; do
	rm -f stopped
	./prog train --data large.csv --epochs 3 --out stopped 2>err &
	pid=$!
	sleep 0.12
	kill -$signal $pid
	wait $pid
	code=$?
	[ $code -eq 130 ] && grep -q 'interrupted; go on with --resume stopped' err
	verdict $? "SIG$signal: exit $code: $(tail -1 err)"
	met=$(./prog info --model stopped | sed -n 's/^training: //p' | jq .rows) # of the epoch it was stopped in
	rm -f resumed.jsonl # a log is added to
	./prog train --data large.csv --epochs 3 --resume stopped --out stopped --log resumed.jsonl 2>err
	[ "$(jq 'select(.kind == "epoch").loss_rows' resumed.jsonl | head -1)" = $((100000 - met)) ] &&
		! jq 'select(.kind == "epoch").loss_rows' resumed.jsonl | tail -n +2 | grep -qvx 100000
	verdict $? "SIG$signal, then --resume: $met rows were met before, and the losses are of $(jq 'select(.kind == "epoch").loss_rows' resumed.jsonl | tr '\n' ' ')"
	[ "$met" -eq 0 ] || { grep '^epoch' err | head -1 | grep -qF "(losses of the $((100000 - met)) rows since it was resumed)" && [ "$(grep -c 'since it was resumed' err)" -eq 1 ]; }
	verdict $? "SIG$signal, then --resume: the terminal does not say of which rows its first losses are: $(head -1 err)"
	same whole stopped "SIG$signal, then --resume: not as if never stopped"
done

# Killed at any moment: the file is whole, or was never there.  An epoch is a save.
kills=200
[ -z "${MTL_QUICK:-}" ] || kills=20
bad=0 there=0 RANDOM=7
rm -f killed
for ((k = 0; k < kills; k++)); do
	[ $((k % 10)) -gt 0 ] || rm -f killed
	./prog train --data log.csv --epochs 100000 --out killed -q &
	pid=$!
	sleep "0.0$(printf %03d $((RANDOM % 600)))"
	kill -KILL $pid
	wait $pid 2>err
	if [ -e killed ]; then
		there=$((there + 1))
		./prog info --model killed >out 2>err || { bad=$((bad + 1)); cat err; }
	fi
done 2>"$tmp/killed.said"
verdict $((bad > 0)) "$bad of $kills kills leave a broken model"
[ $there -gt $((kills / 4)) ]
verdict $? "only $there of $kills kills came after a save: the test shows nothing"
./prog train --data log.csv --epochs 1000000 --resume killed --out killed -q 2>err &
pid=$!
sleep 0.3
kill -INT $pid
wait $pid
code=$?
[ $code -eq 130 ]
verdict $? "a killed training cannot be resumed: exit $code, $(cat err)"

# ---- formatting ----
for f in "$here"/examples/*/*.mtl "$here/grammar/prelude.mtl"; do
	"$MTLC" fmt --check "$f" >out 2>err
	verdict $? "$f is not in the standard layout (mtlc fmt -w)"
done
printf 'model   m\nevent click  # what\nfeatures u per request {a:id(hash:10)}\nembed 4\ntower h=u->dense(1)\nP(click)=sigmoid(h)\nloss click:bce(P(click))\n' >ugly.mtl
wants 1 "" "$MTLC" fmt --check ugly.mtl
cp ugly.mtl tidy.mtl
wants 0 "" "$MTLC" fmt -w tidy.mtl
wants 0 "" "$MTLC" fmt --check tidy.mtl
! cmp -s ugly.mtl tidy.mtl && grep -q '# what' tidy.mtl
verdict $? "fmt -w: nothing happened, or a comment is gone"
"$MTLC" fmt ugly.mtl >printed
same printed tidy.mtl "fmt prints something else than it writes"
"$MTLC" build --cpu=native ugly.mtl -o ugly 2>err && "$MTLC" build --cpu=native tidy.mtl -o tidy 2>err && [ "$(./ugly info | head -1)" = "$(./tidy info | head -1)" ]
verdict $? "fmt changes the model"
wants 3 "broken.mtl:1:" sh -c "echo 'model {' >broken.mtl; '$MTLC' fmt -w broken.mtl"
[ "$(cat broken.mtl)" = "model {" ]
verdict $? "fmt -w touches what it cannot read"

# ---- help names every option, and no more ----
for program in ./prog ./scorer; do
	$program --dump-options >options
	for c in $(awk -F'\t' '$1 == "command" && $2 != "" { print $2 }' options); do
		# shellcheck disable=SC2086
		$program $c --help >help
		verdict $? "$program $c --help: exit not 0"
		awk -F'\t' -v c="$c" '$1 == "option" && ("," $2 ",") ~ ("," c ",") { print "--" $3 }' options | sort >named
		grep -oE '^  (-., |    )--[a-z-]+' help | grep -oE -- '--[a-z-]+' | sort >helped
		same named helped "$program $c --help does not name just its options"
	done
done
for c in check build bench gradcheck fmt; do
	"$MTLC" $c --help >help && grep -q "usage: mtlc $c" help
	verdict $? "mtlc $c --help"
	for o in $(grep -oE '^  (-., |    )--[a-z-]+' help | grep -oE -- '--[a-z-]+'); do
		"$MTLC" $c "$o" </dev/null >out 2>err
		! grep -q "no option" err
		verdict $? "mtlc $c has no $o, which its help names"
	done
done

"$MTLC" data --help >help && [ "$(grep -c '^  data ' help)" -eq 4 ]
verdict $? "mtlc data --help"
"$MTLC" explain --help >help && ! grep -q options: help
verdict $? "mtlc explain --help: a list of options without one"
"$MTLC" train --help | grep -q -e --double
verdict $? "mtlc train --help hides --double"

# ---- build and run at once ----
wants 0 "" "$MTLC" train small.mtl --double --data log.csv --out doubled -q
wants 5 "its dtype is F64; only F32 is read" "$MTLC" eval small.mtl --data log.csv --model doubled
wants 2 "no option '--gemm'" "$MTLC" train small.mtl --gemm mkl --data log.csv --out x
wants 0 "rows: 400 read" "$MTLC" train small.mtl --data log.csv --out cached
same cached model "mtlc train: another model than the program's"
"$MTLC" score small.mtl log.csv --model cached >out 2>err
same out scores "mtlc score: other scores than the program's"
wants 4 'number.csv:7:2' "$MTLC" eval small.mtl --data number.csv --model cached
wants 3 'bad.mtl:8:21' "$MTLC" train bad.mtl --data log.csv --out x

# ---- all that is missing is told at once ----
sed '1s/price/prise/; 1s/tags/marks/' log.csv >renamed.csv
wants 4 'no column "price" (feature); did you mean "prise"?; also missing: "tags"' ./prog train --data renamed.csv --out x -q

# ---- what is written is one file each, be it there or not yet ----
wants 2 '--out new.file: another file of this command has that name' ./prog train --data log.csv --out new.file --log ./new.file
wants 2 'new.file: another file of this command has that name' "$MTLC" train small.mtl --data log.csv --out new.file --report "$PWD/new.file"
[ ! -e new.file ]
verdict $? "a refused command has written its file"

# ---- a run's log: how it steps, and which rows an epoch's losses are of ----
sed 's/^train.*/train { optimizer: adam(lr: 0.01)  tables: adagrad(lr: 0.1)  schedule: cosine(warmup: 3)  clip: 5  batch: 10  epochs: 2 }/' small.mtl >how.mtl
quietly "$MTLC" train how.mtl --data log.csv --out how.model --log how.jsonl -q
head -1 how.jsonl | jq -e '.settings | .optimizer.name == "adam" and .tables == {name: "adagrad", lr: 0.1} and .schedule.name == "cosine" and .schedule.warmup == 3 and .clip == 5 and .balance == "fixed"' >out
verdict $? "the log of a run lacks its settings: $(head -1 how.jsonl | jq -c .settings)"
[ "$(jq -c 'select(.kind == "epoch") | [.rows, .loss_rows]' how.jsonl | tr '\n' ' ')" = "[400,400] [400,400] " ]
verdict $? "the losses of a whole epoch are not of its rows"

finish
