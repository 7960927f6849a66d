/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses SEARCH programs: one table of keys, one function for each kind of argument.
 */
#include "imap/search-private.h"
#include "rookery/mime-text.h"

#include <string.h>

typedef struct {
  ImapParser *parser;
  const char *charset; /* (nullable) */
} Context;

typedef struct Key Key;
struct Key {
  const char *word;
  gboolean (*parse) (Context *context, const Key *key, ImapSearchNode *node, GError **error);
  ImapSearchKind kind;
  guint a, b;       /* flags set and unset, or the order of dates */
  const char *name; /* of a field */
};

void
imap_search_node_free (ImapSearchNode *node)
{
  if (node == NULL)
    return;
  g_clear_pointer (&node->children, g_ptr_array_unref);
  g_clear_pointer (&node->set, g_array_unref);
  g_free (node->name);
  g_free (node->text);
  g_free (node);
}

void
imap_search_free (ImapSearch *self)
{
  imap_search_node_free (self->root);
  g_free (self->charset);
  g_free (self);
}

static gboolean parse_key (Context *context, GPtrArray *children, GError **error);

static GPtrArray *
new_children (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) imap_search_node_free);
}

/* --- arguments ---------------------------------------------------------------------------------------------------------- */

static gboolean
parse_flags (Context *context G_GNUC_UNUSED, const Key *key, ImapSearchNode *node, GError **error G_GNUC_UNUSED)
{
  node->flags_set = key->a;
  node->flags_unset = key->b;
  return TRUE;
}

static gboolean
parse_date (Context *context, const Key *key, ImapSearchNode *node, GError **error)
{
  node->order = key->a;
  return imap_parse_space (context->parser, error) && imap_parse_date (context->parser, &node->day, error);
}

static gboolean
parse_size (Context *context, const Key *key G_GNUC_UNUSED, ImapSearchNode *node, GError **error)
{
  return imap_parse_space (context->parser, error) && imap_parse_number64 (context->parser, &node->size, error);
}

static gboolean
parse_text (Context *context, const Key *key, ImapSearchNode *node, GError **error)
{
  g_autofree char *text = NULL;

  if (key->name != NULL)
    node->name = g_strdup (key->name);
  if (!imap_parse_space (context->parser, error) || !imap_parse_astring (context->parser, &text, error))
    return FALSE;
  node->text = imap_search_fold (text, context->charset);
  if (node->text != NULL)
    return TRUE;
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, "Text is not valid in its charset");
  return FALSE;
}

static gboolean
parse_header (Context *context, const Key *key, ImapSearchNode *node, GError **error)
{
  return imap_parse_space (context->parser, error) && imap_parse_astring (context->parser, &node->name, error)
         && parse_text (context, key, node, error);
}

static gboolean
parse_keyword (Context *context, const Key *key, ImapSearchNode *node, GError **error)
{
  ImapSearchNode *inner = node;

  if (!imap_parse_space (context->parser, error))
    return FALSE;
  if (key->kind == IMAP_KEY_NOT)
    {
      inner = g_new0 (ImapSearchNode, 1);
      inner->kind = IMAP_KEY_KEYWORD;
      node->children = new_children ();
      g_ptr_array_add (node->children, inner);
    }
  return imap_parse_keyword (context->parser, &inner->name, error);
}

static gboolean
parse_uids (Context *context, const Key *key G_GNUC_UNUSED, ImapSearchNode *node, GError **error)
{
  node->uids = TRUE;
  return imap_parse_space (context->parser, error) && imap_parse_sequence_set (context->parser, &node->set, error);
}

/* One key for NOT, two for OR. */
static gboolean
parse_operands (Context *context, const Key *key, ImapSearchNode *node, GError **error)
{
  node->children = new_children ();
  if (!imap_parse_enter (context->parser, error))
    return FALSE;
  for (guint i = 0; i < key->a; i++)
    if (!imap_parse_space (context->parser, error) || !parse_key (context, node->children, error))
      return FALSE;
  imap_parse_leave (context->parser);
  return TRUE;
}

/* --- the table ---------------------------------------------------------------------------------------------------------- */

/* clang-format off */
static const Key keys[] = {
  { "ALL",        parse_flags, IMAP_KEY_FLAGS, 0, 0, NULL },
  { "ANSWERED",   parse_flags, IMAP_KEY_FLAGS, ROOK_FLAG_ANSWERED, 0, NULL },
  { "DELETED",    parse_flags, IMAP_KEY_FLAGS, ROOK_FLAG_DELETED, 0, NULL },
  { "DRAFT",      parse_flags, IMAP_KEY_FLAGS, ROOK_FLAG_DRAFT, 0, NULL },
  { "FLAGGED",    parse_flags, IMAP_KEY_FLAGS, ROOK_FLAG_FLAGGED, 0, NULL },
  { "NEW",        parse_flags, IMAP_KEY_FLAGS, ROOK_FLAG_RECENT, ROOK_FLAG_SEEN, NULL },
  { "OLD",        parse_flags, IMAP_KEY_FLAGS, 0, ROOK_FLAG_RECENT, NULL },
  { "RECENT",     parse_flags, IMAP_KEY_FLAGS, ROOK_FLAG_RECENT, 0, NULL },
  { "SEEN",       parse_flags, IMAP_KEY_FLAGS, ROOK_FLAG_SEEN, 0, NULL },
  { "UNANSWERED", parse_flags, IMAP_KEY_FLAGS, 0, ROOK_FLAG_ANSWERED, NULL },
  { "UNDELETED",  parse_flags, IMAP_KEY_FLAGS, 0, ROOK_FLAG_DELETED, NULL },
  { "UNDRAFT",    parse_flags, IMAP_KEY_FLAGS, 0, ROOK_FLAG_DRAFT, NULL },
  { "UNFLAGGED",  parse_flags, IMAP_KEY_FLAGS, 0, ROOK_FLAG_FLAGGED, NULL },
  { "UNSEEN",     parse_flags, IMAP_KEY_FLAGS, 0, ROOK_FLAG_SEEN, NULL },
  { "BEFORE",     parse_date, IMAP_KEY_DATE, IMAP_BEFORE, 0, NULL },
  { "ON",         parse_date, IMAP_KEY_DATE, IMAP_ON, 0, NULL },
  { "SINCE",      parse_date, IMAP_KEY_DATE, IMAP_SINCE, 0, NULL },
  { "SENTBEFORE", parse_date, IMAP_KEY_SENT, IMAP_BEFORE, 0, NULL },
  { "SENTON",     parse_date, IMAP_KEY_SENT, IMAP_ON, 0, NULL },
  { "SENTSINCE",  parse_date, IMAP_KEY_SENT, IMAP_SINCE, 0, NULL },
  { "LARGER",     parse_size, IMAP_KEY_LARGER, 0, 0, NULL },
  { "SMALLER",    parse_size, IMAP_KEY_SMALLER, 0, 0, NULL },
  { "BCC",        parse_text, IMAP_KEY_HEADER, 0, 0, "Bcc" },
  { "CC",         parse_text, IMAP_KEY_HEADER, 0, 0, "Cc" },
  { "FROM",       parse_text, IMAP_KEY_HEADER, 0, 0, "From" },
  { "SUBJECT",    parse_text, IMAP_KEY_HEADER, 0, 0, "Subject" },
  { "TO",         parse_text, IMAP_KEY_HEADER, 0, 0, "To" },
  { "BODY",       parse_text, IMAP_KEY_BODY, 0, 0, NULL },
  { "TEXT",       parse_text, IMAP_KEY_TEXT, 0, 0, NULL },
  { "HEADER",     parse_header, IMAP_KEY_HEADER, 0, 0, NULL },
  { "KEYWORD",    parse_keyword, IMAP_KEY_KEYWORD, 0, 0, NULL },
  { "UNKEYWORD",  parse_keyword, IMAP_KEY_NOT, 0, 0, NULL },
  { "UID",        parse_uids, IMAP_KEY_SET, 0, 0, NULL },
  { "NOT",        parse_operands, IMAP_KEY_NOT, 1, 0, NULL },
  { "OR",         parse_operands, IMAP_KEY_OR, 2, 0, NULL },
};
/* clang-format on */

static gboolean
parse_word (Context *context, ImapSearchNode *node, GError **error)
{
  g_autofree char *word = NULL;

  if (!imap_parse_atom (context->parser, &word, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_ascii_strcasecmp (word, keys[i].word) == 0)
      {
        node->kind = keys[i].kind;
        return keys[i].parse (context, &keys[i], node, error);
      }
  g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, "Unknown SEARCH key");
  return FALSE;
}

static gboolean
parse_numbers (Context *context, ImapSearchNode *node, GError **error)
{
  node->kind = IMAP_KEY_SET;
  return imap_parse_sequence_set (context->parser, &node->set, error);
}

static gboolean
parse_group (Context *context, ImapSearchNode *node, GError **error)
{
  node->kind = IMAP_KEY_AND;
  node->children = new_children ();
  if (!imap_parse_open (context->parser, error))
    return FALSE;
  do
    if (!parse_key (context, node->children, error))
      return FALSE;
  while (imap_parse_try_char (context->parser, ' '));
  return imap_parse_close (context->parser, error);
}

static gboolean
parse_key (Context *context, GPtrArray *children, GError **error)
{
  g_autoptr (ImapSearchNode) node = g_new0 (ImapSearchNode, 1);
  char c = imap_parser_peek (context->parser);
  gboolean ok;

  if (c == '(')
    ok = parse_group (context, node, error);
  else if (g_ascii_isdigit (c) || c == '*')
    ok = parse_numbers (context, node, error);
  else
    ok = parse_word (context, node, error);
  if (ok)
    g_ptr_array_add (children, g_steal_pointer (&node));
  return ok;
}

static gboolean
parse_charset (ImapParser *parser, char **out_charset, GError **error)
{
  g_autofree char *charset = NULL;

  if (!imap_parse_try_word (parser, "CHARSET"))
    return TRUE;
  if (!imap_parse_space (parser, error) || !imap_parse_astring (parser, &charset, error)
      || !imap_parse_space (parser, error))
    return FALSE;
  if (!rook_charset_is_known (charset))
    {
      g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_CHARSET, "Unknown charset");
      return FALSE;
    }
  *out_charset = g_steal_pointer (&charset);
  return TRUE;
}

ImapSearch *
imap_search_parse (ImapParser *parser, GError **error)
{
  g_autoptr (ImapSearch) self = g_new0 (ImapSearch, 1);
  Context context = { .parser = parser };

  self->root = g_new0 (ImapSearchNode, 1);
  self->root->kind = IMAP_KEY_AND;
  self->root->children = new_children ();
  if (!parse_charset (parser, &self->charset, error))
    return NULL;
  context.charset = self->charset;
  do
    if (!parse_key (&context, self->root->children, error))
      return NULL;
  while (imap_parse_try_char (parser, ' '));
  return imap_parse_end (parser, error) ? g_steal_pointer (&self) : NULL;
}
