/* Loading: two files, or a sealed memfd with the texts of both, to a checked tree.
 *
 * Format of the memfd, all numbers little-endian:
 *	8 bytes  "MKCONF1\n"
 *	4 bytes  size of the directory's path
 *	4 bytes  size of mailkeep.yaml
 *	4 bytes  size of domains.yaml
 *	then the three texts, without padding; nothing may follow.
 * A room parses it with the same loader, so it trusts nothing but the seals.
 */
#include "config/bind.h"
#include "config/check.h"
#include "config/schema.h"
#include "config/yaml_tree.h"

#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#define FROZEN_MAGIC  "MKCONF1\n"
#define FROZEN_HEADER ((size_t)20)
#define FROZEN_MAX    (FROZEN_HEADER + PATH_MAX + CONFIG_FILE_COUNT * CONFIG_FILE_MAX)

const char *config_service_name(enum config_service_kind kind)
{
	static const char *const names[] = {
#define X(kind, key, port, tls) [CONFIG_##kind] = #key,
	        CONFIG_SERVICE_LIST(X)
#undef X
	};
	return (unsigned)kind < CONFIG_SERVICE_COUNT ? names[kind] : "unknown";
}

bool config_service_is_tls(enum config_service_kind kind)
{
	static const bool is_tls[] = {
#define X(kind, key, port, tls) [CONFIG_##kind] = tls,
	        CONFIG_SERVICE_LIST(X)
#undef X
	};
	return (unsigned)kind < CONFIG_SERVICE_COUNT && is_tls[kind];
}

static const char *read_mend(enum err code)
{
	switch ((int)code) {
	case ERR_NOT_FOUND:
		return "create it, or name the right directory with --config; `mailkeep "
		       "localserve` "
		       "makes an example";
	case ERR_DENIED:
		return "run the command as a user who may read it";
	case ERR_LIMIT:
		return "a configuration file may have 16 MiB";
	default:
		return "see that it is a readable file";
	}
}

/* The file itself may be a symbolic link (into a checkout, a store of a package manager). */
static struct status read_one(const char *directory, enum config_file file, struct arena *arena,
                              struct slice *ret_text, struct config_problems *problems)
{
	char path[PATH_MAX], resolved[PATH_MAX];
	struct os_fault fault = {.text = "cannot be read"};
	int n = snprintf(path, sizeof(path), "%s/%s", directory, config_file_names[file]);
	struct status status = fail(ERR_NOT_FOUND, "no such file");
	*ret_text = slice_empty();
	if (n > 0 && (size_t)n < sizeof(path)) {
		if (realpath(path, resolved))
			status = file_read(AT_FDCWD, resolved, CONFIG_FILE_MAX, arena, ret_text,
			                   &fault);
		else
			status = os_fail(&fault, errno, "cannot read", path);
	}
	if (is_ok(status) || (file == CONFIG_DOMAINS && status.code == ERR_NOT_FOUND))
		return ok();
	config_problem_add(problems, CONFIG_ERROR,
	                   (struct config_place){config_file_names[file], 0, 0}, "%s\n%s",
	                   fault.text, read_mend(status.code));
	return status;
}

struct status config_read_sources(const char *directory, struct arena *arena,
                                  struct config_sources *ret_sources,
                                  struct config_problems *problems)
{
	struct config_sources sources = {0};
	char absolute[PATH_MAX];
	sources.directory =
	        arena_cstr(arena, slice_str(realpath(directory, absolute) ? absolute : directory));
	if (!sources.directory)
		return fail(ERR_LIMIT, "the configuration needs more memory than its budget");
	struct status first = ok();
	for (unsigned i = 0; i < CONFIG_FILE_COUNT; i++) {
		struct status status =
		        read_one(sources.directory, i, arena, &sources.text[i], problems);
		if (is_ok(first))
			first = status;
	}
	TRY(first);
	*ret_sources = sources;
	return ok();
}

/* One file: text to tree to structs. *ret_readable tells if its tree could be read at all. */
static struct status parse_file(const struct config_sources *sources, enum config_file file,
                                struct arena *arena, struct config_problems *problems,
                                struct config *config, bool *ret_readable)
{
	struct arena scratch;
	struct yaml_node *root;
	size_t n_errors = problems->n_errors;
	arena_init(&scratch, CONFIG_ARENA_MAX);
	struct status status =
	        yaml_read(sources->text[file], config_file_names[file], &scratch, problems, &root);
	*ret_readable = is_ok(status);
	if (is_ok(status))
		status = config_bind(file, root, sources->directory, arena, problems, config);
	else if (problems->n_errors > n_errors)
		status = ok(); /* reported; the other file is checked all the same */
	arena_done(&scratch);
	return status;
}

struct status config_parse(const struct config_sources *sources, struct arena *arena,
                           struct config **ret_config, struct config_problems *problems)
{
	struct config *config = ARENA_NEW(arena, struct config);
	if (!config)
		return fail(ERR_LIMIT, "the configuration needs more memory than its budget");
	size_t n_errors = problems->n_errors;
	bool readable = true;
	config->directory = arena_cstr(arena, slice_str(sources->directory));
	for (unsigned i = 0; i < CONFIG_FILE_COUNT; i++) {
		bool this_readable;
		TRY(parse_file(sources, i, arena, problems, config, &this_readable));
		readable = readable && this_readable;
	}
	/* Across files only when both were understood: or half of what it says would be wrong. */
	if (readable)
		TRY(config_check(config, arena, problems));
	config_problems_sort(problems);
	if (!readable || problems->n_errors > n_errors)
		return fail(ERR_INVALID, "the configuration has errors");
	*ret_config = config;
	return ok();
}

struct status config_load(const char *directory, struct arena *arena, struct config **ret_config,
                          struct config_problems *problems)
{
	struct config_sources sources;
	struct arena scratch;
	arena_init(&scratch, CONFIG_FILE_COUNT * (CONFIG_FILE_MAX + 4096) + 65536);
	struct status status = config_read_sources(directory, &scratch, &sources, problems);
	if (is_ok(status))
		status = config_parse(&sources, arena, ret_config, problems);
	arena_done(&scratch);
	return status;
}

/* --- frozen --- */

static void put_u32(uint8_t *p, size_t value)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static size_t get_u32(const uint8_t *p)
{
	return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

struct status config_freeze(const struct config_sources *sources, int *ret_fd)
{
	struct buf bytes;
	uint8_t header[FROZEN_HEADER];
	struct slice directory = slice_str(sources->directory);
	memcpy(header, FROZEN_MAGIC, 8);
	put_u32(header + 8, directory.n);
	put_u32(header + 12, sources->text[CONFIG_SERVER].n);
	put_u32(header + 16, sources->text[CONFIG_DOMAINS].n);
	buf_init(&bytes, FROZEN_MAX);
	buf_add(&bytes, slice_of(header, sizeof(header)));
	buf_add(&bytes, directory);
	buf_add(&bytes, sources->text[CONFIG_SERVER]);
	buf_add(&bytes, sources->text[CONFIG_DOMAINS]);
	struct status status = buf_failed(&bytes)
	                               ? fail(ERR_LIMIT, "the configuration is too large")
	                               : memfd_new_sealed("config", buf_slice(&bytes), ret_fd);
	buf_done(&bytes);
	return status;
}

/* Cuts the map into its three texts. They point into it; the directory is copied. */
static struct status thaw(struct slice bytes, struct arena *arena, struct config_sources *ret)
{
	if (bytes.n < FROZEN_HEADER || !slice_starts(bytes, SLICE(FROZEN_MAGIC)))
		return fail(ERR_CORRUPT, "not a frozen configuration");
	size_t sizes[3];
	struct slice parts[3], rest = slice_from(bytes, FROZEN_HEADER);
	for (unsigned i = 0; i < 3; i++) {
		sizes[i] = get_u32(bytes.p + 8 + (size_t)4 * i);
		parts[i] = slice_sub(rest, 0, sizes[i]);
		rest = slice_from(rest, sizes[i]);
		if (parts[i].n != sizes[i])
			return fail(ERR_TRUNCATED, "a frozen configuration ends early");
	}
	if (rest.n > 0)
		return fail(ERR_CORRUPT, "a frozen configuration has bytes behind its end");
	ret->directory = arena_cstr(arena, parts[0]);
	if (!ret->directory)
		return fail(ERR_CORRUPT, "a frozen configuration has a bad directory");
	ret->text[CONFIG_SERVER] = parts[1];
	ret->text[CONFIG_DOMAINS] = parts[2];
	return ok();
}

struct status config_load_frozen(int fd, struct arena *arena, struct config **ret_config,
                                 struct config_problems *problems)
{
	CLEANUP(memfd_map_close) struct memfd_map map = {0};
	struct config_sources sources;
	TRY(memfd_map_open(fd, FROZEN_MAX, &map));
	TRY(thaw(map.bytes, arena, &sources));
	return config_parse(&sources, arena, ret_config, problems);
}
