/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The syntax of configuration files: GKeyFile's, read line by line so that every mistake has its line.
 *
 * GKeyFile itself stops at the first mistake and does not tell where. What this reader accepts GKeyFile accepts with the
 * same meaning (the fuzz target compares the two), except that blanks at the end of a value are dropped (`\s` keeps one)
 * and a byte order mark is skipped. It is stricter in refusing control characters, localised keys and odd blanks in group
 * names. It knows nothing of types: a value stays as written.
 */
#include <string.h>

#include "config/config-private.h"

typedef struct {
  RookConfig *config;
  GPtrArray *mistakes;
  const char *file; /* of the RookConfig's */
  guint line;
  RookConfigGroup *group; /* (nullable) the one that is open */
  gboolean skipping;      /* behind a group line with a mistake: its keys belong nowhere */
} Parser;

static gboolean
is_blank (char c)
{
  return c == ' ' || c == '\t';
}

/* Takes blanks off both ends, in place. */
static char *
strip (char *text)
{
  gsize length;

  while (is_blank (*text))
    text++;
  length = strlen (text);
  while (length > 0 && is_blank (text[length - 1]))
    length--;
  text[length] = '\0';
  return text;
}

static gboolean
has_control_character (const char *text)
{
  for (; *text != '\0'; text++)
    if (g_ascii_iscntrl (*text) && *text != '\t')
      return TRUE;
  return FALSE;
}

static gboolean
is_group_name (const char *name)
{
  if (!g_ascii_islower (*name))
    return FALSE;
  for (; *name != '\0'; name++)
    if (!g_ascii_islower (*name) && !g_ascii_isdigit (*name) && *name != '-')
      return FALSE;
  return TRUE;
}

static void
syntax_mistake (Parser *parser, const char *problem, const char *text)
{
  g_autofree char *quoted = rook_config_quote (text);

  rook_config_add_mistake_at (parser->mistakes, parser->file, parser->line, ROOK_CONFIG_ERROR_SYNTAX, "%s: %s", problem,
                              quoted);
}

/* `[name]` or `[name instance]`, the line's blanks already off. */
static void
parse_group_line (Parser *parser, char *text)
{
  gsize length = strlen (text);
  char *name = text + 1, *instance;

  parser->group = NULL;
  parser->skipping = TRUE;
  if (text[length - 1] != ']')
    {
      syntax_mistake (parser, "a group line must end with ]", text);
      return;
    }
  text[length - 1] = '\0';
  if (strpbrk (name, "[]") != NULL)
    {
      syntax_mistake (parser, "a bracket inside a group's name", name);
      return;
    }
  instance = strchr (name, ' ');
  if (instance != NULL)
    *instance++ = '\0';
  if (!is_group_name (name))
    {
      syntax_mistake (parser, "not a group name (lower case letters, digits and -, as in [server] or [listener imap])",
                      name);
      return;
    }
  if (instance != NULL && (*instance == '\0' || strpbrk (instance, " \t") != NULL))
    {
      syntax_mistake (parser, "write [kind name] with one space between and none in the name", instance);
      return;
    }
  parser->group = rook_config_open_group (parser->config, name, instance);
  parser->skipping = FALSE;
  if (parser->group->file == NULL)
    {
      parser->group->file = parser->file;
      parser->group->line = parser->line;
    }
}

static void
set_entry (Parser *parser, const char *name, const char *raw)
{
  RookConfigEntry *entry = g_hash_table_lookup (parser->group->by_name, name);

  /* A later file may change what an earlier one says; in one file it is a slip, and whoever looks sees the first. */
  if (entry != NULL && entry->file == parser->file)
    {
      g_autofree char *title = rook_config_group_get_title (parser->group);

      rook_config_add_mistake_at (parser->config->warnings, parser->file, parser->line, ROOK_CONFIG_ERROR_CONFLICT,
                                  "[%s] %s: line %u sets it already: take one of the two out", title, entry->name,
                                  entry->line);
    }
  if (entry == NULL)
    {
      entry = g_new0 (RookConfigEntry, 1);
      entry->name = g_strdup (name);
      g_ptr_array_add (parser->group->entries, entry);
      g_hash_table_insert (parser->group->by_name, entry->name, entry);
    }
  g_free (entry->raw);
  entry->raw = g_strdup (raw);
  entry->file = parser->file;
  entry->line = parser->line;
}

static void
parse_key_line (Parser *parser, char *text)
{
  char *equals = strchr (text, '=');
  char *name, *raw;

  if (equals == NULL)
    {
      syntax_mistake (parser, "neither key=value, [group] nor # comment", text);
      return;
    }
  *equals = '\0';
  name = strip (text);
  raw = strip (equals + 1);
  if (*name == '\0' || strpbrk (name, "[]") != NULL)
    syntax_mistake (parser, "not a key name before the =", name);
  else if (parser->group != NULL)
    set_entry (parser, name, raw);
  else if (!parser->skipping)
    {
      syntax_mistake (parser, "a key before the first [group]", name);
      parser->skipping = TRUE;
    }
}

static void
parse_line (Parser *parser, char *text)
{
  text = strip (text);
  if (*text == '\0' || *text == '#')
    return;
  if (has_control_character (text))
    syntax_mistake (parser, "a control character", text);
  else if (*text == '[')
    parse_group_line (parser, text);
  else
    parse_key_line (parser, text);
}

/* What makes a whole file unreadable is told once, at its first place. */
static gboolean
check_bytes (Parser *parser, const char *data, gsize length)
{
  const char *bad = memchr (data, '\0', length);
  const char *problem = "a NUL byte";

  if (bad == NULL)
    {
      if (g_utf8_validate (data, (gssize) length, &bad))
        return TRUE;
      problem = "not UTF-8";
    }
  parser->line = 1;
  for (const char *p = data; p < bad; p++)
    parser->line += *p == '\n';
  rook_config_add_mistake_at (parser->mistakes, parser->file, parser->line, ROOK_CONFIG_ERROR_SYNTAX, "%s", problem);
  return FALSE;
}

void
rook_config_parse (RookConfig *config, const char *file, const char *data, gsize length, GPtrArray *mistakes)
{
  Parser parser = { .config = config, .mistakes = mistakes };
  char *name = g_strdup (file);
  const char *end;

  g_ptr_array_add (config->files, name);
  parser.file = name;
  if (length == 0)
    return;
  end = data + length;
  if (length > ROOK_CONFIG_FILE_MAX)
    {
      rook_config_add_mistake_at (mistakes, name, 0, ROOK_CONFIG_ERROR_SYNTAX, "larger than %d bytes",
                                  ROOK_CONFIG_FILE_MAX);
      return;
    }
  if (!check_bytes (&parser, data, length))
    return;
  if (length >= 3 && memcmp (data, "\xef\xbb\xbf", 3) == 0)
    data += 3;
  parser.line = 0;
  while (data < end)
    {
      const char *newline = memchr (data, '\n', (gsize) (end - data));
      gsize line_length = (gsize) ((newline != NULL ? newline : end) - data);
      g_autofree char *text = g_strndup (data, line_length);

      if (newline != NULL && line_length > 0 && text[line_length - 1] == '\r')
        text[line_length - 1] = '\0';
      parser.line++;
      parse_line (&parser, text);
      data += line_length + 1;
    }
}
