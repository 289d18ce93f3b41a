/*
 * Batches prepared ahead: a thread of its own reads, shuffles and prepares while the step computes.
 *
 * The order of the rows is a function of the files, the batch size, the shuffle buffer and the seed alone.
 */
#ifndef MTL_FEED_H
#define MTL_FEED_H
#include "regroup.h"

enum { MTL_FEED_RING = 3 }; /* batches alive: one in use, one ready, one being filled */

typedef struct {
	MtlBatch batch;
	int slot;	     /* which of the MTL_FEED_RING batches this is */
	int64_t first;	     /* rows delivered before this batch */
	int64_t number;	     /* batches before it */
	MtlRowCounts counts; /* of the reader when the batch was read */
	MtlGroupCounts groups;
	double progress; /* likewise */
} MtlFed;

typedef struct {
	const char *const *path;
	int n_path;
	MtlReaderOptions reader;
	int64_t batch;	 /* rows */
	int64_t shuffle; /* rows of the buffer; 0: file order */
	uint64_t seed;	 /* of the shuffle: another one in every epoch */
	bool drop_cells; /* `dropout:` of features: by the seed, the feature and the row's number */
	/* What else is to be made ready of a batch while the step computes; NULL: nothing. */
	MtlStatus (*prepare)(void *self, int slot, const MtlBatch *b, MtlError *e);
	void *self;
} MtlFeedOptions;

typedef struct MtlFeed MtlFeed;
/* Opens the first file and starts reading.  `o` is copied, what it points to must outlive the feed. */
MtlStatus mtl_feed_open(MtlFeed **out, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
			const MtlFeedOptions *o, MtlError *e);
/* The next batch, valid until the next call; NULL at the end.  Errors of the reader come in their place among
 * the batches. */
MtlStatus mtl_feed_next(MtlFeed *f, MtlFed **out, MtlError *e);
/* What has become of the rows up to where mtl_feed_next has come. */
MtlRowCounts mtl_feed_counts(const MtlFeed *f);
MtlGroupCounts mtl_feed_groups(const MtlFeed *f);
MtlStatus mtl_feed_close(MtlFeed *f, MtlError *e); /* NULL is fine */

/* Appends row i of `from` to `to`, which has room for it.  Bags grow. */
MtlStatus mtl_batch_append(MtlBatch *to, const MtlSys *sys, const MtlModel *m, const MtlBatch *from,
			   int64_t i, MtlError *e);
#endif
