/*
 * For static scorers: zstd's current format alone, without the decoders of formats from before 2017.
 *
 * stream.c knows a zstd file by the current format's first bytes, so those decoders are never of use; but
 * they are a tenth of a scorer, and code that reads bytes of any origin.  The linker takes these functions,
 * which refuse, in their place: it asks for mtl_zstd_current before it comes to libzstd (driver/link.c).
 */
#include <stddef.h>
#include <stdint.h>

extern const char mtl_zstd_current;
const char mtl_zstd_current = 1;

/* What libzstd takes for an error: the negative of a small number. */
#define ERROR ((size_t)-1)

/* A decoder that is there, as far as libzstd is concerned, and refuses at the first byte. */
#define SOMETHING ((void *)(uintptr_t)&mtl_zstd_current)

/* Nobody outside libzstd calls these, so no header declares them. */
#define REFUSE(v)                                                                                            \
	void *ZBUFF##v##_createDCtx(void);                                                                   \
	void *ZBUFF##v##_createDCtx(void) { return SOMETHING; }                                              \
	size_t ZBUFF##v##_freeDCtx(void *d);                                                                 \
	size_t ZBUFF##v##_freeDCtx(void *d) { return (void)d, (size_t)0; }                                   \
	size_t ZBUFF##v##_decompressInitDictionary(void *d, const void *p, size_t n);                        \
	size_t ZBUFF##v##_decompressInitDictionary(void *d, const void *p, size_t n)                         \
	{                                                                                                    \
		return (void)d, (void)p, (void)n, ERROR;                                                     \
	}                                                                                                    \
	size_t ZBUFF##v##_decompressContinue(void *d, void *to, size_t *n_to, const void *p, size_t *n);     \
	size_t ZBUFF##v##_decompressContinue(void *d, void *to, size_t *n_to, const void *p, size_t *n)      \
	{                                                                                                    \
		return (void)d, (void)to, (void)p, *n_to = 0, *n = 0, ERROR;                                 \
	}                                                                                                    \
	void *ZSTD##v##_createDCtx(void);                                                                    \
	void *ZSTD##v##_createDCtx(void) { return SOMETHING; }                                               \
	size_t ZSTD##v##_freeDCtx(void *d);                                                                  \
	size_t ZSTD##v##_freeDCtx(void *d) { return (void)d, (size_t)0; }                                    \
	size_t ZSTD##v##_decompress_usingDict(void *d, void *to, size_t n_to, const void *p, size_t n,       \
					      const void *dict, size_t n_dict);                              \
	size_t ZSTD##v##_decompress_usingDict(void *d, void *to, size_t n_to, const void *p, size_t n,       \
					      const void *dict, size_t n_dict)                               \
	{                                                                                                    \
		return (void)d, (void)to, (void)n_to, (void)p, (void)n, (void)dict, (void)n_dict, ERROR;     \
	}                                                                                                    \
	size_t ZSTD##v##_getFrameParams(void *params, const void *p, size_t n);                              \
	size_t ZSTD##v##_getFrameParams(void *params, const void *p, size_t n)                               \
	{                                                                                                    \
		return (void)params, (void)p, (void)n, ERROR;                                                \
	}                                                                                                    \
	void ZSTD##v##_findFrameSizeInfoLegacy(const void *p, size_t n, size_t *size,                        \
					       unsigned long long *most);                                    \
	void ZSTD##v##_findFrameSizeInfoLegacy(const void *p, size_t n, size_t *size,                        \
					       unsigned long long *most)                                     \
	{                                                                                                    \
		(void)p, (void)n, *size = ERROR, *most = (unsigned long long)-2;                             \
	}

/* What a library built with support for formats from 0.5 on asks for. */
REFUSE(v05)
REFUSE(v06)
REFUSE(v07)
