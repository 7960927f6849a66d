/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rookctl mailbox list, rookctl mailbox status.
 */
#include "mailbox/mail.h"
#include "rookery/control.h"

static void
add_to_list (const RookMailboxInfo *info, gpointer data)
{
  GVariantBuilder *rows = data;
  GVariantBuilder row;

  g_variant_builder_init (&row, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add_parsed (&row, "{'name', <%s>}", info->name);
  g_variant_builder_add_parsed (&row, "{'id', <%s>}", info->id);
  g_variant_builder_add_parsed (&row, "{'partition', <%s>}", info->partition);
  g_variant_builder_add_value (rows, g_variant_builder_end (&row));
}

static void
run_list (gpointer data, RookControlCall *call, const char *const *arguments)
{
  g_autoptr (GError) error = NULL;
  GVariantBuilder rows;

  if (!rook_mail_is_available (data, &error))
    {
      rook_control_call_fail (call, "%s", error->message);
      return;
    }
  g_variant_builder_init (&rows, G_VARIANT_TYPE ("aa{sv}"));
  rook_mail_list (data, NULL,
                  &(RookListQuery){ .struct_size = sizeof (RookListQuery), .prefix = arguments[0], .limit = G_MAXUINT },
                  add_to_list, &rows);
  rook_control_call_done (call, g_variant_builder_end (&rows));
}

static void
status_opened (RookMailbox *mailbox, const GError *error, gpointer data)
{
  RookControlCall *call = data;
  RookMailboxStatus status;
  g_autofree char *name = NULL;
  GVariantBuilder out;

  if (error != NULL)
    {
      rook_control_call_fail (call, "%s", error->message);
      return;
    }
  rook_mailbox_get_status (mailbox, NULL, &status);
  name = rook_mailbox_dup_name (mailbox);
  g_variant_builder_init (&out, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add_parsed (&out, "{'name', <%s>}", name);
  g_variant_builder_add_parsed (&out, "{'id', <%s>}", rook_mailbox_get_id (mailbox));
  g_variant_builder_add_parsed (&out, "{'uidvalidity', <%u>}", status.uidvalidity);
  g_variant_builder_add_parsed (&out, "{'uidnext', <%u>}", status.uidnext);
  g_variant_builder_add_parsed (&out, "{'messages', <%u>}", status.messages);
  g_variant_builder_add_parsed (&out, "{'recent', <%u>}", status.recent);
  g_variant_builder_add_parsed (&out, "{'unseen', <%u>}", status.unseen);
  g_variant_builder_add_parsed (&out, "{'deleted', <%u>}", status.deleted);
  g_variant_builder_add_parsed (&out, "{'highest-modseq', <%t>}", status.highest_modseq);
  g_variant_builder_add_parsed (&out, "{'size', <%t>}", status.size);
  rook_control_call_done (call, g_variant_builder_end (&out));
  rook_mailbox_unref (mailbox);
}

static void
run_status (gpointer data, RookControlCall *call, const char *const *arguments)
{
  rook_mail_open (data, NULL, arguments[0], status_opened, call);
}

static const RookControlVerb list_verb = { .struct_size = sizeof (RookControlVerb),
                                           .name = "mailbox list",
                                           .arguments = "[PREFIX]",
                                           .help = "Lists mailboxes by their internal names.",
                                           .max_arguments = 1,
                                           .run = run_list };
static const RookControlVerb status_verb = { .struct_size = sizeof (RookControlVerb),
                                             .name = "mailbox status",
                                             .arguments = "NAME",
                                             .help = "Shows the counts of one mailbox, by its internal name.",
                                             .min_arguments = 1,
                                             .max_arguments = 1,
                                             .run = run_status };

void
rook_mail_add_verbs (RookMail *mail)
{
  RookControl *control = rook_server_get_control (mail->server);

  if (control == NULL)
    return;
  rook_control_add (control, &list_verb, mail);
  rook_control_add (control, &status_verb, mail);
}
