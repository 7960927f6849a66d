/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages on their way into memory and out of it again: see box.h for which may be hollow.
 *
 * A page is read without the lock. What comes is taken only if the page is still hollow, and is what its summary says: it may
 * have been filled, changed and made hollow again meanwhile, and is then read once more.
 */
#include "mailbox/box.h"

#define MAX_READS 16  /* pages asked for at a time */
#define MAX_TURNS 3   /* reads of a page that is never what its summary says, before that is damage */
#define TRIM_LOOKS 16 /* pages looked at, each time that there are too many in memory */

typedef struct {
  RookMailbox *mailbox; /* (owned) */
  RookWorker *worker;   /* (unowned) */
  GArray *numbers;      /* (element-type guint) */
  guint next, reading;
  GError *error; /* (nullable) the first */
  RookMailCallback callback;
  gpointer data;
} Fill;

typedef struct {
  Fill *fill; /* (unowned) */
  guint number, n_records, turns;
} PageRead;

static void fill_more (Fill *fill);

static void
fill_done (Fill *fill)
{
  RookMailbox *mailbox = fill->mailbox;

  rook_mail_free_coldest (mailbox->mail);
  fill->callback (fill->error, fill->data);
  rook_mutex_lock (&mailbox->lock);
  g_ptr_array_remove_fast (mailbox->fills, fill->numbers);
  rook_mailbox_trim (mailbox);
  rook_mailbox_note_quiet (mailbox);
  rook_mutex_unlock (&mailbox->lock);
  rook_mailbox_unref (mailbox);
  g_array_unref (fill->numbers);
  g_clear_error (&fill->error);
  g_free (fill);
}

/* --- one page --------------------------------------------------------------------------------------------------------- */

/* Whether there is any use in going on: a damaged page leaves the others, a store in trouble does not. */
static gboolean
may_go_on (const Fill *fill)
{
  return fill->error == NULL || g_error_matches (fill->error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT);
}

/* Takes @error, which ends all: damage that was noted before gives way to it. */
static void
end_with (Fill *fill, GError *error)
{
  if (may_go_on (fill))
    {
      g_clear_error (&fill->error);
      fill->error = g_steal_pointer (&error);
    }
  g_clear_error (&error);
}

/* (nullable) what the pages of a mailbox that is gone are is not damage */
static GError *
find_gone (RookMailbox *mailbox)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  return mailbox->gone ? rook_mailbox_make_gone_error (mailbox) : NULL;
}

/* The uids that a page has, as an IMAP set. (transfer full) */
static char *
describe_uids (RookMailbox *mailbox, guint number)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);
  const RookHead *head = &mailbox->durable;
  guint32 next = head->header.uidnext;

  if (number >= head->pages->len)
    return NULL;
  if (number + 1 < head->pages->len)
    next = rook_head_page (head, number + 1)->summary.first_uid;
  return g_strdup_printf ("%u:%u", rook_head_page (head, number)->summary.first_uid, next - 1);
}

static void
note_damage (Fill *fill, const PageRead *read, const char *what)
{
  GError *gone = find_gone (fill->mailbox);
  g_autofree char *page = g_strdup_printf ("%u", read->number), *uids = describe_uids (fill->mailbox, read->number);
  g_autoptr (RookEntry) entry = rook_mailbox_ref_entry (fill->mailbox);
  g_autoptr (RookPlace) place = rook_mailbox_ref_place (fill->mailbox);

  if (gone != NULL)
    {
      end_with (fill, gone);
      return;
    }
  rook_log_event (rook_server_get_log (fill->mailbox->mail->server), ROOK_LOG_ERROR, "mailbox.damaged", "mailbox",
                  entry->name, "id", fill->mailbox->id, "partition", place->partition->name, "page", page, "uid", uids,
                  "reason", what, NULL);
  if (fill->error == NULL)
    fill->error =
        g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT, "what is stored of some messages is damaged");
}

static void
replace_page (RookHead *head, guint number, RookPage *page)
{
  rook_page_unref (rook_head_page (head, number));
  g_ptr_array_index (head->pages, number) = rook_page_ref (page);
}

/* With the lock held: whether the page has still to be read. */
static gboolean
is_wanted (RookMailbox *mailbox, guint number, guint *out_n_records)
{
  RookPage *page = number < mailbox->durable.pages->len ? rook_head_page (&mailbox->durable, number) : NULL;

  *out_n_records = page != NULL ? page->n : 0;
  return page != NULL && rook_page_is_hollow (page);
}

/* Whether @page, as it was read, is in its place now, or need not be. */
static gboolean
take_page (RookMailbox *mailbox, guint number, RookPage *page)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);
  guint n_records;

  if (!is_wanted (mailbox, number, &n_records))
    return TRUE;
  if (page->n != n_records
      || !rook_summary_equal (&page->summary, &rook_head_page (&mailbox->durable, number)->summary))
    return FALSE;
  g_assert (rook_head_page (&mailbox->pending, number) == rook_head_page (&mailbox->durable, number));
  replace_page (&mailbox->durable, number, page);
  replace_page (&mailbox->pending, number, page);
  rook_mailbox_trim (mailbox);
  return TRUE;
}

static gboolean read_page (PageRead *read);

static void
page_read (GBytes *value, const GError *error, gpointer data)
{
  PageRead *read = data;
  Fill *fill = read->fill;
  g_autoptr (RookPage) page = value != NULL ? rook_page_from_bytes (value, read->n_records) : NULL;

  if (error != NULL && !g_error_matches (error, ROOK_STORE_ERROR, ROOK_STORE_ERROR_CORRUPT))
    end_with (fill, rook_mail_error_from_store (fill->mailbox->mail, error));
  else if (error != NULL)
    note_damage (fill, read, error->message);
  else if (value == NULL)
    note_damage (fill, read, "a page is missing");
  else if (page == NULL || !take_page (fill->mailbox, read->number, page))
    {
      if (++read->turns < MAX_TURNS && read_page (read))
        return;
      note_damage (fill, read, page == NULL ? "a page does not read" : "a page is not what its summary says");
    }
  g_free (read);
  fill->reading--;
  fill_more (fill);
}

/* %FALSE: it is there already. */
static gboolean
read_page (PageRead *read)
{
  RookMailbox *mailbox = read->fill->mailbox;
  g_autoptr (GBytes) key = rook_page_key (mailbox->id, read->number);
  RookStore *store; /* it is not moved while pages are being filled */
  gboolean wanted;

  rook_mutex_lock (&mailbox->lock);
  wanted = is_wanted (mailbox, read->number, &read->n_records);
  store = mailbox->place->store;
  rook_mutex_unlock (&mailbox->lock);
  if (wanted)
    rook_store_get (store, ROOK_PART_PAGES, key, page_read, read);
  return wanted;
}

/* --- many ------------------------------------------------------------------------------------------------------------- */

static void
fill_more (Fill *fill)
{
  if (fill->next < fill->numbers->len && rook_mail_is_closing (fill->mailbox->mail))
    end_with (fill, g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing"));
  while (fill->next < fill->numbers->len && fill->reading < MAX_READS && may_go_on (fill))
    {
      PageRead *read = g_new (PageRead, 1);

      *read = (PageRead){ .fill = fill, .number = g_array_index (fill->numbers, guint, fill->next++) };
      if (read_page (read))
        fill->reading++;
      else
        g_free (read);
    }
  if (fill->reading == 0)
    fill_done (fill);
}

static void
begin_fill (gpointer data)
{
  fill_more (data);
}

/* With the lock held. */
static void
let_go (Fill *fill)
{
  g_ptr_array_add (fill->mailbox->fills, fill->numbers);
  rook_worker_invoke (fill->worker, begin_fill, fill, NULL);
}

/* With the lock held: pages come while a commit is being built aside, but no other begins. */
static gboolean
is_held_back (const Fill *fill)
{
  return fill->mailbox->held || (fill->mailbox->aside != NULL && fill->numbers->len == 0);
}

void
rook_mailbox_fill (RookMailbox *mailbox, GArray *numbers, RookMailCallback callback, gpointer data)
{
  Fill *fill = g_new0 (Fill, 1);
  g_autoptr (RookLocker) locker = rook_locker_new (&mailbox->lock);

  *fill = (Fill){ .mailbox = rook_mailbox_ref (mailbox),
                  .worker = rook_worker_current (),
                  .numbers = numbers,
                  .callback = callback,
                  .data = data };
  if (is_held_back (fill))
    g_ptr_array_add (mailbox->held_back, fill);
  else
    let_go (fill);
}

void
rook_mailbox_let_fills_go (RookMailbox *mailbox)
{
  g_autoptr (GPtrArray) fills = g_steal_pointer (&mailbox->held_back);

  mailbox->held_back = g_ptr_array_new ();
  for (guint i = 0; i < fills->len; i++)
    {
      Fill *fill = g_ptr_array_index (fills, i);

      if (is_held_back (fill))
        g_ptr_array_add (mailbox->held_back, fill);
      else
        let_go (fill);
    }
}

static gboolean
has_hollow (const RookHead *head, const guint32 *uids, guint begin, guint end)
{
  guint number;

  for (guint i = begin; i < end; i++)
    if (rook_head_find_page (head, uids[i], &number) && rook_page_is_hollow (rook_head_page (head, number)))
      return TRUE;
  return FALSE;
}

GArray *
rook_mailbox_find_hollow (RookMailbox *mailbox, const guint32 *uids, guint begin, guint end)
{
  const RookHead *head = &mailbox->durable;
  GArray *numbers;
  guint number, last = G_MAXUINT;

  if (!has_hollow (head, uids, begin, end))
    return NULL;
  numbers = g_array_new (FALSE, FALSE, sizeof (guint));
  for (guint i = begin; i < end; i++)
    {
      if (!rook_head_find_page (head, uids[i], &number) || number == last)
        continue;
      last = number;
      g_array_append_val (numbers, number);
    }
  return numbers;
}

/* Whether one of pages @first to @last is hollow that has messages. */
static gboolean
range_has_hollow (const RookHead *head, const RookUids *uids, guint first, guint last)
{
  for (guint number = first; number <= last; number++)
    if (rook_uids_run (uids, number)->live != 0 && rook_page_is_hollow (rook_head_page (head, number)))
      return TRUE;
  return FALSE;
}

GArray *
rook_mailbox_find_hollow_range (RookMailbox *mailbox, const RookUids *uids, guint first, guint last)
{
  guint begin = rook_uids_find_run (uids, first), end = rook_uids_find_run (uids, last);
  GArray *numbers;

  if (!range_has_hollow (&mailbox->durable, uids, begin, end))
    return NULL;
  numbers = g_array_new (FALSE, FALSE, sizeof (guint));
  for (guint number = begin; number <= end; number++)
    if (rook_uids_run (uids, number)->live != 0)
      g_array_append_val (numbers, number);
  return numbers;
}

GArray *
rook_mailbox_find_hollow_last (RookMailbox *mailbox)
{
  const RookHead *head = &mailbox->durable;
  guint number = mailbox->pending.header.n_records / ROOK_PAGE_RECORDS;
  GArray *hollow = rook_mailbox_find_hold (mailbox);

  if (hollow != NULL)
    return hollow;
  if (number >= head->pages->len || !rook_page_is_hollow (rook_head_page (head, number)))
    return NULL;
  hollow = g_array_new (FALSE, FALSE, sizeof (guint));
  g_array_append_val (hollow, number);
  return hollow;
}

/* --- out of memory again ---------------------------------------------------------------------------------------------- */

gboolean
rook_mail_has_too_many_pages (RookMail *mail)
{
  return rook_page_get_memory () > (gsize) g_atomic_pointer_get (&mail->page_cache);
}

gboolean
rook_mailbox_needs_page (RookMailbox *mailbox, guint number)
{
  const RookPage *page = rook_head_page (&mailbox->durable, number);

  if (mailbox->aside != NULL && number + 1 == mailbox->pending.pages->len)
    return TRUE; /* it is being written behind */
  for (guint i = 0; i < mailbox->fills->len; i++)
    {
      const GArray *numbers = g_ptr_array_index (mailbox->fills, i);

      if (numbers->len > 0 && number >= g_array_index (numbers, guint, 0)
          && number <= g_array_index (numbers, guint, numbers->len - 1))
        return TRUE;
    }
  for (guint i = 0; i < mailbox->views->len; i++)
    {
      const RookView *view = g_ptr_array_index (mailbox->views, i);

      if ((view->has_loaded && number >= view->first_loaded && number <= view->last_loaded)
          || page->summary.max_modseq > view->kept_modseq)
        return TRUE;
    }
  return FALSE;
}

void
rook_mailbox_trim (RookMailbox *mailbox)
{
  guint n_pages = mailbox->durable.pages->len;

  for (guint looks = MIN (TRIM_LOOKS, n_pages); looks > 0 && rook_mail_has_too_many_pages (mailbox->mail); looks--)
    {
      guint number = mailbox->hand++ % n_pages;
      RookPage *page = rook_head_page (&mailbox->durable, number);
      g_autoptr (RookPage) hollow = NULL;

      if (rook_page_is_hollow (page) || page != rook_head_page (&mailbox->pending, number)
          || rook_mailbox_needs_page (mailbox, number))
        continue;
      hollow = rook_page_new_hollow (&page->summary, page->n);
      replace_page (&mailbox->durable, number, hollow);
      replace_page (&mailbox->pending, number, hollow);
    }
}
