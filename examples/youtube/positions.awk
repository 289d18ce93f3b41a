# A shown position for each row of a funnel log: better items stand higher, and lower ones are seen less.
#
#   awk -v seed=1 -f positions.awk log.csv          positions 0 to 9; a click survives with probability 1 / (1 + 0.3 position)
#
# true_click stays what it was: the probability of a click at position 0.
BEGIN { FS = OFS = ","; srand(seed) }
NR == 1 {
	for (i = 1; i <= NF; i++) column[$i] = i
	print $0, "position"
	next
}
{
	place = int(10 - 30 * ($column["true_click"] + 0.15 * (rand() - 0.5)))
	place = place < 0 ? 0 : place > 9 ? 9 : place
	if (rand() > 1 / (1 + 0.3 * place)) $column["clk"] = $column["pay"] = 0
	print $0, place
}
