/*
 * The rows of a log, from the log or from its pack.
 *
 * A pack is made and used where rows are read for their labels, none of them is handed on as text (rejects,
 * passthrough), and a bad one does not leave an empty row behind.
 */
#include "source.h"

static bool keeps(const MtlReaderOptions *o)
{
	return o->cache && o->labels && !o->rejects && !o->n_passthrough && !o->prompt && !o->sides &&
	       o->bad_rows != MTL_BAD_NULL;
}

MtlStatus mtl_source_open(MtlSource *s, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
			  const char *const *path, int n_path, const MtlReaderOptions *o, MtlError *e)
{
	MtlPackKey key;
	bool damaged;
	*s = (MtlSource){0};
	bool kept = keeps(o) && mtl_pack_key(&key, sys, m, c, path, n_path, o, e);
	if (e->status) return e->status;
	if (kept && (s->pack = mtl_pack_open(sys, m, c, o->cache, key, &damaged))) return MTL_OK;
	if (mtl_reader_open(&s->reader, sys, m, c, path, n_path, o, e)) return e->status;
	if (kept) s->packer = mtl_packer_open(sys, m, o->cache, key);
	return MTL_OK;
}

/* Statistics under their key: 16 digits of a digest, then the text of the model file. */
static bool codes_kept(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *path)
{
	char *text = mtl_pack_read_text(sys, path);
	MtlError e = {0};
	bool good = text && mtl_codes_from_json(c, sys, m, text, &e) == MTL_OK;
	mtl_release(sys, text);
	return good;
}

MtlStatus mtl_source_codes(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *const *path,
			   int n_path, const MtlReaderOptions *o, MtlError *e)
{
	MtlPackKey key;
	char name[MTL_PACK_PATH] = "";
	if (o->cache && mtl_pack_key(&key, sys, m, c, path, n_path, o, e))
		mtl_pack_path(name, o->cache, key, "codes");
	if (e->status || (*name && codes_kept(c, sys, m, name))) return e->status;
	if (*name) { /* what was not kept left nothing behind, or half of it */
		mtl_codes_free(c, sys, m);
		if (mtl_codes_init(c, sys, m, e)) return e->status;
	}
	if (mtl_codes_from_data(c, sys, m, path, n_path, e)) return e->status;
	char *text = *name ? mtl_codes_to_json(c, sys, m) : NULL;
	if (text) mtl_pack_write_text(sys, name, text);
	mtl_release(sys, text);
	return MTL_OK;
}

MtlStatus mtl_source_next(MtlSource *s, MtlBatch *b, MtlError *e)
{
	if (s->pack) return mtl_pack_next(s->pack, b, e);
	if (mtl_reader_next(s->reader, b, e)) return e->status;
	s->ended = b->n == 0;
	if (s->packer && b->n) mtl_packer_add(s->packer, b, mtl_reader_counts(s->reader));
	return MTL_OK;
}

const MtlRowCounts *mtl_source_counts(const MtlSource *s)
{
	return s->pack ? mtl_pack_counts(s->pack) : mtl_reader_counts(s->reader);
}

double mtl_source_progress(const MtlSource *s)
{
	return s->pack ? mtl_pack_progress(s->pack) : mtl_reader_progress(s->reader);
}

MtlStatus mtl_source_close(MtlSource *s, MtlError *e)
{
	mtl_packer_close(s->packer, s->ended ? mtl_reader_counts(s->reader) : NULL);
	mtl_pack_close(s->pack);
	MtlStatus st = s->reader ? mtl_reader_close(s->reader, e) : MTL_OK;
	*s = (MtlSource){0};
	return st;
}
