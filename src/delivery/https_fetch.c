/* A GET or POST by libcurl that trusts the server with nothing.
 *
 * Of libcurl's abilities one protocol and one request are left: no redirects, cookies, proxies,
 * passwords, caches, HTTP/2, other protocols. Addresses are given beforehand (CURLOPT_RESOLVE), so
 * that its resolver has nothing to do. The certificate is verified by tls_pkix_check in place of
 * libcurl's own store, which would read a bundle for each fetch; libcurl compares the name once
 * more.
 *
 * The header is read line by line as it comes, and what need not be read is not: a status, a type
 * or an encoding that is not wanted ends the fetch before the body.
 *
 * Limits: timeout_ms for all of it, HTTPS_HEADER_MAX, body_max; a line of the header has at most
 * 100 KB (libcurl's own).
 */
#include "delivery/https_fetch.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

#define PORT_DEFAULT 443u
#define URL_MAX      1024
#define RESOLVE_MAX  2048

/* One fetch. */
struct fetch {
	const struct https_request *request;
	struct https_response *response;
	struct buf body;
	size_t n_header; /* octets so far, of all answers together */
	bool encoded;
	char url[URL_MAX];
	char resolve[RESOLVE_MAX];
	char error[CURL_ERROR_SIZE];
};

/* The first reason stays. */
static void refuse(struct fetch *f, enum https_failure failure, const char *why)
{
	struct https_response *response = f->response;
	if (response->failure != HTTPS_OK)
		return;
	response->failure = failure;
	snprintf(response->why, sizeof(response->why), "%s", why);
}

/* What libcurl says may repeat what a server said. */
static void refuse_with(struct fetch *f, enum https_failure failure, const char *what,
                        const char *said)
{
	char text[HTTPS_WHY_MAX];
	snprintf(text, sizeof(text), "%s: %.*s", what, HTTPS_WHY_MAX / 2, said);
	for (char *p = text; *p; p++)
		if (!ascii_is_print((uint8_t)*p))
			*p = '?';
	refuse(f, failure, *said ? text : what);
}

/* --- the header --- */

/* HTTP-version SP 3DIGIT (RFC 9112 section 4); what libcurl takes for one. */
static void take_status_line(struct fetch *f, struct slice line)
{
	struct slice version, rest;
	struct https_response *response = f->response;
	(void)slice_cut(line, ' ', &version, &rest);
	uint32_t status = 0;
	(void)slice_to_u32(slice_sub(rest, 0, 3), 999, &status);
	response->status = status;
	response->media_type[0] = 0;
	f->encoded = false;
}

/* Without parameters. */
static void take_type(struct fetch *f, struct slice value)
{
	struct slice type, parameters;
	(void)slice_cut(value, ';', &type, &parameters);
	type = slice_sub(slice_trim(type), 0, HTTPS_TYPE_MAX - 1);
	for (size_t i = 0; i < type.n; i++)
		f->response->media_type[i] = ascii_is_print(type.p[i]) ? (char)type.p[i] : '?';
	f->response->media_type[type.n] = 0;
}

static void take_field(struct fetch *f, struct slice line)
{
	struct slice name, value;
	if (!slice_cut(line, ':', &name, &value))
		return;
	value = slice_trim(value);
	if (slice_ieq_str(name, "Content-Type"))
		take_type(f, value);
	else if (slice_ieq_str(name, "Content-Encoding"))
		f->encoded = f->encoded || !slice_ieq_str(value, "identity");
	else if (slice_ieq_str(name, "Transfer-Encoding"))
		f->encoded = f->encoded || !slice_ieq_str(value, "chunked");
}

/* Before the body. */
static void judge_header(struct fetch *f)
{
	struct https_response *response = f->response;
	const char *wanted = f->request->media_type;
	bool posts = f->request->content_type != NULL;
	char why[HTTPS_WHY_MAX];
	snprintf(why, sizeof(why), "the server answers with status %u", response->status);
	if (response->status >= 300 && response->status < 400)
		refuse(f, HTTPS_REDIRECT, "the server redirects, which is not followed");
	else if (posts ? response->status >= 300 : response->status != 200)
		refuse(f, HTTPS_STATUS, why);
	else if (posts)
		return; /* it was taken, whatever is said of it */
	else if (f->encoded)
		refuse(f, HTTPS_ENCODING, "the answer is compressed, which was not asked for");
	else if (wanted && !slice_ieq_str(slice_str(response->media_type), wanted))
		refuse_with(f, HTTPS_TYPE, "the answer has another media type",
		            response->media_type);
}

static size_t on_header(char *p, size_t one, size_t n, void *context)
{
	struct fetch *f = context;
	struct slice line = slice_trim(slice_of(p, one * n));
	f->n_header += n;
	if (f->n_header > HTTPS_HEADER_MAX)
		refuse(f, HTTPS_SIZE, "the header of the answer is too long");
	else if (slice_starts(line, SLICE("HTTP/")))
		take_status_line(f, line);
	else if (line.n > 0)
		take_field(f, line);
	else if (f->response->status >= 200) /* the end, but not of an interim answer */
		judge_header(f);
	return f->response->failure == HTTPS_OK ? n : 0;
}

static size_t on_body(char *p, size_t one, size_t n, void *context)
{
	struct fetch *f = context;
	if (f->request->content_type)
		return n;
	buf_add(&f->body, slice_of(p, one * n));
	if (!buf_failed(&f->body))
		return n;
	refuse(f, HTTPS_SIZE, "the answer is too long");
	return 0;
}

/* --- the certificate --- */

static int verify(X509_STORE_CTX *store, void *context)
{
	struct fetch *f = context;
	return tls_pkix_check_store(store, f->request->authorities, NULL, f->request->host,
	                            &f->response->pkix);
}

static CURLcode set_up_tls(CURL *curl, void *ssl, void *context)
{
	(void)curl;
	SSL_CTX_set_cert_verify_callback(ssl, verify, context);
	return CURLE_OK;
}

/* --- the request --- */

/* Nothing that means something in a URL, and nothing that libcurl would take for an address. */
static bool is_host(const char *host)
{
	struct slice s = slice_str(host);
	bool has_letter = false;
	for (size_t i = 0; i < s.n; i++) {
		has_letter = has_letter || ascii_is_alpha(s.p[i]);
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
			return false;
	}
	return has_letter && s.n <= 253;
}

static bool make_texts(struct fetch *f)
{
	const struct https_request *request = f->request;
	unsigned port = request->port ? request->port : PORT_DEFAULT;
	char address[DELIVERY_IP_TEXT_MAX];
	if (!is_host(request->host) || request->path[0] != '/' || request->n_ips == 0)
		return false;
	snprintf(f->url, sizeof(f->url), "https://%s", request->host);
	size_t n = strlen(f->url);
	if (port != PORT_DEFAULT)
		n += (size_t)snprintf(f->url + n, sizeof(f->url) - n, ":%u", port);
	snprintf(f->url + n, sizeof(f->url) - n, "%s", request->path);
	n = (size_t)snprintf(f->resolve, sizeof(f->resolve), "%s:%u:", request->host, port);
	for (size_t i = 0; i < MIN(request->n_ips, DELIVERY_ADDRESSES_MAX); i++) {
		delivery_ip_print(&request->ips[i], address);
		n += (size_t)snprintf(f->resolve + n, sizeof(f->resolve) - n,
		                      request->ips[i].is_v6 ? "%s[%s]" : "%s%s", i ? "," : "",
		                      address);
	}
	return strlen(f->url) < URL_MAX - 1 && n < RESOLVE_MAX;
}

/* False when libcurl lacks one of them. */
static bool set_limits(CURL *curl, struct fetch *f)
{
	const struct https_request *request = f->request;
	return curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->body_max) ==
	               CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ==
	               CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") ==
	               CURLE_OK && /* not even by environment */
	       curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
}

static bool set_tls(CURL *curl, struct fetch *f)
{
	return curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ==
	               CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CAINFO, NULL) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, set_up_tls) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, f) == CURLE_OK;
}

static bool set_request(CURL *curl, struct fetch *f, struct curl_slist *addresses)
{
	return curl_easy_setopt(curl, CURLOPT_URL, f->url) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_RESOLVE, addresses) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, f->error) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERDATA, f) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEDATA, f) == CURLE_OK;
}

/* The content stays ours. Nothing is expected before it is sent: not each server knows 100
 * Continue. */
static bool set_content(CURL *curl, const struct https_request *request, struct curl_slist **fields)
{
	char type[HTTPS_TYPE_MAX + 32];
	if (!request->content_type)
		return true;
	snprintf(type, sizeof(type), "Content-Type: %.*s", HTTPS_TYPE_MAX, request->content_type);
	struct curl_slist *first = curl_slist_append(NULL, type);
	*fields = first;
	return first && curl_slist_append(first, "Expect:") &&
	       curl_easy_setopt(curl, CURLOPT_HTTPHEADER, first) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
	                        (curl_off_t)request->content.n) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->content.p) == CURLE_OK;
}

/* --- what came of it --- */

static enum https_failure failure_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT:
		return HTTPS_UNREACHABLE;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTPS_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
		return HTTPS_TLS;
	case CURLE_FILESIZE_EXCEEDED:
	case CURLE_OUT_OF_MEMORY: /* what libcurl says of a line of the header without an end */
		return HTTPS_SIZE;
	case CURLE_FAILED_INIT:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNKNOWN_OPTION:
		return HTTPS_LOCAL;
	default:
		return HTTPS_PROTOCOL;
	}
}

static void conclude(struct fetch *f, CURL *curl, CURLcode code)
{
	struct https_response *response = f->response;
	const char *address = NULL;
	if (curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address)
		snprintf(response->address, sizeof(response->address), "%s", address);
	if (code == CURLE_OK && response->failure == HTTPS_OK && response->status == 0)
		refuse(f, HTTPS_PROTOCOL, "the server does not speak HTTP");
	if (code == CURLE_OK)
		return;
	if (response->pkix.made && !response->pkix.good)
		refuse_with(f, HTTPS_CERTIFICATE, "the server's certificate", response->pkix.why);
	refuse_with(f, failure_of(code), "the answer could not be had",
	            *f->error ? f->error : curl_easy_strerror(code));
}

static void perform(struct fetch *f)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *addresses = curl_slist_append(NULL, f->resolve), *fields = NULL;
	if (curl && addresses && set_limits(curl, f) && set_tls(curl, f) &&
	    set_request(curl, f, addresses) && set_content(curl, f->request, &fields))
		conclude(f, curl, curl_easy_perform(curl));
	else
		refuse(f, HTTPS_LOCAL, "libcurl cannot be set up");
	curl_easy_cleanup(curl);
	curl_slist_free_all(addresses);
	curl_slist_free_all(fields);
}

static void fetch(void *context, const struct https_request *request, struct arena *arena,
                  struct https_response *ret_response)
{
	struct fetch *f = base_alloc(sizeof(*f));
	(void)context;
	*ret_response =
	        (struct https_response){.body = slice_empty(), .pkix = {.why = "", .code = ""}};
	f->request = request;
	f->response = ret_response;
	buf_init(&f->body, request->body_max);
	if (make_texts(f))
		perform(f);
	else
		refuse(f, HTTPS_LOCAL, "there is no URL for such a host");
	if (ret_response->failure == HTTPS_OK && !request->content_type) {
		ret_response->body = arena_copy(arena, buf_slice(&f->body));
		if (arena_failed(arena))
			refuse(f, HTTPS_LOCAL, "too little memory for the answer");
	}
	buf_done(&f->body);
	base_free(f);
}

const struct https_fetcher https_by_curl = {.fetch = fetch};

bool https_warm_up(void)
{
	/* Whoever initializes OpenSSL first decides whether it reads the host's openssl.cnf. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return false;
	/* Providers, ciphers and digests of the default context. */
	SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());
	CURL *curl = curl_easy_init();
	bool good =
	        ssl && curl && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK;
	curl_easy_cleanup(curl);
	SSL_CTX_free(ssl);
	return good;
}
