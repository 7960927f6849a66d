/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One message for one recipient on its way through the filters, one after the other, each as long as it takes.
 *
 * An item belongs to the filter that has it, and otherwise to its worker; never to two threads at once.
 */
#include "delivery/delivery-private.h"

RookTarget *
rook_target_new (const char *mailbox)
{
  RookTarget *target = g_new0 (RookTarget, 1);

  target->mailbox = g_strdup (mailbox);
  target->keywords = g_ptr_array_new_with_free_func (g_free);
  return target;
}

static void
target_free (gpointer data)
{
  RookTarget *target = data;

  g_free (target->mailbox);
  g_ptr_array_unref (target->keywords);
  g_free (target);
}

void
rook_target_add_flag (RookTarget *target, const char *flag)
{
  if (!rook_flag_from_name (flag, &target->flags) && *flag != '\\' && *flag != '\0'
      && !g_ptr_array_find_with_equal_func (target->keywords, flag, g_str_equal, NULL))
    g_ptr_array_add (target->keywords, g_strdup (flag));
}

RookDeliveryItem *
rook_delivery_item_new (RookDelivery *delivery, const RookRecipient *recipient, const char *sender, GBytes *message)
{
  RookDeliveryItem *item = g_new0 (RookDeliveryItem, 1);

  item->delivery = delivery;
  item->worker = rook_worker_current ();
  item->recipient = rook_recipient_copy (recipient);
  item->sender = g_strdup (sender);
  item->message = g_bytes_ref (message);
  item->targets = g_ptr_array_new_with_free_func (target_free);
  item->flags = g_ptr_array_new_with_free_func (g_free);
  return item;
}

void
rook_delivery_item_free (RookDeliveryItem *item)
{
  rook_recipient_free (item->recipient);
  g_free (item->sender);
  g_bytes_unref (item->message);
  g_ptr_array_unref (item->targets);
  g_ptr_array_unref (item->flags);
  g_clear_pointer (&item->filters, g_ptr_array_unref);
  g_free (item->text);
  g_free (item);
}

const RookRecipient *
rook_delivery_item_get_recipient (RookDeliveryItem *item)
{
  return item->recipient;
}

const char *
rook_delivery_item_get_sender (RookDeliveryItem *item)
{
  return item->sender;
}

GBytes *
rook_delivery_item_get_message (RookDeliveryItem *item)
{
  return item->message;
}

void
rook_delivery_item_set_message (RookDeliveryItem *item, GBytes *message)
{
  g_bytes_ref (message);
  g_bytes_unref (item->message);
  item->message = message;
  item->changed = TRUE;
}

void
rook_delivery_item_file_into (RookDeliveryItem *item, const char *mailbox, const char *const *flags)
{
  RookTarget *target = NULL;

  for (guint i = 0; i < item->targets->len && target == NULL; i++)
    if (g_str_equal (((RookTarget *) g_ptr_array_index (item->targets, i))->mailbox, mailbox))
      target = g_ptr_array_index (item->targets, i);
  if (target == NULL)
    {
      target = rook_target_new (mailbox);
      g_ptr_array_add (item->targets, target);
    }
  for (guint i = 0; flags != NULL && flags[i] != NULL; i++)
    rook_target_add_flag (target, flags[i]);
}

void
rook_delivery_item_add_flag (RookDeliveryItem *item, const char *flag)
{
  g_ptr_array_add (item->flags, g_strdup (flag));
}

/* --- through the filters ---------------------------------------------------------------------------------------- */

static void
run_next (gpointer data)
{
  RookDeliveryItem *item = data;

  if (item->verdict == ROOK_FILTER_CONTINUE && item->next < item->filters->len)
    {
      RookFilterEntry *entry = g_ptr_array_index (item->filters, item->next++);

      g_atomic_int_set (&item->asked, 1);
      entry->filter->filter (entry->data, item);
      return;
    }
  g_clear_pointer (&item->filters, g_ptr_array_unref);
  item->done (item, item->verdict, item->text, item->data);
}

void
rook_delivery_item_done (RookDeliveryItem *item, RookFilterVerdict verdict, const char *text)
{
  g_return_if_fail (g_atomic_int_compare_and_exchange (&item->asked, 1, 0));
  item->verdict = verdict;
  g_free (item->text);
  item->text = g_strdup (text);
  if (item->text != NULL)
    g_strcanon (item->text,
                " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz"
                "{|}~",
                '?');
  rook_worker_invoke (item->worker, run_next, item, NULL);
}

void
rook_delivery_item_filter (RookDeliveryItem *item, RookItemFiltered done, gpointer data)
{
  item->done = done;
  item->data = data;
  item->filters = rook_delivery_get_filters (item->delivery);
  rook_worker_invoke (item->worker, run_next, item, NULL);
}
