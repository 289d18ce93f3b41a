/* The row of a cross: from the bytes of its parts' rows, written out here by hand. */
#include "cross.h"
#include "suite.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { A, B, AB, BA, N };
static const int ab[] = {A, B}, ba[] = {B, A};
static const MtlFeature feature[N] = {
    [A] = {.name = "a", .kind = MTL_ID, .code = MTL_SIZE, .n = 1000, .same_code = -1},
    [B] = {.name = "b", .kind = MTL_ID, .code = MTL_SIZE, .n = 1000, .same_code = -1, .candidate = true},
    [AB] = {.name = "ab",
	    .kind = MTL_ID,
	    .code = MTL_HASH,
	    .n = 997,
	    .same_code = -1,
	    .candidate = true,
	    .cross = ab,
	    .n_cross = 2},
    [BA] = {.name = "ba",
	    .kind = MTL_ID,
	    .code = MTL_HASH,
	    .n = 997,
	    .same_code = -1,
	    .candidate = true,
	    .cross = ba,
	    .n_cross = 2}};
static const MtlModel model = {.feature = feature, .n_feature = N};

static int32_t hashed(const unsigned char bytes[8]) { return (int32_t)(XXH3_64bits(bytes, 8) % 997) + 2; }

static void rows_from_bytes(void)
{
	int32_t a[4] = {300, 0, 0, 1}, b[4] = {5, 5, 0, 0}, x[4], y[4];
	MtlColumn column[N] = {{.id = a}, {.id = b}, {.id = x}, {.id = y}};
	MtlBatch batch = {.n = 4, .cap = 4, .column = column};
	memset(x, 0x55, sizeof x);
	mtl_cross_fill(&model, &batch, 0, 4, NULL, 0);
	/* 300 is 2c 01 00 00 */
	CU_ASSERT_EQUAL(x[0], hashed((const unsigned char[]){0x2c, 1, 0, 0, 5, 0, 0, 0}));
	CU_ASSERT_EQUAL(y[0], hashed((const unsigned char[]){5, 0, 0, 0, 0x2c, 1, 0, 0}));
	CU_ASSERT_NOT_EQUAL(x[0], y[0]);
	CU_ASSERT_EQUAL(x[1], hashed((const unsigned char[]){0, 0, 0, 0, 5, 0, 0, 0}));
	CU_ASSERT_EQUAL(x[2], MTL_ROW_MISSING);
	CU_ASSERT_EQUAL(x[3], hashed((const unsigned char[]){1, 0, 0, 0, 0, 0, 0, 0}));
}

/* Parts of the request's side come from its row; rows outside the range are left alone. */
static void parts_of_a_request(void)
{
	int32_t asked[2] = {7, 300}, b[3] = {5, 5, 6}, x[3] = {-1, -1, -1}, y[3], none[3] = {0};
	MtlColumn column[N] = {{.id = none}, {.id = b}, {.id = x}, {.id = y}},
		  of_request[N] = {{.id = asked}};
	MtlBatch batch = {.n = 3, .cap = 3, .column = column},
		 request = {.n = 2, .cap = 2, .column = of_request};
	mtl_cross_fill(&model, &batch, 1, 2, &request, 1);
	CU_ASSERT_EQUAL(x[0], -1);
	CU_ASSERT_EQUAL(x[1], hashed((const unsigned char[]){0x2c, 1, 0, 0, 5, 0, 0, 0}));
	CU_ASSERT_EQUAL(x[2], hashed((const unsigned char[]){0x2c, 1, 0, 0, 6, 0, 0, 0}));
}

int main(void)
{
	CU_pSuite s = suite_begin("crosses");
	CU_ADD_TEST(s, rows_from_bytes);
	CU_ADD_TEST(s, parts_of_a_request);
	return suite_end();
}
