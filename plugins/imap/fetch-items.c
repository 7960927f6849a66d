/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses FETCH items. The label of a section is written anew from what was understood, so that the answer says exactly
 * what was done.
 */
#include "imap/fetch-items.h"

#include <string.h>

#include "imap/write.h"

static void
item_clear (gpointer data)
{
  ImapFetchItem *item = data;

  g_clear_pointer (&item->part, g_free);
  g_clear_pointer (&item->fields, g_strfreev);
  g_clear_pointer (&item->label, g_free);
}

void
imap_fetch_items_clear (ImapFetchItems *items)
{
  g_clear_pointer (&items->items, g_array_unref);
}

static gboolean
syntax_error (GError **error, const char *text)
{
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, text);
  return FALSE;
}

/* The items that are one word each, and the older names of sections. */
static const struct {
  const char *word;
  ImapFetchKind kind;
  ImapSectionKind section;
  gboolean peek;
} words[] = {
  { "FLAGS", IMAP_FETCH_FLAGS, 0, FALSE },
  { "UID", IMAP_FETCH_UID, 0, FALSE },
  { "INTERNALDATE", IMAP_FETCH_INTERNALDATE, 0, FALSE },
  { "RFC822.SIZE", IMAP_FETCH_SIZE, 0, FALSE },
  { "ENVELOPE", IMAP_FETCH_ENVELOPE, 0, FALSE },
  { "BODYSTRUCTURE", IMAP_FETCH_BODYSTRUCTURE, 0, FALSE },
  { "RFC822", IMAP_FETCH_SECTION, IMAP_SECTION_ALL, FALSE },
  { "RFC822.HEADER", IMAP_FETCH_SECTION, IMAP_SECTION_HEADER, TRUE },
  { "RFC822.TEXT", IMAP_FETCH_SECTION, IMAP_SECTION_TEXT, FALSE },
};

static const struct {
  const char *word;
  ImapFetchKind kinds[6];
  guint n_kinds;
} macros[] = {
  { "FAST", { IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_SIZE }, 3 },
  { "ALL", { IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_SIZE, IMAP_FETCH_ENVELOPE }, 4 },
  { "FULL", { IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_SIZE, IMAP_FETCH_ENVELOPE, IMAP_FETCH_BODY }, 5 },
};

/* Takes over what @item owns. An item asked for twice is answered once. */
static void
add_item (ImapFetchItems *items, ImapFetchItem *item)
{
  for (guint i = 0; i < items->items->len; i++)
    {
      const ImapFetchItem *other = &g_array_index (items->items, ImapFetchItem, i);

      if (other->kind == item->kind && other->peek == item->peek && other->length == item->length
          && g_strcmp0 (other->label, item->label) == 0)
        {
          item_clear (item);
          return;
        }
    }
  items->flags |= item->kind == IMAP_FETCH_FLAGS;
  items->uid |= item->kind == IMAP_FETCH_UID;
  items->needs_mime |=
      item->kind == IMAP_FETCH_ENVELOPE || item->kind == IMAP_FETCH_BODY || item->kind == IMAP_FETCH_BODYSTRUCTURE;
  items->sets_seen |= item->kind == IMAP_FETCH_SECTION && !item->peek;
  g_array_append_vals (items->items, item, 1);
}

static gboolean
add_word (ImapFetchItems *items, const char *word)
{
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (g_ascii_strcasecmp (word, words[i].word) == 0)
      {
        ImapFetchItem item = { .kind = words[i].kind, .section = words[i].section, .peek = words[i].peek };

        if (item.kind == IMAP_FETCH_SECTION)
          {
            item.part = g_strdup ("");
            item.label = g_strdup (words[i].word);
            item.length = G_MAXUINT64;
          }
        add_item (items, &item);
        return TRUE;
      }
  return FALSE;
}

static gboolean
add_macro (ImapFetchItems *items, const char *word)
{
  for (guint i = 0; i < G_N_ELEMENTS (macros); i++)
    if (g_ascii_strcasecmp (word, macros[i].word) == 0)
      {
        for (guint j = 0; j < macros[i].n_kinds; j++)
          {
            ImapFetchItem item = { .kind = macros[i].kinds[j] };

            add_item (items, &item);
          }
        return TRUE;
      }
  return FALSE;
}

/* "1.2" or "1.2.": numbers without leading zeros; leaves the cursor after the last dot. */
static gboolean
parse_part (ImapParser *parser, char **out_part, GError **error)
{
  g_autoptr (GString) part = g_string_new (NULL);
  guint depth = 0;

  while (g_ascii_isdigit (imap_parser_peek (parser)))
    {
      guint32 number;

      if (!imap_parse_nz_number (parser, &number, error))
        return FALSE;
      if (++depth > parser->limits->nesting)
        return syntax_error (error, "Section nested too deeply");
      g_string_append_printf (part, "%s%u", part->len > 0 ? "." : "", number);
      if (!imap_parse_try_char (parser, '.'))
        break;
      if (imap_parser_peek (parser) == ']')
        return syntax_error (error, "Invalid section");
    }
  *out_part = g_string_free (g_steal_pointer (&part), FALSE);
  return TRUE;
}

static gboolean
parse_fields (ImapParser *parser, ImapFetchItem *item, GError **error)
{
  g_autoptr (GPtrArray) fields = g_ptr_array_new_with_free_func (g_free);

  if (!imap_parse_space (parser, error) || !imap_parse_open (parser, error))
    return FALSE;
  do
    {
      char *field;

      if (!imap_parse_astring (parser, &field, error))
        return FALSE;
      g_ptr_array_add (fields, field);
    }
  while (imap_parse_try_char (parser, ' '));
  if (!imap_parse_close (parser, error))
    return FALSE;
  g_ptr_array_add (fields, NULL);
  item->fields = (char **) g_ptr_array_free (g_steal_pointer (&fields), FALSE);
  return TRUE;
}

static gboolean
parse_section_text (ImapParser *parser, ImapFetchItem *item, GError **error)
{
  gboolean in_part = item->part[0] != '\0';

  if (imap_parser_peek (parser) == ']')
    item->section = IMAP_SECTION_ALL;
  else if (imap_parse_try_word (parser, "HEADER"))
    item->section = IMAP_SECTION_HEADER;
  else if (imap_parse_try_word (parser, "TEXT"))
    item->section = IMAP_SECTION_TEXT;
  else if (in_part && imap_parse_try_word (parser, "MIME"))
    item->section = IMAP_SECTION_MIME;
  else if (imap_parse_try_word (parser, "HEADER.FIELDS"))
    item->section = IMAP_SECTION_HEADER_FIELDS;
  else if (imap_parse_try_word (parser, "HEADER.FIELDS.NOT"))
    item->section = IMAP_SECTION_HEADER_FIELDS_NOT;
  else
    return syntax_error (error, "Invalid section");
  if (item->section == IMAP_SECTION_HEADER_FIELDS || item->section == IMAP_SECTION_HEADER_FIELDS_NOT)
    return parse_fields (parser, item, error);
  return TRUE;
}

static gboolean
parse_partial (ImapParser *parser, ImapFetchItem *item, GError **error)
{
  item->length = G_MAXUINT64;
  if (!imap_parse_try_char (parser, '<'))
    return TRUE;
  item->partial = TRUE;
  if (!imap_parse_number64 (parser, &item->offset, error) || !imap_parse_char (parser, '.', error)
      || !imap_parse_number64 (parser, &item->length, error))
    return FALSE;
  if (item->length == 0)
    return syntax_error (error, "Partial of length zero");
  return imap_parse_char (parser, '>', error);
}

static char *
make_label (const ImapFetchItem *item)
{
  static const char *const names[] = { "", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME" };
  GString *label = g_string_new ("BODY[");

  g_string_append (label, item->part);
  if (item->part[0] != '\0' && item->section != IMAP_SECTION_ALL)
    g_string_append_c (label, '.');
  g_string_append (label, names[item->section]);
  for (guint i = 0; item->fields != NULL && item->fields[i] != NULL; i++)
    {
      g_string_append (label, i == 0 ? " (" : " ");
      imap_write_astring (label, item->fields[i]);
    }
  g_string_append (label, item->fields != NULL ? ")]" : "]");
  if (item->partial)
    g_string_append_printf (label, "<%" G_GUINT64_FORMAT ">", item->offset);
  return g_string_free (label, FALSE);
}

static gboolean
parse_section (ImapParser *parser, ImapFetchItem *item, GError **error)
{
  if (!parse_part (parser, &item->part, error) || !parse_section_text (parser, item, error)
      || !imap_parse_char (parser, ']', error) || !parse_partial (parser, item, error))
    return FALSE;
  item->label = make_label (item);
  return TRUE;
}

/* BODY, BODY[...], BODY.PEEK[...]: the cursor is after the word. */
static gboolean
parse_body (ImapParser *parser, ImapFetchItems *items, gboolean peek, GError **error)
{
  ImapFetchItem item = { .kind = IMAP_FETCH_BODY, .peek = peek };

  if (imap_parse_try_char (parser, '['))
    {
      item.kind = IMAP_FETCH_SECTION;
      if (!parse_section (parser, &item, error))
        {
          item_clear (&item);
          return FALSE;
        }
    }
  else if (peek)
    return syntax_error (error, "BODY.PEEK without a section");
  add_item (items, &item);
  return TRUE;
}

static gboolean
parse_item (ImapParser *parser, ImapFetchItems *items, gboolean alone, GError **error)
{
  g_autofree char *word = NULL;
  const char *start = parser->pos;

  /* "[" is an atom character: look at the word up to it. */
  while (parser->pos < parser->end && (g_ascii_isalnum (*parser->pos) || *parser->pos == '.'))
    parser->pos++;
  word = g_strndup (start, (gsize) (parser->pos - start));
  if (++parser->n_arguments > parser->limits->arguments)
    {
      g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_LIMIT, "Too many arguments");
      return FALSE;
    }
  if (g_ascii_strcasecmp (word, "BODY") == 0)
    return parse_body (parser, items, FALSE, error);
  if (g_ascii_strcasecmp (word, "BODY.PEEK") == 0)
    return parse_body (parser, items, TRUE, error);
  if (add_word (items, word) || (alone && add_macro (items, word)))
    return TRUE;
  return syntax_error (error, "Unknown FETCH item");
}

gboolean
imap_parse_fetch_items (ImapParser *parser, ImapFetchItems *out_items, GError **error)
{
  g_auto (ImapFetchItems) items = { .items = g_array_new (FALSE, TRUE, sizeof (ImapFetchItem)) };

  g_array_set_clear_func (items.items, item_clear);
  if (imap_parser_peek (parser) != '(')
    {
      if (!parse_item (parser, &items, TRUE, error))
        return FALSE;
    }
  else
    {
      if (!imap_parse_open (parser, error))
        return FALSE;
      do
        if (!parse_item (parser, &items, FALSE, error))
          return FALSE;
      while (imap_parse_try_char (parser, ' '));
      if (!imap_parse_close (parser, error))
        return FALSE;
    }
  *out_items = items;
  items.items = NULL;
  return TRUE;
}

void
imap_fetch_items_require_uid (ImapFetchItems *items)
{
  ImapFetchItem item = { .kind = IMAP_FETCH_UID };

  if (items->uid)
    return;
  items->uid = TRUE;
  g_array_prepend_val (items->items, item);
}
