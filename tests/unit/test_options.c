/*
 * Command lines: what is understood, what is refused and with which words.
 */
#include "runtime/options.h"
#include "suite.h"
#include <stdlib.h>
#include <string.h>

enum { TRAIN, SCORE };

static const MtlCommand command[] = {{"train", NULL, "Trains.", .more = "Reads.",
				      .example = "% train\n% train -j", .exits = "14i", .no = "no luck"},
				     {"score", "[F|-]", "Scores.", NULL, NULL, NULL, NULL}};
static const MtlOption option[] = {
    {"data", 0, MTL_ARG_LIST, "F[,F...]", 1, 1, "logs"},
    {"epochs", 0, MTL_ARG_COUNT, "N", 1, 0, "passes"},
    {"seed", 0, MTL_ARG_SEED, "N", 1, 0, "seed"},
    {"lr", 0, MTL_ARG_REAL, "X", 1, 0, "rate"},
    {"output", 'o', MTL_ARG_TEXT, "F", 2, 0, "file"},
    {"format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", 2, 0, "form"},
    {"json", 'j', MTL_ARG_NONE, "", 3, 0, "machine-readable"},
    {"a-name-too-long-for-its-column-of-the-help", 0, MTL_ARG_TEXT, "F", 1, 0, "long"},
};
static const MtlOptionTable table = {"A program.", command, 2, option, sizeof option / sizeof *option};

static MtlStatus parse(MtlOptions *o, MtlError *e, const char *line)
{
	static char copy[256];
	char *argv[16] = {"prog"};
	int argc = 1;
	strcpy(copy, line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
	*e = (MtlError){0};
	return mtl_options_parse(o, &table, argc, argv, e);
}

static void understood(void)
{
	MtlOptions o;
	MtlError e;
	CU_ASSERT_EQUAL(
	    parse(&o, &e, "train --data a.csv,b.csv --epochs=3 --seed 18446744073709551615 --lr 1e-3 -j"),
	    MTL_OK);
	CU_ASSERT_EQUAL(o.command, TRAIN);
	CU_ASSERT_STRING_EQUAL(mtl_option(&o, &table, "data")->text, "a.csv,b.csv");
	CU_ASSERT_EQUAL(mtl_option(&o, &table, "epochs")->count, 3);
	CU_ASSERT_EQUAL(mtl_option(&o, &table, "seed")->seed, UINT64_MAX);
	CU_ASSERT_DOUBLE_EQUAL(mtl_option(&o, &table, "lr")->real, 1e-3, 0);
	CU_ASSERT(mtl_option(&o, &table, "json")->given);
	CU_ASSERT_FALSE(mtl_option(&o, &table, "output")->given);

	CU_ASSERT_EQUAL(parse(&o, &e, "score - -oout --format tsv"), MTL_OK);
	CU_ASSERT_EQUAL(o.command, SCORE);
	CU_ASSERT_STRING_EQUAL(o.operand, "-");
	CU_ASSERT_STRING_EQUAL(mtl_option(&o, &table, "output")->text, "out");
	CU_ASSERT_EQUAL(mtl_option(&o, &table, "format")->count, 1);
	CU_ASSERT_EQUAL(parse(&o, &e, "score -- --strange-file"), MTL_OK);
	CU_ASSERT_STRING_EQUAL(o.operand, "--strange-file");
	CU_ASSERT_EQUAL(parse(&o, &e, "train --help"), MTL_OK); /* without what it needs */
	CU_ASSERT(o.help);
	CU_ASSERT_EQUAL(parse(&o, &e, "--version"), MTL_OK);
	CU_ASSERT(o.version);
}

static void refused(void)
{
	static const struct {
		const char *line, *text;
	} c[] = {
	    {"", "a command is missing (--help lists all)"},
	    {"tarin --data x", "no command 'tarin': did you mean 'train'? (--help lists all)"},
	    {"train", "train needs --data F[,F...]"},
	    {"train --data x --epoch 3", "no option '--epoch' of train: did you mean '--epochs'?"},
	    {"train --data x --epcohs=3", "no option '--epcohs' of train: did you mean '--epochs'?"},
	    {"train --data x --output y", "no option '--output' of train (--help lists all)"},
	    {"train --data x --data y", "--data is given twice: separate its parts by commas"},
	    {"train --data x -z", "no option '-z' (--help lists all)"},
	    {"train --data x extra", "unexpected argument 'extra' (logs are given by --data)"},
	    {"score a b", "unexpected argument 'b'"},
	    {"train --data", "--data needs a value"},
	    {"train --data=", "--data needs a value"},
	    {"train --data x --epochs -1", "--epochs needs a whole number, not '-1'"},
	    {"train --data x --epochs 1x", "--epochs needs a whole number, not '1x'"},
	    {"train --data x --epochs 99999999999999999999",
	     "--epochs needs a whole number, not '99999999999999999999'"},
	    {"train --data x --lr 0", "--lr needs a number above 0, not '0'"},
	    {"train --data x --lr nan", "--lr needs a number above 0, not 'nan'"},
	    {"train --data x --json=1", "--json takes no value"},
	    {"score --format cvs", "--format is one of csv|tsv|jsonl, not 'cvs'"},
	    {"score --format cs", "--format is one of csv|tsv|jsonl, not 'cs'"},
	};
	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		MtlOptions o;
		MtlError e;
		CU_ASSERT_EQUAL(parse(&o, &e, c[i].line), MTL_USAGE);
		CU_ASSERT_FATAL(strncmp(e.text, "error: ", 7) == 0);
		memmove(e.text, e.text + 7, strlen(e.text + 7) + 1);
		if (strcmp(e.text, c[i].text) != 0)
			printf("\n  %s\n  gives    %s\n  expected %s\n", c[i].line, e.text,
			       c[i].text ? c[i].text : "");
		CU_ASSERT_STRING_EQUAL(e.text, c[i].text);
	}
}

static void printed(void)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	mtl_options_help(&table, "prog", TRAIN, f);
	fclose(f);
	CU_ASSERT_STRING_EQUAL(text, "usage: prog train --data F[,F...] [options]\n\nTrains.\n\nReads.\n\n"
				     "examples:\n  prog train\n  prog train -j\n\noptions:\n"
				     "      --data F[,F...]  logs\n"
				     "      --epochs N       passes\n"
				     "      --seed N         seed\n"
				     "      --lr X           rate\n"
				     "  -j, --json           machine-readable\n"
				     "      --a-name-too-long-for-its-column-of-the-help F\n"
				     "                       long\n"
				     "\nexit codes:\n"
				     "  0    done\n"
				     "  1    no luck\n"
				     "  2    the command line is wrong\n"
				     "  4    the data are wrong\n"
				     "  130  interrupted\n");
	free(text);
	f = open_memstream(&text, &n);
	mtl_options_dump(&table, f);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "command\tscore\t[F|-]\tScores.\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "option\ttrain,score\tjson\tj\t\tmachine-readable\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "option\tscore\toutput\to\tF\tfile\n"));
	free(text);
}

static void lists(void)
{
	int n;
	const char **l = mtl_options_list(&mtl_sys, "a,,b.csv", &n);
	CU_ASSERT_EQUAL_FATAL(n, 3);
	CU_ASSERT_STRING_EQUAL(l[0], "a");
	CU_ASSERT_STRING_EQUAL(l[1], "");
	CU_ASSERT_STRING_EQUAL(l[2], "b.csv");
	mtl_release(&mtl_sys, l);
}

int main(void)
{
	CU_pSuite s = suite_begin("options");
	CU_add_test(s, "understood", understood);
	CU_add_test(s, "refused, with the nearest word", refused);
	CU_add_test(s, "help and dump", printed);
	CU_add_test(s, "lists", lists);
	return suite_end();
}
