/* See courier_post.h. */
#include "rooms/courier_post.h"

#include "dns/name.h"
#include "rooms/courier_private.h"

/* Visible ASCII that means nothing but itself to those that read a URL. */
static bool is_path(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c <= ' ' || c >= 0x7f || c == '#' || c == '\\' || c == '"' || c == '<' ||
		    c == '>')
			return false;
	}
	return text.n <= COURIER_POST_PATH_MAX;
}

static struct status parse_authority(struct slice authority, struct arena *arena,
                                     struct courier_uri *uri)
{
	struct slice host, port;
	struct dns_name name;
	uint32_t number = 443;
	bool has_port = slice_cut(authority, ':', &host, &port);
	if (has_port && (!slice_to_u32(port, UINT16_MAX, &number) || number == 0))
		return fail(ERR_SYNTAX, "the port is none");
	if (slice_index(host, '@') != SIZE_MAX || !is_ok(dns_name_parse(host, arena, &name)) ||
	    !dns_name_is_host(name))
		return fail(ERR_SYNTAX, "the host is no domain name");
	uri->host = name.text;
	uri->port = (uint16_t)number;
	return ok();
}

struct status courier_uri_parse(struct slice text, struct arena *arena, struct courier_uri *ret_uri)
{
	const struct slice scheme = SLICE("https://");
	struct courier_uri uri = {.path = "/"};
	if (!slice_istarts(text, scheme))
		return fail(ERR_SYNTAX, "not https:");
	struct slice rest = slice_from(text, scheme.n);
	size_t n = 0;
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
		n++;
	TRY(parse_authority(slice_sub(rest, 0, n), arena, &uri));
	rest = slice_from(rest, n);
	if (!is_path(rest))
		return fail(ERR_SYNTAX, "the path has what is not sent");
	if (rest.n > 0)
		uri.path =
		        arena_printf(arena, "%s%.*s", rest.p[0] == '/' ? "" : "/", SLICE_FMT(rest));
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no memory for a URI");
	*ret_uri = uri;
	return ok();
}

/* What can be known of whether the server has it. */
static enum err outcome_of(const struct https_response *response)
{
	switch (response->failure) {
	case HTTPS_OK:
		return ERR_OK;
	case HTTPS_UNREACHABLE:
	case HTTPS_TLS:
	case HTTPS_CERTIFICATE:
	case HTTPS_LOCAL:
		return ERR_TEMPORARY; /* before anything was sent */
	case HTTPS_STATUS:            /* "may be retried" (RFC 8460 section 5.4) */
		return response->status >= 500 || response->status == 429 ? ERR_TEMPORARY
		                                                          : ERR_DENIED;
	case HTTPS_REDIRECT:
	case HTTPS_TYPE:
	case HTTPS_ENCODING:
		return ERR_DENIED;
	case HTTPS_TIMEOUT:
	case HTTPS_PROTOCOL:
	case HTTPS_SIZE:
		break;
	}
	return ERR_BUSY;
}

struct status courier_post(struct courier *courier, const struct dns_resolver *resolver,
                           const struct courier_uri *uri, struct slice content, struct arena *arena)
{
	const struct delivery_query query = {.resolver = resolver};
	const struct delivery_host host = {.name = uri->host};
	struct delivery_addresses *addresses = ARENA_NEW(arena, struct delivery_addresses);
	struct https_response *response = ARENA_NEW(arena, struct https_response);
	const struct https_fetcher *fetcher = courier->options.fetcher;
	if (!addresses || !response)
		return fail(ERR_TEMPORARY, "too little memory");
	if (!fetcher)
		return fail(ERR_DENIED, "nothing is sent by HTTPS");
	TRY(delivery_addresses_find(&query, &host, arena, addresses));
	if (addresses->n == 0)
		return fail(ERR_TEMPORARY, addresses->why);
	const struct https_request request = {
	        .host = uri->host,
	        .port = uri->port,
	        .path = uri->path,
	        .ips = addresses->v,
	        .n_ips = addresses->n,
	        .timeout_ms = COURIER_POST_TIMEOUT_MS,
	        .authorities = courier_tls_authorities(&courier->tls, ""),
	        .content_type = COURIER_POST_TYPE,
	        .content = content,
	};
	fetcher->fetch(fetcher->context, &request, arena, response);
	enum err outcome = outcome_of(response);
	return outcome == ERR_OK ? ok() : fail(outcome, response->why);
}
