/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A password checker: everybody's password is "open", and while a file is missing nobody is let in or turned away. Built
 * by test_auth_checker.py.
 */
#include "rookery/auth.h"
#include "rookery/config.h"

#include <string.h>

static gboolean
check (gpointer data, const char *service G_GNUC_UNUSED, const char *user G_GNUC_UNUSED,
       const char *realm G_GNUC_UNUSED, const char *password, GError **error)
{
  while (!g_file_test (data, G_FILE_TEST_EXISTS))
    g_usleep (10000);
  if (strcmp (password, "open") == 0)
    return TRUE;
  g_set_error_literal (error, ROOK_AUTH_ERROR, ROOK_AUTH_ERROR_FAILED, "not the word");
  return FALSE;
}

static const RookPasswordChecker door = { .struct_size = sizeof (RookPasswordChecker), .name = "door", .check = check };

static gboolean
door_init (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  char *gate = g_strdup (rook_config_group_get_string (config, "gate"));

  rook_plugin_set_data (self, gate, g_free);
  return rook_plugin_add_password_checker (self, &door, gate, error);
}

static const char *const offers[] = { "door", NULL };

static const RookConfigKey keys[] = {
  { .name = "gate", .type = ROOK_CONFIG_PATH, .default_value = "/", .help = "The file that is waited for." },
  { .name = NULL },
};

ROOK_PLUGIN_DEFINE (.name = "checker-door", .summary = "Checks passwords, for a test", .version = "1",
                    .license = "LGPL-2.1-or-later", .keys = keys, .checkers = offers, .init = door_init)
