/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See mail-script.h.
 */
#include "mail-script.h"

#define CONFIG "[mailbox]\nopen-cache=0\n" /* what nobody has open is loaded each time */

static const Step script[] = {
  { .kind = CREATE, .name = INBOX "/a" },
  { .kind = APPEND, .name = INBOX, .size = 100, .parts = 3 },
  { .kind = DELIVER, .name = INBOX "/a", .other = "key" },
  { .kind = DELIVER, .name = INBOX "/a", .other = "key" }, /* a duplicate */
  { .kind = APPEND, .name = INBOX "/a", .size = 200000 },
  { .kind = FLAG, .name = INBOX, .uids = { 1, 2 }, .flags = ROOK_FLAG_FLAGGED, .other = "work" },
  { .kind = SET_ACL, .name = INBOX "/a" },
  { .kind = FLAG, .name = INBOX "/a", .uids = { 1 }, .flags = ROOK_FLAG_SEEN, .by_bob = TRUE },
  { .kind = COPY, .name = INBOX, .uids = { 1, 2 }, .other = INBOX "/a" },
  { .kind = CREATE, .name = INBOX "/b", .other = "other" },
  { .kind = COPY, .name = INBOX, .uids = { 2 }, .other = INBOX "/b" },
  { .kind = MOVE, .name = INBOX, .uids = { 3 }, .other = INBOX "/a", .parts = 2 },
  { .kind = MOVE, .name = INBOX "/a", .uids = { 2 }, .other = INBOX "/b", .parts = 2 },
  { .kind = FLAG, .name = INBOX, .uids = { 2 }, .flags = ROOK_FLAG_DELETED },
  { .kind = EXPUNGE, .name = INBOX },
  { .kind = SUBSCRIBE, .name = INBOX "/a" },
  { .kind = SUBSCRIBE, .name = INBOX "/b" },
  { .kind = UNSUBSCRIBE, .name = INBOX "/b" },
  { .kind = FETCH, .name = INBOX "/a" },
  { .kind = FETCH, .name = INBOX },
  { .kind = RENAME, .name = INBOX "/a", .other = INBOX "/c" },
  { .kind = RENAME, .name = INBOX, .other = INBOX "/old" },
  { .kind = APPEND, .name = INBOX, .size = 300, .parts = 2 },
  { .kind = APPEND, .name = INBOX "/c", .size = 400 },
  { .kind = PARTITION, .name = INBOX "/c", .other = "other" },
  { .kind = APPEND, .name = INBOX "/c", .size = 600 },
  { .kind = DELETE, .name = INBOX "/b" },
  { .kind = FETCH, .name = INBOX "/old" },
  { .kind = CREATE, .name = INBOX "/b", .other = "other" },
  { .kind = APPEND, .name = INBOX "/b", .size = 500 },
  { .kind = PARTITION, .name = INBOX, .other = "other" }, /* some of the tree lie there already */
  { .kind = PARTITION, .name = INBOX "/old", .other = "default" },
  { .kind = FETCH, .name = INBOX "/c" },
};

guint
script_parts_of (const Step *step)
{
  return MAX (step->parts, 1);
}

/* The step of which part @state is, counted over all steps, and which part of it that is. */
const Step *
script_locate (guint state, guint *out_part)
{
  for (guint i = 0; i < G_N_ELEMENTS (script); i++)
    {
      if (state < script_parts_of (&script[i]))
        {
          *out_part = state;
          return &script[i];
        }
      state -= script_parts_of (&script[i]);
    }
  return NULL;
}

/* --- runs ------------------------------------------------------------------------------------------------------------- */

static void
answer_free (gpointer data)
{
  answer_clear (data);
  g_free (data);
}

Run *
run_new (void)
{
  Run *r = g_new0 (Run, 1);

  r->f = fixture_new (CONFIG);
  r->answers = g_ptr_array_new_with_free_func (answer_free);
  return r;
}

Run *
run_new_on (const RookStorageBackend *backend, gpointer data)
{
  Run *r = g_new0 (Run, 1);

  r->f = fixture_new_on (backend, data, CONFIG);
  r->answers = g_ptr_array_new_with_free_func (answer_free);
  return r;
}

void
run_free (Run *r)
{
  static const char *const disks[] = { "mailboxes", "default", "other" };

  g_clear_pointer (&r->view, rook_view_free);
  for (guint i = 0; r->f->backend == NULL && i < G_N_ELEMENTS (disks); i++)
    g_assert_cmpuint (rook_memory_disk_count_stages (fixture_disk (r->f, disks[i])), ==, 0);
  fixture_free (r->f);
  g_ptr_array_unref (r->answers);
  g_free (r);
}

Answer *
run_ask (Run *r)
{
  Answer *answer = g_new0 (Answer, 1);

  answer->f = r->f;
  g_ptr_array_add (r->answers, answer);
  return answer;
}

int
run_wait (Answer *answer)
{
  answer_wait (answer);
  return code_of (answer);
}

int
run_open_view (Run *r, RookIdentity *who, const char *name, RookView **out_view)
{
  Answer *answer = run_ask (r);

  rook_mail_open (r->f->mail, who, name, on_open, answer);
  if (run_wait (answer) == -1)
    *out_view = must_view (answer->mailbox, who);
  g_clear_pointer (&answer->mailbox, rook_mailbox_unref);
  return code_of (answer);
}

/* The session on the INBOX; a new one if the mailbox was taken from under it, or has another name now. */
int
run_take_session (Run *r)
{
  if (r->view != NULL)
    {
      g_autofree char *name = rook_mailbox_dup_name (rook_view_get_mailbox (r->view));

      if (rook_view_is_gone (r->view) || !g_str_equal (name, INBOX))
        g_clear_pointer (&r->view, rook_view_free);
    }
  if (r->view == NULL)
    return run_open_view (r, r->f->alice, INBOX, &r->view);
  update (r->view, TRUE);
  return -1;
}

static GBytes *
make_message (gsize size)
{
  GString *text = g_string_new ("Subject: s\r\n\r\n");

  while (text->len < size - 2)
    g_string_append_c (text, (char) ('a' + text->len % 26));
  g_string_append (text, "\r\n");
  return g_string_free_to_bytes (text);
}

Answer *
run_append (Run *r, RookMailbox *mailbox, gsize size, const char *key)
{
  Answer *answer = run_ask (r);
  g_autoptr (GBytes) message = make_message (size);

  rook_mailbox_append (mailbox, r->f->alice,
                       &(RookAppend){ .struct_size = sizeof (RookAppend),
                                      .message = message,
                                      .duplicate_key = key,
                                      .event = ROOK_EVENT_MESSAGE_APPEND },
                       on_append, answer);
  return answer;
}

static int
append_all (Run *r, RookMailbox *mailbox, const Step *step, guint n, guint *out_done)
{
  Answer *answers[3];
  int code = -1;

  for (guint i = 0; i < n; i++)
    answers[i] = run_append (r, mailbox, step->size, NULL);
  for (guint i = 0; i < n; i++)
    if (run_wait (answers[i]) == -1)
      ++*out_done;
    else
      code = code_of (answers[i]);
  return code;
}

static guint
count_uids (const Step *step)
{
  guint n = 0;

  while (n < G_N_ELEMENTS (step->uids) && step->uids[n] != 0)
    n++;
  return n;
}

int
run_store_flags (Run *r, RookView *view, const Step *step, RookFlags flags)
{
  Answer *answer = run_ask (r);
  const char *const keywords[] = { step->kind == FLAG ? step->other : NULL, NULL };

  rook_view_store_flags (view,
                         &(RookStoreFlags){ .struct_size = sizeof (RookStoreFlags),
                                            .uids = step->uids,
                                            .n_uids = count_uids (step),
                                            .mode = ROOK_STORE_ADD,
                                            .flags = flags,
                                            .keywords = keywords,
                                            .unchanged_since = G_MAXUINT64 },
                         on_store, answer);
  return run_wait (answer);
}

static int
copy_or_move (Run *r, RookView *view, const Step *step, gboolean move)
{
  Answer *answer = run_ask (r);

  rook_view_copy (view, step->uids, count_uids (step), step->other, move, on_copy, answer);
  return run_wait (answer);
}

static int
expunge (Run *r, RookView *view)
{
  Answer *answer = run_ask (r);

  rook_view_expunge (view, NULL, 0, on_mail, answer);
  return run_wait (answer);
}

/* As a whole, or one part of it: with other words for the same. */
static int
move (Run *r, RookView *view, const Step *step, guint from, guint to)
{
  int code;

  if (to - from == 2)
    return copy_or_move (r, view, step, TRUE);
  if (from == 0)
    return copy_or_move (r, view, step, FALSE);
  code = run_store_flags (r, view, step, ROOK_FLAG_DELETED);
  return code == -1 ? expunge (r, view) : code;
}

int
run_fetch (Run *r, RookView *view)
{
  int code = -1;

  for (guint32 seq = 1; code == -1 && seq <= rook_view_get_count (view); seq++)
    {
      Answer *mime = run_ask (r), *bytes = run_ask (r);

      rook_view_get_mime (view, seq, on_mime, mime);
      rook_view_read (view, seq, 0, G_MAXSIZE, on_read, bytes);
      code = MAX (run_wait (mime), run_wait (bytes));
      g_assert_true ((mime->mime != NULL) == (mime->error == NULL));
      g_assert_true ((bytes->bytes != NULL) == (bytes->error == NULL));
    }
  return code;
}

static int
perform_in (Run *r, RookView *view, const Step *step, guint from, guint to, guint *out_done)
{
  switch (step->kind)
    {
    case APPEND:
      return append_all (r, rook_view_get_mailbox (view), step, to - from, out_done);
    case DELIVER:
      return run_wait (run_append (r, rook_view_get_mailbox (view), 100, step->other));
    case FLAG:
      return run_store_flags (r, view, step, step->flags);
    case COPY:
      return copy_or_move (r, view, step, FALSE);
    case MOVE:
      return move (r, view, step, from, to);
    case EXPUNGE:
      return expunge (r, view);
    default:
      return run_fetch (r, view);
    }
}

int
run_change_names (Run *r, const Step *step)
{
  RookCreateOptions options = { .struct_size = sizeof options, .partition = step->other };
  Answer *answer = run_ask (r);

  if (step->kind == CREATE)
    rook_mail_create (r->f->mail, r->f->admin, step->name, &options, on_mail, answer);
  else if (step->kind == SET_ACL)
    rook_mail_set_acl (r->f->mail, r->f->alice, step->name, "bob", "lrswit", on_mail, answer);
  else if (step->kind == RENAME)
    rook_mail_rename (r->f->mail, r->f->alice, step->name, step->other, NULL, on_mail, answer);
  else if (step->kind == PARTITION)
    rook_mail_rename (r->f->mail, r->f->admin, step->name, step->name, step->other, on_mail, answer);
  else if (step->kind == DELETE)
    rook_mail_delete (r->f->mail, r->f->alice, step->name, on_mail, answer);
  else
    rook_mail_subscribe (r->f->mail, r->f->alice, step->name, step->kind == SUBSCRIBE, on_mail, answer);
  return run_wait (answer);
}

static gboolean
is_on_names (const Step *step)
{
  return step->kind == CREATE || step->kind == SET_ACL || step->kind == SUBSCRIBE || step->kind == UNSUBSCRIBE
         || step->kind == RENAME || step->kind == PARTITION || step->kind == DELETE;
}

/* Parts @from to @to - 1 of @step. @out_done: how many were answered with success though the whole was not. */
int
script_perform (Run *r, const Step *step, guint from, guint to, guint *out_done)
{
  RookView *own = NULL;
  int code;

  if (is_on_names (step))
    return run_change_names (r, step);
  if (g_str_equal (step->name, INBOX))
    code = run_take_session (r);
  else
    code = run_open_view (r, step->by_bob ? r->f->bob : r->f->alice, step->name, &own);
  if (code == -1)
    code = perform_in (r, own != NULL ? own : r->view, step, from, to, out_done);
  g_clear_pointer (&own, rook_view_free);
  return code;
}

/* --- what is there ------------------------------------------------------------------------------------------------------ */

static void
describe_message (Run *r, RookView *view, RookView *bobs, guint32 seq, GString *out)
{
  RookMessage message, as_bob;
  Answer *body = run_ask (r);
  g_autofree char *guid = NULL;
  GString *hex = g_string_new (NULL);

  load_all (view);
  g_assert_true (rook_view_get_message (view, seq, &message));
  rook_view_read (view, seq, 0, G_MAXSIZE, on_read, body);
  g_assert_cmpint (run_wait (body), ==, -1);
  for (guint i = 0; i < sizeof message.guid; i++)
    g_string_append_printf (hex, "%02x", message.guid[i]);
  guid = g_compute_checksum_for_bytes (G_CHECKSUM_SHA1, body->bytes);
  g_assert_cmpstr (guid, ==, hex->str);
  g_string_free (hex, TRUE);
  g_string_append_printf (out, " | %u:%s%s%s", message.uid, (message.flags & ROOK_FLAG_FLAGGED) != 0 ? "F" : "",
                          (message.flags & ROOK_FLAG_DELETED) != 0 ? "D" : "",
                          (message.flags & ROOK_FLAG_SEEN) != 0 ? "S" : "");
  for (guint k = 0; k < ROOK_MAX_KEYWORDS; k++)
    if ((message.keywords[k / 64] >> (k % 64) & 1) != 0)
      g_string_append_printf (out, "+%s", rook_mailbox_get_keyword (rook_view_get_mailbox (view), k));
  g_string_append_printf (out, " %" G_GSIZE_FORMAT, g_bytes_get_size (body->bytes));
  if (bobs != NULL)
    load_all (bobs);
  if (bobs != NULL && rook_view_get_message (bobs, seq, &as_bob) && (as_bob.flags & ROOK_FLAG_SEEN) != 0)
    g_string_append (out, " bob:S");
}

static void
describe_mailbox (Run *r, const char *name, GString *out)
{
  RookView *view = NULL, *bobs = NULL;
  RookMailboxStatus status;

  g_assert_cmpint (run_open_view (r, NULL, name, &view), ==, -1);
  run_open_view (r, r->f->bob, name, &bobs);
  rook_mailbox_get_status (rook_view_get_mailbox (view), NULL, &status);
  g_assert_cmpuint (status.messages, ==, rook_view_get_count (view));
  {
    g_autoptr (RookEntry) entry = rook_mail_ref_entry (r->f->mail, name);

    g_string_append_printf (out, "%s on %s: %u next %u", name, entry->partition, status.messages, status.uidnext);
  }
  for (guint32 seq = 1; seq <= status.messages; seq++)
    describe_message (r, view, bobs, seq, out);
  g_string_append_c (out, '\n');
  rook_view_free (view);
  g_clear_pointer (&bobs, rook_view_free);
}

static void
add_name (const RookMailboxInfo *info, gpointer data)
{
  g_ptr_array_add (data, g_strdup (info->name));
}

GPtrArray *
run_list (Run *r)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  rook_mail_list (r->f->mail, NULL, NULL, add_name, names);
  return names;
}

char *
script_describe (Run *r)
{
  g_autoptr (GPtrArray) names = run_list (r);
  RookListQuery subscribed = { .struct_size = sizeof subscribed, .subscribed = TRUE };
  GString *out = g_string_new (NULL);
  guint n = names->len;

  for (guint i = 0; i < n; i++)
    describe_mailbox (r, g_ptr_array_index (names, i), out);
  rook_mail_list (r->f->mail, r->f->alice, &subscribed, add_name, names);
  for (guint i = n; i < names->len; i++)
    g_string_append_printf (out, "subscribed: %s\n", (const char *) g_ptr_array_index (names, i));
  return g_string_free (out, FALSE);
}

void
run_restart (Run *r)
{
  g_clear_pointer (&r->view, rook_view_free);
  fixture_restart (r->f);
}

GPtrArray *
script_write_down (void)
{
  GPtrArray *states = g_ptr_array_new_with_free_func (g_free);
  Run *r = run_new ();
  g_autofree char *after = NULL;
  guint part = 0, done = 0;

  for (const Step *step; (step = script_locate (states->len, &part)) != NULL;)
    {
      g_ptr_array_add (states, script_describe (r));
      g_assert_cmpint (script_perform (r, step, part, part + 1, &done), ==, -1);
    }
  g_ptr_array_add (states, script_describe (r));
  g_assert_cmpstr (g_ptr_array_index (states, states->len - 1), ==, SCRIPT_END);
  run_restart (r);
  after = script_describe (r);
  g_assert_cmpstr (after, ==, SCRIPT_END);
  run_free (r);
  return states;
}
