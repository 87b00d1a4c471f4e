/* An IP endpoint, comparable bytewise: unused bytes are zero. IPv4-mapped IPv6 becomes IPv4. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <base/err.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
    uint8_t family; /* 4, 6, or 0: none */
    uint8_t pad;
    uint16_t port; /* host order */
    uint8_t ip[16];
};

#define ADDR_TEXT_MAX 56 /* "[ipv6]:port" and its end */

/* From 4 or 16 bytes in network order; family 4 or 6. IPv4-mapped IPv6 becomes IPv4. */
struct addr addr_of(uint8_t family, const uint8_t *ip, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b); /* ip and port */
bool addr_same_ip(const struct addr *a, const struct addr *b);
/* "1.2.3.4", "::1", "1.2.3.4:5", "[::1]:5"; port 0 when absent. */
CHECKED enum err addr_parse(const char *text, struct addr *ret);
/* With the port unless it is 0; returns `out`. */
const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX]);
const char *addr_ip_text(const struct addr *a, char out[static ADDR_TEXT_MAX]);
bool addr_is_loopback(const struct addr *a);
/* Globally routable: not loopback, private, link-local, multicast, documentation, reserved. */
bool addr_is_public(const struct addr *a);
bool addr_is_unspecified(const struct addr *a);
/* The /24 or /64 that the address is in, for colocation limits: a number to compare. */
uint64_t addr_group(const struct addr *a);
/* The /16 (IPv4) or /32 (IPv6) that the address is in, to count parties that are costly to be at
 * once: an IPv6 /48 comes with any rented machine, a /32 with the membership of a registry. 6to4
 * counts as the IPv4 address inside. A number to compare. */
uint64_t addr_provider(const struct addr *a);

#endif
