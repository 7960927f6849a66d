/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From an address to a recipient: whose INBOX, which folder, or which shared mailbox. Creates nothing.
 */
#include <string.h>

#include "delivery/delivery-private.h"

typedef struct {
  RookDelivery *delivery; /* (unowned) */
  RookMail *mail;         /* (unowned) */
  RookWorker *worker;
  RookIdentity *sender; /* (owned) (nullable) */
  RookResolveCallback callback;
  gpointer data;
  guint64 size;
  gboolean ignore_quota;
  char *from, *session, *protocol; /* (owned) (nullable) for the log */
  RookRecipient *recipient;        /* (owned) (nullable) */
  RookDeliveryStatus status;
  const char *text; /* (nullable) constant */
} Resolving;

/* Nobody is heard of it again. An unknown user has no mailbox. */
static void
note_refusal (const Resolving *r)
{
  rook_delivery_note_answer (
      r->delivery, &(RookAnswer){ .status = r->status,
                                  .session = r->session,
                                  .protocol = r->protocol,
                                  .user = r->sender != NULL ? rook_identity_get_user (r->sender) : NULL,
                                  .recipient = r->recipient->address,
                                  .mailbox = r->status != ROOK_DELIVERY_UNKNOWN_USER ? r->recipient->mailbox : NULL,
                                  .sender = r->from,
                                  .reply = r->text });
}

static void
answer (gpointer data)
{
  Resolving *r = data;

  if (r->status != ROOK_DELIVERY_OK)
    note_refusal (r);
  r->callback (r->status, r->text, r->status == ROOK_DELIVERY_OK ? g_steal_pointer (&r->recipient) : NULL, r->data);
}

static void
resolving_free (gpointer data)
{
  Resolving *r = data;

  g_clear_pointer (&r->sender, rook_identity_unref);
  g_clear_pointer (&r->recipient, rook_recipient_free);
  g_free (r->from);
  g_free (r->session);
  g_free (r->protocol);
  g_free (r);
}

static void
finish (Resolving *r, RookDeliveryStatus status, const char *text)
{
  r->status = status;
  r->text = text;
  rook_worker_invoke (r->worker, answer, r, resolving_free);
}

/* --- whether there is room ---------------------------------------------------------------------------------------- */

static void
inbox_probed (const GError *error, gpointer data)
{
  finish (data, error != NULL ? ROOK_DELIVERY_OVER_QUOTA : ROOK_DELIVERY_OK, NULL);
}

/* What has no room in a folder goes to the INBOX. */
static void
probed (const GError *error, gpointer data)
{
  Resolving *r = data;
  g_autofree char *inbox = r->recipient->user != NULL ? g_strconcat ("user/", r->recipient->user, NULL) : NULL;

  if (error == NULL || inbox == NULL || g_str_equal (inbox, r->recipient->mailbox))
    inbox_probed (error, r);
  else
    rook_mail_probe_quota (r->mail, inbox, r->size, rook_delivery_is_strict (r->delivery), inbox_probed, r);
}

/* It may receive, if it has room. */
static void
check_room (Resolving *r)
{
  if (r->ignore_quota)
    finish (r, ROOK_DELIVERY_OK, NULL);
  else
    rook_mail_probe_quota (r->mail, r->recipient->mailbox, r->size, rook_delivery_is_strict (r->delivery), probed, r);
}

/* --- what there is ---------------------------------------------------------------------------------------------- */

/* The folder that the detail names, in the form that administrators use; %NULL: it can't be one. */
static char *
detail_folder (RookMail *mail, const char *user, const char *detail)
{
  g_autoptr (RookNamespace) ns = rook_mail_get_namespace (mail, NULL);
  g_autofree char *inbox = g_strconcat ("user/", user, NULL);
  g_autofree char *external = rook_namespace_to_external (ns, inbox);
  g_autofree char *full = NULL;

  if (external == NULL || detail == NULL || *detail == '\0')
    return NULL;
  full = g_strdup_printf ("%s%c%s", external, rook_namespace_get_separator (ns), detail);
  return rook_namespace_to_internal (ns, full, NULL);
}

/* @folder: (nullable) */
static const char *
why_not (RookMail *mail, RookIdentity *sender, const char *folder)
{
  if (folder == NULL || !rook_mail_exists (mail, folder))
    return "there is no such folder";
  return rook_mail_sender_has_right (mail, sender, folder, 'p') ? NULL : "the sender may not post there (right p)";
}

const char *
rook_delivery_why_not_folder (RookMail *mail, RookIdentity *sender, const RookRecipient *recipient)
{
  g_autofree char *folder = NULL;

  if (recipient->user == NULL || recipient->detail == NULL)
    return NULL;
  folder = detail_folder (mail, recipient->user, recipient->detail);
  return why_not (mail, sender, folder);
}

static void
check_user (Resolving *r)
{
  g_autofree char *folder = NULL;

  if (!rook_mail_user_may_exist (r->mail, r->recipient->user, ROOK_ENSURE_DELIVERY))
    {
      finish (r, ROOK_DELIVERY_UNKNOWN_USER, NULL);
      return;
    }
  folder = detail_folder (r->mail, r->recipient->user, r->recipient->detail);
  if (why_not (r->mail, r->sender, folder) == NULL)
    {
      g_free (r->recipient->mailbox);
      r->recipient->mailbox = g_steal_pointer (&folder);
    }
  check_room (r);
}

static void
check_shared (Resolving *r)
{
  const char *mailbox = r->recipient->mailbox;

  if (!rook_mail_exists (r->mail, mailbox))
    finish (r, ROOK_DELIVERY_UNKNOWN_USER, NULL);
  else if (rook_mail_sender_has_right (r->mail, r->sender, mailbox, 'p'))
    check_room (r);
  else
    finish (r,
            rook_mail_sender_has_right (r->mail, r->sender, mailbox, 'l') ? ROOK_DELIVERY_NO_PERMISSION
                                                                          : ROOK_DELIVERY_UNKNOWN_USER,
            NULL);
}

static void
check_here (Resolving *r)
{
  if (!rook_mail_is_available (r->mail, NULL))
    finish (r, ROOK_DELIVERY_TEMPORARY, NULL);
  else if (r->recipient->user != NULL)
    check_user (r);
  else
    check_shared (r);
}

/* --- where it is ------------------------------------------------------------------------------------------------ */

static void
located (const RookLocation *location, const GError *error, gpointer data)
{
  Resolving *r = data;

  if (location != NULL && !location->local)
    finish (r, ROOK_DELIVERY_MOVED, "the mailbox lives on another server");
  else if (error != NULL && !g_error_matches (error, ROOK_DIRECTORY_ERROR, ROOK_DIRECTORY_ERROR_NOT_FOUND))
    finish (r, ROOK_DELIVERY_TEMPORARY, NULL);
  else
    check_here (r);
}

static void
locate (Resolving *r)
{
  RookDirectoryService *directory = rook_server_get_directory (r->delivery->server);

  if (directory != NULL)
    rook_directory_locate (directory, r->recipient->mailbox, located, r);
  else
    check_here (r);
}

/* --- taking the address apart ----------------------------------------------------------------------------------- */

static gboolean
is_shared (Resolving *r, const RookAddress *address)
{
  g_autoptr (RookNamespace) ns = NULL;

  if (address->local[0] != '+')
    return FALSE;
  ns = rook_mail_get_namespace (r->mail, NULL);
  r->recipient->mailbox = rook_namespace_to_internal (ns, address->local + 1, NULL);
  return TRUE;
}

static char *
canonical (Resolving *r, const char *user, const char *domain)
{
  RookAuth *auth = rook_server_get_auth (r->delivery->server);
  g_autofree char *full = domain != NULL ? g_strdup_printf ("%s@%s", user, domain) : g_strdup (user);
  char *name = NULL;

  if (auth == NULL || !rook_auth_canonical_user (auth, full, &name, NULL))
    return NULL;
  return name;
}

/* A domain that users may have is theirs alone. In any other the name is that of a user of the default realm, if the
 * domain is taken at all. */
static char *
find_user (Resolving *r, const char *user, const char *domain)
{
  char *found;

  if (domain == NULL || rook_delivery_is_local_domain (r->delivery, domain))
    return canonical (r, user, NULL);
  found = canonical (r, user, domain);
  if (found == NULL && rook_delivery_takes_any_domain (r->delivery))
    found = canonical (r, user, NULL);
  return found;
}

static gboolean
set_user (Resolving *r, const RookAddress *address)
{
  const char *plus = strchr (address->local, '+');
  g_autofree char *name =
      plus != NULL ? g_strndup (address->local, (gsize) (plus - address->local)) : g_strdup (address->local);

  r->recipient->user = find_user (r, name, address->domain);
  r->recipient->detail = plus != NULL && plus[1] != '\0' ? g_strdup (plus + 1) : NULL;
  if (r->recipient->user != NULL)
    r->recipient->mailbox = g_strconcat ("user/", r->recipient->user, NULL);
  return r->recipient->user != NULL;
}

static void
resolve (Resolving *r)
{
  RookAddress address = { NULL, NULL };

  if (!rook_address_split (r->recipient->address, &address))
    finish (r, ROOK_DELIVERY_BAD_ADDRESS, NULL);
  else if (is_shared (r, &address) ? r->recipient->mailbox == NULL : !set_user (r, &address))
    finish (r, ROOK_DELIVERY_UNKNOWN_USER, NULL);
  else
    locate (r);
  rook_address_clear (&address);
}

void
rook_delivery_resolve (RookDelivery *delivery, const RookResolveRequest *request, RookResolveCallback callback,
                       gpointer data)
{
  Resolving *r = g_new0 (Resolving, 1);

  g_return_if_fail (request->address != NULL);
  r->delivery = delivery;
  r->mail = rook_server_get_mail (delivery->server);
  r->worker = rook_worker_current ();
  r->sender = request->sender != NULL ? rook_identity_ref (request->sender) : NULL;
  r->size = request->size;
  r->ignore_quota = request->ignore_quota;
  if (ROOK_STRUCT_HAS (request, RookResolveRequest, protocol))
    {
      r->from = g_strdup (request->from);
      r->session = g_strdup (request->session);
      r->protocol = g_strdup (request->protocol);
    }
  r->callback = callback;
  r->data = data;
  r->recipient = g_new0 (RookRecipient, 1);
  r->recipient->address = g_strdup (request->address);
  if (request->size > rook_mail_get_max_message_size (r->mail))
    finish (r, ROOK_DELIVERY_TOO_BIG, NULL);
  else
    resolve (r);
}
