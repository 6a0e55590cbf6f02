/* A whole local mail system for trying and testing: config, accounts with a known password, ports
 * that need no root. The first start makes everything below one directory; later starts find it and
 * leave it as it is, edits included. */
#include "cli/serve.h"

#include "config/config.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "vault/vault.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "mailkeep: %s: %s\n", what, why);
	return 1;
}

static struct status set_passwords(const char *data, unsigned n_accounts,
                                   struct os_fault *ret_fault)
{
	char path[PATH_MAX + 64];
	CLEANUP(fd_close) int dir_fd = -1;
	struct vault *vault = NULL;
	snprintf(path, sizeof(path), "%s/vault", data);
	TRY(file_mkdir_all(AT_FDCWD, path, 0700, ret_fault));
	TRY(file_open_dir(AT_FDCWD, path, &dir_fd, ret_fault));
	/* Every mechanism can be tried: as logins.cram_md5 of the config that follows. */
	const struct vault_options options = {
	        .dir_fd = dir_fd, .clock = clock_real(), .cram_md5 = true};
	TRY(vault_open(&options, &vault, ret_fault));
	struct status status =
	        vault_password_set(vault, SLICE("me"), SLICE(CLI_LOCALSERVE_PASSWORD), ret_fault);
	for (unsigned i = 1; i <= n_accounts && is_ok(status); i++) {
		char name[32];
		snprintf(name, sizeof(name), "user%u", i);
		status = vault_password_set(vault, slice_str(name), SLICE(CLI_LOCALSERVE_PASSWORD),
		                            ret_fault);
	}
	vault_close(vault);
	return status;
}

/* Passwords first: the config file marks that all of it is there. */
static int make_all(const struct cli_localserve *options, const char *directory, const char *config)
{
	char data[PATH_MAX + 16];
	struct os_fault fault = {0};
	snprintf(data, sizeof(data), "%s/data", directory);
	struct status status = file_mkdir_all(AT_FDCWD, data, 0700, &fault);
	if (!is_ok(status))
		return complain("cannot make the directory", fault.text);
	status = set_passwords(data, options->n_accounts, &fault);
	if (!is_ok(status))
		return complain("cannot set passwords", fault.text[0] ? fault.text : status.why);
	status = config_default_localserve(config, options->ip, options->port_base,
	                                   options->n_accounts);
	if (!is_ok(status))
		return complain("cannot write the config", status.why);
	return 0;
}

static void greet(const struct cli_localserve *options, const char *config)
{
	fprintf(stderr,
	        "mailkeep: config in %s, account me@localhost (and any other address of "
	        "localhost), "
	        "password %s\n"
	        "mailkeep: SMTP on %s port %u, submission on port %u, with TLS on port %u\n"
	        "mailkeep: IMAP on port %u, with TLS on port %u\n",
	        config, CLI_LOCALSERVE_PASSWORD, options->ip, options->port_base + 25,
	        options->port_base + 587, options->port_base + 465, options->port_base + 143,
	        options->port_base + 993);
}

int cli_localserve_run(const struct cli_localserve *options)
{
	char directory[PATH_MAX], config[PATH_MAX + 16], marker[PATH_MAX + 64];
	struct os_fault fault = {0};
	if (!is_ok(file_mkdir_all(AT_FDCWD, options->directory, 0700, &fault)))
		return complain("cannot make the directory", fault.text);
	if (!realpath(options->directory, directory))
		return complain(options->directory, "the path is too long or cannot be followed");
	snprintf(config, sizeof(config), "%s/config", directory);
	snprintf(marker, sizeof(marker), "%s/%s", config, CONFIG_SERVER_FILE);
	if (access(marker, F_OK) == 0) {
		fprintf(stderr, "mailkeep: using the config in %s\n", config);
	} else {
		int failed = make_all(options, directory, config);
		if (failed)
			return failed;
		greet(options, config);
	}
	return cli_become_supervisor(config, true);
}
