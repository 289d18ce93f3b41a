
/* ---- a model whose numbers stand in this file ---- */

/* A word of the vocabulary, or the hash; by the order of the words' bytes.  Other codes do not come as text.
 */
static bool mtl_code_row(const MtlFeature *f, const MtlCodeBook *b, const char *p, size_t n, int32_t *row)
{
	const int32_t *order = b->index;
	*row = MTL_ROW_UNKNOWN;
	if (f->code == MTL_HASH) *row = (int32_t)(xxh3(p, n) % (uint64_t)f->n) + MTL_ROW_FIRST;
	for (int64_t lo = 0, hi = b->n_vocab; lo < hi;) {
		int64_t mid = lo + (hi - lo) / 2;
		const char *word = b->vocab[order[mid]];
		size_t len = strlen(word);
		int c = memcmp(word, p, len < n ? len : n);
		if (!c && len == n) {
			*row = order[mid] + MTL_ROW_FIRST;
			break;
		}
		if (c < 0 || (!c && len < n))
			lo = mid + 1;
		else
			hi = mid;
	}
	return true;
}

static MtlStatus mtl_instance_init(MtlInstance *in, const MtlSys *sys, const MtlModel *m, MtlError *e)
{
	volatile float near = 1 + 0x1p-12f;
	float x = near, y = x * x - (1 + 0x1p-11f); /* 0, or 2^-24 where product and sum are one operation */
	*in = (MtlInstance){.sys = sys, .m = m, .variant = &m->variant[0]};
	in->codes.book = (MtlCodeBook *)(uintptr_t)mtl_books;
	in->codes.complete = true;
	return y == 0 ? MTL_OK
		      : mtl_fail(e, MTL_USAGE, "", m->name,
				 "compiled so that products and sums contract: -ffp-contract=off is needed");
}

static MtlStatus mtl_instance_open(MtlInstance *in, const char *path, MtlError *e)
{
	if (path) return mtl_fail(e, MTL_USAGE, "", path, "a scorer that is one C file reads no model files");
	in->param = (float *)(uintptr_t)mtl_params;
	in->table = (float **)(uintptr_t)mtl_tables;
	in->packed = mtl_new(in->sys, float, in->variant->packed + 1);
	float *work = mtl_new(in->sys, float, in->variant->work[MTL_PRE] + 1);
	if (in->packed && work)
		mtl_frame_call(&(MtlFrame){.in = in, .work = work}, MTL_PRE, 0, 0, 0);
	else
		mtl_fail(e, MTL_LIMIT, "", in->m->name, "no memory");
	mtl_release(in->sys, work);
	return e->status;
}

static void mtl_instance_free(MtlInstance *in)
{
	if (in->m) mtl_release(in->sys, in->packed);
	*in = (MtlInstance){0};
}

/* The weights are constants of the program, which was checked when it was made: there is no file to look at.
 */
static MtlStatus mtl_store_open_memory(MtlStore **out, const MtlSys *sys, const void *p, size_t n,
				       const char *name, MtlError *e)
{
	(void)sys, (void)p, (void)n, (void)name;
	*out = NULL;
	return e->status;
}
static void mtl_store_close(MtlStore *s) { (void)s; }
static const char *mtl_store_meta(const MtlStore *s, const char *key)
{
	(void)s, (void)key;
	return NULL;
}
