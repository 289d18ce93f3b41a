/* Table rows of hashed words, by the formula in docs/formats.md: lines "n word" to lines of rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int main(void)
{
	char line[4096];
	while (fgets(line, sizeof line, stdin)) {
		char *word;
		unsigned long long n = strtoull(line, &word, 10);
		word++;
		word[strcspn(word, "\n")] = '\0';
		printf("%llu\n", 2 + (unsigned long long)XXH3_64bits(word, strlen(word)) % n);
	}
	return 0;
}
