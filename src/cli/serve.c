/* Becoming the supervisor: finds the rooms' programs beside this one and executes it.
 *
 * Installed, they lie in ../libexec/mailkeep; in a build tree in src/rooms. The supervisor replaces
 * this process, so who started it stays its parent and signals reach it.
 */
#include "cli/serve.h"

#include "os/fault.h"

#include <errno.h>
#include <unistd.h>

#define PATH_SIZE 4096

static bool own_directory(char directory[PATH_SIZE])
{
	ssize_t n = readlink("/proc/self/exe", directory, PATH_SIZE - 1);
	if (n <= 0)
		return false;
	directory[n] = 0;
	char *slash = strrchr(directory, '/');
	if (slash)
		*slash = 0;
	return slash != NULL;
}

static bool find_supervisor(char path[PATH_SIZE * 2])
{
	static const char *const places[] = {"src/rooms", "../libexec/mailkeep", "../lib/mailkeep"};
	char directory[PATH_SIZE];
	if (!own_directory(directory))
		return false;
	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		snprintf(path, PATH_SIZE * 2, "%s/%s/supervisor", directory, places[i]);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

int cli_become_supervisor(const char *config_directory, bool localserve)
{
	char path[PATH_SIZE * 2];
	if (!find_supervisor(path)) {
		fprintf(stderr,
		        "mailkeep: the programs of the rooms are not beside this one; install "
		        "mailkeep as a whole (make install)\n");
		return 1;
	}
	char *const argv[] = {(char *)(uintptr_t) "mailkeep", (char *)(uintptr_t) "--config",
	                      (char *)(uintptr_t)config_directory,
	                      localserve ? (char *)(uintptr_t) "--localserve" : NULL, NULL};
	fflush(stdout);
	execv(path, argv);
	fprintf(stderr, "mailkeep: cannot start %s: %s\n", path, os_errno_text(errno));
	return 1;
}

int cli_serve_run(const char *config_directory)
{
	return cli_become_supervisor(config_directory, false);
}
