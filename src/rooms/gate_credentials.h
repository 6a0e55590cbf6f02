/* Logging in at the login gate, whatever the protocol: the vault is asked, failures are counted in
 * one place, and the connection goes to the account's room. Private to the gate's files.
 *
 * The functions with `void *context` are what imap_auth_ops and smtp_auth_ops want; context is a
 * struct gate_credentials. One thread.
 */
#pragma once

#include "rooms/gate.h"
#include "sasl/server.h"
#include "vault/ticket.h"

#define GATE_BINDINGS 3

struct gate_credentials {
	struct gate_connection *connection;
	struct tls_stream *stream;
	enum ticket_protocol protocol;
	struct sasl_backend backend;
	struct sasl_server sasl;
	bool sasl_active;
	struct sasl_binding bindings[GATE_BINDINGS];
	size_t n_bindings;
	const char *mechanisms[SASL_MECHANISM_COUNT + 1];
	char user[256]; /* as given, for the log */
	const struct config_account *account;
	uint8_t ticket[TICKET_MAX];
	size_t ticket_size;
};

void gate_credentials_init(struct gate_credentials *c, struct gate_connection *connection,
                           struct tls_stream *stream, enum ticket_protocol protocol);
void gate_credentials_done(struct gate_credentials *c);

/* What can work on this connection as it is now, strongest first, NULL-terminated. */
const char *const *gate_credentials_mechanisms(void *context);
struct status gate_credentials_login(void *context, struct slice user, struct slice password);
struct status gate_credentials_start(void *context, struct slice mechanism,
                                     const struct slice *initial, struct buf *challenge,
                                     bool *ret_done);
struct status gate_credentials_step(void *context, struct slice response, struct buf *challenge,
                                    bool *ret_done);
void gate_credentials_abort(void *context);

/* A process of this Unix user, at the local socket. AUTH when it belongs to no account. */
struct status gate_credentials_unix_user(struct gate_credentials *c, uint32_t uid);

/* May a login be tried without TLS? */
bool gate_may_login_plainly(const struct gate_connection *connection);

/* After a login: the connection goes to the account's room, the socket itself where there is no TLS
 * to terminate (its fd is then closed here), else one end of a pair that the relay pumps:
 * *ret_relayed, stream and connection are the relay's. `tag`: of the IMAP command that the room
 * answers, else "". */
struct status gate_hand_over(struct gate_credentials *c, const char *tag, bool *ret_relayed);
