/*
 * Batches of whole groups: every row once, groups in one piece and in the order of the log within, cut where
 * a batch cannot hold them; the same batches from CSV, JSONL and a pack, and after a resumption.
 */
#include "runtime/checkpoint.h"
#include "runtime/train.h"
#include "model_by_hand.h"
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 16, MOST = 4000, BATCHES = 1000 };

static char dir[64], text[3][128];
static MtlModel grouped;

/* ---- logs: the weight is the number of the row, the group is known by the test ---- */

static int rows, group_of[MOST]; /* 0: the cell is empty */

static void write_logs(int n, const int *length, const int *name)
{
	FILE *csv = fopen(text[0], "w"), *json = fopen(text[1], "w");
	fputs("user,item,tags,clk,pay,w,q\n", csv);
	rows = 0;
	for (int g = 0; g < n; g++)
		for (int i = 0; i < length[g]; i++, rows++) {
			char q[16] = "";
			group_of[rows] = name[g];
			if (name[g]) sprintf(q, "q%d", name[g]);
			fprintf(csv, "u%d,%d,%s,%d,0,%d,%s\n", rows % 7, rows % 20, rows % 3 ? "a|b" : "",
				rows % 2, rows + 1, q);
			fprintf(json,
				"{\"user\":\"u%d\",\"item\":%d,\"tags\":[%s],\"clk\":%d,\"pay\":0,\"w\":%d,"
				"\"q\":\"%s\"}\n",
				rows % 7, rows % 20, rows % 3 ? "\"a\",\"b\"" : "", rows % 2, rows + 1, q);
		}
	fclose(csv);
	fclose(json);
}

/* Groups of 1 to 9 rows, every tenth row without one. */
static void many_groups(void)
{
	enum { N = 300 };
	int length[N], name[N];
	uint32_t s = 1;
	for (int g = 0; g < N; g++) {
		s = s * 1664525u + 1013904223u;
		length[g] = 1 + (int)(s >> 24) % 9;
		name[g] = g % 10 == 9 ? 0 : g + 1;
	}
	write_logs(N, length, name);
}

/* ---- what a feed gives ---- */

typedef struct {
	int n, n_batch;
	int row[MOST], start[BATCHES + 1]; /* rows in their order; first of each batch */
	MtlGroupCounts groups;
	bool bounds; /* the batches' own bounds of groups are right */
} Seen;

static bool right_bounds(const MtlBatch *b)
{
	int64_t k = 0;
	for (int64_t i = 0; i < b->n; i++) {
		int at = (int)b->weight[i] - 1, before = i ? (int)b->weight[i - 1] - 1 : -1;
		bool first = !i || !group_of[at] || group_of[at] != group_of[before];
		if (first && (k >= b->n_group || b->group_start[k++] != i)) return false;
	}
	return k == b->n_group && b->group_start[k] == b->n;
}

static void read_feed(Seen *s, const char *path, const char *cache, int64_t shuffle, uint64_t seed)
{
	MtlError e = {0};
	MtlFeed *feed = NULL;
	MtlInstance in = {0};
	const char *const paths[] = {path};
	MtlFeedOptions o = {.path = paths,
			    .n_path = 1,
			    .reader = {.labels = true, .max_bad_rows = -1, .cache = cache},
			    .batch = BATCH,
			    .shuffle = shuffle,
			    .seed = seed};
	*s = (Seen){.bounds = true};
	CU_ASSERT_EQUAL_FATAL(mtl_instance_init(&in, &mtl_sys, &grouped, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_feed_open(&feed, &mtl_sys, &grouped, &in.codes, &o, &e), MTL_OK);
	for (MtlFed *fed; mtl_feed_next(feed, &fed, &e) == MTL_OK && fed;) {
		const MtlBatch *b = &fed->batch;
		CU_ASSERT_EQUAL(fed->first, s->n);
		CU_ASSERT_EQUAL(fed->number, s->n_batch);
		CU_ASSERT(b->n <= BATCH);
		s->start[s->n_batch++] = s->n;
		s->bounds &= right_bounds(b);
		for (int64_t i = 0; i < b->n; i++) {
			int row = (int)b->weight[i] - 1;
			CU_ASSERT_EQUAL(b->column[1].id[i], 2 + row % 20); /* all of a row goes together */
			CU_ASSERT_EQUAL(b->column[2].bag_start[i + 1] - b->column[2].bag_start[i],
					row % 3 ? 2 : 0);
			s->row[s->n++] = row;
		}
	}
	CU_ASSERT_EQUAL(e.status, MTL_OK);
	s->groups = mtl_feed_groups(feed);
	s->start[s->n_batch] = s->n;
	CU_ASSERT_EQUAL(mtl_feed_close(feed, &e), MTL_OK);
	mtl_instance_free(&in);
}

static bool same(const Seen *a, const Seen *b)
{
	return a->n == b->n && a->n_batch == b->n_batch &&
	       !memcmp(a->row, b->row, sizeof(int) * (size_t)a->n) &&
	       !memcmp(a->start, b->start, sizeof(int) * (size_t)a->n_batch);
}

static bool once_each(const Seen *s)
{
	bool seen[MOST] = {false};
	for (int i = 0; i < s->n; i++) {
		if (seen[s->row[i]]) return false;
		seen[s->row[i]] = true;
	}
	return s->n == rows;
}

/* Number of rows that follow another of their group, which are not directly behind the row before them. */
static int torn(const Seen *s)
{
	int bad = 0;
	for (int i = 0; i < s->n; i++) {
		int row = s->row[i];
		if (row == 0 || !group_of[row] || group_of[row] != group_of[row - 1]) continue;
		bad += !i || s->row[i - 1] != row - 1;
	}
	return bad;
}

/* Number of batches that split a group. */
static int splits(const Seen *s)
{
	int bad = 0;
	for (int k = 1; k < s->n_batch; k++) {
		int a = s->row[s->start[k] - 1], b = s->row[s->start[k]];
		bad += group_of[a] && group_of[a] == group_of[b];
	}
	return bad;
}

/* ---- tests ---- */

static void file_order_is_kept_and_batches_are_full(void)
{
	static Seen s;
	many_groups();
	read_feed(&s, text[0], NULL, 0, 1);
	CU_ASSERT(once_each(&s));
	CU_ASSERT(s.bounds);
	CU_ASSERT_EQUAL(splits(&s), 0);
	for (int i = 0; i < s.n; i++) CU_ASSERT_EQUAL(s.row[i], i);
	for (int k = 0; k + 1 < s.n_batch; k++) { /* the group that begins the next would not have fitted */
		int first = s.start[k + 1], end = first + 1;
		while (end < s.n && group_of[first] && group_of[end] == group_of[first]) end++;
		CU_ASSERT(s.start[k + 1] - s.start[k] + (end - first) > BATCH);
	}
	CU_ASSERT_EQUAL(s.groups.groups, 270);
	CU_ASSERT_EQUAL(s.groups.apart, 0);
	CU_ASSERT_EQUAL(s.groups.cut, 0);
}

static void groups_are_shuffled_whole(void)
{
	static Seen a, b;
	many_groups();
	for (int64_t shuffle = 10; shuffle < 10000; shuffle *= 10) {
		read_feed(&a, text[0], NULL, shuffle, 5);
		CU_ASSERT(once_each(&a));
		CU_ASSERT(a.bounds);
		CU_ASSERT_EQUAL(torn(&a), 0);
		CU_ASSERT_EQUAL(splits(&a), 0);
		int moved = 0;
		for (int i = 0; i < a.n; i++) moved += a.row[i] != i;
		CU_ASSERT(moved > a.n / 2);
		read_feed(&b, text[0], NULL, shuffle, 5);
		CU_ASSERT(same(&a, &b));
		read_feed(&b, text[0], NULL, shuffle, 6);
		CU_ASSERT_FALSE(same(&a, &b));
	}
}

static void formats_and_packs_agree(void)
{
	static Seen a, b;
	many_groups();
	for (int64_t shuffle = 0; shuffle < 200; shuffle += 100) {
		read_feed(&a, text[0], NULL, shuffle, 3);
		read_feed(&b, text[1], NULL, shuffle, 3);
		CU_ASSERT(same(&a, &b));
		for (int k = 0; k < 2; k++) { /* makes the pack; reads it */
			read_feed(&b, text[0], text[2], shuffle, 3);
			CU_ASSERT(same(&a, &b));
			CU_ASSERT_EQUAL(a.groups.groups, b.groups.groups);
		}
	}
}

/* 40 rows in batches of 16: pieces of 16, 16 and 8; 5 come in front, so the first batch is short; 8 + 6 fit.
 */
static void long_groups_are_cut(void)
{
	static Seen s;
	write_logs(3, (const int[]){5, 40, 6}, (const int[]){1, 2, 3});
	read_feed(&s, text[0], NULL, 0, 1);
	static const int want[] = {0, 5, 21, 37, 51};
	CU_ASSERT_EQUAL_FATAL(s.n_batch, 4);
	for (int k = 0; k < 5; k++) CU_ASSERT_EQUAL(s.start[k], want[k]);
	CU_ASSERT_EQUAL(s.groups.cut, 1);
	CU_ASSERT_EQUAL(s.groups.groups, 3);
	read_feed(&s, text[0], NULL, 100, 1);
	CU_ASSERT(once_each(&s));
	write_logs(1, (const int[]){16}, (const int[]){1}); /* as long as a batch is not too long */
	read_feed(&s, text[0], NULL, 0, 1);
	CU_ASSERT_EQUAL(s.n_batch, 1);
	CU_ASSERT_EQUAL(s.groups.cut, 0);
}

static void what_stands_apart_is_counted(void)
{
	static Seen s;
	write_logs(6, (const int[]){3, 2, 3, 1, 2, 4}, (const int[]){1, 2, 1, 0, 2, 3});
	read_feed(&s, text[0], NULL, 0, 1);
	CU_ASSERT_EQUAL(s.groups.apart, 2);
	CU_ASSERT_EQUAL(s.groups.groups, 3);
	CU_ASSERT(s.bounds);
	write_logs(3, (const int[]){3, 1, 3},
		   (const int[]){1, 0, 1}); /* a row without a group parts them too */
	read_feed(&s, text[0], NULL, 0, 1);
	CU_ASSERT_EQUAL(s.groups.apart, 1);
}

static void an_empty_log_has_no_batch(void)
{
	static Seen s;
	write_logs(0, NULL, NULL);
	read_feed(&s, text[0], NULL, 0, 1);
	CU_ASSERT_EQUAL(s.n_batch, 0);
}

/* ---- a run that is interrupted and resumed ---- */

typedef struct {
	int64_t batches, stop;
	char notes[1024];
} Run;

static bool enough(void *self)
{
	return ((Run *)self)->stop >= 0 && ((Run *)self)->batches >= ((Run *)self)->stop;
}
static void tick(void *self, const MtlTrainTick *t)
{
	(void)t;
	((Run *)self)->batches++;
}
static void note(void *self, const char *line)
{
	Run *r = self;
	size_t n = strlen(r->notes);
	snprintf(r->notes + n, sizeof r->notes - n, "%s\n", line);
}

static MtlStatus train(const char *out, const char *resume, int64_t stop, Run *r)
{
	MtlError e = {0};
	const char *const data[] = {text[0]};
	MtlTrainOptions o = {.data = data,
			     .n_data = 1,
			     .out = out,
			     .resume = resume,
			     .epochs = 2,
			     .batch = BATCH,
			     .shuffle = 60,
			     .seed = 7,
			     .threads = 2,
			     .reader = {.labels = true, .max_bad_rows = -1}};
	*r = (Run){.stop = stop};
	return mtl_train(&mtl_sys, &grouped, &o,
			 &(MtlTrainHooks){.self = r, .interrupted = enough, .tick = tick, .note = note}, &e);
}

static bool same_file(const char *a, const char *b)
{
	FILE *f = fopen(a, "r"), *g = fopen(b, "r");
	bool good = f && g;
	long n = 0;
	for (int c = 0, d = 0; good && c != EOF; n++) good = (c = getc(f)) == (d = getc(g));
	if (f) fclose(f);
	if (g) fclose(g);
	return good && n > 1;
}

static void resumed_equals_never_stopped(void)
{
	char whole[128], part[128];
	Run r;
	many_groups();
	snprintf(whole, sizeof whole, "%s/whole", dir);
	snprintf(part, sizeof part, "%s/part", dir);
	CU_ASSERT_EQUAL_FATAL(train(whole, NULL, -1, &r), MTL_OK);
	CU_ASSERT_STRING_EQUAL(r.notes, "");
	int64_t all = r.batches;
	for (int64_t stop = 1; stop < all; stop += all / 5) {
		CU_ASSERT_EQUAL(train(part, NULL, stop, &r), MTL_INTERRUPTED);
		CU_ASSERT_EQUAL(train(part, part, -1, &r), MTL_OK);
		CU_ASSERT_EQUAL(r.batches, all - stop);
		CU_ASSERT(same_file(whole, part));
	}
}

static void the_author_is_told_once(void)
{
	char out[128];
	Run r;
	write_logs(4, (const int[]){3, 2, 3, 20}, (const int[]){1, 2, 1, 3});
	snprintf(out, sizeof out, "%s/told", dir);
	CU_ASSERT_EQUAL_FATAL(train(out, NULL, -1, &r), MTL_OK);
	CU_ASSERT_STRING_EQUAL(
	    r.notes, "1 of 3 groups come again after other rows, and what stands apart is not compared: "
		     "sort the log by \"q\"\n"
		     "1 of 3 groups are longer than a batch of 16 rows and are cut: a larger one compares "
		     "all their rows\n");
}

static int clean(void)
{
	char line[96];
	snprintf(line, sizeof line, "rm -rf %s", dir);
	return system(line);
}

int main(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_regroup.%d", (int)getpid());
	char line[96];
	snprintf(line, sizeof line, "mkdir -p %s/cache", dir);
	if (system(line) || CU_initialize_registry()) return 1;
	for (int k = 0; k < 3; k++)
		snprintf(text[k], sizeof *text, "%s/%s", dir,
			 (const char *[]){"log.csv", "log.jsonl", "cache"}[k]);
	grouped = by_hand;
	grouped.weight_column = "w";
	grouped.group_column = "q";
	grouped.grouped = true;
	CU_pSuite s = CU_add_suite("regroup", NULL, clean);
	CU_add_test(s, "file order is kept and batches are full", file_order_is_kept_and_batches_are_full);
	CU_add_test(s, "groups are shuffled whole", groups_are_shuffled_whole);
	CU_add_test(s, "formats and packs agree", formats_and_packs_agree);
	CU_add_test(s, "long groups are cut", long_groups_are_cut);
	CU_add_test(s, "what stands apart is counted", what_stands_apart_is_counted);
	CU_add_test(s, "an empty log has no batch", an_empty_log_has_no_batch);
	CU_add_test(s, "resumed equals never stopped", resumed_equals_never_stopped);
	CU_add_test(s, "the author is told once", the_author_is_told_once);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	int bad = (int)CU_get_number_of_failures() || CU_get_number_of_tests_run() < 8;
	CU_cleanup_registry();
	return bad;
}
