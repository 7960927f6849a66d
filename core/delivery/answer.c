/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What recipients were answered, for the log and the numbers: wherever on its way a message was refused, it is one line.
 */
#include "delivery/delivery-private.h"

void
rook_delivery_note_answer (RookDelivery *delivery, const RookAnswer *answer)
{
  RookLogLevel level = rook_delivery_status_is_temporary (answer->status) ? ROOK_LOG_WARNING : ROOK_LOG_INFO;

  rook_counter_add (delivery->results[answer->status], 1);
  rook_log_event (rook_server_get_log (delivery->server), level, "delivery.done", "conn", answer->session, "protocol",
                  answer->protocol, "user", answer->user, "result", rook_delivery_status_get_name (answer->status),
                  "recipient", answer->recipient, "mailbox", answer->mailbox, "reason", answer->reason, "sender",
                  answer->sender, "message-id", answer->message_id, "reply", answer->reply, NULL);
}

void
rook_delivery_refuse (RookDelivery *delivery, const RookDeliveryRequest *request, RookDeliveryStatus status,
                      const char *text)
{
  RookAnswer answer = { .status = status, .session = request->session, .sender = request->sender, .reply = text };

  g_return_if_fail (status != ROOK_DELIVERY_OK);
  if (ROOK_STRUCT_HAS (request, RookDeliveryRequest, protocol))
    answer.protocol = request->protocol;
  if (request->identity != NULL)
    answer.user = rook_identity_get_user (request->identity);
  for (guint i = 0; i < request->n_recipients; i++)
    {
      answer.recipient = request->recipients[i]->address;
      rook_delivery_note_answer (delivery, &answer);
    }
}
