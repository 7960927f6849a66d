/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events themselves: the one table of their names (RFC 5423, section 4), and their life.
 */
#include "event/event-private.h"

static const char *const event_names[ROOK_EVENT_N_TYPES] = {
  [ROOK_EVENT_MESSAGE_NEW] = "MessageNew",
  [ROOK_EVENT_MESSAGE_APPEND] = "MessageAppend",
  [ROOK_EVENT_MESSAGE_COPY] = "MessageCopy",
  [ROOK_EVENT_MESSAGE_MOVE] = "MessageMove",
  [ROOK_EVENT_MESSAGE_EXPUNGE] = "MessageExpunge",
  [ROOK_EVENT_MESSAGE_EXPIRE] = "MessageExpire",
  [ROOK_EVENT_MESSAGE_READ] = "MessageRead",
  [ROOK_EVENT_MESSAGE_TRASH] = "MessageTrash",
  [ROOK_EVENT_FLAGS_SET] = "FlagsSet",
  [ROOK_EVENT_FLAGS_CLEAR] = "FlagsClear",
  [ROOK_EVENT_MAILBOX_CREATE] = "MailboxCreate",
  [ROOK_EVENT_MAILBOX_DELETE] = "MailboxDelete",
  [ROOK_EVENT_MAILBOX_RENAME] = "MailboxRename",
  [ROOK_EVENT_MAILBOX_SUBSCRIBE] = "MailboxSubscribe",
  [ROOK_EVENT_MAILBOX_UNSUBSCRIBE] = "MailboxUnSubscribe",
  [ROOK_EVENT_ACL_CHANGE] = "AclChange",
  [ROOK_EVENT_QUOTA_EXCEED] = "QuotaExceed",
  [ROOK_EVENT_QUOTA_WITHIN] = "QuotaWithin",
  [ROOK_EVENT_QUOTA_CHANGE] = "QuotaChange",
  [ROOK_EVENT_LOGIN] = "Login",
  [ROOK_EVENT_LOGOUT] = "Logout",
  [ROOK_EVENT_SEEN_CHANGE] = "SeenChange",
  [ROOK_EVENT_SIEVE_CHANGE] = "SieveChange",
  [ROOK_EVENT_ANNOTATION_CHANGE] = "AnnotationChange",
};

G_STATIC_ASSERT (ROOK_EVENT_N_TYPES <= 64); /* a mask has a bit for each */

typedef struct {
  RookEvent event; /* first: a RookEvent is one of these */
  gint references; /* atomic */
} CountedEvent;

const char *
rook_event_type_get_name (RookEventType type)
{
  return (guint) type < ROOK_EVENT_N_TYPES ? event_names[type] : NULL;
}

RookEvent *
rook_event_new (RookEventType type)
{
  CountedEvent *counted = g_new0 (CountedEvent, 1);

  counted->references = 1;
  counted->event.type = type;
  counted->event.time_us = g_get_real_time ();
  return &counted->event;
}

RookEvent *
rook_event_ref (RookEvent *event)
{
  __atomic_fetch_add (&((CountedEvent *) event)->references, 1, __ATOMIC_RELAXED);
  return event;
}

void
rook_event_unref (RookEvent *event)
{
  if (__atomic_sub_fetch (&((CountedEvent *) event)->references, 1, __ATOMIC_ACQ_REL) != 0)
    return;
  g_free (event->mailbox_id);
  g_free (event->mailbox_name);
  g_free (event->old_mailbox_name);
  g_free (event->user);
  g_free (event->session);
  g_clear_pointer (&event->uids, g_array_unref);
  g_free (event->detail);
  g_free (event);
}
