/* Words and JSON about DMARC records and results, for `mailkeep dmarc ...`. */
#pragma once

#include "cli/checks.h"
#include "mailauth/dmarc_destination.h"

/* What a record says, tag by tag, and what is wrong with it: lines for people, indented. */
void cli_dmarc_record_print(const struct dmarc_record *record, struct buf *out);
json_t *cli_dmarc_record_json(const struct dmarc_record *record);

/* "found", "none", "permerror", "temperror". */
const char *cli_dmarc_outcome_word(enum dmarc_outcome outcome);
json_t *cli_dmarc_found_json(const struct dmarc_found *found);
