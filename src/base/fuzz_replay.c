/* Replays a fuzz corpus through a target without libFuzzer: `NAME_replay DIR`. Fails when the
 * folder is missing or empty, so that a lost corpus does not pass as a test. */
#include "base/base.h"

#include <dirent.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)4 * 1024 * 1024)

static void replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		BUG("cannot read a corpus file");
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(INPUT_MAX);
	size_t n = fread(bytes, 1, INPUT_MAX, file);
	fclose(file);
	/* An exact-size copy, so that ASan sees a read past the end. */
	uint8_t *exact = base_alloc(n);
	memcpy(exact, bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	base_free(exact);
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	if (!dir) {
		fprintf(stderr, "corpus folder is missing: %s\n",
		        argc == 2 ? argv[1] : "(none given)");
		return 1;
	}
	size_t n_replayed = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		char path[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		replay(path);
		n_replayed++;
	}
	closedir(dir);
	printf("%zu inputs replayed\n", n_replayed);
	return n_replayed > 0 ? 0 : 1;
}
