/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin that extends IMAP by the interface imap/1: the command XECHO, which answers with its argument, later, XBOX and
 * XLATE for what else the interface says, and the capabilities XECHO and XSELECTED. Built by test_imap_extension.py.
 */
#include "imap/imap-1.h"

typedef struct {
  const RookImapInterface *interface;
  RookImap *imap;
  RookPlugin *plugin;
} Extra;

typedef struct {
  const Extra *extra;
  RookImapSession *session; /* (owned) */
  char *text;               /* (owned) */
} Echo;

/* Asynchronous, as most commands are: by then the client may have gone. */
static void
answer (gpointer data)
{
  Echo *echo = data;
  RookConnection *connection = echo->extra->interface->get_connection (echo->session);

  if (connection != NULL)
    rook_connection_printf (connection, "* XECHO \"%s\"\r\n", echo->text);
  echo->extra->interface->ok (echo->session, "XDONE", "Echoed");
}

static void
echo_free (gpointer data)
{
  Echo *echo = data;

  echo->extra->interface->unref (echo->session);
  g_free (echo->text);
  g_free (echo);
}

static void
run (RookImapSession *session, RookImapParser *arguments, gpointer data)
{
  const Extra *extra = data;
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  Echo *echo;

  if (!extra->interface->parse_space (arguments, &error) || !extra->interface->parse_astring (arguments, &text, &error)
      || !extra->interface->parse_end (arguments, &error))
    {
      extra->interface->fail (session, error);
      return;
    }
  echo = g_new0 (Echo, 1);
  echo->extra = extra;
  echo->session = extra->interface->ref (session);
  echo->text = g_steal_pointer (&text);
  rook_worker_invoke (rook_worker_current (), answer, echo, echo_free);
}

/* The mailbox's name as it is inside. */
static void
run_box (RookImapSession *session, RookImapParser *arguments, gpointer data)
{
  const RookImapInterface *interface = ((const Extra *) data)->interface;
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;

  if (!interface->parse_space (arguments, &error) || !interface->parse_mailbox (session, arguments, &name, &error)
      || !interface->parse_end (arguments, &error))
    interface->fail (session, error);
  else
    interface->ok (session, NULL, name);
}

static void run_late (RookImapSession *session, RookImapParser *arguments, gpointer data);

static const RookImapCommand late = { sizeof (RookImapCommand), "XLATER", ROOK_IMAP_ANY, 0, run_late };

/* Registers when it is too late for that. */
static void
run_late (RookImapSession *session, RookImapParser *arguments G_GNUC_UNUSED, gpointer data)
{
  Extra *extra = data;
  g_autoptr (GError) error = NULL;

  if (extra->interface->add_command (extra->imap, extra->plugin, &late, extra, &error))
    extra->interface->ok (session, NULL, "Registered");
  else
    extra->interface->no (session, "CANNOT", error->message);
}

static gboolean
is_selected (RookImapSession *session, gpointer data)
{
  return ((const Extra *) data)->interface->get_view (session) != NULL;
}

static const RookImapCommand box = { sizeof (RookImapCommand), "XBOX", ROOK_IMAP_LOGGED_IN, 0, run_box };
static const RookImapCommand register_late = { sizeof (RookImapCommand), "XLATE", ROOK_IMAP_LOGGED_IN, 0, run_late };
static const RookImapCapability selected = { sizeof (RookImapCapability), "XSELECTED", ROOK_IMAP_LOGGED_IN,
                                             is_selected };
static const RookImapCommand command = { sizeof (RookImapCommand), "XECHO", ROOK_IMAP_LOGGED_IN, 0, run };
static const RookImapCommand taken = { sizeof (RookImapCommand), "NOOP", ROOK_IMAP_ANY, 0, run };
static const RookImapCapability capability = { sizeof (RookImapCapability), "XECHO", ROOK_IMAP_LOGGED_IN, NULL };

static gboolean
extra_init (RookPlugin *self, RookConfigGroup *config G_GNUC_UNUSED, GError **error)
{
  gpointer imap;
  const RookImapInterface *interface = rook_plugin_lookup (self, ROOK_IMAP_INTERFACE, &imap, error);
  g_autoptr (GError) refused = NULL;
  Extra *extra;

  if (interface == NULL)
    return FALSE;
  extra = g_new0 (Extra, 1);
  extra->interface = interface;
  extra->imap = imap;
  extra->plugin = self;
  rook_plugin_set_data (self, extra, g_free);
  g_assert (!interface->add_command (imap, self, &taken, extra, &refused));
  g_assert (g_error_matches (refused, ROOK_PLUGIN_ERROR, ROOK_PLUGIN_ERROR_CONTRACT));
  return interface->add_command (imap, self, &command, extra, error)
         && interface->add_command (imap, self, &box, extra, error)
         && interface->add_command (imap, self, &register_late, extra, error)
         && interface->add_capability (imap, self, &capability, extra, error)
         && interface->add_capability (imap, self, &selected, extra, error);
}

static const char *const needs[] = { ROOK_IMAP_INTERFACE, NULL };

ROOK_PLUGIN_DEFINE (.name = "imap-extra", .summary = "Extends IMAP, for a test", .version = "1",
                    .license = "LGPL-2.1-or-later", .needs = needs, .init = extra_init)
