/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/delivery.h: addresses, recipients, filters, duplicates, answers.
 */
#include "mail-fixture.h"

#include "delivery/delivery-private.h"

#define FULL "Message-ID: <1@x>\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\nSubject: s\r\n\r\nbody\r\n"

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static void
test_address_split (void)
{
  static const char *const cases[][3] = {
    { "<joe@Example.ORG>", "joe", "example.org" },
    { "joe", "joe", NULL },
    { "<@a,@b:joe@c>", "joe", "c" },
    { "\"j o\\\"e@x\"@c", "j o\"e@x", "c" },
    { "+shared.box@c", "+shared.box", "c" },
    { "a@b@c", "a@b", "c" },
  };
  static const char *const bad[] = { "",        "<>",         "@",       "@c",      "joe@",   "@a,@b",
                                     "\"joe@c", "\"joe\"x@c", "j\noe@c", "joe@a b", "joe@a/b" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      RookAddress address = { NULL, NULL };

      g_assert_true (rook_address_split (cases[i][0], &address));
      g_assert_cmpstr (address.local, ==, cases[i][1]);
      g_assert_cmpstr (address.domain, ==, cases[i][2]);
      rook_address_clear (&address);
    }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      RookAddress address = { NULL, NULL };

      g_assert_false (rook_address_split (bad[i], &address));
    }
}

/* --- recipients ------------------------------------------------------------------------------------------------------ */

typedef struct {
  Answer answer;
  RookDeliveryStatus status;
  RookRecipient *recipient;
} Resolved;

static void
on_resolved (RookDeliveryStatus status, const char *text, RookRecipient *recipient, gpointer data)
{
  Resolved *resolved = data;

  (void) text;
  g_assert_cmpint (status == ROOK_DELIVERY_OK, ==, recipient != NULL);
  resolved->status = status;
  resolved->recipient = recipient;
  on_mail (NULL, &resolved->answer);
}

static RookRecipient *
resolve (Fixture *f, const char *address, RookIdentity *sender, guint64 size, RookDeliveryStatus *out_status)
{
  Resolved resolved = { .answer = { .f = f } };

  rook_delivery_resolve (
      rook_server_get_delivery (f->server),
      &(RookResolveRequest){
          .struct_size = sizeof (RookResolveRequest), .address = address, .sender = sender, .size = size },
      on_resolved, &resolved);
  g_assert_false (resolved.answer.done);
  answer_wait (&resolved.answer);
  *out_status = resolved.status;
  return resolved.recipient;
}

static void
check_resolve (Fixture *f, const char *address, RookDeliveryStatus expected, const char *mailbox)
{
  RookDeliveryStatus status;
  g_autoptr (RookRecipient) recipient = resolve (f, address, NULL, 0, &status);

  g_assert_cmpint (status, ==, expected);
  if (recipient != NULL)
    g_assert_cmpstr (recipient->mailbox, ==, mailbox);
}

static void
test_resolve (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nseparator=.\nmax-message-size=2048\n");
  RookDeliveryStatus status;
  g_autoptr (RookRecipient) detailed = NULL;

  must_create (f, f->alice, "user/alice/Work/x");
  must_create (f, f->admin, "shared/box");
  must_create (f, f->admin, "shared/closed");
  must_set_acl (f, "user/alice/Work/x", "anyone", "p");
  must_set_acl (f, "shared/box", "anyone", "lp");
  check_resolve (f, "<alice@example.org>", ROOK_DELIVERY_OK, "user/alice");
  check_resolve (f, "ALICE", ROOK_DELIVERY_OK, "user/alice");
  check_resolve (f, "nobody@example.org", ROOK_DELIVERY_UNKNOWN_USER, NULL);
  check_resolve (f, "@", ROOK_DELIVERY_BAD_ADDRESS, NULL);
  check_resolve (f, "a/b@c", ROOK_DELIVERY_UNKNOWN_USER, NULL);
  check_resolve (f, "alice+Work.x@example.org", ROOK_DELIVERY_OK, "user/alice/Work/x");
  check_resolve (f, "alice+Work@example.org", ROOK_DELIVERY_OK, "user/alice"); /* no `p` */
  check_resolve (f, "alice+none", ROOK_DELIVERY_OK, "user/alice");
  check_resolve (f, "alice+INBOX", ROOK_DELIVERY_OK, "user/alice");
  check_resolve (f, "+shared.box@example.org", ROOK_DELIVERY_OK, "shared/box");
  check_resolve (f, "+shared.closed", ROOK_DELIVERY_NO_PERMISSION, NULL);
  check_resolve (f, "+shared.none", ROOK_DELIVERY_UNKNOWN_USER, NULL);
  must_set_acl (f, "shared/closed", "anyone", "");
  check_resolve (f, "+shared.closed", ROOK_DELIVERY_UNKNOWN_USER, NULL);
  detailed = resolve (f, "alice+a.b@x", NULL, 0, &status);
  g_assert_cmpstr (detailed->user, ==, "alice");
  g_assert_cmpstr (detailed->detail, ==, "a.b");
  g_assert_null (resolve (f, "alice", NULL, 3000, &status));
  g_assert_cmpint (status, ==, ROOK_DELIVERY_TOO_BIG);
}

static void
test_resolve_creates_nothing (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nautocreate=delivery\n");

  check_resolve (f, "dora@example.org", ROOK_DELIVERY_OK, "user/dora");
  g_assert_false (rook_mail_exists (f->mail, "user/dora"));
}

static void
check_resolve_without_stores (const char *autocreate)
{
  g_autofree char *config = g_strdup_printf ("[mailbox]\nseparator=.\nautocreate=%s\n", autocreate);
  g_autoptr (Fixture) f = fixture_new_without_stores (config);

  check_resolve (f, "alice@example.org", ROOK_DELIVERY_TEMPORARY, NULL);
  check_resolve (f, "alice+Work", ROOK_DELIVERY_TEMPORARY, NULL);
  check_resolve (f, "+shared.box@example.org", ROOK_DELIVERY_TEMPORARY, NULL);
  check_resolve (f, "@", ROOK_DELIVERY_BAD_ADDRESS, NULL);
  fixture_open_stores (f);
  must_create (f, NULL, "user/alice");
  check_resolve (f, "alice@example.org", ROOK_DELIVERY_OK, "user/alice");
  check_resolve (f, "+shared.box@example.org", ROOK_DELIVERY_UNKNOWN_USER, NULL);
}

static void
test_resolve_without_stores (void)
{
  check_resolve_without_stores ("never");
  check_resolve_without_stores ("login");
  check_resolve_without_stores ("delivery");
}

/* --- deliveries ------------------------------------------------------------------------------------------------------- */

#define MAX_RECIPIENTS 4

typedef struct {
  Fixture *f;
  guint n, left;
  RookRecipient *recipients[MAX_RECIPIENTS];
  RookDeliveryStatus status[MAX_RECIPIENTS];
  char *text[MAX_RECIPIENTS];
} Delivery;

static void
on_delivered (guint index, RookDeliveryStatus status, const char *text, gpointer data)
{
  Delivery *d = data;

  g_assert_cmpuint (index, <, d->n);
  d->status[index] = status;
  d->text[index] = g_strdup (text);
  d->left--;
  rook_loop_quit (rook_server_get_loop (d->f->server));
}

static void
delivery_begin (Delivery *d, Fixture *f, const char *message, const char *const *addresses)
{
  g_autoptr (GBytes) bytes = g_bytes_new (message, strlen (message));
  RookDeliveryStatus status;

  *d = (Delivery){ .f = f };
  for (; addresses[d->n] != NULL; d->n++)
    {
      d->recipients[d->n] = resolve (f, addresses[d->n], NULL, 0, &status);
      g_assert_cmpint (status, ==, ROOK_DELIVERY_OK);
    }
  d->left = d->n;
  rook_delivery_deliver (rook_server_get_delivery (f->server),
                         &(RookDeliveryRequest){ .struct_size = sizeof (RookDeliveryRequest),
                                                 .sender = "s@example.org",
                                                 .message = bytes,
                                                 .recipients = d->recipients,
                                                 .n_recipients = d->n },
                         on_delivered, d);
  g_assert_cmpuint (d->left, ==, d->n);
}

static void
delivery_wait (Delivery *d)
{
  while (d->left > 0)
    rook_loop_run (rook_server_get_loop (d->f->server));
}

static void
delivery_clear (Delivery *d)
{
  for (guint i = 0; i < d->n; i++)
    {
      rook_recipient_free (d->recipients[i]);
      g_free (d->text[i]);
    }
}

static RookDeliveryStatus
deliver (Fixture *f, const char *message, const char *address)
{
  Delivery d;

  delivery_begin (&d, f, message, (const char *const[]){ address, NULL });
  delivery_wait (&d);
  delivery_clear (&d);
  return d.status[0];
}

static void
test_deliver_to_many (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Delivery d;

  delivery_begin (&d, f, FULL, (const char *const[]){ "alice", "bob@x", "alice", NULL });
  delivery_wait (&d);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (d.status[i], ==, ROOK_DELIVERY_OK);
  delivery_clear (&d);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 1); /* the second is a duplicate */
  g_assert_cmpuint (status_of (f, "user/bob").messages, ==, 1);
}

static void
test_deliver_each_when_durable (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Delivery d;

  rook_memory_disk_hold (fixture_disk (f, "default"), TRUE);
  delivery_begin (&d, f, FULL, (const char *const[]){ "alice", NULL });
  fixture_settle (f);
  g_assert_cmpuint (d.left, ==, 1);
  rook_memory_disk_hold (fixture_disk (f, "default"), FALSE);
  delivery_wait (&d);
  g_assert_cmpint (d.status[0], ==, ROOK_DELIVERY_OK);
  delivery_clear (&d);
}

static void
test_deliver_creates_inbox (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nautocreate=delivery\n");

  g_assert_cmpint (deliver (f, FULL, "dora"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/dora").messages, ==, 1);
}

static void
test_deliver_duplicates (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  static const char *const unlike[] = { "Date: x\r\n\r\nb\r\n", "Message-ID: <1@x>\r\n\r\nb\r\n",
                                        "Message-ID: <1@x>\r\nDate: other\r\n\r\nb\r\n" };

  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (unlike); i++)
    deliver (f, unlike[i], "alice");
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 4);
  for (guint i = 0; i < 2; i++)
    deliver (f, unlike[i], "alice");
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 6);
}

static void
test_deliver_duplicates_kept (void)
{
  g_autoptr (Fixture) f = fixture_new ("[delivery]\nsuppress-duplicates=false\n");

  deliver (f, FULL, "alice");
  deliver (f, FULL, "alice");
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 2);
}

static void
test_deliver_bad_message (void)
{
  g_autoptr (Fixture) f = fixture_new ("[mailbox]\nmax-message-size=1024\n");
  g_autofree char *large = g_strnfill (3000, 'x');

  g_assert_cmpint (deliver (f, "", "alice"), ==, ROOK_DELIVERY_BAD_MESSAGE);
  g_assert_cmpint (deliver (f, large, "alice"), ==, ROOK_DELIVERY_TOO_BIG);
}

/* A retry after a failed delivery is no duplicate. */
static void
test_deliver_store_fails (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookMailbox *mailbox = must_open (f, NULL, "user/alice");

  /* The read of the mark, then the commit. */
  rook_memory_disk_fail (fixture_disk (f, "default"), 2, ROOK_STORE_ERROR_IO, FALSE);
  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_TEMPORARY);
  fixture_await_store (f, "default");
  rook_memory_disk_fail (fixture_disk (f, "default"), 2, ROOK_STORE_ERROR_FULL, FALSE);
  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_FULL);
  fixture_await_store (f, "default");
  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 1);
  rook_mailbox_unref (mailbox);
}

/* --- filters ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  GString *log;
  const char *mark;
  RookFilterVerdict verdict;
  const char *into; /* (nullable) */
  gboolean in_thread;
} FilterPlan;

static gpointer
answer_in_thread (gpointer item)
{
  rook_delivery_item_done (item, ROOK_FILTER_CONTINUE, NULL);
  return NULL;
}

static void
run_filter (gpointer data, RookDeliveryItem *item)
{
  FilterPlan *plan = data;
  const char *const flags[] = { "\\Flagged", "work", NULL };

  g_string_append (plan->log, plan->mark);
  g_assert_cmpstr (rook_delivery_item_get_sender (item), ==, "s@example.org");
  g_assert_cmpstr (rook_delivery_item_get_recipient (item)->user, ==, "alice");
  if (plan->into != NULL)
    rook_delivery_item_file_into (item, plan->into, flags);
  if (plan->in_thread)
    g_thread_unref (g_thread_new ("filter", answer_in_thread, item));
  else
    rook_delivery_item_done (item, plan->verdict, "a\nreason \xc3\xa4");
}

static const RookDeliveryFilter early = {
  .struct_size = sizeof (RookDeliveryFilter), .name = "early", .priority = 10, .filter = run_filter
};
static const RookDeliveryFilter late = {
  .struct_size = sizeof (RookDeliveryFilter), .name = "late", .priority = 20, .filter = run_filter
};

static void
test_filters_in_order (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookDelivery *delivery = rook_server_get_delivery (f->server);
  g_autoptr (GString) log = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  FilterPlan a = { log, "a", ROOK_FILTER_CONTINUE, NULL, TRUE }, b = { log, "b", ROOK_FILTER_CONTINUE, NULL, FALSE };

  g_assert_true (rook_delivery_add_filter (delivery, NULL, &late, &b, NULL));
  g_assert_true (rook_delivery_add_filter (delivery, NULL, &early, &a, NULL));
  g_assert_false (rook_delivery_add_filter (delivery, NULL, &early, &a, &error));
  g_assert_error (error, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT);
  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpstr (log->str, ==, "ab");
  rook_delivery_remove_filter (delivery, "late");
  deliver (f, FULL, "alice");
  g_assert_cmpstr (log->str, ==, "aba");
  rook_delivery_remove_filter (delivery, "early");
}

static void
test_filter_verdicts (void)
{
  static const struct {
    RookFilterVerdict verdict;
    RookDeliveryStatus status;
  } cases[] = { { ROOK_FILTER_DISCARD, ROOK_DELIVERY_OK },
                { ROOK_FILTER_REJECT, ROOK_DELIVERY_REJECTED },
                { ROOK_FILTER_TEMPORARY, ROOK_DELIVERY_TEMPORARY } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Fixture) f = fixture_new (NULL);
      RookDelivery *delivery = rook_server_get_delivery (f->server);
      g_autoptr (GString) log = g_string_new (NULL);
      FilterPlan a = { log, "a", cases[i].verdict, NULL, FALSE }, b = { log, "b", ROOK_FILTER_CONTINUE, NULL, FALSE };
      Delivery d;

      rook_delivery_add_filter (delivery, NULL, &early, &a, NULL);
      rook_delivery_add_filter (delivery, NULL, &late, &b, NULL);
      delivery_begin (&d, f, FULL, (const char *const[]){ "alice", NULL });
      delivery_wait (&d);
      g_assert_cmpint (d.status[0], ==, cases[i].status);
      if (cases[i].verdict == ROOK_FILTER_REJECT)
        g_assert_cmpstr (d.text[0], ==, "a?reason ??");
      delivery_clear (&d);
      g_assert_cmpstr (log->str, ==, "a");
      g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 0);
      rook_delivery_remove_filter (delivery, "early");
      rook_delivery_remove_filter (delivery, "late");
    }
}

static void
test_filter_files_into (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookDelivery *delivery = rook_server_get_delivery (f->server);
  g_autoptr (GString) log = g_string_new (NULL);
  FilterPlan a = { log, "a", ROOK_FILTER_CONTINUE, "user/alice/work", FALSE };
  FilterPlan b = { log, "b", ROOK_FILTER_CONTINUE, "user/alice/missing", FALSE };
  RookMailbox *mailbox;
  RookView *view;
  g_autofree char *text = NULL;

  must_create (f, f->alice, "user/alice/work");
  rook_delivery_add_filter (delivery, NULL, &early, &a, NULL);
  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 0);
  mailbox = must_open (f, f->alice, "user/alice/work");
  view = must_view (mailbox, f->alice);
  text = view_text (view);
  g_assert_cmpstr (text, ==, "1:Fr+work");
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
  /* One that is missing becomes the INBOX. */
  rook_delivery_add_filter (delivery, NULL, &late, &b, NULL);
  g_assert_cmpint (deliver (f, MESSAGE, "alice"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 1);
  g_assert_cmpuint (status_of (f, "user/alice/work").messages, ==, 2);
  rook_delivery_remove_filter (delivery, "early");
  rook_delivery_remove_filter (delivery, "late");
}

/* --- several mailboxes, of which one can't be had for now -------------------------------------------------------------- */

typedef struct {
  Fixture *f;
  GString *log;
  FilterPlan plans[2];
} Several;

/* alice's folders "near" (in partition default, with the INBOX) and "far" (in partition other); a filter files into the
 * two of @first and @second. */
static Several *
several_new (const char *first, const char *second)
{
  Several *s = g_new0 (Several, 1);
  RookDelivery *delivery;
  g_auto (Answer) answer = { 0 };

  s->f = fixture_new (NULL);
  s->log = g_string_new (NULL);
  s->plans[0] = (FilterPlan){ s->log, "a", ROOK_FILTER_CONTINUE, first, FALSE };
  s->plans[1] = (FilterPlan){ s->log, "b", ROOK_FILTER_CONTINUE, second, FALSE };
  must_create (s->f, s->f->alice, "user/alice/near");
  answer.f = s->f;
  rook_mail_create (s->f->mail, s->f->admin, "user/alice/far",
                    &(RookCreateOptions){ .struct_size = sizeof (RookCreateOptions), .partition = "other" }, on_mail,
                    &answer);
  answer_wait (&answer);
  g_assert_no_error (answer.error);
  delivery = rook_server_get_delivery (s->f->server);
  rook_delivery_add_filter (delivery, NULL, &early, &s->plans[0], NULL);
  rook_delivery_add_filter (delivery, NULL, &late, &s->plans[1], NULL);
  return s;
}

static void
several_free (Several *s)
{
  RookDelivery *delivery = rook_server_get_delivery (s->f->server);

  rook_delivery_remove_filter (delivery, "early");
  rook_delivery_remove_filter (delivery, "late");
  fixture_free (s->f);
  g_string_free (s->log, TRUE);
  g_free (s);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Several, several_free)

static void
fail_next (Several *s, const char *disk)
{
  rook_memory_disk_fail (fixture_disk (s->f, disk), 1, ROOK_STORE_ERROR_IO, FALSE);
}

static void
assert_counts (Several *s, guint inbox, guint near, guint far)
{
  g_assert_cmpuint (status_of (s->f, "user/alice").messages, ==, inbox);
  g_assert_cmpuint (status_of (s->f, "user/alice/near").messages, ==, near);
  g_assert_cmpuint (status_of (s->f, "user/alice/far").messages, ==, far);
}

/* What the next attempt stores is what is missing. */
static void
test_several_recognised (void)
{
  g_autoptr (Several) s = several_new ("user/alice/near", "user/alice/far");

  fail_next (s, "other");
  g_assert_cmpint (deliver (s->f, FULL, "alice"), ==, ROOK_DELIVERY_TEMPORARY);
  fixture_await_store (s->f, "other");
  g_assert_cmpint (deliver (s->f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  assert_counts (s, 0, 1, 1);
}

/* What has no room now may have it later: the same as any trouble that passes. */
static void
test_several_full (void)
{
  g_autoptr (Several) s = several_new ("user/alice/near", "user/alice/far");

  rook_memory_disk_fail (fixture_disk (s->f, "other"), 1, ROOK_STORE_ERROR_FULL, FALSE);
  g_assert_cmpint (deliver (s->f, FULL, "alice"), ==, ROOK_DELIVERY_FULL);
  fixture_await_store (s->f, "other");
  g_assert_cmpint (deliver (s->f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  assert_counts (s, 0, 1, 1);
}

/* Nobody would know it again: it must not be sent again. */
static void
test_several_not_recognised (void)
{
  g_autoptr (Several) s = several_new ("user/alice/near", "user/alice/far");

  fail_next (s, "other");
  g_assert_cmpint (deliver (s->f, MESSAGE, "alice"), ==, ROOK_DELIVERY_OK);
  fixture_await_store (s->f, "other");
  assert_counts (s, 1, 1, 0);
}

static void
test_several_inbox_has_it (void)
{
  g_autoptr (Several) s = several_new ("user/alice", "user/alice/far");

  fail_next (s, "other");
  g_assert_cmpint (deliver (s->f, MESSAGE, "alice"), ==, ROOK_DELIVERY_OK);
  fixture_await_store (s->f, "other");
  assert_counts (s, 1, 0, 0);
}

static void
test_several_inbox_fails (void)
{
  g_autoptr (Several) s = several_new ("user/alice/far", "user/alice");

  fail_next (s, "default");
  g_assert_cmpint (deliver (s->f, MESSAGE, "alice"), ==, ROOK_DELIVERY_OK);
  fixture_await_store (s->f, "default");
  assert_counts (s, 0, 0, 1);
}

/* Nothing is stored yet: the whole may come again. */
static void
test_several_first_fails (void)
{
  g_autoptr (Several) s = several_new ("user/alice/far", "user/alice/near");

  fail_next (s, "other");
  g_assert_cmpint (deliver (s->f, MESSAGE, "alice"), ==, ROOK_DELIVERY_TEMPORARY);
  fixture_await_store (s->f, "other");
  g_assert_cmpint (deliver (s->f, MESSAGE, "alice"), ==, ROOK_DELIVERY_OK);
  assert_counts (s, 0, 1, 1);
}

static void
test_several_missing (void)
{
  static const char *const others[] = { "user/alice", "user/alice/neither" };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (Several) s = several_new ("user/alice/none", others[i]);

      g_assert_cmpint (deliver (s->f, MESSAGE, "alice"), ==, ROOK_DELIVERY_OK);
      assert_counts (s, 1, 0, 0);
    }
}

static void
test_several_same (void)
{
  g_autoptr (Several) s = several_new ("user/alice/near", "user/alice/near");

  g_assert_cmpint (deliver (s->f, MESSAGE, "alice"), ==, ROOK_DELIVERY_OK);
  assert_counts (s, 0, 1, 0);
}

static void
change_message (gpointer data, RookDeliveryItem *item)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static ("changed\r\n", 9);

  (void) data;
  g_assert_cmpuint (g_bytes_get_size (rook_delivery_item_get_message (item)), ==, strlen (FULL));
  rook_delivery_item_set_message (item, bytes);
  rook_delivery_item_add_flag (item, "\\Seen");
  rook_delivery_item_done (item, ROOK_FILTER_CONTINUE, NULL);
}

static void
test_filter_changes_message (void)
{
  static const RookDeliveryFilter filter = { .struct_size = sizeof filter, .name = "change", .filter = change_message };
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookDelivery *delivery = rook_server_get_delivery (f->server);
  RookMailbox *mailbox;
  RookView *view;
  RookMessage message;

  rook_delivery_add_filter (delivery, NULL, &filter, NULL, NULL);
  g_assert_cmpint (deliver (f, FULL, "alice"), ==, ROOK_DELIVERY_OK);
  mailbox = must_open (f, f->alice, "user/alice");
  view = must_view (mailbox, f->alice);
  load_all (view);
  g_assert_true (rook_view_get_message (view, 1, &message));
  g_assert_cmpuint (message.size, ==, 9);
  g_assert_true ((message.flags & ROOK_FLAG_SEEN) != 0);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
  rook_delivery_remove_filter (delivery, "change");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/delivery/" path, func)
  ADD ("address/split", test_address_split);
  ADD ("resolve/addresses", test_resolve);
  ADD ("resolve/creates-nothing", test_resolve_creates_nothing);
  ADD ("resolve/nobody-is-unknown-without-stores", test_resolve_without_stores);
  ADD ("deliver/to-many", test_deliver_to_many);
  ADD ("deliver/each-when-durable", test_deliver_each_when_durable);
  ADD ("deliver/creates-inbox", test_deliver_creates_inbox);
  ADD ("deliver/duplicates", test_deliver_duplicates);
  ADD ("deliver/duplicates-kept", test_deliver_duplicates_kept);
  ADD ("deliver/bad-message", test_deliver_bad_message);
  ADD ("deliver/store-fails", test_deliver_store_fails);
  ADD ("filter/in-order", test_filters_in_order);
  ADD ("filter/verdicts", test_filter_verdicts);
  ADD ("filter/files-into", test_filter_files_into);
  ADD ("several/recognised-message-comes-again", test_several_recognised);
  ADD ("several/no-room-passes", test_several_full);
  ADD ("several/other-message-goes-to-the-inbox", test_several_not_recognised);
  ADD ("several/inbox-that-has-it-will-do", test_several_inbox_has_it);
  ADD ("several/stored-anywhere-is-ok", test_several_inbox_fails);
  ADD ("several/nothing-stored-is-temporary", test_several_first_fails);
  ADD ("several/missing-ones-are-one-inbox", test_several_missing);
  ADD ("several/same-one-twice-is-once", test_several_same);
  ADD ("filter/changes-message", test_filter_changes_message);
  return g_test_run ();
}
