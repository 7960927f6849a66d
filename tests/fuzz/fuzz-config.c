/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files: any bytes are read and checked, with mistakes that stay printable and bounded. What has no mistake in
 * its syntax GKeyFile takes too, and sees the same values in it.
 */
#include <stdint.h>
#include <string.h>

#include "config/config-private.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static const char *const choices[] = { "none", "starttls", "implicit", NULL };

static const RookConfigKey keys[] = {
  { .name = "text", .type = ROOK_CONFIG_STRING, .max = 20, .help = "x" },
  { .name = "flag", .type = ROOK_CONFIG_BOOLEAN, .default_value = "no", .help = "x" },
  { .name = "number", .type = ROOK_CONFIG_INTEGER, .min = -5, .max = 100, .help = "x" },
  { .name = "size", .type = ROOK_CONFIG_SIZE, .unit = "K", .min = 1, .help = "x" },
  { .name = "time", .type = ROOK_CONFIG_DURATION, .unit = "s", .help = "x" },
  { .name = "choice", .type = ROOK_CONFIG_CHOICE, .choices = choices, .default_value = "none", .help = "x" },
  { .name = "list", .type = ROOK_CONFIG_LIST, .help = "x" },
  { .name = "choices", .type = ROOK_CONFIG_LIST, .choices = choices, .help = "x" },
  { .name = "path", .type = ROOK_CONFIG_PATH, .help = "x" },
  { .name = "mode", .type = ROOK_CONFIG_MODE, .help = "x" },
  { .name = NULL },
};
static const RookConfigSchema schemas[] = {
  { .struct_size = sizeof (RookConfigSchema), .name = "one", .keys = keys, .help = "x" },
  { .struct_size = sizeof (RookConfigSchema), .name = "many", .instances = TRUE, .keys = keys, .help = "x" },
};

static void
check_mistakes (GPtrArray *mistakes)
{
  g_assert (mistakes->len <= 2 * ROOK_CONFIG_MISTAKES_MAX);
  for (guint i = 0; i < mistakes->len; i++)
    {
      g_autofree char *line = rook_config_mistake_to_string (mistakes->pdata[i]);

      g_assert (g_utf8_validate (line, -1, NULL));
      for (const char *p = line; *p != '\0'; p++)
        g_assert (!g_ascii_iscntrl (*p));
    }
}

/* GKeyFile keeps blanks at the end of a value. */
static void
compare_entry (GKeyFile *file, const char *title, const RookConfigEntry *entry)
{
  g_autofree char *value = g_key_file_get_value (file, title, entry->name, NULL);
  gsize length;

  g_assert (value != NULL);
  length = strlen (value);
  while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
    value[--length] = '\0';
  g_assert (strcmp (value, entry->raw) == 0);
}

static void
compare_with_key_file (RookConfig *config, const char *data, size_t size)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  gboolean mark = size >= 3 && memcmp (data, "\xef\xbb\xbf", 3) == 0;

  if (size == (mark ? 3 : 0))
    return;
  if (!g_key_file_load_from_data (file, data + (mark ? 3 : 0), size - (mark ? 3 : 0), G_KEY_FILE_NONE, NULL))
    {
      /* The one key that GKeyFile itself takes an interest in. */
      g_assert (g_strstr_len (data, (gssize) size, "Encoding") != NULL);
      return;
    }
  for (guint i = 0; i < config->groups->len; i++)
    {
      RookConfigGroup *group = config->groups->pdata[i];
      g_autofree char *title = rook_config_group_get_title (group);

      for (guint j = 0; j < group->entries->len; j++)
        compare_entry (file, title, group->entries->pdata[j]);
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GPtrArray) mistakes = NULL;
  g_autoptr (RookConfig) config = rook_config_read_data ("fuzz", (const char *) data, size, &mistakes);
  g_autoptr (GPtrArray) difference = NULL;

  if (mistakes->len == 0)
    compare_with_key_file (config, (const char *) data, size);
  for (gsize i = 0; i < G_N_ELEMENTS (schemas); i++)
    rook_config_declare (config, &schemas[i]);
  rook_config_validate (config, mistakes);
  check_mistakes (mistakes);
  difference = rook_config_diff (config, config);
  g_assert (difference->len == 0);
  return 0;
}
