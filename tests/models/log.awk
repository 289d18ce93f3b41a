# A log of random rows for the features of a model: awk -v seed=1 -v rows=100 -v labels=a,b -f log.awk FILES.mtl
# A feature `name : kind(...)` is a column; labels follow the first two columns, but each is a part of the one before
# it where chain=1.  kuairand's lists are separated by spaces.
/:/ && / : *(id|ids|real)\(/ {
	line = $0
	while (match(line, /[a-z_0-9]+ *: *(id|ids|real)\(/)) {
		head = substr(line, RSTART, RLENGTH)
		line = substr(line, RSTART + RLENGTH)
		split(head, part, / *: */)
		name[++n] = part[1]
		kind[n] = substr(part[2], 1, length(part[2]) - 1)
		size[n] = match(line, /^size: *[0-9]+/) ? substr(line, 7, RLENGTH - 6) + 0 : 0
	}
}
END {
	srand(seed)
	n_label = split(labels, label, ",")
	for (i = 1; i <= n; i++) printf "%s,", name[i]
	for (i = 1; i <= n_label; i++) printf "%s%s", label[i], i < n_label ? "," : "\n"
	for (r = 0; r < rows; r++) {
		lean = 0
		for (i = 1; i <= n; i++) {
			k = int(rand() * (size[i] && size[i] < 12 ? size[i] : 12))
			if (i < 3) lean += k
			printf "%s,", kind[i] == "real" || size[i] ? k : kind[i] == "ids" ? "w" k " w" (k + 1) : "w" k
		}
		above = 1
		for (i = 1; i <= n_label; i++) {
			y = rand() < (chain ? 0.5 : lean < 11 ? 0.05 : 0.9) && (above || !chain)
			if (chain) above = y
			printf "%d%s", y, i < n_label ? "," : "\n"
		}
	}
}
