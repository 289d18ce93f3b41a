# A shown position for each row of a funnel log: some items are always shown high, and lower ones are seen less.
#
#   awk -v seed=1 -f positions.awk log.csv     positions 0 to 9; a click survives with probability 1 / (1 + 0.3 position)
#
# -v everywhere=0: all rows at position 0, where nothing is lost.  true_click is the probability of a click there.
BEGIN { FS = OFS = ","; srand(seed) }
NR == 1 {
	for (i = 1; i <= NF; i++) column[$i] = i
	print $0, "position"
	next
}
everywhere != "" { print $0, everywhere; next }
{
	favour = substr($column["item_id"], 2) * 7919 % 1000 / 1000
	place = int(10 * favour + 4 * (rand() - 0.5))
	place = place < 0 ? 0 : place > 9 ? 9 : place
	if (rand() > 1 / (1 + 0.3 * place)) $column["clk"] = $column["pay"] = 0
	print $0, place
}
