/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Judges SEARCH programs. Parsing is in search-parse.c.
 */
#include "imap/search-scan.h"

static gboolean
bind_node (ImapSearchNode *node, RookView *view, GError **error)
{
  if (node->set != NULL)
    {
      GArray *set = imap_sequence_resolve (node->set, view, node->uids, error);

      if (set == NULL)
        return FALSE;
      g_array_unref (node->set);
      node->set = set;
    }
  for (guint i = 0; node->children != NULL && i < node->children->len; i++)
    if (!bind_node (node->children->pdata[i], view, error))
      return FALSE;
  return TRUE;
}

gboolean
imap_search_bind (ImapSearch *self, RookView *view, GError **error)
{
  return bind_node (self->root, view, error);
}

/* A set among the keys that must all hold. */
const GArray *
imap_search_get_ranges (ImapSearch *self)
{
  for (guint i = 0; i < self->root->children->len; i++)
    {
      const ImapSearchNode *node = self->root->children->pdata[i];

      if (node->kind == IMAP_KEY_SET)
        return node->set;
    }
  return NULL;
}

/* --- one key ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  const ImapSearchSubject *subject;
  ImapSearchLevel need;
} Judge;

static ImapSearchVerdict
verdict (gboolean yes)
{
  return yes ? IMAP_SEARCH_YES : IMAP_SEARCH_NO;
}

/* UNKNOWN: @level is not there. */
static ImapSearchVerdict
lacks (Judge *judge, ImapSearchLevel level)
{
  judge->need = MAX (judge->need, level);
  return IMAP_SEARCH_UNKNOWN;
}

/* By what the scan has seen of the text. */
static ImapSearchVerdict
judge_text (Judge *judge, const ImapSearchNode *node)
{
  ImapSearchVerdict result = imap_search_scan_get (judge->subject->scan, node);

  return result == IMAP_SEARCH_UNKNOWN ? lacks (judge, IMAP_SEARCH_TEXT) : result;
}

static gboolean
has_keyword (const ImapSearchSubject *subject, const char *name)
{
  const char *keyword;

  for (guint i = 0; (keyword = rook_mailbox_get_keyword (subject->mailbox, i)) != NULL; i++)
    if (g_ascii_strcasecmp (keyword, name) == 0)
      return (subject->message->keywords[i / 64] >> (i % 64) & 1) != 0;
  return FALSE;
}

static gboolean
compare_day (const ImapSearchNode *node, gint64 day)
{
  switch (node->order)
    {
    case IMAP_BEFORE:
      return day < node->day;
    case IMAP_ON:
      return day == node->day;
    default:
      return day >= node->day;
    }
}

/* In the zone that the date was given in (RFC 3501: "disregarding time and timezone"). */
static gint64
day_of_message (const RookMessage *message)
{
  gint64 local = message->internal_date + message->zone_minutes * 60;

  return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

static ImapSearchVerdict
judge_sent (Judge *judge, const ImapSearchNode *node)
{
  g_autofree char *value = NULL;
  gint32 day;

  if (judge->subject->mime == NULL)
    return lacks (judge, IMAP_SEARCH_MIME);
  value = rook_mime_get_header (judge->subject->mime, "Date");
  if (value == NULL || !imap_search_date_day (value, &day))
    return compare_day (node, day_of_message (judge->subject->message)) ? IMAP_SEARCH_YES : IMAP_SEARCH_NO;
  return verdict (compare_day (node, day));
}

static ImapSearchVerdict
judge_header (Judge *judge, const ImapSearchNode *node)
{
  g_autofree char *value = NULL;

  if (!rook_mime_is_header_cached (node->name))
    return judge_text (judge, node);
  if (judge->subject->mime == NULL)
    return lacks (judge, IMAP_SEARCH_MIME);
  value = rook_mime_get_header (judge->subject->mime, node->name);
  return verdict (value != NULL && imap_search_in_header (value, node->text));
}

/* --- the tree --------------------------------------------------------------------------------------------------------- */

static ImapSearchVerdict judge_node (Judge *judge, const ImapSearchNode *node);

static ImapSearchVerdict
judge_all (Judge *judge, const ImapSearchNode *node)
{
  ImapSearchVerdict result = IMAP_SEARCH_YES;

  for (guint i = 0; i < node->children->len && result != IMAP_SEARCH_NO; i++)
    {
      ImapSearchVerdict one = judge_node (judge, node->children->pdata[i]);

      if (one != IMAP_SEARCH_YES)
        result = one;
    }
  return result;
}

static ImapSearchVerdict
judge_any (Judge *judge, const ImapSearchNode *node)
{
  ImapSearchVerdict result = IMAP_SEARCH_NO;

  for (guint i = 0; i < node->children->len && result != IMAP_SEARCH_YES; i++)
    {
      ImapSearchVerdict one = judge_node (judge, node->children->pdata[i]);

      if (one != IMAP_SEARCH_NO)
        result = one;
    }
  return result;
}

static ImapSearchVerdict
judge_not (Judge *judge, const ImapSearchNode *node)
{
  ImapSearchVerdict inner = judge_node (judge, node->children->pdata[0]);

  if (inner == IMAP_SEARCH_UNKNOWN)
    return inner;
  return verdict (inner == IMAP_SEARCH_NO);
}

static ImapSearchVerdict
judge_node (Judge *judge, const ImapSearchNode *node)
{
  const RookMessage *message = judge->subject->message;

  switch (node->kind)
    {
    case IMAP_KEY_AND:
      return judge_all (judge, node);
    case IMAP_KEY_OR:
      return judge_any (judge, node);
    case IMAP_KEY_NOT:
      return judge_not (judge, node);
    case IMAP_KEY_SET:
      return verdict (imap_sequence_contains (node->set, judge->subject->seq));
    case IMAP_KEY_FLAGS:
      return verdict ((message->flags & node->flags_set) == node->flags_set
                      && (message->flags & node->flags_unset) == 0);
    case IMAP_KEY_KEYWORD:
      return verdict (has_keyword (judge->subject, node->name));
    case IMAP_KEY_LARGER:
      return verdict (message->size > node->size);
    case IMAP_KEY_SMALLER:
      return verdict (message->size < node->size);
    case IMAP_KEY_DATE:
      return verdict (compare_day (node, day_of_message (message)));
    case IMAP_KEY_SENT:
      return judge_sent (judge, node);
    case IMAP_KEY_HEADER:
      return judge_header (judge, node);
    case IMAP_KEY_BODY:
    case IMAP_KEY_TEXT:
      return judge_text (judge, node);
    }
  g_assert_not_reached ();
}

ImapSearchVerdict
imap_search_judge (ImapSearch *self, const ImapSearchSubject *subject, ImapSearchLevel *out_need)
{
  Judge judge = { .subject = subject };
  ImapSearchVerdict result = judge_node (&judge, self->root);

  *out_need = judge.need;
  return result;
}
