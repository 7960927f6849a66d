/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading: a mailbox's header, keywords and the summaries of its pages from its store into memory, a few reads at a time.
 * Pages stay where they are, and are hollow until somebody asks for their records, but for those whose summaries do not
 * tell all: sparse ones, and all of a mailbox that was written before there were summaries.
 *
 * What the header says exists must be there: a block or page that is missing or does not read is damage, never "empty".
 */
#include "mailbox/box.h"

#define MAX_READS 16 /* asked for at a time */

typedef struct {
  RookMailbox *mailbox; /* (unowned) whoever asked holds it */
  RookLoadDone done;
  gpointer data;
  RookHead head;
  guint n_pages, n_blocks;
  guint next_block, next_page, reading;
  GError *error; /* the first */
} Load;

/* A block's or a page's. */
typedef struct {
  Load *load;
  guint number;
} Read;

/* What one holds that was deleted meanwhile is being cleared away: that is no damage. */
static gboolean
is_deleted (const RookMailbox *mailbox)
{
  g_autoptr (RookEntry) entry = rook_mail_ref_entry_by_id (mailbox->mail, mailbox->id);

  return entry == NULL || entry->deleted;
}

static void
set_corrupt (Load *load, const char *what)
{
  if (load->error != NULL)
    return;
  if (is_deleted (load->mailbox))
    {
      load->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND, "the mailbox is gone");
      return;
    }
  rook_log_event (rook_server_get_log (load->mailbox->mail->server), ROOK_LOG_ERROR, "mailbox.damaged", "id",
                  load->mailbox->id, "partition", load->mailbox->place->partition->name, "reason", what, NULL);
  load->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT, "the stored mailbox is damaged");
}

static void
set_store_error (Load *load, const GError *error)
{
  if (load->error == NULL)
    load->error = rook_mail_error_from_store (load->mailbox->mail, error);
}

/* --- what all of it says together ------------------------------------------------------------------------------------- */

static guint32
uid_at (const RookPage *page, guint slot)
{
  return rook_page_is_hollow (page) ? page->summary.first_uid + slot : rook_page_uid (page, slot);
}

static void
add_page (RookUids *uids, const RookPage *page)
{
  guint32 all[ROOK_PAGE_RECORDS];

  for (guint s = 0; page->summary.is_sparse && s < page->n; s++)
    all[s] = uid_at (page, s);
  rook_uids_add_page (uids, page->summary.first_uid, page->summary.live, page->summary.is_sparse ? all : NULL, page->n);
}

/* The uids of what is not expunged; checked against the header. */
static void
collect_uids (Load *load)
{
  RookHead *head = &load->head;
  guint32 last = 0;

  for (guint p = 0; p < head->pages->len; p++)
    {
      const RookPage *page = rook_head_page (head, p);

      if (page->summary.first_uid <= last)
        set_corrupt (load, "pages are not in the order of their uids");
      if (page->summary.max_modseq > head->header.highest_modseq)
        set_corrupt (load, "a page is newer than its mailbox");
      add_page (&head->uids, page);
      last = uid_at (page, page->n - 1);
    }
  if (last >= head->header.uidnext)
    set_corrupt (load, "a uid above uidnext");
  if (head->uids.n != head->header.exists)
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

static Read *
read_new (Load *load, guint number)
{
  Read *read = g_new (Read, 1);

  *read = (Read){ load, number };
  load->reading++;
  return read;
}

static void
read_end (Read *read)
{
  Load *load = read->load;

  g_free (read);
  load->reading--;
  read_more (load);
}

/* --- pages that have to be read ----------------------------------------------------------------------------------------- */

static guint
n_records_of (const Load *load, guint page)
{
  return MIN (load->head.header.n_records - page * ROOK_PAGE_RECORDS, ROOK_PAGE_RECORDS);
}

static void
page_read (GBytes *value, const GError *error, gpointer data)
{
  Read *read = data;
  Load *load = read->load;
  RookPage *known = rook_head_page (&load->head, read->number);
  RookPage *page = value != NULL ? rook_page_from_bytes (value, n_records_of (load, read->number)) : NULL;

  if (error != NULL)
    set_store_error (load, error);
  else if (page == NULL)
    set_corrupt (load, value == NULL ? "a page is missing" : "a page does not read");
  else if (known != NULL && !rook_summary_equal (&known->summary, &page->summary))
    set_corrupt (load, "a page is not what its summary says");
  if (page != NULL)
    {
      g_ptr_array_index (load->head.pages, read->number) = page;
      g_clear_pointer (&known, rook_page_unref);
    }
  read_end (read);
}

static gboolean
must_read (const Load *load, guint number)
{
  const RookPage *page = rook_head_page (&load->head, number);

  return page == NULL || page->summary.is_sparse;
}

static void
read_next_page (Load *load)
{
  guint number = load->next_page++;
  g_autoptr (GBytes) key = NULL;

  if (!must_read (load, number))
    return;
  key = rook_page_key (load->mailbox->id, number);
  rook_store_get (load->mailbox->place->store, ROOK_PART_PAGES, key, page_read, read_new (load, number));
}

/* --- summaries ---------------------------------------------------------------------------------------------------------- */

/* Makes pages of those summaries from @first on that lie in @value, which is the header's (@block -1) or a block's. */
static void
take_summaries (Load *load, GBytes *value, gint block, guint first)
{
  gsize length, offset;
  const guint8 *bytes = g_bytes_get_data (value, &length);
  gint lies_in;

  for (guint page = first; page < load->n_pages && load->error == NULL; page++)
    {
      RookSummary summary;

      rook_summary_locate (page, &lies_in, &offset);
      if (lies_in != block)
        break;
      if (offset + ROOK_SUMMARY_SIZE > length
          || !rook_summary_decode (bytes + offset, n_records_of (load, page), &summary))
        set_corrupt (load, "a summary does not read");
      else
        g_ptr_array_index (load->head.pages, page) = rook_page_new_hollow (&summary, n_records_of (load, page));
    }
}

static void
block_read (GBytes *value, const GError *error, gpointer data)
{
  Read *read = data;
  Load *load = read->load;

  if (error != NULL)
    set_store_error (load, error);
  else if (value == NULL || !rook_summary_block_is_valid (value))
    set_corrupt (load, value == NULL ? "a block of summaries is missing" : "a block of summaries does not read");
  else
    take_summaries (load, value, (gint) read->number, ROOK_HEADER_SUMMARIES + read->number * ROOK_BLOCK_SUMMARIES);
  read_end (read);
}

static void
read_next_block (Load *load)
{
  g_autoptr (GBytes) key = rook_page_key (load->mailbox->id, load->next_block);

  rook_store_get (load->mailbox->place->store, ROOK_PART_SUMMARIES, key, block_read,
                  read_new (load, load->next_block++));
}

/* First all blocks, which tell what pages are to be read, then those. */
static void
read_more (Load *load)
{
  if (load->error == NULL && rook_mail_is_closing (load->mailbox->mail))
    load->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
  while (load->error == NULL && load->next_block < load->n_blocks && load->reading < MAX_READS)
    read_next_block (load);
  if (load->reading > 0 && load->next_page == 0)
    return;
  while (load->error == NULL && load->next_page < load->n_pages && load->reading < MAX_READS)
    read_next_page (load);
  if (load->reading == 0)
    finish (load);
}

/* --- header and keywords ------------------------------------------------------------------------------------------------ */

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
  read_more (load);
}

static void
begin_pages (Load *load, GBytes *header)
{
  load->n_pages = (load->head.header.n_records + ROOK_PAGE_RECORDS - 1) / ROOK_PAGE_RECORDS;
  load->head.pages = g_ptr_array_new_with_free_func (unref_page);
  g_ptr_array_set_size (load->head.pages, (gint) load->n_pages);
  if (!load->head.header.has_summaries)
    return;
  load->n_blocks = rook_summary_count_blocks (load->n_pages);
  take_summaries (load, header, -1, 0);
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
  else if (load->head.header.n_records >= load->head.header.uidnext) /* before it says how much memory is wanted */
    set_corrupt (load, "it has more records than uids");
  else
    {
      load->head.header.uidvalidity = MAX (
          load->head.header.uidvalidity, __atomic_load_n (&load->mailbox->place->partition->renewed, __ATOMIC_RELAXED));
      begin_pages (load, value);
    }
  if (load->error != NULL)
    finish (load);
  else
    rook_store_get (load->mailbox->place->store, ROOK_PART_KEYWORDS, key, keywords_read, load);
}

void
rook_mailbox_load (RookMailbox *mailbox, RookLoadDone done, gpointer data)
{
  Load *load = g_new0 (Load, 1);
  g_autoptr (GBytes) key = rook_bytes_of_text (mailbox->id);

  load->mailbox = mailbox;
  load->done = done;
  load->data = data;
  rook_store_get (mailbox->place->store, ROOK_PART_HEADERS, key, header_read, load);
}
