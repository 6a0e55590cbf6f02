/* Words about SPF records, for `mailkeep spf ...`. */
#pragma once

#include "cli/cli.h"
#include "mailauth/spf_record.h"

/* What a valid record says, term by term, and advice on it: lines for people. */
void cli_spf_explain(const struct spf_record *record, struct buf *out);
/* The same for programs: terms and advice, into the object. */
void cli_spf_record_json(const struct spf_record *record, json_t *object);
/* Explains a mistake (to standard error, or as JSON) and gives CLI_FAILED. */
int cli_spf_fault(const struct cli *cli, struct slice record, const struct spf_fault *fault);
