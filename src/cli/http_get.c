#define _GNU_SOURCE
#include "http_get.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_SECONDS 10L
#define ANSWER_SECONDS  120L  /* a block is small; who needs longer than this is not there */
#define SLOW_BYTES      1024L /* a second, over SLOW_SECONDS: slower is given up */
#define SLOW_SECONDS    20L
#define REDIRECTS       3L
#define URL_MAX         2048u

static size_t take(char *bytes, size_t size, size_t n, void *self)
{
    struct http_answer *a = self;

    return buf_append(&a->body, bytes, size * n) == E_OK ? size * n : 0;
}

/* curl_easy_setopt() is a macro over a variadic function: each option in its type. */
static bool set_options(CURL *c, const char *url, struct curl_slist *headers,
                        struct http_answer *ret)
{
    const char *ca = getenv("SSL_CERT_FILE"); /* curl the program reads it, the library does not */
    bool tls = strncasecmp(url, "https:", 6) == 0; /* then nobody may lead us to where none is */

    return (ca == NULL || curl_easy_setopt(c, CURLOPT_CAINFO, ca) == CURLE_OK) &&
           curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https") ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT, ANSWER_SECONDS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "beacon-p2pd") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, ret) == CURLE_OK;
}

static bool perform(CURL *c, const char *path, struct http_answer *ret, char *fault)
{
    const char *type = NULL;
    long status = 0;
    CURLcode code = curl_easy_perform(c);

    if (code == CURLE_HTTP_RETURNED_ERROR) {
        (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        (void)snprintf(fault, HTTP_FAULT_MAX, "GET %.60s answers %ld", path, status);
        return false;
    }
    if (code != CURLE_OK) {
        (void)snprintf(fault, HTTP_FAULT_MAX, "GET %.60s: %.80s", path,
                       code == CURLE_WRITE_ERROR ? "the answer is too long"
                                                 : curl_easy_strerror(code));
        return false;
    }
    (void)curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
    ret->octets = type != NULL && strncmp(type, "application/octet-stream", 24) == 0;
    return true;
}

bool http_get(const char *base, const char *path, struct http_answer *ret,
              char fault[static HTTP_FAULT_MAX])
{
    char url[URL_MAX];
    size_t n = strlen(base);
    struct curl_slist *headers =
        curl_slist_append(NULL, "Accept: application/octet-stream, application/json;q=0.5");
    CURL *c = curl_easy_init();
    bool ok = false;

    while (n > 0 && base[n - 1] == '/') {
        n--;
    }
    if (n > URL_MAX - 256 || snprintf(url, sizeof url, "%.*s%s", (int)n, base, path) < 0) {
        (void)snprintf(fault, HTTP_FAULT_MAX, "the URL is too long");
    } else if (c == NULL || headers == NULL || !set_options(c, url, headers, ret)) {
        (void)snprintf(fault, HTTP_FAULT_MAX, "libcurl cannot make the request");
    } else {
        ok = perform(c, path, ret, fault);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return ok;
}
