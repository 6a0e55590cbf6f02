/* `mailkeep dkim ...` and `mailkeep arc ...`: what DKIM and ARC say of messages, signing, keys. In
 * this process: no running server is asked, and none is needed. */
#pragma once

#include "cli/checks.h"
#include "cli/message_file.h"
#include "mailauth/dkim_sign.h"
#include "mailauth/dkim_verify.h"

#define CLI_SIGNATURES_MAX 8 /* made by one command */

/* The keys of --key, --selector and --domain: lists with commas, of one size but for the domain,
 * which may be one for all. */
struct cli_signers {
	struct slice domains[CLI_SIGNATURES_MAX], selectors[CLI_SIGNATURES_MAX];
	struct dkim_private_key *keys[CLI_SIGNATURES_MAX];
	struct dkim_signer_key signers[CLI_SIGNATURES_MAX];
	size_t n;
};
/* 0, or the exit status of a failure that is explained. */
int cli_signers_open(struct cli *cli, struct cli_signers *signers);
void cli_signers_done(struct cli_signers *signers);

/* "from:to:subject": at most DKIM_SIGNED_NAMES_MAX. NULL text gives none. */
int cli_header_names(struct cli *cli, const char *text, struct slice *names, size_t *ret_n);
/* --at, or now. */
int cli_at(struct cli *cli, int64_t *ret_s);
/* What the options --message and --output say is done with the fields of a message: printed, alone
 * or with it, or written to a file of its name in a folder. */
int cli_put_fields(struct cli *cli, const struct cli_message *message, struct slice fields,
                   json_t *messages);

int cli_dkim_key_add(struct cli *cli);
int cli_dkim_key_rm(struct cli *cli);
int cli_dkim_key_list(struct cli *cli);
int cli_dkim_key_sign(struct cli *cli);
int cli_dkim_key_record(struct cli *cli);
int cli_dkim_rotate(struct cli *cli);
int cli_dkim_verify(struct cli *cli);
int cli_dkim_sign(struct cli *cli);
int cli_dkim_genkey(struct cli *cli);
int cli_dkim_lookup(struct cli *cli);
int cli_dkim_txt(struct cli *cli);
int cli_arc_verify(struct cli *cli);
int cli_arc_seal(struct cli *cli);
