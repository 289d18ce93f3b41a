/*
 * The constant data of a program, printed as C: what the runtime knows of a model (runtime/model.h).
 *
 * Words and numbers are printed by the names of runtime/model.h, so that a mismatch is a compile error.
 */
#include "emit/emit_model.h"
#include "emit/emit_alone.h"
#include "emit/emit_header.h"
#include "base/diag.h"
#include <math.h>
#include <string.h>

void emit_quoted(Text *o, const char *s)
{
	if (!s) {
		text_add(o, "NULL");
		return;
	}
	text_char(o, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\' || c == '?')
			text_printf(o, "\\%c", c);
		else if (c < 32 || c > 126)
			text_printf(o, "\\%03o", c);
		else
			text_char(o, (char)c);
	}
	text_char(o, '"');
}

static void number(Text *o, double k)
{
	if (isfinite(k))
		text_printf(o, "%.17g", k);
	else
		text_printf(o, "%s__builtin_inf()", k < 0 ? "-" : "");
}

static const char *flag(bool b) { return b ? "true" : "false"; }

/* The name of an array, or NULL where it would be empty. */
#define ARRAY(n, name) ((n) ? (name) : "NULL")

static bool slot_reads(const Spec *spec, const Lowered *l, int feature)
{
	for (int i = 0; i < l->entry.at[ENTRY_SCORE].n_slot; i++) {
		const Slot *s = &l->entry.at[ENTRY_SCORE].slot[i];
		bool input = s->kind == SLOT_ID || s->kind == SLOT_BAG_START || s->kind == SLOT_BAG_ITEM ||
			     s->kind == SLOT_BAG_SCALE || s->kind == SLOT_REAL || s->kind == SLOT_PRESENT;
		if (input && s->index == feature) return true;
		/* Where the steps lie is told by the first field. */
		int seq = spec->feature.at[feature].seq;
		if (s->kind == SLOT_STEP_ROW && s->index == seq - 1 &&
		    spec->seq.at[seq - 1].feature.at[0] == feature)
			return true;
		if (s->kind == SLOT_STEP_BLOCK && s->index == seq - 1 &&
		    spec->seq.at[seq - 1].feature.at[0] == feature)
			return true;
	}
	return false;
}

bool scoring_reads(const Spec *s, const Lowered *l, int feature)
{
	if (slot_reads(s, l, feature)) return true;
	for (int i = 0; i < s->feature.n; i++)
		for (int k = 0; k < s->feature.at[i].cross.n; k++)
			if (s->feature.at[i].cross.at[k] == feature && slot_reads(s, l, i)) return true;
	return false;
}

/* scoring: the variant of a scorer, which reads no more than it must; or NULL. */
static void features(Text *o, const Spec *s, const Lowered *scoring, bool alone)
{
	static const char *const kind[] = {"MTL_ID", "MTL_BAG", "MTL_NUMBER"};
	static const char *const code[] = {"MTL_PLAIN", "MTL_HASH",   "MTL_VOCAB",    "MTL_VOCAB_AUTO",
					   "MTL_SIZE",	"MTL_BUCKET", "MTL_QUANTILES"};
	static const char *const normal[] = {"MTL_AS_IS", "MTL_LOG1P", "MTL_STANDARD", "MTL_MINMAX"};
	static const char *const missing[] = {"MTL_MISSING_ERROR", "MTL_MISSING_VALUE", "MTL_MISSING_LEARNED",
					      "MTL_MISSING_OWN"};
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		if (f->cross.n) {
			text_printf(o, "static const int cross%d[] = {", i);
			for (int k = 0; k < f->cross.n; k++)
				text_printf(o, "%s%d", k ? ", " : "", f->cross.at[k]);
			text_add(o, "};\n");
		}
		if (alone) continue; /* words and edges stand in the code books */
		if (f->vocab.n) {
			text_printf(o, "static const char *const vocab%d[] = {", i);
			for (int k = 0; k < f->vocab.n; k++) {
				text_add(o, k ? ", " : "");
				emit_quoted(o, f->vocab.at[k]);
			}
			text_add(o, "};\n");
		}
		if (f->edges.n) {
			text_printf(o, "static const double edges%d[] = {", i);
			for (int k = 0; k < f->edges.n; k++) {
				text_add(o, k ? ", " : "");
				number(o, f->edges.at[k]);
			}
			text_add(o, "};\n");
		}
	}
	if (!s->feature.n) return;
	text_add(o, "static const MtlFeature features[] = {\n");
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		text_add(o, "\t{.name = ");
		emit_quoted(o, f->name);
		text_add(o, ", .group = ");
		emit_quoted(o, s->group.at[f->group].name);
		text_add(o, ", .column = ");
		emit_quoted(o, f->column);
		text_printf(o,
			    ", .kind = %s, .code = %s, .candidate = %s, .train_only = %s, .n = %lld, "
			    ".min_count = %lld,\n\t ",
			    kind[f->kind], code[f->code], flag(s->group.at[f->group].candidate),
			    flag(f->train_only || (scoring && !scoring_reads(s, scoring, i))),
			    (long long)f->n, (long long)f->min_count);
		if (f->vocab.n && !alone) text_printf(o, ".vocab = vocab%d, .n_vocab = %d, ", i, f->vocab.n);
		if (f->edges.n && !alone) text_printf(o, ".edges = edges%d, .n_edges = %d, ", i, f->edges.n);
		if (f->cross.n) text_printf(o, ".cross = cross%d, .n_cross = %d, ", i, f->cross.n);
		text_printf(o, ".normal = %s, .missing = %s, .missing_value = ", normal[f->normal],
			    missing[f->missing]);
		number(o, f->missing_value);
		text_add(o, ", .dropout = ");
		number(o, f->dropout);
		text_printf(o,
			    ", .pool = %s, .keep = %s, .max_items = %d, .separator = %d, .seq = %d, "
			    ".same_code = %d},\n",
			    f->pool_mean  ? "MTL_POOL_MEAN"
			    : f->pool_max ? "MTL_POOL_MAX"
					  : "MTL_POOL_SUM",
			    f->keep_last ? "MTL_KEEP_LAST" : "MTL_KEEP_FIRST", f->max_items, f->separator,
			    f->seq, f->share);
	}
	text_add(o, "};\n");
}

static void sequences(Text *o, const Spec *s)
{
	if (!s->seq.n) return;
	text_add(o, "static const MtlSeq sequences[] = {\n");
	for (int i = 0; i < s->seq.n; i++) {
		const Seq *q = &s->seq.at[i];
		text_add(o, "\t{.name = ");
		emit_quoted(o, q->name);
		text_printf(o,
			    ", .first = %d, .n_field = %d, .max = %d, .n_drow = %d, .first_block = %d, "
			    ".in_block = %d},\n",
			    q->feature.at[0], q->feature.n, q->max, q->n_drow, q->first_block, q->in_block);
	}
	text_add(o, "};\n");
}

static void lookups(Text *o, const Spec *s)
{
	if (!s->lookup.n) return;
	text_add(o, "static const MtlLookup lookups[] = {\n");
	for (int i = 0; i < s->lookup.n; i++)
		text_printf(o, "\t{.feature = %d, .table = %d, .offset = %d},\n", s->lookup.at[i].feature,
			    s->lookup.at[i].table, s->lookup.at[i].offset);
	text_add(o, "};\n");
}

static void names(Text *o, const char *array, int n, const Str *name)
{
	if (!n) return;
	text_printf(o, "static const char *const %s[] = {", array);
	for (int i = 0; i < n; i++) {
		text_add(o, i ? ", " : "");
		emit_quoted(o, name[i]);
	}
	text_add(o, "};\n");
}

static void events(Text *o, const Spec *s)
{
	const Events *e = s->events;
	names(o, "label_columns", e->column.n, e->column.at);
	if (!e->event.n) return;
	for (int i = 0; i < e->event.n; i++) {
		if (!e->event.at[i].label.n) continue;
		text_printf(o, "static const int16_t label%d[] = {", i);
		for (int k = 0; k < e->event.at[i].label.n; k++)
			text_printf(o, "%s%d", k ? ", " : "", e->event.at[i].label.at[k]);
		text_add(o, "};\n");
	}
	text_add(o, "static const MtlEvent events[] = {\n");
	for (int i = 0; i < e->event.n; i++) {
		const Event *v = &e->event.at[i];
		text_add(o, "\t{.name = ");
		emit_quoted(o, v->name);
		text_printf(o, ", .parent = %d", v->parent);
		if (v->label.n) text_printf(o, ", .label = label%d, .n_label = %d", i, v->label.n);
		text_add(o, "},\n");
	}
	text_add(o, "};\n");
}

static void samples(Text *o, const Spec *s)
{
	if (!s->sample.n) return;
	for (int i = 0; i < s->sample.n; i++)
		names(o, str_printf(s->str, "classes%d", i), s->sample.at[i].word.n, s->sample.at[i].word.at);
	text_add(o, "static const MtlSample samples[] = {\n");
	for (int i = 0; i < s->sample.n; i++) {
		const Sample *v = &s->sample.at[i];
		text_add(o, "\t{.name = ");
		emit_quoted(o, v->name);
		text_add(o, ", .column = ");
		emit_quoted(o, v->column);
		if (v->classes) text_printf(o, ", .n_class = %d", v->classes);
		if (v->word.n) text_printf(o, ", .class = classes%d", i);
		text_printf(o, ", .positive = %s},\n", flag(v->positive));
	}
	text_add(o, "};\n");
}

static void init(Text *o, Init k)
{
	static const char *const kind[] = {"MTL_INIT_ZERO", "MTL_INIT_CONST", "MTL_INIT_NORMAL",
					   "MTL_INIT_UNIFORM"};
	text_printf(o, ".init = {%s, ", kind[k.kind]);
	number(o, k.a);
	text_add(o, ", ");
	number(o, k.b);
	text_add(o, "}");
}

static void parameters(Text *o, const Spec *s)
{
	if (s->param.n) text_add(o, "static const MtlParam params[] = {\n");
	for (int i = 0; i < s->param.n; i++) {
		const Param *p = &s->param.at[i];
		text_add(o, "\t{.name = ");
		emit_quoted(o, p->name);
		text_printf(o, ", .n_dim = %d, .dim = {%d, %d, %d}, .offset = %lld, .size = %lld, ",
			    p->shape.nd, p->shape.d[0], p->shape.d[1], p->shape.d[2],
			    (long long)spec_param_offset(s, i), (long long)shape_size(p->shape));
		init(o, p->init);
		text_printf(o, ", .losses = 0x%llxu, .frozen = %s, .serving = %s",
			    (unsigned long long)p->losses, flag(p->frozen), flag(p->serving));
		if (p->shared) text_printf(o, ", .shared = true, .block = %lld", (long long)p->block);
		for (int k = 0; k < s->running.n; k++)
			if (s->running.at[k].param == i)
				text_printf(o, ", .running = true, .next = %lld",
					    (long long)spec_next_offset(s, k));
		text_add(o, "},\n");
	}
	if (s->param.n) text_add(o, "};\n");
	if (s->table.n) text_add(o, "static const MtlTable tables[] = {\n");
	for (int i = 0; i < s->table.n; i++) {
		const Table *t = &s->table.at[i];
		text_add(o, "\t{.name = ");
		emit_quoted(o, t->name);
		text_printf(o, ", .rows = %lld, .feature = %d, .dim = %d, .stride = %d, ", (long long)t->rows,
			    t->feature, t->dim, t->stride);
		init(o, t->init);
		text_printf(o, ", .losses = 0x%llxu, .frozen = %s, .serving = %s, .shared = %s",
			    (unsigned long long)t->losses, flag(t->frozen), flag(t->serving),
			    flag(t->shared));
		if (t->precision)
			text_printf(o, ", .precision = %s, .narrow = %s",
				    t->precision == PRECISION_INT8 ? "MTL_INT8" : "MTL_BF16",
				    flag(t->narrow));
		text_add(o, "},\n");
	}
	if (s->table.n) text_add(o, "};\n");
}

static void reports(Text *o, const Spec *s, bool scorer)
{
	if (s->noise.n && !scorer) {
		text_add(o, "static const MtlNoise noises[] = {\n");
		for (int i = 0; i < s->noise.n; i++) {
			text_printf(o, "\t{.width = %d, .p = ", s->noise.at[i].width);
			number(o, s->noise.at[i].p);
			text_printf(o, ", .logistic = %s, .name = ", flag(s->noise.at[i].logistic));
			emit_quoted(o, s->noise.at[i].name);
			text_add(o, "},\n");
		}
		text_add(o, "};\n");
	}
	if (s->loss.n && !scorer) {
		text_add(o, "static const MtlLoss losses[] = {\n");
		for (int i = 0; i < s->loss.n; i++) {
			text_add(o, "\t{.name = ");
			emit_quoted(o, s->loss.at[i].name);
			text_add(o, ", .weight = ");
			number(o, s->loss.at[i].weight);
			text_printf(o, ", .regression = %s, .counted = %d},\n",
				    flag(s->loss.at[i].regression), s->loss.at[i].counted);
		}
		text_add(o, "};\n");
	}
	if (s->watch.n && !scorer) {
		static const char *const kind[] = {"MTL_WATCH_PROB", "MTL_WATCH_VALUE", "MTL_WATCH_CLASS"};
		text_add(o, "static const MtlWatch watches[] = {\n");
		for (int i = 0; i < s->watch.n; i++) {
			const Watch *w = &s->watch.at[i];
			text_add(o, "\t{.name = ");
			emit_quoted(o, w->name);
			text_printf(o, ", .kind = %s", kind[w->kind]);
			text_add(o, ", .label_text = ");
			emit_quoted(o, w->label_text);
			text_add(o, ", .rows_text = ");
			emit_quoted(o, w->rows_text);
			text_printf(o, ", .head = %s},\n", flag(w->head));
		}
		text_add(o, "};\n");
	}
	if (s->output.n) {
		text_add(o, "static const MtlOutput outputs[] = {\n");
		for (int i = 0; i < s->output.n; i++) {
			text_add(o, "\t{.name = ");
			emit_quoted(o, s->output.at[i].name);
			text_add(o, "},\n");
		}
		text_add(o, "};\n");
	}
}

static const char *const slot_word[] = {
#define SLOT(name, elem, doc) "MTL_SLOT_" #name,
#include "runtime/abi.def"
#undef SLOT
};

/* The runtime knows the slots of an entry once for all variants. */
static void same_slots(int n, Lowered *const *v)
{
	for (int i = 1; i < n; i++)
		for (int e = 0; e < v[0]->entry.n; e++) {
			const Entry *a = &v[0]->entry.at[e], *b = &v[i]->entry.at[e];
			bool same = a->n_slot == b->n_slot;
			for (int k = 0; same && k < a->n_slot; k++)
				same = a->slot[k].kind == b->slot[k].kind &&
				       a->slot[k].index == b->slot[k].index &&
				       a->slot[k].stride == b->slot[k].stride;
			if (!same) bug("entry %d asks for other buffers in %s", e, v[i]->target->name);
		}
}

/* The variant's kernels are named in an array.  Declared, or, in a C file that stands alone, printed. */
static void variant_kernels(Text *o, const Lowered *v, int i, bool alone)
{
	if (alone) emit_static_c(o, v->mod);
	for (int e = 0; e < v->entry.n && !alone; e++)
		if (v->entry.at[e].fn)
			text_printf(o, "extern MtlKernel %s_%s;\n", v->mod->name, v->entry.at[e].fn->name);
	text_printf(o, "static MtlKernel *const kernel%d[] = {\n", i);
	for (int e = 0; e < v->entry.n; e++)
		if (v->entry.at[e].fn)
			text_printf(o, "\t%s_%s,\n", v->mod->name, v->entry.at[e].fn->name);
		else
			text_add(o, "\tNULL,\n");
	text_printf(o, "};\nstatic const int64_t work%d[] = {", i);
	for (int e = 0; e < v->entry.n; e++)
		text_printf(o, "%s%lld", e ? ", " : "", (long long)v->entry.at[e].work);
	text_add(o, "};\n");
}

static void variant(Text *o, const Lowered *v, int i)
{
	text_add(o, "\t{.name = ");
	emit_quoted(o, v->target->name);
	text_printf(o, ", .level = %d, .kernel = kernel%d, .work = work%d, .packed = %lld},\n",
		    v->target->level, i, i, (long long)v->packed);
}

static void kernels(Text *o, int n, Lowered *const *v, bool alone)
{
	int entries = v[0]->entry.n;
	same_slots(n, v);
	for (int e = 0; e < entries; e++) {
		const Entry *entry = &v[0]->entry.at[e];
		if (!entry->n_slot) continue;
		text_printf(o, "static const MtlSlot slots%d[] = {", e);
		for (int i = 0; i < entry->n_slot; i++)
			text_printf(o, "%s{%s, %d, %d, %s}", i ? ", " : "", slot_word[entry->slot[i].kind],
				    entry->slot[i].index, entry->slot[i].stride,
				    flag(entry->slot[i].per_block));
		text_add(o, "};\n");
	}
	text_add(o, "static const MtlEntry entries[] = {\n");
	for (int e = 0; e < entries; e++)
		if (v[0]->entry.at[e].n_slot)
			text_printf(o, "\t{slots%d, %d},\n", e, v[0]->entry.at[e].n_slot);
		else
			text_add(o, "\t{NULL, 0},\n");
	text_add(o, "};\n");
	for (int i = 0; i < n; i++) {
		if (alone) emit_when(o, v[i]->target, i, n);
		variant_kernels(o, v[i], i, alone);
		if (!alone) continue;
		text_add(o, "static const MtlVariant variants[] = {\n");
		variant(o, v[i], i);
		text_add(o, i + 1 < n ? "};\n" : "};\n#endif\n");
	}
	if (alone) return;
	text_add(o, "static const MtlVariant variants[] = {\n");
	for (int i = 0; i < n; i++) variant(o, v[i], i);
	text_add(o, "};\n");
}

static void optimizer(Text *o, const Optimizer *p)
{
	static const char *const kind[] = {"SGD",      "ADAGRAD", "ADAM",	"MOMENTUM",
					   "NESTEROV", "FTRL",	  "ROW_ADAGRAD"};
	const double k[] = {p->lr, p->beta1, p->beta2, p->eps, p->l1, p->l2, p->decay};
	text_printf(o, "{MTL_%s", kind[p->kind]);
	for (int i = 0; i < 7; i++) {
		text_add(o, ", ");
		number(o, k[i]);
		if (i == 3) text_printf(o, ", %d", optimizer_moments(p));
	}
	text_add(o, "}");
}

static void schedule(Text *o, const Spec *s)
{
	static const char *const kind[] = {"CONSTANT", "LINEAR", "COSINE", "STEP"};
	const Schedule *k = &s->schedule;
	text_printf(o, ".schedule = {MTL_SCHEDULE_%s, %lld, %lld, %lld, ", kind[k->kind],
		    (long long)k->warmup, (long long)k->steps, (long long)k->every);
	number(o, k->floor);
	text_add(o, ", ");
	number(o, k->by);
	text_add(o, "}, .clip = ");
	number(o, s->clip);
}

static void gates(Text *o, const Spec *s)
{
	if (!s->gate.n) return;
	text_add(o, "static const MtlGate gates[] = {\n");
	for (int i = 0; i < s->gate.n; i++) {
		text_add(o, "\t{.name = ");
		emit_quoted(o, s->gate.at[i].name);
		text_printf(o, ", .first = %d, .n = %d},\n", s->gate.at[i].first, s->gate.at[i].n);
	}
	text_add(o, "};\n");
}

/* Tasks, and their least shares. */
static void tasks(Text *o, const Spec *s)
{
	if (!s->task.n) return;
	text_add(o, "static const int tasks[] = {");
	for (int k = 0; k < s->task.n; k++) text_printf(o, "%s%d", k ? ", " : "", s->task.at[k]);
	text_add(o, "};\n");
	if (!s->balance.least) return;
	text_add(o, "static const double least[] = {");
	for (int k = 0; k < s->task.n; k++) {
		text_add(o, k ? ", " : "");
		number(o, s->balance.least[s->task.at[k]]);
	}
	text_add(o, "};\n");
}

static void meetings(Text *o, const Lowered *l)
{
	if (!l->region.n) return;
	text_add(o, "static const int64_t regions[] = {");
	for (int i = 0; i < l->region.n; i++)
		text_printf(o, "%s%lld", i ? ", " : "", (long long)l->region.at[i]);
	text_add(o, "};\n");
	if (!l->kept.n) return;
	text_add(o, "static const MtlKept kept[] = {");
	for (int i = 0; i < l->kept.n; i++)
		text_printf(o, "%s{%d, %d}", i ? ", " : "", l->kept.at[i].width, l->kept.at[i].seq);
	text_add(o, "};\n");
}

static void balance(Text *o, const Spec *s)
{
	static const char *const kind[] = {"FIXED", "UNCERTAINTY", "DWA",    "GRADNORM", "PCGRAD",
					   "MGDA",  "PARETO",	   "CAGRAD", "NASH"};
	text_printf(o, ".balance = {MTL_%s, ", kind[s->balance.kind]);
	number(o, s->balance.k);
	text_add(o, ", ");
	number(o, s->balance.lr);
	text_printf(o, ", %s}", s->balance.least && s->task.n ? "least" : "NULL");
}

void emit_model(Text *o, const EmitModel *m)
{
	static const char *const contradiction[] = {"FAIL", "DROP", "ZERO", "FORCE"};
	const Spec *s = m->spec;
	const Events *e = s->events;
	bool scorer = m->scorer;
	if (!m->alone)
		text_printf(
		    o,
		    "/* %s: what the runtime knows of the model.  Made by %s. */\n#include \"model.h\"\n\n",
		    s->name, m->compiler);
	features(o, s, scorer ? m->variant[0] : NULL, m->alone);
	sequences(o, s);
	lookups(o, s);
	events(o, s);
	samples(o, s);
	parameters(o, s);
	reports(o, s, scorer);
	if (!scorer) tasks(o, s);
	if (!scorer) gates(o, s);
	if (!scorer) meetings(o, m->variant[0]);
	kernels(o, m->n, m->variant, m->alone);
	if (m->weights) {
		text_add(o, "__asm__(\".section .rodata\\n.balign 64\\nmtl_weights_begin:\\n.incbin ");
		Text path = {0};
		emit_quoted(&path, m->weights);
		for (const char *c = path.at; *c; c++)
			text_printf(o, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
		text_free(&path);
		text_add(o, "\\nmtl_weights_end:\\n.previous\\n\");\nextern const unsigned char "
			    "mtl_weights_begin[];\n");
	}
	text_add(o, "\nstatic const MtlModel mtl_model = {\n");
	text_add(o, "\t.abi = MTL_ABI, .name = ");
	emit_quoted(o, s->name);
	text_add(o, ", .digest = ");
	emit_quoted(o, m->digest);
	text_add(o, ", .compiler = ");
	emit_quoted(o, m->compiler);
	text_printf(o, ",\n\t.feature = %s, .n_feature = %d,\n", ARRAY(s->feature.n, "features"),
		    s->feature.n);
	text_printf(o, "\t.seq = %s, .n_seq = %d,\n", ARRAY(s->seq.n, "sequences"), s->seq.n);
	text_printf(o, "\t.lookup = %s, .n_lookup = %d, .n_drow = %d,\n", ARRAY(s->lookup.n, "lookups"),
		    s->lookup.n, s->n_drow);
	text_printf(o, "\t.label_column = %s, .n_label_column = %d,\n", ARRAY(e->column.n, "label_columns"),
		    e->column.n);
	text_printf(o, "\t.event = %s, .n_event = %d,\n", ARRAY(e->event.n, "events"), e->event.n);
	text_printf(o, "\t.sample = %s, .n_sample = %d,\n\t.weight_column = ", ARRAY(s->sample.n, "samples"),
		    s->sample.n);
	emit_quoted(o, s->weight_column);
	text_add(o, ", .group_column = ");
	emit_quoted(o, s->group_column);
	if (s->grouped) text_add(o, ", .grouped = true");
	text_printf(o, ", .contradiction = MTL_CONTRADICTION_%s,\n", contradiction[s->contradiction]);
	text_printf(o, "\t.param = %s, .n_param_block = %d, .n_param = %lld, .n_acc = %lld,\n",
		    ARRAY(s->param.n, "params"), s->param.n, (long long)spec_param_floats(s),
		    (long long)m->variant[0]->n_acc);
	const Lowered *low = m->variant[0];
	if (low->region.n && !scorer)
		text_printf(o, "\t.meetings = {%d, regions, %s, %d, %lld, %lld},\n", low->region.n,
			    ARRAY(low->kept.n, "kept"), low->kept.n, (long long)low->n_meet,
			    (long long)spec_next_offset(s, s->running.n));
	text_printf(o, "\t.table = %s, .n_table = %d,\n", ARRAY(s->table.n, "tables"), s->table.n);
	text_printf(o, "\t.noise = %s, .n_noise = %d,\n", ARRAY(s->noise.n && !scorer, "noises"),
		    scorer ? 0 : s->noise.n);
	text_printf(o, "\t.loss = %s, .n_loss = %d,\n", ARRAY(s->loss.n && !scorer, "losses"),
		    scorer ? 0 : s->loss.n);
	if (s->task.n && !scorer)
		text_printf(o, "\t.tasks = {tasks, %d, %s, %lld, %d, %d, %d},\n", s->task.n,
			    flag(s->task_gradients), (long long)s->n_shared, s->n_block, s->first_block,
			    s->in_block);
	if (s->gate.n && !scorer)
		text_printf(o, "\t.gate = gates, .n_gate = %d, .gate_floats = %d,\n", s->gate.n,
			    s->gate.at[s->gate.n - 1].first + s->gate.at[s->gate.n - 1].n);
	text_printf(o, "\t.watch = %s, .n_watch = %d,\n", ARRAY(s->watch.n && !scorer, "watches"),
		    scorer ? 0 : s->watch.n);
	text_printf(o, "\t.output = %s, .n_output = %d,\n", ARRAY(s->output.n, "outputs"), s->output.n);
	text_printf(o, "\t.n_request = %lld, .n_item = %lld,\n", (long long)m->variant[0]->request,
		    (long long)m->variant[0]->item);
	text_printf(o, "\t.entry = entries, .n_entry = %d,\n\t.variant = variants, .n_variant = %d,\n",
		    m->variant[0]->entry.n, m->alone ? 1 : m->n);
	text_add(o, "\t.train = {.dense = ");
	optimizer(o, &s->dense);
	text_add(o, ", .tables = ");
	optimizer(o, &s->tables);
	text_add(o, ",\n\t\t");
	schedule(o, s);
	if (!scorer) {
		text_add(o, ",\n\t\t");
		balance(o, s);
	}
	text_printf(o, ",\n\t\t.batch = %d, .epochs = %d, .shuffle = %lld, .seed = %lluu, .stop_metric = ",
		    s->batch, s->epochs, (long long)s->shuffle, (unsigned long long)s->seed);
	emit_quoted(o, s->stop_metric);
	text_printf(o, ", .stop_patience = %d},\n", s->stop_patience);
	if (m->weights)
		text_printf(o, "\t.weights = mtl_weights_begin, .n_weights = %lluu,\n",
			    (unsigned long long)m->n_weights);
	bool blas = m->variant[0]->mod->blas;
	text_printf(o, "\t.real = %d,\n", m->variant[0]->mod->f64 ? 8 : 4);
	if (blas) text_add(o, "\t.gemm = \"blas\",\n");
	if (m->precision) text_printf(o, "\t.precision = \"%s\",\n", m->precision);
	text_add(o, "};\n");
	if (m->library) {
		emit_doors(o, m);
		return;
	}
	const char *kind = m->server ? "server" : scorer ? "scorer" : "prog";
	text_printf(o, "\nint mtl_%s_main(const MtlModel *m, int argc, char **argv);\n", kind);
	if (blas) text_add(o, "void mtl_gemm_begin(void);\n");
	text_printf(
	    o, "int main(int argc, char **argv)\n{\n%s\treturn mtl_%s_main(&mtl_model, argc, argv);\n}\n",
	    blas ? "\tmtl_gemm_begin();\n" : "", kind);
}
