/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See quota-fixture.h.
 */
#include "quota-fixture.h"

typedef struct {
  Answer answer;
  GString *text;
  gboolean with_root;
} Asked;

static void
on_quota (const RookQuota *quota, const GError *error, gpointer data)
{
  Asked *asked = data;

  if (error != NULL)
    g_string_printf (asked->text, "code %d", error->code);
  else if (quota == NULL)
    g_string_assign (asked->text, "none");
  if (quota != NULL && asked->with_root)
    g_string_append_printf (asked->text, "%s ", quota->root);
  for (guint i = 0; quota != NULL && i < ROOK_QUOTA_N_RESOURCES; i++)
    {
      g_string_append_printf (asked->text, "%s%" G_GUINT64_FORMAT "/", i > 0 ? " " : "", quota->usage[i]);
      if (quota->limits[i] < 0)
        g_string_append_c (asked->text, '-');
      else
        g_string_append_printf (asked->text, "%" G_GINT64_FORMAT, quota->limits[i]);
    }
  on_mail (error, &asked->answer);
}

char *
quota_text (Fixture *f, RookIdentity *identity, const char *root)
{
  Asked asked = { .answer = { .f = f }, .text = g_string_new (NULL) };

  rook_mail_get_quota (f->mail, identity, root, on_quota, &asked);
  answer_wait (&asked.answer);
  answer_clear (&asked.answer);
  return g_string_free (asked.text, FALSE);
}

char *
mailbox_quota_text (Fixture *f, RookIdentity *identity, const char *name)
{
  Asked asked = { .answer = { .f = f }, .text = g_string_new (NULL), .with_root = TRUE };

  rook_mail_get_mailbox_quota (f->mail, identity, name, on_quota, &asked);
  answer_wait (&asked.answer);
  answer_clear (&asked.answer);
  return g_string_free (asked.text, FALSE);
}

void
assert_quota (Fixture *f, const char *root, const char *expected)
{
  g_autofree char *text = quota_text (f, NULL, root);

  g_assert_cmpstr (text, ==, expected);
}

static int
set_quota (Fixture *f, RookIdentity *identity, const char *root, const gint64 *limits)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_set_quota (f->mail, identity, root, limits, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

int
try_set_quota (Fixture *f, RookIdentity *identity, const char *root, gint64 storage, gint64 messages, gint64 mailboxes)
{
  const gint64 limits[ROOK_QUOTA_N_RESOURCES] = { storage, messages, mailboxes, -1 };

  return set_quota (f, identity, root, limits);
}

/* Nobody waits for the copy on the partition, but who has the store fail afterwards. */
static void
await_copy (Fixture *f, const char *root)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry (f->mail, root);
  g_autoptr (GBytes) key = rook_bytes_of_text (entry->id), value = NULL;

  g_assert_true (rook_store_get_wait (rook_mail_get_store (f->mail, entry->partition, NULL), ROOK_PART_ENTRIES, key,
                                      &value, NULL));
}

void
must_set_quota (Fixture *f, const char *root, gint64 storage, gint64 messages, gint64 mailboxes)
{
  g_assert_cmpint (try_set_quota (f, NULL, root, storage, messages, mailboxes), ==, -1);
  await_copy (f, root);
}

int
try_remove_quota (Fixture *f, const char *root)
{
  return set_quota (f, NULL, root, NULL);
}

GBytes *
message_of_size (gsize size)
{
  GString *text = g_string_new (MESSAGE);

  while (text->len + 2 < size)
    g_string_append_c (text, 'x');
  g_string_append (text, "\r\n");
  g_assert_cmpuint (text->len, ==, size);
  return g_string_free_to_bytes (text);
}

int
try_append_as (Fixture *f, const char *name, gsize size, gboolean ignore, gboolean overshoot)
{
  g_auto (Answer) open = { .f = f }, answer = { .f = f };
  g_autoptr (GBytes) message = message_of_size (size);

  rook_mail_open (f->mail, NULL, name, on_open, &open);
  answer_wait (&open);
  if (open.error != NULL)
    return code_of (&open);
  rook_mailbox_append (open.mailbox, NULL,
                       &(RookAppend){ .struct_size = sizeof (RookAppend),
                                      .message = message,
                                      .ignore_quota = ignore,
                                      .may_overshoot = overshoot,
                                      .event = ROOK_EVENT_MESSAGE_APPEND },
                       on_append, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

int
try_append (Fixture *f, const char *name, gsize size)
{
  return try_append_as (f, name, size, FALSE, FALSE);
}

int
try_create (Fixture *f, RookIdentity *identity, const char *name)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_create (f->mail, identity, name, NULL, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

int
try_delete (Fixture *f, RookIdentity *identity, const char *name)
{
  g_auto (Answer) answer = { .f = f };

  rook_mail_delete (f->mail, identity, name, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

/* A view of @name and the uids of its first @n messages. %NULL: *@out_code says why not. */
static RookView *
view_first (Fixture *f, const char *name, guint n, GArray *uids, int *out_code)
{
  g_auto (Answer) open = { .f = f };
  RookView *view;

  rook_mail_open (f->mail, NULL, name, on_open, &open);
  answer_wait (&open);
  *out_code = code_of (&open);
  if (open.error != NULL)
    return NULL;
  view = must_view (open.mailbox, NULL);
  for (guint seq = 1; seq <= MIN (n, rook_view_get_count (view)); seq++)
    {
      guint32 uid = rook_view_get_uid (view, seq);

      g_array_append_val (uids, uid);
    }
  return view;
}

int
try_copy (Fixture *f, const char *name, guint n, const char *destination, gboolean move)
{
  g_auto (Answer) answer = { .f = f };
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  int code;
  g_autoptr (RookView) view = view_first (f, name, n, uids, &code);

  if (view == NULL)
    return code;
  rook_view_copy (view, (guint32 *) (gpointer) uids->data, uids->len, destination, move, on_copy, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}

int
try_expunge (Fixture *f, const char *name, guint n)
{
  g_auto (Answer) answer = { .f = f };
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  int code;
  g_autoptr (RookView) view = view_first (f, name, n, uids, &code);

  if (view == NULL)
    return code;
  rook_mailbox_expunge (rook_view_get_mailbox (view), NULL, (guint32 *) (gpointer) uids->data, uids->len, FALSE,
                        ROOK_EVENT_MESSAGE_EXPUNGE, on_mail, &answer);
  answer_wait (&answer);
  return code_of (&answer);
}
