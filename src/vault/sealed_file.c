/* First line: "mailkeep-KIND 1 SHA256-OF-THE-REST", then the content. The checksum finds damage,
 * not malice: whoever may write here owns the vault. */
#include "vault/sealed_file.h"

#include "base/cursor.h"
#include "base/encode.h"
#include "os/fd.h"
#include "os/file.h"
#include "vault/vault.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>

#define HEADER_MAX ((size_t)256)
#define FILE_NAME_MAX                                                                              \
	((size_t)240) /* escaped; file systems allow 255, and a temporary file needs more */
#define NAMES_MAX ((size_t)1000000)

static bool is_plain(uint8_t c)
{
	return ascii_is_alnum(c) || (c != 0 && strchr("_@+-.", c) != NULL);
}

struct status sealed_file_path(const char *folder, struct slice name, char path[SEALED_PATH_MAX])
{
	struct buf text;
	if (name.n == 0 || name.n > SEALED_NAME_MAX)
		return fail(ERR_INVALID, "name is empty or too long");
	buf_init(&text, SEALED_PATH_MAX - 1);
	buf_printf(&text, "%s/", folder);
	for (size_t i = 0; i < name.n; i++) {
		if (is_plain(name.p[i]) && !(i == 0 && name.p[i] == '.'))
			buf_add_byte(&text, name.p[i]);
		else
			buf_printf(&text, "%%%02X", name.p[i]);
	}
	bool fits = !buf_failed(&text) && text.n - strlen(folder) - 1 <= FILE_NAME_MAX;
	if (fits)
		memcpy(path, buf_cstr(&text), text.n + 1);
	buf_done(&text);
	return fits ? ok() : fail(ERR_INVALID, "name is too long");
}

static void make_header(const char *kind, struct slice content, struct buf *out)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	size_t n = 0;
	if (EVP_Q_digest(NULL, "SHA256", NULL, content.p, content.n, digest, &n) != 1)
		BUG("libcrypto has no SHA-256");
	buf_printf(out, "mailkeep-%s 1 ", kind);
	hex_encode(slice_of(digest, n), out);
	buf_add_byte(out, '\n');
}

struct status sealed_file_write(int dir_fd, const char *path, const char *kind,
                                struct slice content, struct os_fault *ret_fault)
{
	struct buf header;
	if (content.n > SEALED_FILE_MAX)
		return os_refuse(ret_fault, ERR_LIMIT, "content is too long for", path);
	CLEANUP(secret_done) struct secret all = {.p = NULL};
	buf_init(&header, HEADER_MAX);
	make_header(kind, content, &header);
	secret_init(&all, header.n + content.n);
	memcpy(all.p, header.p, header.n);
	memcpy(all.p + header.n, content.p, content.n);
	all.n = header.n + content.n;
	buf_done(&header);
	return file_replace(dir_fd, path, secret_slice(&all), 0600, ret_fault);
}

static struct status check(const char *path, const char *kind, struct slice all,
                           struct slice *ret_content, struct os_fault *ret_fault)
{
	struct slice line, content;
	struct buf header;
	slice_cut(all, '\n', &line, &content);
	buf_init(&header, HEADER_MAX);
	make_header(kind, content, &header);
	bool good = slice_starts(all, buf_slice(&header));
	buf_done(&header);
	if (!good)
		return os_refuse(ret_fault, ERR_CORRUPT,
		                 "file is damaged, of another kind or of a newer version:", path);
	*ret_content = content;
	return ok();
}

struct status sealed_file_read(int dir_fd, const char *path, const char *kind,
                               struct secret *ret_content, struct os_fault *ret_fault)
{
	CLEANUP(fd_close) int fd = -1;
	CLEANUP(secret_done) struct secret all = {.p = NULL};
	uint64_t size;
	struct slice content = slice_empty();
	TRY(file_open(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, ret_fault));
	TRY(fd_size(fd, &size));
	if (size > SEALED_FILE_MAX + HEADER_MAX)
		return os_refuse(ret_fault, ERR_CORRUPT, "file is too long:", path);
	secret_init(&all, (size_t)size);
	TRY(fd_read_all(fd, all.p, (size_t)size, ret_fault));
	all.n = (size_t)size;
	TRY(check(path, kind, secret_slice(&all), &content, ret_fault));
	memmove(all.p, content.p, content.n);
	all.n = content.n;
	*ret_content = all;
	all.p = NULL; /* handed over */
	return ok();
}

/* --- folders --- */

static int compare_names(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static struct slice unescape(const char *text, struct arena *arena)
{
	struct slice in = slice_str(text);
	uint8_t *to = arena_alloc(arena, in.n + 1);
	size_t n = 0;
	for (size_t i = 0; to && i < in.n; i++) {
		int high = in.p[i] == '%' && in.n - i > 2 ? ascii_hex_value(in.p[i + 1]) : -1;
		int low = high >= 0 ? ascii_hex_value(in.p[i + 2]) : -1;
		to[n++] = (uint8_t)(low >= 0 ? high << 4 | low : in.p[i]);
		i += low >= 0 ? 2 : 0;
	}
	return to ? slice_of(to, n) : slice_empty();
}

struct status sealed_file_list(int dir_fd, const char *folder, const struct slice **ret_names,
                               size_t *ret_n, struct arena *arena)
{
	int fd = -1;
	TRY(file_open_dir(dir_fd, folder, &fd, NULL));
	DIR *dir = fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return fail(ERR_IO, "cannot list a folder of the vault");
	}
	struct buf names; /* of struct slice */
	buf_init(&names, NAMES_MAX * sizeof(struct slice));
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue; /* also temporary files of an interrupted write */
		struct slice name = unescape(entry->d_name, arena);
		buf_add(&names, slice_of(&name, sizeof(name)));
	}
	closedir(dir);
	size_t n = names.n / sizeof(struct slice);
	struct slice *list = ARENA_ARRAY(arena, MAX(n, (size_t)1), struct slice);
	if (list && n > 0)
		memcpy(list, names.p, names.n);
	bool full = buf_failed(&names) || arena_failed(arena);
	buf_done(&names);
	if (full)
		return fail(ERR_LIMIT, "too many names");
	qsort(list, n, sizeof(*list), compare_names);
	*ret_names = list;
	*ret_n = n;
	return ok();
}

struct status sealed_file_remove(int dir_fd, const char *folder, struct slice name,
                                 struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	TRY(sealed_file_path(folder, name, path));
	TRY(file_unlink(dir_fd, path, ret_fault));
	return file_sync_dir(dir_fd, folder, ret_fault);
}
