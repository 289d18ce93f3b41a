# The losses of values.mtl from the rows alone: every pair of every group is looked at, lists by sums of exponentials.
function sp(x) { return x > 0 ? x + log(1 + exp(-x)) : log(1 + exp(x)) }
function mean(i, j) { return (w[i] + w[j]) / 2 }
# pairs NAME PER: y[], k[], score s[] of the n rows at hand
function pairs(name, per,    i, j, l, c, p) {
	l = c = p = 0
	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			if (k[i] && k[j] && y[i] > y[j]) { l += mean(i, j) * sp(sc[j] - sc[i]); c += mean(i, j); p++ }
	if (!p) return
	if (per == "group") { l /= p; c /= p }
	sum[name] += l; den[name] += c
}
function list(name, target,    i, all, tot, q, differ, first) {
	all = tot = differ = 0; first = -1
	for (i = 0; i < n; i++)
		if (k[i]) {
			all += exp(sc[i]); tot += target == "share" ? y[i] : exp(y[i])
			if (first < 0) first = i
			differ += y[i] != y[first]
		}
	if (!differ) return
	for (i = 0; i < n; i++)
		if (k[i]) {
			q = (target == "share" ? y[i] : exp(y[i])) / tot
			sum[name] -= w[i] * q * log(exp(sc[i]) / all); den[name] += w[i] * q
		}
}
function take(what,    i) { for (i = 0; i < n; i++) sc[i] = what == "z" ? z[i] : v[i] }
function end_group(    i) {
	for (i = 0; i < n; i++) { y[i] = click[i] + 0; k[i] = click[i] != "" }
	take("z"); pairs("rank", "group"); pairs("pairs", "pair")
	take("v"); list("one", "share")
	for (i = 0; i < n; i++) { y[i] = buy[i] + 0; k[i] = click[i] == 1 && buy[i] != "" }
	pairs("cond", "pair")
	for (i = 0; i < n; i++) {
		k[i] = (click[i] == "0" || buy[i] != "") && !(click[i] == "" && buy[i] == "") # no click, no purchase
		y[i] = click[i] == "0" ? 0 : buy[i] + 0
		p = 1 / ((1 + exp(-z[i])) * (1 + exp(-v[i]))); sc[i] = log(p / (1 - p))
	}
	pairs("whole", "group")
	for (i = 0; i < n; i++) { y[i] = rel[i] + 0; k[i] = rel[i] != "" }
	take("v"); pairs("mean", "group"); list("list", "softmax"); list("share", "share")
	for (i = 0; i < n; i++) { y[i] = click[i] + 2 * rel[i]; k[i] = rel[i] != "" && click[i] != "" }
	pairs("mixed", "pair")
	for (i = 0; i < n; i++) { y[i] = grade[i] + 0; k[i] = grade[i] != "" }
	take("z"); pairs("grade", "group")
	for (i = 0; i < n; i++) { y[i] = up[i] / 2; k[i] = up[i] != "" }
	list("other", "softmax")
	n = 0
}
BEGIN { FS = "," }
NR == 1 { next }
NR > 2 && ($1 != was || $1 == "") { end_group() }
{ was = $1; w[n] = $2; z[n] = $3; v[n] = $4; click[n] = $6; buy[n] = $7; rel[n] = $8; grade[n] = $9; up[n] = $10; n++ }
END {
	end_group()
	for (name in sum) printf "%s %.12g\n", name, sum[name] / den[name]
}
