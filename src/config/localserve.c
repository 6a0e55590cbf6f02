/* The configuration that `mailkeep localserve` starts with. Names, ports and passwords are a
 * promise to scripts: see "What scripts may rely on" in the design. */
#include "config/config.h"
#include "config/value.h"

#include "os/file.h"

#include <fcntl.h>

#define USERS_MAX 100000

static void add_service(struct buf *out, enum config_service_kind kind, unsigned port)
{
	buf_printf(out, "    %s: {port: %u}\n", config_service_name(kind), port);
}

static void write_server(struct buf *out, const char *ip, unsigned port_base)
{
	static const unsigned ports[] = {
#define X(kind, key, port, tls) [CONFIG_##kind] = port,
	        CONFIG_SERVICE_LIST(X)
#undef X
	};
	buf_add_str(
	        out,
	        "# Server-wide settings, made by `mailkeep localserve`. They may be edited before\n"
	        "# its next start. All fields: mailkeep config describe\n"
	        "\n"
	        "hostname: localhost\n"
	        "data_directory: ../data\n"
	        "postmaster: me\n"
	        "\n"
	        "listeners:\n"
	        "  local:\n");
	buf_printf(out, "    addresses: [\"%s\"]\n", ip);
	buf_add_str(out, "    plain_login: loopback\n"
	                 "    tls:\n"
	                 "      certificate: self-signed\n");
	for (unsigned kind = 0; kind < CONFIG_SERVICE_COUNT; kind++)
		add_service(out, kind, port_base + ports[kind]);
	buf_add_str(out, "\n"
	                 "logins:\n"
	                 "  cram_md5: true\n"
	                 "\n"
	                 "resolver:\n"
	                 "  timeout: 3s\n"
	                 "\n"
	                 "limits:\n"
	                 "  rate_limits_on_loopback: false\n"
	                 "  sent_per_day: unlimited\n"
	                 "  first_time_recipients_per_day: unlimited\n");
}

static void write_domains(struct buf *out, unsigned n_accounts)
{
	buf_add_str(out,
	            "# Domains, accounts and aliases. The commands `mailkeep domain`, `account`,\n"
	            "# `address` and `alias` edit this file and keep its comments.\n"
	            "\n"
	            "domains:\n"
	            "  localhost:\n"
	            "\n"
	            "accounts:\n"
	            "  # Gets every address of the domain that no other account has.\n"
	            "  me:\n"
	            "    addresses: [me@localhost, \"@localhost\"]\n");
	for (unsigned i = 1; i <= n_accounts; i++)
		buf_printf(out, "  user%u:\n    addresses: [user%u@localhost]\n", i, i);
}

static struct status write_files(int dir_fd, const char *ip, unsigned port_base,
                                 unsigned n_accounts)
{
	struct buf text;
	buf_init(&text, CONFIG_FILE_MAX);
	/* mailkeep.yaml comes last: where it is, both are complete. */
	write_domains(&text, n_accounts);
	struct status status =
	        file_replace(dir_fd, CONFIG_DOMAINS_FILE, buf_slice(&text), 0640, NULL);
	buf_reset(&text);
	write_server(&text, ip, port_base);
	if (is_ok(status))
		status = file_replace(dir_fd, CONFIG_SERVER_FILE, buf_slice(&text), 0640, NULL);
	buf_done(&text);
	return status;
}

struct status config_default_localserve(const char *directory, const char *ip, unsigned port_base,
                                        unsigned n_accounts)
{
	uint8_t bytes[16];
	bool is_v6;
	int dir_fd;
	if (!config_parse_ip(slice_str(ip), bytes, &is_v6))
		return fail(ERR_INVALID, "the IP address to listen at is none");
	if (port_base > 65535 - 993)
		return fail(ERR_INVALID, "the port base must be at most 64542");
	if (n_accounts > USERS_MAX)
		return fail(ERR_LIMIT, "localserve makes at most 100000 accounts");
	TRY(file_mkdir_all(AT_FDCWD, directory, 0750, NULL));
	TRY(file_open_dir(AT_FDCWD, directory, &dir_fd, NULL));
	struct status status = faccessat(dir_fd, CONFIG_SERVER_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0
	                               ? fail(ERR_EXISTS, "there is a configuration already")
	                               : write_files(dir_fd, ip, port_base, n_accounts);
	close(dir_fd);
	return status;
}
