/*
 * A model as the compiler would print it, written by hand: the test of the loops that drive it.
 *
 * Two heads over x = [user(4), item(4), mean of tags(4)], 12 numbers a row:
 *   P(click)       = sigmoid(x . w_ctr + b_ctr)     loss ctr on all rows with a known click
 *   P(buy | click) = sigmoid(x . w_cvr + b_cvr)     loss cvr on clicked rows with a known buy
 * Dense parameters by Adam, table rows by Adagrad.  Kernels read PACKED, never PARAM, so a missing PRE shows.
 */
#ifndef MODEL_BY_HAND_H
#define MODEL_BY_HAND_H
#include "runtime/model.h"
#include <math.h>

enum {
	H_DIM = 4,
	H_X = 3 * H_DIM,
	H_W_CTR = 0,
	H_B_CTR = H_X,
	H_W_CVR = H_X + 1,
	H_B_CVR = 2 * H_X + 1,
	H_N = 2 * H_X + 2,
	H_STRIDE = 2 * H_DIM
};

#define N_OF(a) ((int)(sizeof(a) / sizeof *(a)))

/* ---- kernels ---- */

static void h_pre(void *const *buf, const int64_t *size)
{
	(void)size;
	for (int i = 0; i < H_N; i++) ((float *)buf[1])[i] = ((const float *)buf[0])[i];
}

/* x of row i; buf from `at`: user, item, tag start, tag item, tag scale, tables 0 1 2. */
static void h_x(void *const *buf, int at, int64_t i, float *x)
{
	const int32_t *user = buf[at], *item = buf[at + 1], *start = buf[at + 2], *tag = buf[at + 3];
	const float *scale = buf[at + 4];
	for (int j = 0; j < H_DIM; j++) {
		x[j] = ((const float *)buf[at + 5])[user[i] * H_STRIDE + j];
		x[H_DIM + j] = ((const float *)buf[at + 6])[item[i] * H_STRIDE + j];
		x[2 * H_DIM + j] = 0;
		for (int32_t k = start[i]; k < start[i + 1]; k++)
			x[2 * H_DIM + j] += scale[k] * ((const float *)buf[at + 7])[tag[k] * H_STRIDE + j];
	}
}

static float h_logit(const float *packed, int w, int b, const float *x)
{
	float s = packed[b];
	for (int j = 0; j < H_X; j++) s += packed[w + j] * x[j];
	return s;
}

static float h_sigmoid(float z) { return 1 / (1 + expf(-z)); }
static float h_bce(float z, float y) { return fmaxf(z, 0) - y * z + log1pf(expf(-fabsf(z))); }

#define H_INPUTS                                                                                             \
	{MTL_SLOT_ID, 0, 1, false}, {MTL_SLOT_ID, 1, 1, false}, {MTL_SLOT_BAG_START, 2, 1, false},           \
	    {MTL_SLOT_BAG_ITEM, 2, 0, false}, {MTL_SLOT_BAG_SCALE, 2, 0, false},                             \
	    {MTL_SLOT_TABLE, 0, 0, false}, {MTL_SLOT_TABLE, 1, 0, false},                                    \
	{                                                                                                    \
		MTL_SLOT_TABLE, 2, 0, false                                                                  \
	}
#define H_LABELS                                                                                             \
	{MTL_SLOT_CAN1, 0, 1, false}, {MTL_SLOT_CAN0, 0, 1, false}, {MTL_SLOT_CAN1, 1, 1, false},            \
	    {MTL_SLOT_CAN0, 1, 1, false},                                                                    \
	{                                                                                                    \
		MTL_SLOT_WEIGHT, 0, 1, false                                                                 \
	}

static const MtlSlot h_pre_slot[] = {{MTL_SLOT_PARAM, 0, 0, false}, {MTL_SLOT_PACKED, 0, 0, false}};
static const MtlSlot h_score_slot[] = {{MTL_SLOT_PACKED, 0, 0, false}, {MTL_SLOT_OUT, 0, 3, false}, H_INPUTS};
static const MtlSlot h_watch_slot[] = {
    {MTL_SLOT_PACKED, 0, 0, false}, {MTL_SLOT_WATCH, 0, 9, false}, H_INPUTS, H_LABELS};
static const MtlSlot h_count_slot[] = {{MTL_SLOT_COUNT, 0, 2, true}, H_LABELS};
static const MtlSlot h_step_slot[] = {{MTL_SLOT_PACKED, 0, 0, false},
				      {MTL_SLOT_INV, 0, 0, false},
				      {MTL_SLOT_LOSS, 0, 2, true},
				      {MTL_SLOT_DROWS, 0, H_X, false},
				      {MTL_SLOT_ACC, 0, 0, false},
				      {MTL_SLOT_WORK, 0, 0, false},
				      H_INPUTS,
				      H_LABELS,
				      {MTL_SLOT_NOISE, 0, H_X, false}};
static const MtlSlot h_post_slot[] = {{MTL_SLOT_ACC, 0, 0, false}, {MTL_SLOT_GRAD, 0, 0, false}};
static const MtlSlot h_update_slot[] = {{MTL_SLOT_PARAM, 0, 0, false},
					{MTL_SLOT_MOMENT, 0, 0, false},
					{MTL_SLOT_MOMENT, 1, 0, false},
					{MTL_SLOT_GRAD, 0, 0, false},
					{MTL_SLOT_HYPER, 0, 0, false}};
#define H_TABLE_SLOT(t)                                                                                      \
	{                                                                                                    \
		{MTL_SLOT_TABLE, t, 0, false}, {MTL_SLOT_UNIQ, 0, 0, false}, {MTL_SLOT_START, 0, 0, false},  \
		    {MTL_SLOT_SRC, 0, 0, false}, {MTL_SLOT_SCALE, 0, 0, false},                              \
		    {MTL_SLOT_DROWS, 0, 0, false},                                                           \
		{                                                                                            \
			MTL_SLOT_HYPER, 0, 0, false                                                          \
		}                                                                                            \
	}
static const MtlSlot h_table_slot[3][7] = {H_TABLE_SLOT(0), H_TABLE_SLOT(1), H_TABLE_SLOT(2)};

static const MtlSlot h_request_slot[] = {
    {MTL_SLOT_REQUEST, 0, H_DIM, false}, {MTL_SLOT_ID, 0, 1, false}, {MTL_SLOT_TABLE, 0, 0, false}};
static const MtlSlot h_candidates_slot[] = {
    {MTL_SLOT_PACKED, 0, 0, false},    {MTL_SLOT_OUT, 0, 3, false},	 {MTL_SLOT_ID, 1, 1, false},
    {MTL_SLOT_BAG_START, 2, 1, false}, {MTL_SLOT_BAG_ITEM, 2, 0, false}, {MTL_SLOT_BAG_SCALE, 2, 0, false},
    {MTL_SLOT_TABLE, 1, 0, false},     {MTL_SLOT_TABLE, 2, 0, false},	 {MTL_SLOT_REQUEST, 0, 0, false}};

static void h_outputs(const float *packed, const float *x, float *out);

/* The user's row is all that can be had of a request. */
static void h_request(void *const *buf, const int64_t *size)
{
	for (int64_t i = 0; i < size[0]; i++)
		for (int j = 0; j < H_DIM; j++)
			((float *)buf[0])[i * H_DIM + j] =
			    ((const float *)buf[2])[((const int32_t *)buf[1])[i] * H_STRIDE + j];
}

static void h_candidates(void *const *buf, const int64_t *size)
{
	const int32_t zero = 0;
	for (int64_t i = 0; i < size[0]; i++) {
		float x[H_X];
		const int32_t *item = (const int32_t *)buf[2] + i, *start = (const int32_t *)buf[3] + i;
		void *one[] = {(void *)(uintptr_t)&zero,
			       (void *)(uintptr_t)item,
			       (void *)(uintptr_t)start,
			       buf[4],
			       buf[5],
			       buf[8],
			       buf[6],
			       buf[7]};
		h_x(one, 0, 0, x);
		h_outputs(buf[0], x, (float *)buf[1] + 3 * i);
	}
}

static void h_outputs(const float *packed, const float *x, float *out)
{
	out[0] = h_sigmoid(h_logit(packed, H_W_CTR, H_B_CTR, x));
	out[1] = h_sigmoid(h_logit(packed, H_W_CVR, H_B_CVR, x));
	out[2] = out[0] * out[1];
}

static void h_score(void *const *buf, const int64_t *size)
{
	float *out = buf[1], x[H_X];
	for (int64_t i = 0; i < size[0]; i++) {
		h_x(buf, 2, i, x);
		h_outputs(buf[0], x, out + 3 * i);
	}
}

/* Whether row i counts for loss l, and its label; buf from `at`: can1 and can0 of click, of buy. */
static bool h_known(void *const *buf, int at, int64_t i, int l, float *y)
{
	float c1 = ((const float *)buf[at])[i], c0 = ((const float *)buf[at + 1])[i];
	float b1 = ((const float *)buf[at + 2])[i], b0 = ((const float *)buf[at + 3])[i];
	*y = l == 0 ? c1 : b1;
	return l == 0 ? c1 != c0 : c1 > 0 && c0 == 0 && b1 != b0;
}

static void h_watch(void *const *buf, const int64_t *size)
{
	float *out = buf[1], x[H_X], y;
	const float *weight = buf[14];
	for (int64_t i = 0; i < size[0]; i++) {
		h_x(buf, 2, i, x);
		float z[2] = {h_logit(buf[0], H_W_CTR, H_B_CTR, x), h_logit(buf[0], H_W_CVR, H_B_CVR, x)};
		for (int k = 0; k < 2; k++) {
			bool known = h_known(buf, 10, i, k, &y);
			out[9 * i + 3 * k] = z[k];
			out[9 * i + 3 * k + 1] = y;
			out[9 * i + 3 * k + 2] = known ? weight[i] : 0;
		}
		float p = h_sigmoid(z[0]) * h_sigmoid(z[1]), b1 = ((const float *)buf[12])[i],
		      b0 = ((const float *)buf[13])[i];
		out[9 * i + 6] = logf(p / (1 - p));
		out[9 * i + 7] = b1;
		out[9 * i + 8] = b1 != b0 ? weight[i] : 0;
	}
}

static void h_count(void *const *buf, const int64_t *size)
{
	float *count = buf[0], y;
	const float *weight = buf[5];
	for (int64_t i = 0; i < size[0]; i++)
		for (int l = 0; l < 2; l++) {
			float *c = &count[2 * (i / MTL_BLOCK) + l];
			if (i % MTL_BLOCK == 0) *c = 0;
			if (h_known(buf, 1, i, l, &y)) *c += weight[i];
		}
}

/* Noise multiplies x; `noise` NULL: none. */
static void h_gradient(void *const *buf, const int64_t *size, const float *noise)
{
	const float *packed = buf[0], *inv = buf[1], *weight = buf[18];
	float *loss = buf[2], *drows = buf[3], *acc = buf[4], *x = buf[5], y;
	for (int64_t i = 0; i < size[0]; i++) {
		h_x(buf, 6, i, x);
		for (int j = 0; noise && j < H_X; j++) x[j] *= noise[i * H_X + j];
		for (int j = 0; j < H_X; j++) drows[i * H_X + j] = 0;
		for (int l = 0; l < 2; l++) {
			float *sum = &loss[2 * (i / MTL_BLOCK) + l];
			if (i % MTL_BLOCK == 0) *sum = 0;
			if (!h_known(buf, 14, i, l, &y)) continue;
			int w = l ? H_W_CVR : H_W_CTR, b = l ? H_B_CVR : H_B_CTR;
			float z = h_logit(packed, w, b, x);
			*sum += weight[i] * h_bce(z, y);
			float dz = weight[i] * inv[l] * (h_sigmoid(z) - y) *
				   (l ? 0.5f : 1); /* loss cvr has weight 0.5 */
			acc[b] += dz;
			for (int j = 0; j < H_X; j++) {
				acc[w + j] += dz * x[j];
				drows[i * H_X + j] += dz * packed[w + j] * (noise ? noise[i * H_X + j] : 1);
			}
		}
	}
}

static void h_step(void *const *buf, const int64_t *size) { h_gradient(buf, size, NULL); }
static void h_step_noise(void *const *buf, const int64_t *size) { h_gradient(buf, size, buf[19]); }

static void h_post(void *const *buf, const int64_t *size)
{
	(void)size;
	for (int i = 0; i < H_N; i++) ((float *)buf[1])[i] = ((const float *)buf[0])[i];
}

static void h_update(void *const *buf, const int64_t *size)
{
	float *w = buf[0], *m = buf[1], *v = buf[2];
	const float *g = buf[3], *h = buf[4];
	for (int64_t i = size[0]; i < size[1]; i++) {
		m[i] = 0.9f * m[i] + 0.1f * g[i];
		v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
		w[i] -= h[0] * (m[i] * h[1]) / (sqrtf(v[i] * h[2]) + 1e-8f);
	}
}

static void h_table(void *const *buf, const int64_t *size)
{
	const int32_t *uniq = buf[1], *start = buf[2], *src = buf[3];
	const float *scale = buf[4], *drows = buf[5], *h = buf[6];
	for (int64_t u = size[0]; u < size[1]; u++) {
		float *r = (float *)buf[0] + (int64_t)uniq[u] * H_STRIDE;
		for (int j = 0; j < H_DIM; j++) {
			float g = 0;
			for (int32_t k = start[u]; k < start[u + 1]; k++) g += scale[k] * drows[src[k] + j];
			r[H_DIM + j] += g * g;
			r[j] -= h[0] * g / (sqrtf(r[H_DIM + j]) + 1e-10f);
		}
	}
}

/* ---- the model ---- */

static const char *const h_words[] = {"a", "b", "c", "d", "e", "f"};
static const MtlFeature h_feature[] = {
    {.name = "user",
     .group = "user",
     .column = "user",
     .kind = MTL_ID,
     .code = MTL_HASH,
     .n = 50,
     .same_code = -1},
    {.name = "item",
     .group = "item",
     .column = "item",
     .kind = MTL_ID,
     .code = MTL_SIZE,
     .n = 20,
     .candidate = true,
     .same_code = -1},
    {.name = "tags",
     .group = "item",
     .column = "tags",
     .kind = MTL_BAG,
     .code = MTL_VOCAB,
     .vocab = h_words,
     .n_vocab = 6,
     .pool = MTL_POOL_MEAN,
     .separator = '|',
     .candidate = true,
     .same_code = -1},
};
static const MtlLookup h_lookup[] = {{0, 0, 0}, {1, 1, H_DIM}, {2, 2, 2 * H_DIM}};
static const char *const h_label_column[] = {"clk", "pay"};
static const int16_t h_label_click[] = {0}, h_label_buy[] = {1};
static const MtlEvent h_event[] = {{"click", -1, h_label_click, 1}, {"buy", 0, h_label_buy, 1}};
#define H_WEIGHT_INIT                                                                                        \
	{                                                                                                    \
		MTL_INIT_UNIFORM, -0.5, 0.5                                                                  \
	}
#define H_ZERO_INIT                                                                                          \
	{                                                                                                    \
		MTL_INIT_ZERO, 0, 0                                                                          \
	}
static const MtlParam h_param[] = {
    {"tower.ctr.0.weight",
     2,
     {H_X, 1, 0, 0},
     H_W_CTR,
     H_X,
     H_WEIGHT_INIT,
     1,
     false,
     true,
     false,
     0,
     false,
     0},
    {"tower.ctr.0.bias", 1, {1, 0, 0, 0}, H_B_CTR, 1, H_ZERO_INIT, 1, false, true, false, 0, false, 0},
    {"tower.cvr.0.weight",
     2,
     {H_X, 1, 0, 0},
     H_W_CVR,
     H_X,
     H_WEIGHT_INIT,
     2,
     false,
     true,
     false,
     0,
     false,
     0},
    {"tower.cvr.0.bias", 1, {1, 0, 0, 0}, H_B_CVR, 1, H_ZERO_INIT, 2, false, true, false, 0, false, 0},
};
#define H_TABLE_INIT                                                                                         \
	{                                                                                                    \
		MTL_INIT_NORMAL, 0, 0.1                                                                      \
	}
static const MtlTable h_tables[] = {
    {"embed.user.weight", 52, 0, H_DIM, H_STRIDE, H_TABLE_INIT, 3, false, true, true, MTL_SINGLE, false},
    {"embed.item.weight", 22, 1, H_DIM, H_STRIDE, H_TABLE_INIT, 3, false, true, true, MTL_SINGLE, false},
    {"embed.tags.weight", 8, 2, H_DIM, H_STRIDE, H_TABLE_INIT, 3, false, true, true, MTL_SINGLE, false},
};
static const MtlNoise h_noise[] = {{H_X, 0.25, "x", false}};
static const MtlLoss h_loss[] = {{"ctr", 1, false, 0}, {"cvr", 0.5, false, 0}};
static const MtlWatch h_watches[] = {{"click", "clk", "all", true, MTL_WATCH_PROB},
				     {"buy|click", "pay", "clk", true, MTL_WATCH_PROB},
				     {"buy", "clk & pay", "all", false, MTL_WATCH_PROB}};
static const MtlOutput h_output[] = {{"pctr"}, {"pcvr"}, {"pctcvr"}};
#define H_ENTRY(s)                                                                                           \
	{                                                                                                    \
		s, N_OF(s)                                                                                   \
	}
static const MtlEntry h_entry[] = {H_ENTRY(h_pre_slot),
				   H_ENTRY(h_score_slot),
				   H_ENTRY(h_watch_slot),
				   H_ENTRY(h_count_slot),
				   H_ENTRY(h_step_slot),
				   H_ENTRY(h_post_slot),
				   H_ENTRY(h_update_slot),
				   H_ENTRY(h_request_slot),
				   H_ENTRY(h_candidates_slot),
				   {NULL, 0},
				   {NULL, 0},
				   {NULL, 0},
				   H_ENTRY(h_table_slot[0]),
				   H_ENTRY(h_table_slot[1]),
				   H_ENTRY(h_table_slot[2])};
static MtlKernel *const h_kernel[] = {h_pre,  h_score,	h_watch,   h_count,	 h_step,
				      h_post, h_update, h_request, h_candidates, NULL,
				      NULL,   NULL,	h_table,   h_table,	 h_table};
static MtlKernel *const h_kernel_noise[] = {h_pre,  h_score,  h_watch,	 h_count,      h_step_noise,
					    h_post, h_update, h_request, h_candidates, NULL,
					    NULL,   NULL,     h_table,	 h_table,      h_table};
static const int64_t h_work[] = {0, 0, 0, 0, H_X, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static const MtlVariant h_variant[] = {{"x86-64-v9", 9, h_kernel, h_work, H_N},
				       {"any-v0", 0, h_kernel, h_work, H_N}};
static const MtlVariant h_variant_noise[] = {{"any-v0", 0, h_kernel_noise, h_work, H_N}};

#define H_MODEL(variants, n_noises, noises)                                                                  \
	{                                                                                                    \
		.abi = MTL_ABI, .real = 4, .name = "by_hand", .digest = "0123456789abcdef",                  \
		.compiler = "hand", .feature = h_feature, .n_feature = N_OF(h_feature), .lookup = h_lookup,  \
		.n_lookup = N_OF(h_lookup), .n_drow = H_X, .label_column = h_label_column,                   \
		.n_label_column = 2, .event = h_event, .n_event = 2, .param = h_param,                       \
		.n_param_block = N_OF(h_param), .n_param = H_N, .n_acc = H_N, .table = h_tables,             \
		.n_table = 3, .noise = noises, .n_noise = n_noises, .loss = h_loss, .n_loss = 2,             \
		.watch = h_watches, .n_watch = 3, .output = h_output, .n_output = 3, .n_request = H_DIM,     \
		.entry = h_entry, .n_entry = N_OF(h_entry), .variant = variants,                             \
		.n_variant = N_OF(variants), .train = {                                                      \
			.dense = {.kind = MTL_ADAM,                                                          \
				  .lr = 0.01,                                                                \
				  .beta1 = 0.9,                                                              \
				  .beta2 = 0.999,                                                            \
				  .eps = 1e-8,                                                               \
				  .n_moment = 2},                                                            \
			.tables = {.kind = MTL_ADAGRAD, .lr = 0.05, .eps = 1e-10, .n_moment = 1},            \
			.batch = 256,                                                                        \
			.epochs = 2,                                                                         \
			.seed = 1                                                                            \
		}                                                                                            \
	}

static const MtlModel by_hand = H_MODEL(h_variant, 0, NULL);
static const MtlModel by_hand_noise =
    H_MODEL(h_variant_noise, 1, h_noise); /* with dropout of a quarter on x */
#endif
