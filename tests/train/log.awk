# A small log for any model: from what its program says of itself (`info --json`) to CSV.
#
#   awk -v rows=1024 -f log.awk info.json
#
# Cells and labels follow a linear congruential generator, exact in doubles.  A label whose name goes on from another's
# (click_long, click) is its child.
function draw(n) {
	state = state * 16807 % 2147483647
	return int(state / 2147483647 * n)
}
# Small numbers come often, as in real logs.
function rank(n) { return int(draw(1e6) / 1e6 * draw(1e6) / 1e6 * n) }
function items(  k, s) {
	s = ""
	for (k = draw(4); k > 0; k--) s = s (s == "" ? "" : " ") "t" rank(30)
	return s
}
function cell(k) {
	if (kind[k] == "ids") return items()
	if (kind[k] == "real") return code[k] ~ /bucket|quantiles/ && draw(8) == 0 ? "" : draw(6000) / 100
	if (code[k] == "size") return rank(3)
	return "v" rank(40)
}
BEGIN { RS = "[{\\]]"; state = 12345 }
/"column":/ {
	n++
	match($0, /"column":"[^"]*"/); column[n] = substr($0, RSTART + 10, RLENGTH - 11)
	match($0, /"kind":"[^"]*"/); kind[n] = substr($0, RSTART + 8, RLENGTH - 9)
	match($0, /"code":"[^"]*"/); code[n] = substr($0, RSTART + 8, RLENGTH - 9)
}
/^,"labels":\[/ {
	sub(/^,"labels":\[/, "")
	gsub(/"/, "")
	labels = split($0, label, ",")
}
END {
	for (k = 1; k <= n; k++) printf "%s,", column[k]
	for (k = 1; k <= labels; k++) printf "%s%s", label[k], k < labels ? "," : "\n"
	for (k = 1; k <= labels; k++)
		for (j = 1; j <= labels; j++)
			if (j != k && index(label[k], label[j] "_") == 1 && (!parent[k] || length(label[j]) > length(label[parent[k]])))
				parent[k] = j
	for (r = 1; r <= rows; r++) {
		line = ""
		u = 0
		for (k = 1; k <= n; k++) {
			x = cell(k)
			if (k <= 6) u += x == "v0" || x == "0" || x == "v1"
			line = line x ","
		}
		# Parents come before children in the order of the events.
		for (k = 1; k <= labels; k++) {
			y = draw(100) < 25 + 12 * u
			if (parent[k] && !happened[parent[k]]) y = 0
			happened[k] = y
			line = line y (k < labels ? "," : "")
		}
		print line
	}
}
