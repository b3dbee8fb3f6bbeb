"""Digests, marks of threads, bans, bounce scores, held posts that are reported, imports."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "bans",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("forum_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.String(), server_default="command", nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["forum_id"], ["forums.id"], name=op.f("fk_bans_forum_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bans")),
        sa.UniqueConstraint("forum_id", "kind", "value", name=op.f("uq_bans_forum_id_kind_value")),
    )
    op.create_index(op.f("ix_bans_forum_id"), "bans", ["forum_id"], unique=False)
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("forum_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("imported", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["forum_id"], ["forums.id"], name=op.f("fk_imports_forum_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.UniqueConstraint("forum_id", "source", name=op.f("uq_imports_forum_id_source")),
    )
    op.create_table(
        "digests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("forum_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("after_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("until_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["forum_id"], ["forums.id"], name=op.f("fk_digests_forum_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_digests_subscription_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digests")),
        sa.UniqueConstraint("message_id", name=op.f("uq_digests_message_id")),
        sa.UniqueConstraint("subscription_id", "after_seq", name=op.f("uq_digests_subscription_id_after_seq")),
    )
    op.create_table(
        "thread_marks",
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("thread_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_thread_marks_person_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_thread_marks_thread_id")),
        sa.PrimaryKeyConstraint("person_id", "thread_id", name=op.f("pk_thread_marks")),
    )
    op.create_index("ix_thread_marks_thread_id", "thread_marks", ["thread_id"], unique=False)
    op.create_table(
        "entry_requests",
        sa.Column("membership_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("mode", sa.String(), server_default="each", nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("asked_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["membership_id"], ["memberships.id"], name=op.f("fk_entry_requests_membership_id")),
        sa.ForeignKeyConstraint(["address_id"], ["addresses.id"], name=op.f("fk_entry_requests_address_id")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["addresses.id"], name=op.f("fk_entry_requests_mailbox_id")),
        sa.PrimaryKeyConstraint("membership_id", name=op.f("pk_entry_requests")),
    )
    op.create_table(
        "digest_entries",
        sa.Column("digest_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("post_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["digest_id"], ["digests.id"], name=op.f("fk_digest_entries_digest_id")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_digest_entries_post_id")),
        sa.PrimaryKeyConstraint("digest_id", "post_id", name=op.f("pk_digest_entries")),
    )
    op.create_index("ix_digest_entries_post_id", "digest_entries", ["post_id"], unique=False)
    op.add_column("forums", sa.Column("max_recipients", sa.BigInteger(), server_default="20", nullable=False))
    op.add_column("forums", sa.Column("link_over", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("forums", sa.Column("refused_types", sa.String(), server_default="", nullable=False))
    op.add_column("forums", sa.Column("proof_policy", sa.String(), server_default="usual", nullable=False))
    op.add_column("forums", sa.Column("strangers", sa.String(), server_default="confirm", nullable=False))
    op.add_column("forums", sa.Column("first_post", sa.String(), server_default="post", nullable=False))
    op.add_column("forums", sa.Column("hold_all", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("forums", sa.Column("machines", sa.Text(), server_default="", nullable=False))
    op.add_column("held", sa.Column("awaits", sa.String(), server_default="moderators", nullable=False))
    op.add_column("held", sa.Column("reported_at", sa.BigInteger(), nullable=True))
    op.add_column("held", sa.Column("reminded_at", sa.BigInteger(), nullable=True))
    op.add_column("held", sa.Column("told_at", sa.BigInteger(), nullable=True))
    op.add_column("posts", sa.Column("imported", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("revisions", sa.Column("message_id", sa.String(), nullable=True))
    op.add_column("revisions", sa.Column("corrects", sa.BigInteger(), nullable=True))
    op.add_column("subscriptions", sa.Column("addressed", sa.String(), server_default="forum", nullable=False))
    op.add_column("subscriptions", sa.Column("bounce_score", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("subscriptions", sa.Column("bounced_at", sa.BigInteger(), nullable=True))
    op.add_column("subscriptions", sa.Column("probed_at", sa.BigInteger(), nullable=True))
    op.add_column("subscriptions", sa.Column("stopped_at", sa.BigInteger(), nullable=True))
    op.add_column("subscriptions", sa.Column("stop_reason", sa.String(), server_default="", nullable=False))
    op.add_column("subscriptions", sa.Column("digest_hour", sa.BigInteger(), server_default="7", nullable=False))
    op.add_column("subscriptions", sa.Column("digest_day", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("subscriptions", sa.Column("digest_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("subscriptions", sa.Column("digest_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_subscriptions_digest_at"), "subscriptions", ["digest_at"], unique=False)
    # digests could be chosen before there were any: they begin now, with the next post
    op.execute(
        sa.text(
            "UPDATE subscriptions SET digest_at = :now,"
            " digest_seq = (SELECT last_seq FROM forums WHERE forums.id = subscriptions.forum_id)"
            " WHERE mode IN ('daily', 'weekly')"
        ).bindparams(now=time.time_ns() // 1_000_000)
    )
