/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading: a mailbox's header, keywords and pages from its store into memory, a few reads at a time.
 *
 * What the header says exists must be there: a page that is missing or does not read is damage, never "empty".
 */
#include "mailbox/box.h"

#define MAX_READS 16 /* pages asked for at a time */

typedef struct {
  RookMailbox *mailbox; /* (unowned) whoever asked holds it */
  RookLoadDone done;
  gpointer data;
  RookHead head;
  guint n_pages, next, reading;
  GError *error; /* the first */
} Load;

typedef struct {
  Load *load;
  guint number;
} PageRead;

static void
set_corrupt (Load *load, const char *what)
{
  if (load->error != NULL)
    return;
  rook_log_event (rook_server_get_log (load->mailbox->mail->server), ROOK_LOG_ERROR, "mailbox.damaged", "id",
                  load->mailbox->id, "partition", load->mailbox->partition->name, "reason", what, NULL);
  load->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT, "the stored mailbox is damaged");
}

GError *
rook_mailbox_make_read_error (RookMailbox *mailbox, guint32 uid, const GError *error)
{
  g_autoptr (GError) damage = NULL;
  RookRecord record = { .flags = ROOK_RECORD_PURGED };
  guint page, slot;

  if (!g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_NOT_FOUND))
    return rook_mail_error_from_store (mailbox->mail, error);
  rook_mutex_lock (&mailbox->lock);
  if (rook_head_find (&mailbox->durable, uid, &page, &slot))
    rook_head_get (&mailbox->durable, page, slot, &record);
  rook_mutex_unlock (&mailbox->lock);
  if ((record.flags & ROOK_RECORD_PURGED) == 0)
    damage = g_error_new (ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT, "mailbox %s, uid %u: %s", mailbox->id, uid,
                          error->message);
  return rook_mail_error_from_store (mailbox->mail, damage != NULL ? damage : error);
}

static void
set_store_error (Load *load, const GError *error)
{
  if (load->error == NULL)
    load->error = rook_mail_error_from_store (load->mailbox->mail, error);
}

/* The uids of what is not expunged; checked against the header. */
static void
collect_uids (Load *load)
{
  RookHead *head = &load->head;

  head->uids = rook_uids_new (head->header.exists + 64);
  for (guint p = 0; load->error == NULL && p < head->pages->len; p++)
    for (guint s = 0; s < rook_head_page (head, p)->n; s++)
      {
        RookRecord record;

        rook_head_get (head, p, s, &record);
        if ((record.flags & ROOK_RECORD_EXPUNGED) == 0)
          rook_uids_append (&head->uids, head->n_uids++, record.uid);
        if (record.uid >= head->header.uidnext)
          set_corrupt (load, "a uid above uidnext");
      }
  if (head->n_uids != head->header.exists)
    set_corrupt (load, "the header's count is not that of its pages");
}

static void
finish (Load *load)
{
  RookMailbox *mailbox = load->mailbox;

  if (load->error == NULL)
    collect_uids (load);
  if (load->error == NULL)
    {
      rook_mutex_lock (&mailbox->lock);
      load->head.n_keywords = mailbox->keywords->len;
      rook_head_assign (&mailbox->durable, &load->head);
      rook_head_assign (&mailbox->pending, &load->head);
      rook_header_encode (&load->head.header, mailbox->image);
      mailbox->claimed = load->head.header.recent_uid;
      rook_mutex_unlock (&mailbox->lock);
    }
  load->done (mailbox, load->error, load->data);
  rook_head_clear (&load->head);
  g_free (load);
}

static void read_more (Load *load);

static void
page_read (GBytes *value, const GError *error, gpointer data)
{
  PageRead *read = data;
  Load *load = read->load;
  guint left = load->head.header.n_records - read->number * ROOK_PAGE_RECORDS;
  RookPage *page = value != NULL ? rook_page_from_bytes (value, MIN (left, ROOK_PAGE_RECORDS)) : NULL;

  if (error != NULL)
    set_store_error (load, error);
  else if (page == NULL)
    set_corrupt (load, value == NULL ? "a page is missing" : "a page does not read");
  g_ptr_array_index (load->head.pages, read->number) = page;
  g_free (read);
  load->reading--;
  read_more (load);
}

static void
read_more (Load *load)
{
  while (load->error == NULL && load->next < load->n_pages && load->reading < MAX_READS)
    {
      g_autoptr (GBytes) key = rook_page_key (load->mailbox->id, load->next);
      PageRead *read = g_new (PageRead, 1);

      *read = (PageRead){ load, load->next++ };
      load->reading++;
      rook_store_get (load->mailbox->store, ROOK_PART_PAGES, key, page_read, read);
    }
  if (load->reading == 0)
    finish (load);
}

static void
unref_page (gpointer page)
{
  g_clear_pointer ((RookPage **) &page, rook_page_unref);
}

static void
keywords_read (GBytes *value, const GError *error, gpointer data)
{
  Load *load = data;

  if (error != NULL)
    set_store_error (load, error);
  if (value != NULL)
    {
      gsize length;
      const char *text = g_bytes_get_data (value, &length);
      g_autofree char *copy = g_strndup (text, length);
      g_auto (GStrv) names = g_strsplit (copy, "\n", ROOK_MAX_KEYWORDS + 1);

      for (guint i = 0; i < ROOK_MAX_KEYWORDS && names[i] != NULL && *names[i] != '\0'; i++)
        g_ptr_array_add (load->mailbox->keywords, g_strdup (names[i]));
    }
  load->n_pages = (load->head.header.n_records + ROOK_PAGE_RECORDS - 1) / ROOK_PAGE_RECORDS;
  load->head.pages = g_ptr_array_new_with_free_func (unref_page);
  g_ptr_array_set_size (load->head.pages, (gint) load->n_pages);
  read_more (load);
}

static void
header_read (GBytes *value, const GError *error, gpointer data)
{
  Load *load = data;
  g_autoptr (GBytes) key = rook_bytes_of_text (load->mailbox->id);

  if (error != NULL)
    set_store_error (load, error);
  else if (value == NULL || !rook_header_decode (value, &load->head.header))
    set_corrupt (load, value == NULL ? "its header is missing" : "its header does not read");
  if (load->error != NULL)
    finish (load);
  else
    rook_store_get (load->mailbox->store, ROOK_PART_KEYWORDS, key, keywords_read, load);
}

void
rook_mailbox_load (RookMailbox *mailbox, RookLoadDone done, gpointer data)
{
  Load *load = g_new0 (Load, 1);
  g_autoptr (GBytes) key = rook_bytes_of_text (mailbox->id);

  load->mailbox = mailbox;
  load->done = done;
  load->data = data;
  rook_store_get (mailbox->store, ROOK_PART_HEADERS, key, header_read, load);
}
