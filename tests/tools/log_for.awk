# A small log for any model: awk -v rows=N -f log_for.awk F.mtl.  Cells depend on row and column only; words are small
# numbers, which every kind of id takes, and an event happens only where its parent does.
{ sub(/#.*/, ""); text = text " " $0 }
END {
	srand(7)
	while (match(text, /[a-z_0-9]+ *: *(id|ids|real|seq)\(/)) {
		head = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH)
		name = kind = head; sub(/ *:.*/, "", name); sub(/.*: */, "", kind); sub(/\(/, "", kind)
		args = balanced(text)
		rest = substr(text, length(args) + 2)
		if (kind == "seq") { within = rest ~ /^ *\{/; seq_sep = sep(args); body = index(rest, "}"); ends = length(rest) - body }
		if (kind != "seq") feature(name, kind, args, within && length(rest) > ends)
		if (kind != "seq" && within && length(rest) <= ends) within = 0
	}
	$0 = text; statements()
	for (i = 1; i <= n; i++) printf "%s%s", (i == 1 ? "" : ","), column[i]
	print ""
	for (r = 1; r <= rows; r++) { for (i = 1; i <= n; i++) printf "%s%s", (i == 1 ? "" : ","), cell(i); print "" }
}
function balanced(t, i, d) {
	d = 1
	for (i = 1; i <= length(t); i++) { d += (substr(t, i, 1) == "(") - (substr(t, i, 1) == ")"); if (!d) return substr(t, 1, i - 1) }
}
function quoted(args, key) { return match(args, key ": *\"[^\"]*\"") ? unquote(substr(args, RSTART, RLENGTH)) : "" }
function unquote(t) { sub(/^[^"]*"/, "", t); sub(/"$/, "", t); return t }
function sep(args, s) { s = quoted(args, "sep"); return s == "" ? "|" : s }
function add(c, k) { if (c in at) return 0; column[++n] = c; at[c] = n; what[n] = k; return n }
function feature(name, kind, args, step, c, i, word) {
	c = quoted(args, "column"); if (c == "") c = name
	words[name] = ""; many[name] = 5
	if (match(args, /size: *[0-9]+/)) { many[name] = substr(args, RSTART + 5, RLENGTH - 5) + 0; if (many[name] > 5) many[name] = 5 }
	if (match(args, /share: *[a-z_0-9]+/)) { word = substr(args, RSTART, RLENGTH); sub(/share: */, "", word); words[name] = words[word]; if (word in many) many[name] = many[word] }
	if (match(args, /vocab: *\[[^\]]*\]/)) { words[name] = substr(args, RSTART, RLENGTH); gsub(/vocab: *\[|\]|"/, "", words[name]) }
	i = add(c, kind == "real" ? "real" : kind == "ids" || step ? "list" : "id")
	if (i) { of[i] = name; cut[i] = step ? seq_sep : sep(args) }
}
function statements(i, j, t, parent) {
	for (i = 1; i <= NF; i++) {
		if ($i == "event") {
			t = $(i + 1); parent = $(i + 2) == "of" ? $(i + 3) : ""
			label[t] = $(i + (parent == "" ? 2 : 4)) == "label" ? $(i + (parent == "" ? 3 : 5)) : t
			if (add(label[t], "event")) under[n] = parent == "" ? 0 : at[label[parent]]
			for (j = i + (parent == "" ? 4 : 6); $(j) ~ /^[|&]$/; j += 2) if (add($(j + 1), "event")) under[n] = under[at[label[t]]] # clk | cart
		} else if ($i == "class" || $i == "value") {
			t = $(i + 1); size = 0
			if (match(t, /\[[0-9]+/)) { size = substr(t, RSTART + 1, RLENGTH - 1) + 0; sub(/\[.*/, "", t) }
			parent = $(i + 2) == "of" ? 2 : 0
			if ($(i + 2 + parent) == "label") t = $(i + 3 + parent)
			if (add(t, size ? "class" : "real")) classes[n] = size
		} else if ($i == "group:" || $i == "weight:") { t = $(i + 1); sub(/}.*/, "", t); if (t ~ /^[a-z_]+$/) add(t, "group") }
	}
}
function word(i, w, k) { k = int(rand() * 97); if (words[of[i]] != "") { split(words[of[i]], w, / *, */); return w[1 + k % 2] } return k % many[of[i]] }
function cell(i) {
	if (what[i] == "event") return now[i] = (!under[i] || now[under[i]]) && rand() < 0.5 ? 1 : 0
	if (what[i] == "real") return int(rand() * 50) + 0.5
	if (what[i] == "class") return int(rand() * classes[i])
	if (what[i] == "group") return int((r - 1) / 8) + 1
	if (what[i] == "list") return word(i) cut[i] word(i)
	return word(i)
}
