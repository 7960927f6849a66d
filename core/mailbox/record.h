/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a mailbox is made of in its partition's store: the header, and pages of records of fixed size.
 *
 * All numbers are big-endian. A record's first part never changes once written; its second part is what flag changes
 * write, so that one of them is a patch of ROOK_RECORD_SIZE - ROOK_RECORD_CHANGING bytes at most. Records never move:
 * number n lies in page n / ROOK_PAGE_RECORDS. Expunged ones stay, marked, until they are purged.
 *
 * Of each page there is a summary, written in the same batch: what is needed to open a mailbox, to number its messages and
 * to know which pages are worth reading. Those of the first ROOK_HEADER_SUMMARIES pages lie behind the header, in one
 * value, so that most mailboxes have one value less; the others in blocks.
 */
#pragma once

#include "rookery/mailbox.h"
#include "rookery/storage.h"

G_BEGIN_DECLS

/* Tables of the state store. */
enum {
  ROOK_STATE_META = 0,
  ROOK_STATE_MAILBOXES = 1,     /* id -> entry */
  ROOK_STATE_SUBSCRIPTIONS = 2, /* NUL, user id, name -> 1: see users.h */
  ROOK_STATE_USERS = 3,         /* name -> user */
  ROOK_STATE_GONE = 4,          /* user id that was given up -> where something of it may be left */
};
/* Tables of a partition's store; keys begin with the mailbox id. */
enum {
  ROOK_PART_META = 0,
  ROOK_PART_HEADERS = 1,    /* id -> header */
  ROOK_PART_PAGES = 2,      /* id NUL number -> page */
  ROOK_PART_KEYWORDS = 3,   /* id -> names, each ended by a line feed, in the order of their bits */
  ROOK_PART_ENTRIES = 4,    /* id -> copy of the state store's entry */
  ROOK_PART_SEEN = 5,       /* id NUL NUL user id -> uid ranges */
  ROOK_PART_DUPLICATES = 6, /* hash -> time */
  ROOK_PART_SUMMARIES = 7,  /* id NUL number -> block of summaries */
  ROOK_PART_USERS = 8,      /* user id -> copy of the state store's user, of those who have something here */
};

/* --- records -------------------------------------------------------------------------------------------------------- */

#define ROOK_RECORD_EXPUNGED (1u << 31) /* in the stored flags, above RookFlags */
#define ROOK_RECORD_PURGED (1u << 30)   /* its blobs are released */

typedef struct {
  guint32 uid;
  gint16 zone_minutes;
  guint64 created_modseq;
  gint64 internal_date;
  gint64 save_date;
  guint64 size;
  guint8 guid[20];
  guint32 blob_store; /* 0: the mailbox's own; room for bodies that are archived elsewhere */
  guint64 thread_id;
  RookBlobId blob;
  RookBlobId cache;
  /* What changes: */
  guint64 modseq;
  gint64 last_updated;
  guint32 flags; /* RookFlags and ROOK_RECORD_ bits */
  guint64 keywords[ROOK_MAX_KEYWORDS / 64];
} RookRecord;

#define ROOK_RECORD_SIZE 128
#define ROOK_RECORD_CHANGING 88 /* where the second part begins */

void rook_record_encode (const RookRecord *record, guint8 *out);
void rook_record_decode (const guint8 *bytes, RookRecord *out);

/* --- pages ---------------------------------------------------------------------------------------------------------- */

#define ROOK_PAGE_HEAD 64 /* version, record size; the rest is room */
#define ROOK_PAGE_RECORDS 63
#define ROOK_PAGE_VERSION 1

/* What is known of a page without its records. */
typedef struct {
  guint32 first_uid;  /* of record 0 */
  guint8 n_deleted;   /* records that live and have \Deleted */
  guint8 n_kept;      /* expunged ones that are not purged yet */
  gboolean is_sparse; /* uids are not first_uid, first_uid + 1, ...: only the records tell */
  guint64 live;       /* bit n: record n is not expunged */
  guint64 unseen;     /* those of them without \Seen, as the owner sees it */
  guint64 max_modseq; /* of all records */
} RookSummary;

#define ROOK_SUMMARY_SIZE 32
#define ROOK_HEADER_SUMMARIES 24 /* pages whose summaries lie behind the header */
#define ROOK_BLOCK_HEAD 64       /* version, summary size; the rest is room */
#define ROOK_BLOCK_SUMMARIES 254
#define ROOK_BLOCK_VERSION 1

void rook_summary_encode (const RookSummary *summary, guint8 *out);
/* %FALSE: this can't be what was said of a page of @n records. */
gboolean rook_summary_decode (const guint8 *bytes, guint n, RookSummary *out);
gboolean rook_summary_equal (const RookSummary *a, const RookSummary *b);
/* Record @slot is now @record. @before: (nullable) its flags until now; %NULL: it is new, and the last. */
void rook_summary_note (RookSummary *summary, guint slot, const guint32 *before, const RookRecord *record);
/* Where that of page @number lies: behind the header (*@out_block -1), or in a block. */
void rook_summary_locate (guint number, gint *out_block, gsize *out_offset);
/* The first bytes of a block, up to ROOK_BLOCK_HEAD; whether they are what @value begins with. */
void rook_summary_block_head (guint8 *out);
gboolean rook_summary_block_is_valid (GBytes *value);
/* How many blocks there are for @n_pages. */
guint rook_summary_count_blocks (guint n_pages);

/* Immutable once shared; reference counted. A *hollow* one has no records in memory, and only its summary says what they are. */
typedef struct {
  gint ref;            /* atomic */
  guint n;             /* records */
  guint capacity;      /* for which there is memory; 0: it is hollow */
  gconstpointer owner; /* the commit that is writing it; only under the mailbox's lock */
  RookSummary summary;
  guint8 data[]; /* as stored */
} RookPage;

RookPage *rook_page_new (guint capacity);
RookPage *rook_page_copy (const RookPage *page, guint capacity);
RookPage *rook_page_new_hollow (const RookSummary *summary, guint n);
static inline gboolean
rook_page_is_hollow (const RookPage *page)
{
  return page->capacity == 0;
}
/* Bytes of memory that all pages take. Any thread. */
gsize rook_page_get_memory (void);
/* (nullable) of a stored value: %NULL if it is damaged, of a newer version, or does not hold @n records. */
RookPage *rook_page_from_bytes (GBytes *bytes, guint n);
/* How many records a stored value holds. */
guint rook_page_count_records (GBytes *value);
RookPage *rook_page_ref (RookPage *page);
void rook_page_unref (RookPage *page);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookPage, rook_page_unref)
static inline const guint8 *
rook_page_record (const RookPage *page, guint slot)
{
  return page->data + ROOK_PAGE_HEAD + (gsize) slot * ROOK_RECORD_SIZE;
}
/* Of a page that is not hollow. */
guint32 rook_page_uid (const RookPage *page, guint slot);
/* Writes a record, and notes it in the summary; @slot may be the one behind the last. */
void rook_page_set (RookPage *page, guint slot, const RookRecord *record);
/* The slot of @uid, or -1. */
gint rook_page_find (const RookPage *page, guint32 uid);
GBytes *rook_page_key (const char *id, guint32 number);

/* --- headers -------------------------------------------------------------------------------------------------------- */

typedef struct {
  guint32 uidvalidity;
  guint32 uidnext;
  guint32 n_records;                                  /* ever written, expunged ones too */
  guint32 exists, unseen, deleted, answered, flagged; /* of those not expunged; unseen as the owner sees it */
  guint32 recent_uid;                                 /* the highest that was shown as \Recent */
  gint64 recent_time;
  guint64 highest_modseq, purged_modseq, folder_modseq, created_modseq;
  guint64 size; /* bytes, of those not expunged */
  gint64 last_append, last_pop_login, pop3_show_after;
  guint32 options, type;
  guint32 sync_crc, sync_crc_annot; /* see rook_record_crc() */
  guint64 sequence;                 /* of events */
  guint64 change;                   /* position of the last change, for durable subscribers (rookery/event.h) */
  gint64 oldest_expunged;           /* no expunged record that is not purged was expunged before; 0: there is none */
  gboolean has_summaries;           /* else it is of version 1, which had none */
} RookHeader;

#define ROOK_HEADER_SIZE 256 /* summaries lie behind */
#define ROOK_HEADER_VERSION 2

void rook_header_init (RookHeader *header, guint32 uidvalidity);
void rook_header_encode (const RookHeader *header, guint8 *out);
/* %FALSE: damaged or of a newer version. */
gboolean rook_header_decode (GBytes *bytes, RookHeader *out);
/* Adds (@sign 1) or takes away (-1) a record that is not expunged from totals and CRCs. */
void rook_header_count (RookHeader *header, const RookRecord *record, GPtrArray *keywords, int sign);

/* The two CRCs by which Cyrus compares mailboxes. */
guint32 rook_record_crc (const RookRecord *record, GPtrArray *keywords);
guint32 rook_record_crc_annot (const RookRecord *record);
#define ROOK_CRC_ANNOT_START 12345678u

G_END_DECLS
