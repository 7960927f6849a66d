/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mailboxes go to another partition while they are in use: all of one operation together, or none.
 *
 * It is written that something may be left at the target (change.h says why), then their pages are copied, round after round:
 * what was changed meanwhile is seen from the summaries of pages, and copied again. When a round had little to do they are
 * held, so that writers wait, and what is left to do is done: the last changes, headers, keywords, \Seen of others. Then the
 * state store is told (change.c), which is what moves them; and only then are those who use them put in the other place,
 * where the bodies have other ids. Views keep their numbers, and uids, modseqs and flags are what they were.
 */
#include "mailbox/move.h"

#include "mailbox/change.h"

#define LOOKS 1000    /* pages compared, each time that the lock is held */
#define FEW_PAGES 32  /* copied in a round: then the rest can be done while writers wait */
#define MAX_ROUNDS 10 /* of those who write faster than we copy it is the rest */

/* A page as it is there. */
typedef struct {
  RookSummary summary;
  guint n;
} Moved;

/* One mailbox on its way. */
typedef struct {
  RookMove *move;         /* (unowned) */
  RookEntry *before;      /* (owned) with what may be left */
  RookEntry *after;       /* (unowned) the operation's */
  RookMailbox *mailbox;   /* (owned) (nullable) */
  RookPlace *from, *to;   /* (owned) (nullable) from: once it is open */
  RookClearing *clearing; /* (owned) (nullable) of what was left there */
  GArray *pages;          /* (element-type Moved) */
  guint at;               /* the page that a round has come to */
  gboolean held;
  GArray *numbers;  /* (element-type guint) pages that have to stay in memory, and */
  GPtrArray *fresh; /* (element-type RookPage) what they will be */
} Mover;

struct RookMove {
  RookChangeOp *op;  /* (unowned) */
  RookMail *mail;    /* (unowned) */
  GPtrArray *movers; /* (element-type Mover) */
  GHashTable *rows;  /* what others have seen, there or here */
  gboolean is_marked;
  guint station, next; /* which mover it is at, at which station */
  guint round, n_copied;
  GError *error; /* (nullable) */
  RookMailCallback callback;
};

static void advance (gpointer data);

static gboolean
is_moved (RookChangeOp *op, guint i)
{
  RookEntry *before = g_ptr_array_index (op->before, i), *after = g_ptr_array_index (op->after, i);

  return before != NULL && !after->deleted && !g_str_equal (before->partition, after->partition);
}

gboolean
rook_move_is_needed (RookChangeOp *op)
{
  for (guint i = 0; i < op->after->len; i++)
    if (is_moved (op, i))
      return TRUE;
  return FALSE;
}

/* The mover has done what there is to do at this station. @error: (transfer full) (nullable) ours */
static void
step_done (RookMove *move, GError *error)
{
  move->error = error;
  move->next++;
  rook_worker_invoke (rook_worker_current (), advance, move, NULL);
}

static GError *
from_store (RookMove *move, const GError *error)
{
  return error != NULL ? rook_mail_error_from_store (move->mail, error) : NULL;
}

/* --- before the first byte --------------------------------------------------------------------------------------- */

static void
open_done (RookMailbox *mailbox, const GError *error, gpointer data)
{
  Mover *mover = data;

  if (error == NULL)
    {
      mover->mailbox = mailbox;
      mover->from = rook_mailbox_ref_place (mailbox);
    }
  step_done (mover->move, error != NULL ? g_error_copy (error) : NULL);
}

static void
open_mailbox (Mover *mover)
{
  rook_mailbox_open_entry (mover->move->mail, mover->before, open_done, mover);
}

static void
marks_written (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  RookMove *move = data;

  for (guint i = 0; error == NULL && i < move->movers->len; i++)
    {
      Mover *mover = g_ptr_array_index (move->movers, i);

      rook_mutex_lock (&move->mail->lock);
      rook_names_put (move->mail, mover->before);
      rook_mutex_unlock (&move->mail->lock);
      rook_mailbox_set_entry (mover->mailbox, mover->before);
    }
  move->is_marked = error == NULL;
  step_done (move, from_store (move, error));
}

/* One batch for all. */
static void
mark_entries (Mover *first)
{
  RookMove *move = first->move;
  RookStore *state = rook_mail_get_state (move->mail);
  RookBatch *batch = rook_batch_new (state);

  for (guint i = 0; i < move->movers->len; i++)
    {
      Mover *mover = g_ptr_array_index (move->movers, i);
      g_autoptr (GBytes) key = rook_bytes_of_text (mover->before->id), value = rook_entry_encode (mover->before);

      rook_batch_put (batch, ROOK_STATE_MAILBOXES, key, value);
    }
  rook_store_commit (state, batch, marks_written, move);
}

static void
rows_found (GHashTable *rows G_GNUC_UNUSED, const GError *error, gpointer data)
{
  step_done (data, error != NULL ? g_error_copy (error) : NULL);
}

/* Those that are open are in memory from now on when they change. One look for all that lie in one store. */
static void
look_for_rows (Mover *mover)
{
  RookMove *move = mover->move;

  for (guint i = 0; i < move->next; i++)
    if (((Mover *) g_ptr_array_index (move->movers, i))->from->store == mover->from->store)
      {
        step_done (move, NULL);
        return;
      }
  rook_seen_scan (move->mail, mover->from->store, move->rows, rows_found, move);
}

static void
room_made (RookClearing *clearing G_GNUC_UNUSED, gboolean more G_GNUC_UNUSED, const GError *error, gpointer data)
{
  Mover *mover = data;

  step_done (mover->move, error != NULL ? g_error_copy (error) : NULL);
}

static void
clear_target (gpointer data)
{
  Mover *mover = data;
  RookMove *move = mover->move;
  g_autoptr (GPtrArray) users = rook_seen_rows_dup_users (move->rows, mover->before->id);

  mover->clearing = rook_clearing_new (move->mail, mover->to->store, mover->before->id, users);
  rook_clearing_run (mover->clearing, mover->before, G_MAXUINT, room_made, mover);
}

/* What an earlier move has left there, and may still be read, goes first. Who had seen messages then has now too. */
static void
make_room (Mover *mover)
{
  if (!rook_mail_await_vacant (mover->move->mail, mover->before->id, mover->to->partition->name, clear_target, mover))
    clear_target (mover);
}

/* --- rounds ----------------------------------------------------------------------------------------------------- */

static Moved *
moved_at (Mover *mover, guint number)
{
  return &g_array_index (mover->pages, Moved, number);
}

/* With the lock held: whether page @number of the durable head is as it was copied. */
static gboolean
is_copied (Mover *mover, guint number)
{
  const RookPage *page = rook_head_page (&mover->mailbox->durable, number);

  return number < mover->pages->len && moved_at (mover, number)->n == page->n
         && rook_summary_equal (&moved_at (mover, number)->summary, &page->summary);
}

/* The next page that has to be copied. %FALSE: there is none. *@more: not looked at all of them yet */
static gboolean
find_next (Mover *mover, gboolean *out_more)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mover->mailbox->lock);
  guint n_pages = mover->mailbox->durable.pages->len, end = MIN (mover->at + LOOKS, n_pages);

  while (mover->at < end && is_copied (mover, mover->at))
    mover->at++;
  *out_more = mover->at < n_pages;
  return mover->at < end;
}

static void copy_pages (Mover *mover);

static void
page_copied (const RookPage *page, const GError *error, gpointer data)
{
  Mover *mover = data;

  if (error != NULL)
    {
      step_done (mover->move, g_error_copy (error));
      return;
    }
  if (mover->at == mover->pages->len)
    g_array_set_size (mover->pages, mover->at + 1);
  *moved_at (mover, mover->at) = (Moved){ page->summary, page->n };
  mover->at++;
  mover->move->n_copied++;
  copy_pages (mover);
}

/* (nullable) why it can't go on */
static GError *
find_end (Mover *mover)
{
  g_autoptr (RookLocker) locker = NULL;

  if (rook_mail_is_closing (mover->move->mail))
    return g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
  locker = rook_locker_new (&mover->mailbox->lock);
  return mover->mailbox->gone ? rook_mailbox_make_gone_error (mover->mailbox) : NULL;
}

static void
copy_pages (Mover *mover)
{
  GError *end = find_end (mover);
  gboolean more = TRUE;

  while (end == NULL && more && !find_next (mover, &more))
    continue;
  if (end != NULL || !more)
    step_done (mover->move, end);
  else
    rook_page_move (mover->mailbox, mover->at, mover->to, mover->at < mover->pages->len, page_copied, mover);
}

static void
copy_round (Mover *mover)
{
  mover->at = 0;
  copy_pages (mover);
}

/* --- while they are held ----------------------------------------------------------------------------------------- */

static void
is_quiet (gpointer data)
{
  step_done (((Mover *) data)->move, NULL);
}

static void
hold (Mover *mover)
{
  mover->held = TRUE;
  rook_mailbox_hold (mover->mailbox, is_quiet, mover);
}

static void
add_seen (Mover *mover, RookBatch *batch)
{
  RookMailbox *mailbox = mover->mailbox;
  GHashTable *rows = g_hash_table_lookup (mover->move->rows, mailbox->id);
  GHashTableIter iter;
  gpointer user, value;

  /* Whoever has it open may have seen more. */
  rook_mutex_lock (&mailbox->lock);
  g_hash_table_iter_init (&iter, mailbox->seen.durable);
  while (g_hash_table_iter_next (&iter, &user, &value))
    if (((RookSeenSet *) value)->stamp != 0)
      g_hash_table_replace (rows, g_strdup (user), rook_seen_set_encode (value));
  rook_mutex_unlock (&mailbox->lock);
  g_hash_table_iter_init (&iter, rows);
  while (g_hash_table_iter_next (&iter, &user, &value))
    {
      g_autoptr (GBytes) key = rook_seen_key (mailbox->id, user);

      rook_users_add_copy (mover->move->mail->users, batch, user);
      rook_batch_put (batch, ROOK_PART_SEEN, key, value);
    }
}

static void
add_keywords (Mover *mover, RookBatch *batch, GBytes *key)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&mover->mailbox->lock);
  g_autoptr (GBytes) value = rook_mailbox_encode_keywords (mover->mailbox);

  if (g_bytes_get_size (value) > 0)
    rook_batch_put (batch, ROOK_PART_KEYWORDS, key, value);
}

/* Those from page @first on that lie in one value, behind what it begins with. Returns: where the next value begins. */
static guint
append_summaries (Mover *mover, GByteArray *value, guint first)
{
  gint block, lies_in;
  gsize offset;

  rook_summary_locate (first, &block, &offset);
  for (guint number = first; number < mover->pages->len; number++)
    {
      guint8 bytes[ROOK_SUMMARY_SIZE];

      rook_summary_locate (number, &lies_in, &offset);
      if (lies_in != block)
        return number;
      rook_summary_encode (&moved_at (mover, number)->summary, bytes);
      g_byte_array_append (value, bytes, sizeof bytes);
    }
  return mover->pages->len;
}

/* The header says that it is all there: so it goes into the last batch, with all the summaries. */
static void
add_header (Mover *mover, RookBatch *batch, GBytes *key)
{
  RookMailbox *mailbox = mover->mailbox;
  GByteArray *value = g_byte_array_new ();
  guint8 head[MAX (ROOK_HEADER_SIZE, ROOK_BLOCK_HEAD)];
  g_autoptr (GBytes) header = NULL;
  guint next;

  rook_mutex_lock (&mailbox->lock);
  rook_header_encode (&mailbox->durable.header, head);
  rook_mutex_unlock (&mailbox->lock);
  g_byte_array_append (value, head, ROOK_HEADER_SIZE);
  next = append_summaries (mover, value, 0);
  header = g_byte_array_free_to_bytes (value);
  rook_batch_put (batch, ROOK_PART_HEADERS, key, header);
  for (guint block = 0; next < mover->pages->len; block++)
    {
      g_autoptr (GBytes) block_key = rook_page_key (mailbox->id, block), block_value = NULL;

      value = g_byte_array_new ();
      rook_summary_block_head (head);
      g_byte_array_append (value, head, ROOK_BLOCK_HEAD);
      next = append_summaries (mover, value, next);
      block_value = g_byte_array_free_to_bytes (value);
      rook_batch_put (batch, ROOK_PART_SUMMARIES, block_key, block_value);
    }
}

static void
rest_written (guint64 position G_GNUC_UNUSED, const GError *error, gpointer data)
{
  RookMove *move = data;

  step_done (move, from_store (move, error));
}

static void
write_rest (Mover *mover)
{
  RookMove *move = mover->move;
  RookBatch *batch = rook_batch_new (mover->to->store);
  g_autoptr (GBytes) key = rook_bytes_of_text (mover->mailbox->id), copy = NULL;
  g_autoptr (GError) error = NULL;

  if (move->op->position == 0)
    move->op->position = rook_mail_begin_position (move->mail);
  mover->after->change = move->op->position;
  copy = rook_entry_encode (mover->after);
  add_seen (mover, batch);
  add_keywords (mover, batch, key);
  add_header (mover, batch, key);
  rook_batch_put (batch, ROOK_PART_ENTRIES, key, copy);
  if (rook_batch_reserve (batch, 0, FALSE, &error))
    {
      rook_store_commit (mover->to->store, batch, rest_written, move);
      return;
    }
  rook_batch_free (batch);
  step_done (move, from_store (move, error));
}

static void read_fresh (Mover *mover);

static void
fresh_read (GBytes *value, const GError *error, gpointer data)
{
  Mover *mover = data;
  guint number = g_array_index (mover->numbers, guint, mover->fresh->len);
  RookPage *page = value != NULL ? rook_page_from_bytes (value, moved_at (mover, number)->n) : NULL;

  if (page != NULL && rook_summary_equal (&page->summary, &moved_at (mover, number)->summary))
    {
      g_ptr_array_add (mover->fresh, page);
      read_fresh (mover);
      return;
    }
  g_clear_pointer (&page, rook_page_unref);
  step_done (mover->move, error != NULL ? from_store (mover->move, error)
                                        : g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT,
                                                               "what was copied does not read"));
}

static void
read_fresh (Mover *mover)
{
  g_autoptr (GBytes) key = NULL;

  if (mover->fresh->len == mover->numbers->len)
    {
      step_done (mover->move, find_end (mover));
      return;
    }
  key = rook_page_key (mover->mailbox->id, g_array_index (mover->numbers, guint, mover->fresh->len));
  rook_store_get (mover->to->store, ROOK_PART_PAGES, key, fresh_read, mover);
}

/* Few pages have to stay in memory: those that views have just asked for. The others are hollow afterwards. */
static void
renew_pages (Mover *mover)
{
  guint at = 0;

  while (rook_mailbox_empty_pages (mover->mailbox, &at, mover->numbers))
    continue;
  read_fresh (mover);
}

/* --- from station to station ------------------------------------------------------------------------------------- */

typedef struct {
  void (*step) (Mover *mover);
  gboolean is_for_all; /* one step for all of them */
} Station;

enum { FIRST_HELD = 5 };
static const Station stations[] = {
  { open_mailbox, FALSE }, { look_for_rows, FALSE }, { mark_entries, TRUE },
  { make_room, FALSE },    { copy_round, FALSE },    { hold, FALSE },
  { copy_round, FALSE },   { write_rest, FALSE },    { renew_pages, FALSE },
};

/* Another round, or the next station. */
static void
leave_station (RookMove *move)
{
  gboolean again = move->station == FIRST_HELD - 1 && move->n_copied > FEW_PAGES && ++move->round < MAX_ROUNDS;

  move->next = move->n_copied = 0;
  if (!again)
    move->station++;
}

static void
advance (gpointer data)
{
  RookMove *move = data;

  if (move->error == NULL && rook_mail_is_closing (move->mail))
    move->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_UNAVAILABLE, "the server is closing");
  if (move->error == NULL
      && (move->next == move->movers->len || (move->next > 0 && stations[move->station].is_for_all)))
    leave_station (move);
  if (move->error != NULL || move->station == G_N_ELEMENTS (stations))
    {
      g_autoptr (GError) error = g_steal_pointer (&move->error);

      move->callback (error, move->op);
      return;
    }
  stations[move->station].step (g_ptr_array_index (move->movers, move->next));
}

static void
mover_free (gpointer data)
{
  Mover *mover = data;

  g_clear_pointer (&mover->mailbox, rook_mailbox_unref);
  g_clear_pointer (&mover->from, rook_place_unref);
  rook_place_unref (mover->to);
  rook_entry_unref (mover->before);
  g_clear_pointer (&mover->clearing, rook_clearing_free);
  g_array_unref (mover->pages);
  g_array_unref (mover->numbers);
  g_ptr_array_unref (mover->fresh);
  g_free (mover);
}

/* Marks of deliveries stay where they were made, and count until they are too old. */
static void
note_marks (RookMail *mail, RookEntry *after, const char *partition)
{
  gint64 now = g_get_real_time () / G_USEC_PER_SEC;

  if (!rook_mail_marks_count (mail, after, now))
    g_clear_pointer (&after->earlier, g_strfreev);
  rook_entry_set_remove (&after->earlier, after->partition);
  rook_entry_set_add (&after->earlier, partition);
  after->moved = now;
}

static Mover *
mover_new (RookMove *move, const RookEntry *before, RookEntry *after, RookPartition *to)
{
  Mover *mover = g_new0 (Mover, 1);

  *mover = (Mover){ .move = move,
                    .before = rook_entry_new (before),
                    .after = after,
                    .to = rook_place_new (to),
                    .pages = g_array_new (FALSE, FALSE, sizeof (Moved)),
                    .numbers = g_array_new (FALSE, FALSE, sizeof (guint)),
                    .fresh = g_ptr_array_new_with_free_func ((GDestroyNotify) rook_page_unref) };
  rook_entry_set_add (&mover->before->left, to->name);
  rook_entry_derive (mover->before);
  rook_entry_set_remove (&after->left, to->name);
  rook_entry_set_add (&after->left, before->partition);
  note_marks (move->mail, after, before->partition);
  return mover;
}

void
rook_move_begin (RookChangeOp *op, RookMailCallback callback)
{
  RookMove *move = g_new0 (RookMove, 1);

  *move = (RookMove){ .op = op,
                      .mail = op->mail,
                      .movers = g_ptr_array_new_with_free_func (mover_free),
                      .rows = rook_seen_rows_new (),
                      .callback = callback };
  op->move = move;
  for (guint i = 0; i < op->after->len; i++)
    {
      RookEntry *after = g_ptr_array_index (op->after, i);

      if (!is_moved (op, i))
        continue;
      g_ptr_array_add (move->movers, mover_new (move, g_ptr_array_index (op->before, i), after,
                                                rook_mail_find_partition (op->mail, after->partition)));
      rook_seen_rows_want (move->rows, after->id);
    }
  advance (move);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

/* Who uses it does so there from now on, and what it leaves goes once nobody reads it any more. */
static void
put_in_place (Mover *mover)
{
  rook_mail_vacate (mover->move->mail, mover->mailbox->id, mover->from, mover->move->rows);
  rook_mailbox_put_in_place (mover->mailbox, mover->to, mover->numbers, mover->fresh);
}

/* The copies are not named by anybody: of all, in the background. */
static void
abandon (RookMove *move)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  Mover *first = g_ptr_array_index (move->movers, 0);

  for (guint i = 0; i < move->movers->len; i++)
    g_ptr_array_add (ids, g_strdup (((Mover *) g_ptr_array_index (move->movers, i))->before->id));
  rook_mail_sweep (move->mail, first->to->partition->name, ids, move->rows);
}

void
rook_move_end (RookChangeOp *op, RookMoveOutcome outcome)
{
  RookMove *move = g_steal_pointer (&op->move);

  if (move == NULL)
    return;
  for (guint i = 0; i < move->movers->len; i++)
    {
      Mover *mover = g_ptr_array_index (move->movers, i);

      /* It may lie there: nothing more goes in here that would be lost. */
      if (outcome == ROOK_MOVE_UNKNOWN)
        rook_mail_doubt (move->mail, mover->before->id);
      if (outcome == ROOK_MOVE_DONE)
        put_in_place (mover);
      if (mover->held)
        rook_mailbox_release (mover->mailbox);
    }
  if (outcome == ROOK_MOVE_FAILED && move->is_marked)
    abandon (move);
  g_ptr_array_unref (move->movers);
  g_hash_table_unref (move->rows);
  g_free (move);
}
