/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses and networks: parsing, comparing, printing. Numeric only: nothing here asks the DNS.
 */
#include "net/address.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "rookery/net.h"

static const guint8 v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

void
rook_address_set (RookAddress *address, int family, const guint8 *ip, guint16 port)
{
  memset (address, 0, sizeof *address);
  if (family == AF_INET6 && memcmp (ip, v4_mapped, sizeof v4_mapped) == 0)
    {
      family = AF_INET;
      ip += sizeof v4_mapped;
    }
  address->family = family;
  if (family == AF_UNIX || family == AF_UNSPEC)
    {
      g_strlcpy (address->text, family == AF_UNIX ? "unix" : "unknown", sizeof address->text);
      return;
    }
  address->port = port;
  memcpy (address->ip, ip, family == AF_INET ? 4 : 16);
  inet_ntop (family, address->ip, address->text, sizeof address->text);
}

void
rook_address_from_sockaddr (RookAddress *address, const struct sockaddr *sockaddr)
{
  const struct sockaddr_in *in = (const struct sockaddr_in *) sockaddr;
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) sockaddr;

  if (sockaddr->sa_family == AF_INET)
    rook_address_set (address, AF_INET, (const guint8 *) &in->sin_addr, ntohs (in->sin_port));
  else if (sockaddr->sa_family == AF_INET6)
    rook_address_set (address, AF_INET6, (const guint8 *) &in6->sin6_addr, ntohs (in6->sin6_port));
  else
    rook_address_set (address, AF_UNIX, NULL, 0);
}

gboolean
rook_address_parse (RookAddress *address, const char *text, guint16 port)
{
  guint8 ip[16];

  if (inet_pton (AF_INET, text, ip) == 1)
    rook_address_set (address, AF_INET, ip, port);
  else if (inet_pton (AF_INET6, text, ip) == 1)
    rook_address_set (address, AF_INET6, ip, port);
  else
    return FALSE;
  return TRUE;
}

gboolean
rook_address_is_loopback (const RookAddress *address)
{
  static const guint8 v6_loopback[16] = { [15] = 1 };

  return address->family == AF_UNIX || (address->family == AF_INET && address->ip[0] == 127)
         || (address->family == AF_INET6 && memcmp (address->ip, v6_loopback, 16) == 0);
}

/* --- networks ------------------------------------------------------------------------------------------------------ */

typedef struct {
  guint8 family;
  guint8 bits;
  guint8 ip[16];
} Network;

struct RookNetworks {
  guint n;
  Network list[];
};

static gboolean
parse_bits (const char *text, guint max, guint8 *out_bits)
{
  guint64 bits;

  if (!g_ascii_string_to_unsigned (text, 10, 0, max, &bits, NULL))
    return FALSE;
  *out_bits = bits;
  return TRUE;
}

static gboolean
parse_network (const char *text, Network *network)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);
  RookAddress address;
  guint max;

  memset (network, 0, sizeof *network);
  network->family = AF_UNIX;
  if (g_str_equal (text, "unix"))
    return TRUE;
  if (parts[0] != NULL && rook_address_parse (&address, parts[0], 0))
    {
      max = address.family == AF_INET ? 32 : 128;
      network->family = address.family;
      network->bits = max;
      memcpy (network->ip, address.ip, sizeof network->ip);
      return parts[1] == NULL || parse_bits (parts[1], max, &network->bits);
    }
  return FALSE;
}

/* @bad: (element-type utf8) */
static void
networks_error (GPtrArray *bad, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < bad->len; i++)
    g_string_append_printf (text, "%s\"%s\"", i == 0 ? "" : i + 1 < bad->len ? ", " : " and ", (char *) bad->pdata[i]);
  g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "%s %s: write an address, address/bits, or unix",
               text->str, bad->len > 1 ? "are no networks" : "is no network");
}

RookNetworks *
rook_networks_new (const char *const *list, GError **error)
{
  guint n = g_strv_length ((char **) list);
  g_autoptr (RookNetworks) networks = g_malloc0 (sizeof (RookNetworks) + n * sizeof (Network));

  g_autoptr (GPtrArray) bad = g_ptr_array_new ();

  for (; networks->n < n; networks->n++)
    if (!parse_network (list[networks->n], &networks->list[networks->n]))
      g_ptr_array_add (bad, (gpointer) list[networks->n]);
  if (bad->len == 0)
    return g_steal_pointer (&networks);
  networks_error (bad, error);
  return NULL;
}

void
rook_networks_free (RookNetworks *networks)
{
  g_free (networks);
}

static gboolean
network_contains (const Network *network, const RookAddress *address)
{
  guint bytes = network->bits / 8;
  guint8 mask = 0xff00 >> (network->bits % 8);

  if (network->family != address->family)
    return FALSE;
  return memcmp (network->ip, address->ip, bytes) == 0
         && (mask == 0 || ((network->ip[bytes] ^ address->ip[bytes]) & mask) == 0);
}

gboolean
rook_networks_contain (const RookNetworks *networks, const RookAddress *address)
{
  for (guint i = 0; networks != NULL && i < networks->n; i++)
    if (network_contains (&networks->list[i], address))
      return TRUE;
  return FALSE;
}

gboolean
rook_net_check_networks (const char *const *networks, GError **error)
{
  g_autoptr (RookNetworks) parsed = rook_networks_new (networks, error);

  return parsed != NULL;
}

/* --- places -------------------------------------------------------------------------------------------------------- */

void
rook_place_clear (RookPlace *place)
{
  g_clear_pointer (&place->host, g_free);
}

#define SYSTEMD_NAME_MAX 255

static gboolean
place_error (const char *text, const char *why, GError **error)
{
  g_set_error (error, ROOK_CONFIG_ERROR, ROOK_CONFIG_ERROR_VALUE, "\"%s\" is no address to listen on: %s", text, why);
  return FALSE;
}

static gboolean
parse_tcp_place (const char *text, RookPlace *place, GError **error)
{
  gboolean bracket = text[0] == '[';
  const char *end = bracket ? strchr (text, ']') : strchr (text, ':');
  const char *port = NULL;
  RookAddress address;
  guint64 number;

  if (bracket && end == NULL)
    return place_error (text, "the bracket is not closed", error);
  if (end == NULL)
    place->host = g_strdup (text);
  else
    {
      place->host = bracket ? g_strndup (text + 1, end - text - 1) : g_strndup (text, end - text);
      port = bracket ? end + 1 : end;
    }
  if (!g_str_equal (place->host, "*") && !rook_address_parse (&address, place->host, 0))
    return place_error (text, "write a numeric address (IPv6 in brackets), *, a path or systemd:NAME", error);
  if (port == NULL || *port == '\0')
    return TRUE;
  if (*port != ':' || !g_ascii_string_to_unsigned (port + 1, 10, 0, 65535, &number, NULL))
    return place_error (text, "the port is no number from 0 to 65535", error);
  place->port = number;
  place->has_port = TRUE;
  return TRUE;
}

gboolean
rook_place_parse (const char *text, RookPlace *out_place, GError **error)
{
  g_auto (RookPlace) place = { 0 };

  if (text[0] == '/')
    {
      if (strlen (text) >= sizeof (((struct sockaddr_un *) 0)->sun_path) - 8)
        return place_error (text, "the path is too long for a socket", error);
      place.kind = ROOK_PLACE_UNIX;
      place.host = g_strdup (text);
    }
  else if (g_str_has_prefix (text, "systemd:"))
    {
      place.kind = ROOK_PLACE_SYSTEMD;
      place.host = g_strdup (text + strlen ("systemd:"));
      if (place.host[0] == '\0')
        return place_error (text, "the name of the socket is missing", error);
      if (strchr (place.host, ':') != NULL || strlen (place.host) > SYSTEMD_NAME_MAX)
        return place_error (text, "that can be no FileDescriptorName= of systemd", error);
    }
  else if (!parse_tcp_place (text, &place, error))
    return FALSE;
  *out_place = place;
  place.host = NULL;
  return TRUE;
}

static gboolean
hosts_overlap (const char *a, const char *b)
{
  static const guint8 any[16] = { 0 };
  RookAddress one, other;

  if (g_str_equal (a, "*") || g_str_equal (b, "*"))
    return TRUE;
  if (!rook_address_parse (&one, a, 0) || !rook_address_parse (&other, b, 0) || one.family != other.family)
    return FALSE;
  return memcmp (one.ip, other.ip, 16) == 0 || memcmp (one.ip, any, 16) == 0 || memcmp (other.ip, any, 16) == 0;
}

/* A path as far as links and "..", which may lead to one socket in two spellings, have been followed; by its text if there is
 * no such folder yet. The last part is the socket itself. */
static char *
real_path (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path), *name = g_path_get_basename (path);
  g_autofree char *real = realpath (folder, NULL);

  if (real == NULL)
    real = g_canonicalize_filename (folder, "/");
  return g_build_filename (real, name, NULL);
}

static gboolean
paths_overlap (const char *a, const char *b)
{
  g_autofree char *one = real_path (a), *other = real_path (b);

  return g_str_equal (one, other);
}

gboolean
rook_places_overlap (const RookPlace *a, guint16 a_port, const RookPlace *b, guint16 b_port)
{
  if (a->kind != b->kind)
    return FALSE;
  if (a->kind == ROOK_PLACE_UNIX)
    return paths_overlap (a->host, b->host);
  if (a->kind != ROOK_PLACE_TCP)
    return g_str_equal (a->host, b->host);
  return a_port != 0 && a_port == b_port && hosts_overlap (a->host, b->host);
}
