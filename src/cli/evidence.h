/* What guards mail, for people and as JSON: answers of the DNS, TLSA records with their verdicts,
 * policies, certificates, sessions. Texts are whole lines, indented by two blanks. */
#pragma once

#include "cli/dial.h"
#include "delivery/guard.h"

void cli_say_answers(const struct dns_answer *const *answers, size_t n, struct buf *out);
json_t *cli_answers_json(const struct dns_answer *const *answers, size_t n);

void cli_say_steps(const char *what, const char *const *steps, size_t n, struct buf *out);
json_t *cli_steps_json(const char *const *steps, size_t n);

/* Steps and records. findings: after a handshake, or NULL for what is known before one. */
void cli_say_dane(const struct delivery_dane *dane, const struct tls_tlsa_finding *findings,
                  struct buf *out);
json_t *cli_dane_json(const struct delivery_dane *dane, const struct tls_tlsa_finding *findings);

void cli_say_mtasts(const struct mtasts_found *found, struct buf *out);
json_t *cli_mtasts_json(const struct mtasts_found *found);

void cli_say_session(const struct cli_session *session, struct buf *out);
json_t *cli_session_json(const struct cli_session *session);
