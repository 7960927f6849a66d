/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookery/delivery.h: when and where answers come, what of a request is kept, what a message costs, filters of plugins.
 */
#include "quota-fixture.h"

#include "delivery/delivery-private.h"
#include "plugin/plugin-life.h"
#include "storage/storage-private.h"

#define FULL "Message-ID: <1@x>\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\nSubject: s\r\n\r\nbody\r\n"
#define MAX_ANSWERS 4

/* What was asked for, and what has been answered; everything on @worker. */
typedef struct {
  Fixture *f;
  RookWorker *worker;
  const char *address;
  RookDeliveryStatus resolved;
  RookRecipient *recipient; /* (nullable) */
  guint n_answers[MAX_ANSWERS];
  RookDeliveryStatus status;
  gboolean inside; /* the call that asks has not returned */
  gint left;       /* atomic: answers to come */
} Asked;

static void
answered (Asked *asked)
{
  g_assert_true (rook_worker_current () == asked->worker);
  g_assert_false (asked->inside);
  if (g_atomic_int_dec_and_test (&asked->left))
    rook_loop_quit (rook_server_get_loop (asked->f->server));
}

static void
on_resolved (RookDeliveryStatus status, const char *text, RookRecipient *recipient, gpointer data)
{
  Asked *asked = data;

  (void) text;
  asked->resolved = status;
  asked->recipient = recipient;
  answered (asked);
}

static void
on_delivered (guint index, RookDeliveryStatus status, const char *text, gpointer data)
{
  Asked *asked = data;

  (void) text;
  asked->n_answers[index]++;
  asked->status = status;
  answered (asked);
}

static void
wait (Asked *asked)
{
  while (g_atomic_int_get (&asked->left) > 0)
    rook_loop_run (rook_server_get_loop (asked->f->server));
}

static void
resolve_there (gpointer data)
{
  Asked *asked = data;

  asked->inside = TRUE;
  rook_delivery_resolve (rook_server_get_delivery (asked->f->server),
                         &(RookResolveRequest){ .struct_size = sizeof (RookResolveRequest), .address = asked->address },
                         on_resolved, asked);
  asked->inside = FALSE;
}

static void
resolve (Asked *asked)
{
  asked->left = 1;
  rook_worker_invoke (asked->worker, resolve_there, asked, NULL);
  wait (asked);
}

/* Delivers FULL to asked->recipient, @n times in one request, and forgets the request at once. */
static void
deliver_many (Asked *asked, guint n)
{
  g_autofree char *sender = g_strdup ("s@example.org");
  g_autofree RookRecipient **recipients = g_new (RookRecipient *, n);
  g_autoptr (GBytes) message = g_bytes_new (FULL, strlen (FULL));

  for (guint i = 0; i < n; i++)
    recipients[i] = rook_recipient_copy (asked->recipient);
  asked->inside = TRUE;
  rook_delivery_deliver (rook_server_get_delivery (asked->f->server),
                         &(RookDeliveryRequest){ .struct_size = sizeof (RookDeliveryRequest),
                                                 .sender = sender,
                                                 .message = message,
                                                 .recipients = recipients,
                                                 .n_recipients = n },
                         on_delivered, asked);
  asked->inside = FALSE;
  memset (sender, 'x', strlen (sender));
  for (guint i = 0; i < n; i++)
    {
      memset (recipients[i]->mailbox, 'x', strlen (recipients[i]->mailbox));
      rook_recipient_free (recipients[i]);
    }
}

static void
deliver_there (gpointer data)
{
  deliver_many (data, 2);
}

static Asked
ask (Fixture *f, const char *address)
{
  Asked asked = { .f = f, .worker = rook_worker_current (), .address = address };

  resolve (&asked);
  return asked;
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

static void
test_on_the_worker_that_asked (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Asked asked = { .f = f, .address = "alice" };

  asked.worker = rook_loop_get_worker (rook_server_get_loop (f->server), 0);
  g_assert_true (asked.worker != rook_worker_current ());
  resolve (&asked);
  g_assert_cmpint (asked.resolved, ==, ROOK_DELIVERY_OK);
  asked.left = 2;
  rook_worker_invoke (asked.worker, deliver_there, &asked, NULL);
  wait (&asked);
  g_assert_cmpint (asked.status, ==, ROOK_DELIVERY_OK);
  rook_recipient_free (asked.recipient);
}

static void
test_one_a_recipient (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Asked asked = ask (f, "alice");

  asked.left = 3;
  deliver_many (&asked, 3);
  wait (&asked);
  fixture_settle (f);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (asked.n_answers[i], ==, 1);
  rook_recipient_free (asked.recipient);
}

/* deliver_many() scribbles over what it gave. */
static void
test_request_is_copied (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Asked asked = ask (f, "alice");

  asked.left = 1;
  deliver_many (&asked, 1);
  wait (&asked);
  g_assert_cmpint (asked.status, ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 1);
  rook_recipient_free (asked.recipient);
}

static void
test_duplicate_waits_for_the_first (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  Asked first = ask (f, "alice"), second = ask (f, "alice");

  rook_memory_disk_hold (fixture_disk (f, "default"), TRUE);
  first.left = second.left = 1;
  deliver_many (&first, 1);
  deliver_many (&second, 1);
  fixture_settle (f);
  g_assert_cmpint (second.left, ==, 1);
  rook_memory_disk_hold (fixture_disk (f, "default"), FALSE);
  wait (&first);
  wait (&second);
  g_assert_cmpint (second.status, ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 1);
  rook_recipient_free (first.recipient);
  rook_recipient_free (second.recipient);
}

/* --- a message is stored once ---------------------------------------------------------------------------------------- */

/* The content keys of mail in the batches that a store is given. */
static GPtrArray *seen_keys;

static void
noting_commit (gpointer self, RookBatch *batch)
{
  guint n_ops;
  const RookOp *ops = rook_batch_get_ops (batch, &n_ops);

  for (guint i = 0; i < n_ops; i++)
    if (ops[i].kind == ROOK_OP_BLOB && ops[i].blob_class == ROOK_BLOB_MAIL)
      {
        g_assert_nonnull (ops[i].key);
        g_ptr_array_add (seen_keys, g_bytes_ref (ops[i].key));
      }
  rook_memory_backend.commit (self, batch);
}

/* Stores share what comes under one content key: the conformance suite's blob/content-key. */
static void
test_stored_once (void)
{
  g_autoptr (Fixture) f = fixture_new ("[delivery]\nsuppress-duplicates=false\n");
  RookStore *store = rook_memory_disk_get_store (fixture_disk (f, "default"));
  RookStorageBackend noting = *store->backend;
  const RookStorageBackend *backend = store->backend;
  Asked asked = ask (f, "alice");

  seen_keys = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  noting.commit = noting_commit;
  store->backend = &noting;
  asked.left = 3;
  deliver_many (&asked, 3);
  wait (&asked);
  fixture_settle (f);
  store->backend = backend;
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 3);
  g_assert_cmpuint (seen_keys->len, ==, 3);
  for (guint i = 1; i < 3; i++)
    g_assert_true (g_bytes_equal (seen_keys->pdata[0], seen_keys->pdata[i]));
  g_ptr_array_unref (seen_keys);
  rook_recipient_free (asked.recipient);
}

/* --- whose address ------------------------------------------------------------------------------------------------------ */

static void
check_resolves (const char *config, const char *address, RookDeliveryStatus expected)
{
  g_autoptr (Fixture) f = fixture_new (config);
  Asked asked = ask (f, address);

  g_assert_cmpint (asked.resolved, ==, expected);
  g_clear_pointer (&asked.recipient, rook_recipient_free);
}

static void
test_user_exists_or_may_get_an_inbox (void)
{
  check_resolves ("[mailbox]\nautocreate=login\n", "dora", ROOK_DELIVERY_UNKNOWN_USER);
  check_resolves ("[mailbox]\nautocreate=login\n", "bob", ROOK_DELIVERY_OK);
  check_resolves ("[mailbox]\nautocreate=delivery\n", "dora", ROOK_DELIVERY_OK);
}

static void
test_domains (void)
{
  static const char local[] = "[delivery]\nlocal-domains=here.example\n";
  static const char realm[] = "[auth]\nrealms=users.example\n";

  check_resolves (NULL, "alice@any.example", ROOK_DELIVERY_OK);
  check_resolves (local, "alice@HERE.example", ROOK_DELIVERY_OK);
  check_resolves (local, "alice", ROOK_DELIVERY_OK);
  check_resolves (local, "alice@any.example", ROOK_DELIVERY_UNKNOWN_USER);
  check_resolves (realm, "alice@users.example", ROOK_DELIVERY_UNKNOWN_USER);
  check_resolves (realm, "alice@any.example", ROOK_DELIVERY_OK);
}

static void
test_user_with_domain (void)
{
  g_autoptr (Fixture) f = fixture_new ("[auth]\nvirtual-domains=true\n");
  Asked there = { .f = f };

  must_create (f, NULL, "user/alice@one.example");
  there = ask (f, "alice@ONE.example");
  g_assert_cmpstr (there.recipient->mailbox, ==, "user/alice@one.example");
  rook_recipient_free (there.recipient);
}

/* --- filters -------------------------------------------------------------------------------------------------------------- */

static void
file_and_flag (gpointer data, RookDeliveryItem *item)
{
  const char *const flags[] = { "\\Flagged", NULL };

  (void) data;
  g_assert_nonnull (rook_worker_current ());
  g_assert_cmpstr (rook_delivery_item_get_sender (item), ==, "s@example.org");
  rook_delivery_item_add_flag (item, "\\Seen");
  rook_delivery_item_add_flag (item, "auto");
  rook_delivery_item_file_into (item, "user/alice/one", flags);
  rook_delivery_item_file_into (item, "user/alice/two", NULL);
  rook_delivery_item_done (item, ROOK_FILTER_CONTINUE, NULL);
}

static const RookDeliveryFilter filing = { .struct_size = sizeof filing, .name = "filing", .filter = file_and_flag };

static void
assert_messages (Fixture *f, const char *name, const char *expected)
{
  RookMailbox *mailbox = must_open (f, f->alice, name);
  RookView *view = must_view (mailbox, f->alice);

  assert_view (view, expected);
  rook_view_free (view);
  rook_mailbox_unref (mailbox);
}

static void
test_files_into_several_with_flags (void)
{
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookDelivery *delivery = rook_server_get_delivery (f->server);
  Asked asked = ask (f, "alice");

  must_create (f, f->alice, "user/alice/one");
  must_create (f, f->alice, "user/alice/two");
  g_assert_true (rook_delivery_add_filter (delivery, NULL, &filing, NULL, NULL));
  asked.left = 1;
  deliver_many (&asked, 1);
  wait (&asked);
  g_assert_cmpint (asked.status, ==, ROOK_DELIVERY_OK);
  assert_messages (f, "user/alice", "");
  assert_messages (f, "user/alice/one", "1:SFr+auto");
  assert_messages (f, "user/alice/two", "1:Sr+auto");
  rook_delivery_remove_filter (delivery, "filing");
  rook_recipient_free (asked.recipient);
}

static gboolean
init_filter (RookPlugin *self, RookConfigGroup *config, GError **error)
{
  (void) config;
  return rook_plugin_add_delivery_filter (self, &filing, NULL, error);
}

static void
test_filter_of_a_plugin (void)
{
  static const RookPluginDescriptor descriptor = { .struct_size = sizeof (RookPluginDescriptor),
                                                   .abi_major = ROOK_ABI_MAJOR,
                                                   .abi_minor = ROOK_ABI_MINOR,
                                                   .name = "filtering",
                                                   .summary = "x",
                                                   .version = "1",
                                                   .license = "LGPL-2.1-or-later",
                                                   .init = init_filter };
  g_autoptr (Fixture) f = fixture_new (NULL);
  RookPlugins *plugins = rook_server_get_plugins (f->server);
  g_autoptr (GError) error = NULL;
  RookPlugin *plugin = rook_plugins_add_static (plugins, &descriptor, NULL, &error);
  Asked asked = ask (f, "alice");

  g_assert_no_error (error);
  must_create (f, f->alice, "user/alice/one");
  asked.left = 1;
  deliver_many (&asked, 1);
  wait (&asked);
  g_assert_cmpuint (status_of (f, "user/alice/one").messages, ==, 1);
  g_assert_true (rook_plugins_remove_static (plugins, plugin, 1000));
  asked.left = 1;
  deliver_many (&asked, 1);
  wait (&asked);
  g_assert_cmpuint (status_of (f, "user/alice/one").messages, ==, 1);
  rook_recipient_free (asked.recipient);
}

/* --- quota ------------------------------------------------------------------------------------------------------ */

static RookDeliveryStatus
resolve_and_deliver (Fixture *f, const char *address)
{
  Asked asked = ask (f, address);

  if (asked.resolved != ROOK_DELIVERY_OK)
    return asked.resolved;
  asked.left = 1;
  deliver_many (&asked, 1);
  wait (&asked);
  rook_recipient_free (asked.recipient);
  return asked.status;
}

/* A folder without room means the INBOX, and only if that has none either nobody takes it. */
static void
test_room_in_folder_or_inbox (void)
{
  g_autoptr (Fixture) f = fixture_new ("[delivery]\nsuppress-duplicates=false\n");

  must_create (f, NULL, "user/alice/Full");
  must_set_acl (f, "user/alice/Full", "anyone", "lp");
  g_assert_cmpint (try_append (f, "user/alice/Full", 100), ==, -1);
  must_set_quota (f, "user/alice/Full", -1, 0, -1);
  g_assert_cmpint (resolve_and_deliver (f, "alice+Full"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice/Full").messages, ==, 1);
  g_assert_cmpuint (status_of (f, "user/alice").messages, ==, 1);
  must_set_quota (f, "user/alice", -1, 0, -1);
  g_assert_cmpint (resolve_and_deliver (f, "alice+Full"), ==, ROOK_DELIVERY_OVER_QUOTA);
  must_set_quota (f, "user/alice/Full", -1, 5, -1);
  g_assert_cmpint (resolve_and_deliver (f, "alice+Full"), ==, ROOK_DELIVERY_OK);
  g_assert_cmpuint (status_of (f, "user/alice/Full").messages, ==, 2);
  g_assert_cmpint (resolve_and_deliver (f, "alice"), ==, ROOK_DELIVERY_OVER_QUOTA);
  g_assert_cmpint (resolve_and_deliver (f, "bob"), ==, ROOK_DELIVERY_OK);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func ("/delivery/" path, func)
  ADD ("answers/on-the-worker-that-asked-after-the-call", test_on_the_worker_that_asked);
  ADD ("answers/one-a-recipient", test_one_a_recipient);
  ADD ("answers/duplicate-waits-until-the-first-is-safe", test_duplicate_waits_for_the_first);
  ADD ("request/is-copied", test_request_is_copied);
  ADD ("message/to-many-is-stored-once", test_stored_once);
  ADD ("resolve/domains", test_domains);
  ADD ("resolve/room-in-folder-or-inbox", test_room_in_folder_or_inbox);
  ADD ("resolve/user-with-domain", test_user_with_domain);
  ADD ("resolve/user-has-an-inbox-or-may-get-one", test_user_exists_or_may_get_an_inbox);
  ADD ("filter/files-into-several-and-flags-wherever-it-goes", test_files_into_several_with_flags);
  ADD ("filter/of-a-plugin-goes-with-it", test_filter_of_a_plugin);
  return g_test_run ();
}
