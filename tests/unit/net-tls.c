/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates for tests, and a server that shows them.
 */
#include "net-tls.h"

#include <glib/gstdio.h>

char *certificates;

void
make_certificates (void)
{
  certificates = g_dir_make_tmp ("rookery-tls-XXXXXX", NULL);
  make_certificate (certificates, "a", "a", "DNS:a.example,IP:127.0.0.1");
  make_certificate (certificates, "b", "b", "DNS:b.example");
  make_certificate (certificates, "c", "c", "DNS:c.example");
  make_certificate (certificates, "d", "d", "DNS:d.example");
}

void
remove_certificates (void)
{
  g_autoptr (GDir) dir = g_dir_open (certificates, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (certificates, name, NULL);

      g_unlink (path);
    }
  g_rmdir (certificates);
  g_clear_pointer (&certificates, g_free);
}

char *
with_certificates (const char *text)
{
  GString *out = g_string_new (text);

  g_string_replace (out, "%s", certificates, 0);
  return g_string_free (out, FALSE);
}

Fixture *
tls_fixture_new (const char *more)
{
  g_autofree char *all = g_strconcat (TLS_GROUP LISTENERS, more, NULL);
  g_autofree char *text = with_certificates (all);

  return fixture_new (text);
}
